//! Invented component at the limits of the rules about persons, as costly as one can be.

use contract::{Epoch, Scheme, Suite};
use linking::{
    CityPseudonym, Component, LinkRules, MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS, NameSet,
    NameSetId,
};

/// Names in each set: as many as an event may state.
const NAMES_IN_SET: usize = 16;
/// Names that are SNILS; they contradict each other by twos.
const ANCHORS: usize = 20;

/// Rules under which every set of one record is looked at by itself.
pub const RULES: LinkRules = LinkRules {
    join_needs_records: 2,
};

/// Component with as many names and sets as may be judged by votes, every set as large as an event
/// may make it, half of them of one record, and SNILS that contradict each other.
#[must_use]
pub fn component_at_its_limits() -> Component {
    let names: Vec<CityPseudonym> = (0..MAX_COMPONENT_NAMES).map(name).collect();
    let sets = (0..MAX_COMPONENT_SETS).map(|place| {
        // Steps of odd width meet every name once.
        let step = 2 * place + 1;
        let members = (0..NAMES_IN_SET).map(|member| names[(place + member * step) % names.len()]);
        let mut members: Vec<_> = members.collect();
        members.sort_unstable_by_key(CityPseudonym::strength);
        let values: Vec<_> = members.iter().map(|name| name.value).collect();
        NameSet {
            id: NameSetId::of(&values),
            names: members,
            records: if place % 2 == 0 { 1 } else { place as u64 },
        }
    });
    Component {
        sets: sets.collect(),
        ..Component::default()
    }
}

fn name(number: usize) -> CityPseudonym {
    let [low, ..] = number.to_le_bytes();
    let scheme = if number < ANCHORS {
        Scheme::Snils
    } else {
        Scheme::ALL[1 + number % (Scheme::ALL.len() - 1)]
    };
    CityPseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch: 1 + Epoch::from(low / 2),
        value: [low; 32],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_within_the_limits_and_contradictory() {
        let component = component_at_its_limits();
        let names = component.sets.iter().flat_map(|set| &set.names);
        let values: std::collections::BTreeSet<_> = names.map(|name| name.value).collect();
        assert_eq!(values.len(), MAX_COMPONENT_NAMES);
        let found = linking::persons(&component, &RULES);
        assert!(found.groups.len() > 1);
        let is_judged = |contest: &linking::Contest| contest.kind != linking::ContestKind::TooLarge;
        assert!(found.contests.iter().all(is_judged));
    }
}
