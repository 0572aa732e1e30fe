//! Sets of up to 64 nodes as bits of a word. Nodes are numbered from the strongest, so the lowest
//! bit of a set is its strongest node.

/// Set of nodes with the number of records that state it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stated {
    /// Nodes of the set.
    pub(super) nodes: u64,
    /// Number of records that state the set.
    pub(super) records: u64,
}

/// Set of the first `count` nodes; `count` is at most 64.
pub(super) const fn first(count: usize) -> u64 {
    if count >= 64 {
        u64::MAX
    } else {
        (1 << count) - 1
    }
}

/// Numbers of the nodes of a set, from the strongest.
pub(super) fn nodes(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let node = strongest(set)?;
        set &= set - 1;
        Some(node)
    })
}

/// Number of the strongest node of a set; `None` of an empty one.
pub(super) const fn strongest(set: u64) -> Option<usize> {
    if set == 0 {
        None
    } else {
        Some(set.trailing_zeros() as usize)
    }
}

/// Connected pieces of `all` where each of `links` connects its nodes; the piece with the
/// strongest node first. Links are taken without their nodes outside of `all`.
pub(super) fn pieces(all: u64, links: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut pieces: Vec<u64> = Vec::new();
    let mut covered = 0;
    for link in links.map(|link| link & all).filter(|&link| link != 0) {
        let mut joined = link;
        if link & covered != 0 {
            pieces.retain(|&piece| {
                let is_apart = piece & link == 0;
                if !is_apart {
                    joined |= piece;
                }
                is_apart
            });
        }
        covered |= joined;
        pieces.push(joined);
    }
    pieces.extend(nodes(all & !covered).map(|node| 1 << node));
    pieces.sort_unstable_by_key(|piece| piece.trailing_zeros());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_what_links_connect() {
        let links = [0b0011, 0b1100_0000, 0b1000_1000, 0];
        assert_eq!(
            pieces(first(8), links.into_iter()),
            [0b0011, 0b0100, 0b1100_1000, 0b1_0000, 0b10_0000]
        );
        assert_eq!(pieces(0b110, links.into_iter()), [0b10, 0b100]);
    }

    #[test]
    fn a_word_holds_sixty_four_nodes() {
        assert_eq!(first(64), u64::MAX);
        assert_eq!(nodes(first(64)).count(), 64);
        assert_eq!(nodes(1 << 63 | 1).collect::<Vec<_>>(), [0, 63]);
        assert_eq!(pieces(u64::MAX, [u64::MAX].into_iter()), [u64::MAX]);
        assert_eq!(strongest(0), None);
    }
}
