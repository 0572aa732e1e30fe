//! Sets with too few records to join parts that hold records of their own.

use super::bits::{self, Stated};
use super::model::ContestKind;
use super::small::SmallPart;

/// Sets of a part after those with too few records have lost what they may not join.
pub(super) struct Believed {
    /// Sets as they may be used.
    pub(super) sets: Vec<Stated>,
    /// Contests of the kind [`ContestKind::OneRecord`].
    pub(super) contests: Vec<(usize, ContestKind)>,
    /// True where some set with too few records is alone in connecting its names. Then one more
    /// record about one of these names may show that it joins parts with records of their own.
    pub(super) has_bridge: bool,
}

/// Judges every set with fewer than `needed` records against all the other sets, so that the order
/// in which they are looked at does not matter.
pub(super) fn believe(part: &SmallPart, needed: u64) -> Believed {
    let mut believed = Believed {
        sets: Vec::with_capacity(part.sets.len()),
        contests: Vec::new(),
        has_bridge: false,
    };
    let is_stated_once = stated_once(&part.sets);
    for (place, set) in part.sets.iter().enumerate() {
        if set.records >= needed {
            believed.sets.push(*set);
            continue;
        }
        let others = part.sets.iter().enumerate();
        let others = others.filter(|(other, _)| *other != place);
        let pieces = bits::pieces(part.all(), others.map(|(_, other)| other.nodes));
        let joined = pieces.into_iter().map(|piece| piece & set.nodes);
        let joined: Vec<u64> = joined.filter(|&names| names != 0).collect();
        let own = set.nodes & is_stated_once;
        // A name that only this set states is a piece by itself, without a record of its own.
        let with_records = joined.iter().filter(|&names| names & own == 0);
        believed.has_bridge |= joined.len() > 1;
        if with_records.clone().count() < 2 {
            believed.sets.push(*set);
            continue;
        }
        let strongest_of_each = with_records.filter_map(|&names| bits::strongest(names));
        believed
            .contests
            .extend(strongest_of_each.map(|node| (node, ContestKind::OneRecord)));
        let nodes = own | strongest_piece(part, set.nodes, &joined);
        if nodes != 0 {
            believed.sets.push(Stated { nodes, ..*set });
        }
    }
    believed
}

/// Names of the set in the piece of its strongest name; none where names of equal strength lie in
/// several pieces.
fn strongest_piece(part: &SmallPart, set: u64, joined: &[u64]) -> u64 {
    let strongest = part.strongest_class(set);
    let piece = joined.iter().find(|&names| strongest & !names == 0);
    piece.copied().unwrap_or(0)
}

/// Nodes that exactly one set states.
fn stated_once(sets: &[Stated]) -> u64 {
    let mut once = 0;
    let mut more = 0;
    for set in sets {
        more |= once & set.nodes;
        once |= set.nodes;
    }
    once & !more
}
