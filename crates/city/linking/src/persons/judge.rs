//! Division of a part within the limits into persons.

use super::bits;
use super::model::{LinkRules, MAX_COMPONENT_SETS};
use super::one_record::believe;
use super::parts::{ConnectedPart, Division};
use super::small::SmallPart;
use super::{anchors, votes};

/// Divides a part that is within the limits.
pub(super) fn judge(part: &ConnectedPart, rules: &LinkRules) -> Division {
    let mut small = SmallPart::new(part);
    let mut division = Division {
        // One more set makes the part too large.
        is_apart: small.sets.len() >= MAX_COMPONENT_SETS,
        ..Division::default()
    };
    if rules.join_needs_records > 1 {
        let believed = believe(&small, rules.join_needs_records);
        division.is_apart |= believed.has_bridge;
        division.contests = believed.contests;
        small.sets = believed.sets;
    }
    let pieces = bits::pieces(small.all(), small.sets.iter().map(|set| set.nodes));
    for piece in pieces {
        let groups = if small.keys_of(piece).is_some() {
            vec![piece]
        } else {
            let persons = anchors::join(&small, piece, &mut division.contests);
            votes::give(&small, piece, persons, &mut division.contests)
        };
        let groups = groups.into_iter().map(|group| bits::nodes(group).collect());
        division.groups.extend(groups);
    }
    division.is_apart |= division.groups.len() > 1;
    division
}
