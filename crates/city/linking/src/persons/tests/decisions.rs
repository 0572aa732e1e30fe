//! Standing decisions of operators.

use super::city::{City, birth, oms, passport, snils};
use crate::persons::ContestKind::{Minority, TooLarge};

#[test]
fn a_name_alone_links_nothing() {
    City::default()
        .state(3, &[snils(1), passport(1)])
        .state(3, &[passport(1), oms(1)])
        .alone(passport(1))
        .has(&[&[snils(1)], &[passport(1)], &[oms(1)]]);
}

#[test]
fn a_common_number_put_alone_gives_its_holders_their_names_back() {
    let mut city = City::default();
    for number in 0..100 {
        city = city.state(1, &[passport(0), oms(number), birth(number)]);
    }
    city.contests(TooLarge, &[oms(0)]);
    let city = city.alone(passport(0));
    assert_eq!(city.persons().groups.len(), 101);
    city.contests(TooLarge, &[]);
}

#[test]
fn two_names_together_are_one_person_whatever_records_say() {
    let city = City::default()
        .state(9, &[snils(2), passport(1)])
        .state(1, &[snils(1)]);
    city.clone()
        .together(snils(1), passport(1))
        .has(&[&[snils(1), passport(1)], &[snils(2)]])
        .contests(Minority, &[snils(1), snils(2)]);
    city.together(snils(1), snils(2))
        .has(&[&[snils(1), snils(2), passport(1)]]);
}

#[test]
fn names_put_together_are_one_over_a_name_that_no_record_states() {
    City::default()
        .state(1, &[snils(1), oms(1)])
        .state(1, &[passport(1), birth(1)])
        .together(snils(1), passport(7))
        .together(passport(7), birth(1))
        .has(&[&[snils(1), oms(1), passport(1), birth(1)]]);
}

#[test]
fn alone_wins_over_together() {
    City::default()
        .state(1, &[snils(1)])
        .state(1, &[oms(1)])
        .state(1, &[passport(1)])
        .together(snils(1), oms(1))
        .together(oms(1), passport(1))
        .alone(oms(1))
        .has(&[&[snils(1)], &[oms(1)], &[passport(1)]]);
}

#[test]
fn other_snils_still_contradict_two_that_were_put_together() {
    City::default()
        .state(1, &[snils(1)])
        .state(1, &[snils(2), passport(1)])
        .state(1, &[snils(3), passport(1)])
        .together(snils(1), snils(2))
        .has(&[&[snils(1), snils(2)], &[snils(3)], &[passport(1)]]);
}
