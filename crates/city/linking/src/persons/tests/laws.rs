//! Laws that hold for every city, on random ones.

use std::collections::{BTreeMap, BTreeSet};

use contract::Scheme;
use proptest::collection::vec;
use proptest::prelude::*;

use super::city::{City, name, snils};
use super::reference;
use crate::persons::{Component, Decision, NameSet, NameSetId};
use crate::second_layer::CityPseudonym;

const SCHEMES: [Scheme; 4] = [
    Scheme::Snils,
    Scheme::Oms,
    Scheme::PassportRu,
    Scheme::BirthCertificate,
];

fn any_name() -> impl Strategy<Value = CityPseudonym> {
    // Mostly few names, so that they meet.
    let number = prop_oneof![4 => 0..3_u8, 1 => 3..12_u8];
    (prop::sample::select(&SCHEMES), 1..=2_u16, number)
        .prop_map(|(scheme, epoch, number)| name(scheme, epoch, number))
}

fn any_decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        any_name().prop_map(|name| Decision::Alone(name.value)),
        (any_name(), any_name())
            .prop_map(|(one, other)| Decision::Together(one.value, other.value)),
    ]
}

fn any_city() -> impl Strategy<Value = City> {
    let sets = vec((vec(any_name(), 1..5), 0..4_u64), 1..14);
    let decisions = prop_oneof![3 => Just(Vec::new()), 1 => vec(any_decision(), 1..4)];
    let is_cut = prop::bool::weighted(0.1);
    (sets, decisions, is_cut, 1..=2_u64).prop_map(|(sets, decisions, is_cut, needed)| {
        let mut city = City::default();
        for (names, records) in sets {
            city = city.state(records, &names);
        }
        city.component.decisions = decisions;
        city.component.is_cut = is_cut;
        city.rules.join_needs_records = needed;
        city
    })
}

fn stated(component: &Component) -> BTreeMap<[u8; 32], CityPseudonym> {
    let names = component.sets.iter().flat_map(|set| &set.names);
    names.map(|name| (name.value, *name)).collect()
}

/// Another value of the same class; the greatest number becomes the least.
fn mirrored(value: [u8; 32]) -> [u8; 32] {
    let mut other = value;
    other[2] = !value[2];
    other
}

fn mirror(component: &Component) -> Component {
    let names = |set: &NameSet| -> Vec<CityPseudonym> {
        let names = set.names.iter();
        let mut names: Vec<_> = names
            .map(|name| CityPseudonym {
                value: mirrored(name.value),
                ..*name
            })
            .collect();
        names.sort_by_key(CityPseudonym::strength);
        names
    };
    let sets = component.sets.iter().map(|set| NameSet {
        names: names(set),
        ..set.clone()
    });
    let decisions = component.decisions.iter().map(|decision| match *decision {
        Decision::Alone(name) => Decision::Alone(mirrored(name)),
        Decision::Together(one, other) => Decision::Together(mirrored(one), mirrored(other)),
    });
    Component {
        sets: sets.collect(),
        decisions: decisions.collect(),
        is_cut: component.is_cut,
    }
}

/// Honest person: a SNILS and some weak names, each linked with one of those before it.
#[derive(Debug, Clone)]
struct Honest {
    names: Vec<CityPseudonym>,
    links: Vec<[CityPseudonym; 2]>,
}

fn any_honest(number: u8) -> impl Strategy<Value = Honest> {
    vec((1..4_usize, any::<prop::sample::Index>()), 0..6).prop_map(move |weak| {
        let mut honest = Honest {
            names: vec![snils(number)],
            links: Vec::new(),
        };
        for (place, (scheme, before)) in weak.into_iter().enumerate() {
            let place = u8::try_from(place).unwrap();
            let weak = name(SCHEMES[scheme], 1, 10 * number + place);
            honest.links.push([*before.get(&honest.names), weak]);
            honest.names.push(weak);
        }
        honest
    })
}

