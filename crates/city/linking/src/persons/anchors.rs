//! SNILS under different keys that are one person, in a piece where SNILS contradict each other.

use super::bits;
use super::model::ContestKind;
use super::small::SmallPart;

/// Number of records that state two anchors together.
struct Pair {
    records: u64,
    one: usize,
    other: usize,
}

/// Joins anchors that sets state together, those of most records first. Pairs of equally many
/// records that would together join a contradiction join nothing, and neither do lesser pairs with
/// these persons.
pub(super) fn join(
    part: &SmallPart,
    piece: u64,
    contests: &mut Vec<(usize, ContestKind)>,
) -> Vec<u64> {
    let mut persons: Vec<u64> = bits::nodes(piece & part.anchors())
        .map(|anchor| 1 << anchor)
        .collect();
    let pairs = pairs(part, piece);
    // Persons in a tie, which take part in no further join.
    let mut closed = 0;
    for level in pairs.chunk_by(|pair, next| pair.records == next.records) {
        let links = level.iter().filter_map(|pair| {
            let link = person_of(&persons, pair.one) | person_of(&persons, pair.other);
            (link & closed == 0 && part.keys_of(link).is_some()).then_some(link)
        });
        let links: Vec<u64> = links.collect();
        let linked = links.iter().fold(0, |all, link| all | link);
        for cluster in bits::pieces(linked, links.iter().copied()) {
            if part.keys_of(cluster).is_some() {
                persons.retain(|person| person & cluster == 0);
                persons.push(cluster);
            } else {
                closed |= cluster;
                contests.extend(bits::nodes(cluster).map(|node| (node, ContestKind::Tie)));
            }
        }
    }
    persons
}

/// Person that holds an anchor.
fn person_of(persons: &[u64], anchor: usize) -> u64 {
    let person = persons.iter().find(|&person| person >> anchor & 1 == 1);
    person.copied().unwrap_or(0)
}

/// Anchors of the piece that sets state together and that do not contradict each other, most
/// records first.
fn pairs(part: &SmallPart, piece: u64) -> Vec<Pair> {
    let count = part.classes.len();
    let anchors = piece & part.anchors();
    let mut records = vec![0_u64; count * count];
    for set in &part.sets {
        for one in bits::nodes(set.nodes & anchors) {
            for other in bits::nodes(set.nodes & anchors).filter(|&other| other > one) {
                let sum = &mut records[one * count + other];
                *sum = sum.saturating_add(set.records);
            }
        }
    }
    let mut pairs = Vec::new();
    for one in bits::nodes(anchors) {
        for other in bits::nodes(anchors).filter(|&other| other > one) {
            let records = records[one * count + other];
            if records > 0 && part.keys[one] & part.keys[other] == 0 {
                pairs.push(Pair {
                    records,
                    one,
                    other,
                });
            }
        }
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.records));
    pairs
}
