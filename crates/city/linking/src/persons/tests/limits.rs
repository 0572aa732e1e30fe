//! Edges of the limits, and the coarse rule beyond them.

use super::city::{City, birth, new_snils, oms, passport, snils};
use crate::persons::ContestKind::{OneRecord, Tie, TooLarge};
use crate::persons::{MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS};

/// A chain of OMS numbers, each linked with the next.
fn chain(names: usize) -> City {
    let numbers: Vec<u8> = (0..names)
        .map(|number| u8::try_from(number).unwrap())
        .collect();
    let links = numbers.windows(2);
    links.fold(City::default(), |city, link| {
        city.state(1, &[oms(link[0]), oms(link[1])])
    })
}

#[test]
fn one_name_too_many_is_judged_coarsely() {
    let within = chain(MAX_COMPONENT_NAMES);
    assert_eq!(within.persons().groups.len(), 1);
    within.contests(TooLarge, &[]);
    let beyond = chain(MAX_COMPONENT_NAMES + 1);
    assert_eq!(beyond.persons().groups.len(), MAX_COMPONENT_NAMES + 1);
    beyond.contests(TooLarge, &[oms(0)]);
    assert!(beyond.persons().is_apart);
}

/// A SNILS and an OMS number in a set of their own, and sets of the OMS number with a birth
/// certificate and some of seven passports each.
fn many_sets(sets: u8) -> City {
    (1..sets).fold(
        City::default().state(1, &[snils(1), oms(1)]),
        |city, set| {
            let passports = (0..7).filter(|bit| set >> bit & 1 == 1).map(passport);
            let mut names = vec![oms(1), birth(1)];
            names.extend(passports);
            city.state(1, &names)
        },
    )
}

#[test]
fn one_set_too_many_is_judged_coarsely() {
    let limit = u8::try_from(MAX_COMPONENT_SETS).unwrap();
    let before = many_sets(limit - 1);
    assert!(!before.persons().is_apart);
    let within = many_sets(limit);
    assert_eq!(within.persons().groups, many_sets(limit).persons().groups);
    assert_eq!(within.persons().groups.len(), 1);
    assert!(within.persons().is_apart, "one more set changes the rule");
    within.contests(TooLarge, &[]);
    many_sets(limit + 1).contests(TooLarge, &[snils(1)]);
}

#[test]
fn sets_that_become_equal_by_a_decision_count_once() {
    let city = many_sets(128);
    let city = (0..7).fold(city, |city, number| city.alone(passport(number)));
    city.contests(TooLarge, &[]);
    assert_eq!(city.persons().groups.len(), 8);
    assert!(!city.persons().is_apart);
}

#[test]
fn persons_that_contradict_each_other_are_judged_up_to_the_limit() {
    let half = u8::try_from(MAX_COMPONENT_NAMES / 2).unwrap();
    let mut city = City::default();
    let mut expected = Vec::new();
    for number in 0..half {
        city = city.state(2, &[snils(number), passport(number)]);
        city = city.state(1, &[snils((number + 1) % half), passport(number)]);
        expected.push([snils(number), passport(number)]);
    }
    assert_eq!(city.component.sets.len(), MAX_COMPONENT_SETS);
    let expected: Vec<_> = expected.iter().map(<[_; 2]>::as_slice).collect();
    city.has(&expected);
}

fn cut(mut city: City) -> City {
    city.component.is_cut = true;
    city
}

#[test]
fn the_coarse_rule_gives_names_to_stronger_ones_by_most_records() {
    let city = City::default()
        .state(2, &[snils(1), oms(1)])
        .state(2, &[oms(1), passport(1)])
        .state(1, &[snils(2), oms(1)])
        .state(1, &[snils(2), passport(1), birth(1)])
        .state(3, &[snils(3), birth(3)])
        .state(3, &[snils(4), birth(3)]);
    cut(city)
        .has(&[
            &[snils(1), oms(1), passport(1)],
            &[snils(2), birth(1)],
            &[snils(3)],
            &[snils(4)],
            &[birth(3)],
        ])
        .contests(TooLarge, &[snils(1), snils(3)])
        .contests(Tie, &[birth(3)]);
}

#[test]
fn the_coarse_rule_leaves_a_name_apart_that_only_a_weaker_one_links() {
    let city = City::default()
        .state(3, &[snils(1), passport(1)])
        .state(3, &[oms(1), passport(1)])
        .state(1, &[snils(4), passport(4)])
        .state(2, &[oms(4), passport(4)])
        .state(2, &[oms(2), passport(2), birth(2)])
        .state(1, &[passport(3), birth(2)]);
    cut(city)
        .has(&[
            &[snils(1), passport(1)],
            &[oms(1)],
            &[snils(4)],
            &[oms(4), passport(4)],
            &[oms(2), passport(2), birth(2)],
            &[passport(3)],
        ])
        .contests(Tie, &[]);
}

#[test]
fn the_coarse_rule_joins_no_two_snils_and_no_two_names_of_a_class() {
    let city = City::default()
        .state(9, &[snils(1), new_snils(1), oms(1)])
        .state(9, &[passport(1), passport(2)]);
    let city = cut(city);
    city.has(&[
        &[snils(1)],
        &[new_snils(1), oms(1)],
        &[passport(1)],
        &[passport(2)],
    ]);
    assert!(city.persons().is_apart);
}

#[test]
fn the_coarse_rule_disbelieves_one_record_where_two_are_demanded() {
    let city = City::doubting()
        .state(5, &[passport(1)])
        .state(5, &[snils(1)])
        .state(1, &[snils(1), passport(1), birth(1)]);
    cut(city)
        .has(&[&[snils(1), birth(1)], &[passport(1)]])
        .contests(OneRecord, &[passport(1)]);
}

#[test]
fn a_number_that_everybody_has_ties_and_its_holders_keep_their_names() {
    let mut city = City::default();
    for number in 0..100 {
        city = city.state(1, &[oms(number), passport(0), birth(number)]);
    }
    let persons = city.persons();
    assert_eq!(persons.groups.len(), 101);
    city.contests(Tie, &[passport(0)])
        .contests(TooLarge, &[oms(0)]);
}

#[test]
fn the_list_of_contests_of_a_large_part_is_bounded() {
    let mut city = City::default();
    for number in 0..200 {
        city = city
            .state(1, &[oms(number), passport(number)])
            .state(1, &[oms(number.wrapping_add(1)), passport(number)]);
    }
    let ties = city.persons().contests.len();
    assert_eq!(ties, MAX_COMPONENT_NAMES + 1);
}