fn any_honest_persons() -> impl Strategy<Value = Vec<Honest>> {
    (2..6_u8).prop_flat_map(|count| (0..count).map(any_honest).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn the_reference_finds_the_same(city in any_city()) {
        let found = city.persons();
        let expected = reference::persons(&city);
        let groups: BTreeSet<BTreeSet<_>> = found.groups.iter()
            .map(|group| group.iter().copied().collect())
            .collect();
        prop_assert_eq!(groups, expected.groups);
        prop_assert_eq!(found.contests, expected.contests.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_order_does_not_matter(
        (city, sets, decisions) in any_city().prop_flat_map(|city| {
            let sets = Just(city.component.sets.clone()).prop_shuffle();
            let decisions = Just(city.component.decisions.clone()).prop_shuffle();
            (Just(city), sets, decisions)
        })
    ) {
        let mut other = city.clone();
        other.component.sets = sets;
        other.component.decisions = decisions;
        prop_assert_eq!(other.persons(), city.persons());
    }

    #[test]
    fn no_digest_decides(city in any_city()) {
        let mut other = city.clone();
        other.component = mirror(&city.component);
        let mut found = other.persons();
        for group in &mut found.groups {
            group.iter_mut().for_each(|value| *value = mirrored(*value));
            group.sort_unstable();
        }
        found.groups.sort_unstable();
        prop_assert_eq!(&found.groups, &city.persons().groups);
        prop_assert_eq!(found.is_apart, city.persons().is_apart);
    }

    #[test]
    fn every_name_is_in_exactly_one_group(city in any_city()) {
        let found = city.persons();
        let mut values: Vec<_> = found.groups.iter().flatten().copied().collect();
        values.sort_unstable();
        let expected: Vec<_> = stated(&city.component).into_keys().collect();
        prop_assert_eq!(values, expected);
        prop_assert!(found.groups.iter().all(|group| group.is_sorted()));
        prop_assert!(found.groups.is_sorted());
        prop_assert!(found.contests.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn no_two_contradicting_snils_are_one_person(mut city in any_city()) {
        city.component.decisions.retain(|decision| matches!(decision, Decision::Alone(_)));
        let names = stated(&city.component);
        for group in city.persons().groups {
            for one in &group {
                prop_assert!(group.iter().all(|other| !names[one].contradicts(&names[other])));
            }
        }
    }

    #[test]
    fn a_set_without_records_joins_nothing(city in any_city(), which in any::<prop::sample::Index>()) {
        let mut emptied = city.clone();
        let place = which.index(city.component.sets.len());
        emptied.component.sets[place].records = 0;
        let mut removed = city;
        removed.component.sets.remove(place);
        let kept = stated(&removed.component);
        let groups = emptied.persons().groups.into_iter();
        let mut groups: Vec<Vec<_>> = groups
            .map(|group| group.into_iter().filter(|value| kept.contains_key(value)).collect())
            .collect();
        groups.retain(|group| !group.is_empty());
        groups.sort_unstable();
        prop_assert_eq!(groups, removed.persons().groups);
    }

    #[test]
    fn one_more_record_changes_nothing_unless_the_persons_are_apart(
        city in any_city(),
        which in any::<prop::sample::Index>(),
        subset in 1..=u16::MAX,
        records in 1..3_u64,
    ) {
        let found = city.persons();
        if found.is_apart {
            return Ok(());
        }
        let names = stated(&city.component);
        let group = which.get(&found.groups);
        let bits = group.iter().enumerate();
        let chosen = bits.filter(|(place, _)| subset >> (place % 16) & 1 == 1);
        let chosen: Vec<_> = chosen.map(|(_, value)| names[value]).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(city.state(records, &chosen).persons().groups, found.groups);
    }

    #[test]
    fn a_few_forged_records_move_no_name_of_an_honest_person(
        (persons, forged) in any_honest_persons().prop_flat_map(|persons| {
            let names: Vec<_> = persons.iter().flat_map(|honest| honest.names.clone()).collect();
            let strange = (0..3).map(|number| snils(200 + number));
            let names: Vec<_> = names.into_iter().chain(strange).collect();
            let forged = vec(vec(prop::sample::select(names), 1..9), 1..4);
            (Just(persons), forged)
        }),
        needed in 1..=2_u64,
    ) {
        let honest_records = forged.len() as u64 + 1;
        let mut city = City::default();
        city.rules.join_needs_records = needed;
        for honest in &persons {
            city = city.state(1, &honest.names[..1]);
            for link in &honest.links {
                city = city.state(honest_records, link);
            }
        }
        for names in &forged {
            city = city.state(1, names);
        }
        let groups = city.persons().groups;
        for honest in &persons {
            let group = groups.iter().find(|group| group.contains(&honest.names[0].value));
            let values: BTreeSet<_> = honest.names.iter().map(|name| name.value).collect();
            let found: BTreeSet<_> = group.unwrap().iter().copied().collect();
            prop_assert_eq!(found, values);
        }
    }

    #[test]
    fn the_id_of_a_set_does_not_depend_on_order(
        (values, shuffled) in vec(any::<[u8; 32]>(), 0..5)
            .prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle()))
    ) {
        prop_assert_eq!(NameSetId::of(&values), NameSetId::of(&shuffled));
    }
}
