//! Invented cities: what records state, in a form that reads well.

use std::cmp::Reverse;

use contract::{Epoch, Scheme, Suite};

use crate::persons::{
    Component, Contest, ContestKind, Decision, LinkRules, NameSet, NameSetId, Persons, persons,
};
use crate::second_layer::CityPseudonym;

pub(super) fn name(scheme: Scheme, epoch: Epoch, number: u8) -> CityPseudonym {
    let mut value = [0; 32];
    value[0] = scheme as u8;
    value[1] = epoch.to_le_bytes()[0];
    value[2] = number;
    CityPseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch,
        value,
    }
}

pub(super) fn snils(number: u8) -> CityPseudonym {
    name(Scheme::Snils, 1, number)
}

pub(super) fn oms(number: u8) -> CityPseudonym {
    name(Scheme::Oms, 1, number)
}

pub(super) fn passport(number: u8) -> CityPseudonym {
    name(Scheme::PassportRu, 1, number)
}

pub(super) fn birth(number: u8) -> CityPseudonym {
    name(Scheme::BirthCertificate, 1, number)
}

/// The same SNILS under the key of the second epoch.
pub(super) fn new_snils(number: u8) -> CityPseudonym {
    name(Scheme::Snils, 2, number)
}

/// Records of a city, by the names that they state.
#[derive(Debug, Clone, Default)]
pub(super) struct City {
    pub(super) component: Component,
    pub(super) rules: LinkRules,
}

impl City {
    /// A city in which one record is not enough to join.
    pub(super) fn doubting() -> Self {
        let mut city = Self::default();
        city.rules.join_needs_records = 2;
        city
    }

    /// Adds records that state these names together.
    pub(super) fn state(mut self, records: u64, names: &[CityPseudonym]) -> Self {
        let mut names = names.to_vec();
        names.sort_by_key(|name| (name.scheme, Reverse(name.epoch), name.suite, name.value));
        names.dedup();
        let values: Vec<_> = names.iter().map(|name| name.value).collect();
        let id = NameSetId::of(&values);
        let sets = &mut self.component.sets;
        match sets.iter_mut().find(|set| set.id == id) {
            Some(set) => set.records += records,
            None => sets.push(NameSet { id, names, records }),
        }
        self
    }

    pub(super) fn alone(mut self, name: CityPseudonym) -> Self {
        self.component.decisions.push(Decision::Alone(name.value));
        self
    }

    pub(super) fn together(mut self, one: CityPseudonym, other: CityPseudonym) -> Self {
        let decision = Decision::Together(one.value, other.value);
        self.component.decisions.push(decision);
        self
    }

    pub(super) fn persons(&self) -> Persons {
        persons(&self.component, &self.rules)
    }

    /// Asserts that the persons are exactly these, in whatever order.
    #[track_caller]
    pub(super) fn has(&self, expected: &[&[CityPseudonym]]) -> &Self {
        let expected = expected.iter().map(|names| names.iter());
        let mut expected: Vec<Vec<_>> = expected
            .map(|names| names.map(|name| name.value).collect())
            .collect();
        expected.iter_mut().for_each(|group| group.sort_unstable());
        expected.sort_unstable();
        assert_eq!(short(&self.persons().groups), short(&expected));
        self
    }

    /// Asserts that the names with contests of a kind are exactly these.
    #[track_caller]
    pub(super) fn contests(&self, kind: ContestKind, names: &[CityPseudonym]) -> &Self {
        let contests = self.persons().contests;
        let found: Vec<_> = contests.iter().filter(|found| found.kind == kind).collect();
        let mut expected: Vec<Contest> = names
            .iter()
            .map(|name| Contest {
                name: name.value,
                kind,
            })
            .collect();
        expected.sort_unstable();
        assert_eq!(found, expected.iter().collect::<Vec<_>>());
        self
    }
}

/// First bytes of each value: scheme, epoch and number.
fn short(groups: &[Vec<[u8; 32]>]) -> Vec<Vec<&[u8]>> {
    let groups = groups.iter();
    groups
        .map(|group| group.iter().map(|value| &value[..3]).collect())
        .collect()
}
