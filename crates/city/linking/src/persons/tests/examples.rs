//! Examples of people, mistakes and forgeries.

use super::city::{City, birth, new_snils, oms, passport, snils};
use crate::persons::ContestKind::{Minority, OneRecord, Tie};
use crate::persons::NameSetId;

#[test]
fn names_are_linked_over_several_records() {
    let city = City::default()
        .state(1, &[snils(1), oms(1)])
        .state(1, &[oms(1), passport(1)])
        .state(1, &[snils(2)]);
    city.has(&[&[snils(1), oms(1), passport(1)], &[snils(2)]]);
    assert!(!city.persons().is_apart);
    assert_eq!(city.persons().contests, []);
}

#[test]
fn two_documents_of_a_kind_and_two_keys_are_no_contradiction() {
    City::default()
        .state(1, &[snils(1), new_snils(1), passport(1), passport(2)])
        .has(&[&[snils(1), new_snils(1), passport(1), passport(2)]]);
}

#[test]
fn a_mistyped_passport_ties_and_its_correction_leaves_nothing() {
    let stranger = City::default().state(1, &[snils(2), passport(2)]);
    let mistyped = stranger.clone().state(1, &[snils(1), passport(2)]);
    mistyped
        .has(&[&[snils(1)], &[snils(2)], &[passport(2)]])
        .contests(Tie, &[passport(2)]);
    let corrected = stranger.state(1, &[snils(1), passport(1)]);
    corrected.has(&[&[snils(1), passport(1)], &[snils(2), passport(2)]]);
    assert!(mistyped.persons().is_apart);
    assert!(!corrected.persons().is_apart);
}

#[test]
fn a_passport_beside_two_snils_stays_where_more_records_state_it() {
    let city = City::default()
        .state(2, &[snils(1), passport(1)])
        .state(1, &[snils(9), passport(1)]);
    city.has(&[&[snils(1), passport(1)], &[snils(9)]])
        .contests(Minority, &[passport(1)])
        .contests(Tie, &[]);
    // Records of different sets count together.
    city.state(1, &[snils(9), passport(1), oms(9)])
        .state(1, &[snils(9), passport(1), birth(9)])
        .has(&[&[snils(1)], &[snils(9), passport(1), oms(9), birth(9)]]);
}

#[test]
fn a_forged_record_takes_no_name_that_only_a_weaker_one_links() {
    // The passport is the weaker name, yet it is what links the OMS number to the SNILS.
    City::default()
        .state(2, &[snils(1), passport(1)])
        .state(2, &[passport(1), oms(1)])
        .state(1, &[snils(9), oms(1)])
        .has(&[&[snils(1), passport(1), oms(1)], &[snils(9)]])
        .contests(Minority, &[oms(1)]);
}

#[test]
fn a_tie_takes_only_the_name_that_is_stated_on_both_sides() {
    City::default()
        .state(1, &[snils(1), oms(1), passport(1)])
        .state(1, &[snils(9), passport(1)])
        .has(&[&[snils(1), oms(1)], &[snils(9)], &[passport(1)]])
        .contests(Tie, &[passport(1)]);
}

#[test]
fn names_behind_a_tie_stay_together() {
    City::default()
        .state(1, &[snils(1), oms(1)])
        .state(1, &[snils(2), oms(1)])
        .state(1, &[oms(1), passport(1), birth(1)])
        .has(&[&[snils(1)], &[snils(2)], &[oms(1), passport(1), birth(1)]])
        .contests(Tie, &[oms(1)]);
}

#[test]
fn a_tie_ends_when_names_given_later_bring_votes() {
    City::default()
        .state(3, &[snils(1), passport(1)])
        .state(3, &[snils(2), passport(1)])
        .state(2, &[snils(1), oms(1)])
        .state(1, &[oms(1), passport(1)])
        .has(&[&[snils(1), oms(1), passport(1)], &[snils(2)]])
        .contests(Tie, &[])
        .contests(Minority, &[passport(1)]);
}

#[test]
fn of_equally_sure_names_the_stronger_is_given_first_and_then_votes() {
    City::default()
        .state(3, &[snils(1), oms(1)])
        .state(3, &[snils(9), passport(1)])
        .state(2, &[snils(1), passport(1)])
        .state(2, &[oms(1), passport(1)])
        .has(&[&[snils(1), oms(1), passport(1)], &[snils(9)]]);
}

#[test]
fn sixteen_passports_in_one_record_move_none_of_twenty_persons() {
    for records in [1, 2] {
        let mut city = City::default();
        let mut expected = Vec::new();
        for number in 0..20 {
            let person = [snils(number), passport(number)];
            city = city.state(records, &person);
            expected.push(person);
        }
        let forged: Vec<_> = (0..16).map(passport).collect();
        let expected: Vec<_> = expected.iter().map(<[_; 2]>::as_slice).collect();
        city.has(&expected);
        city.state(1, &forged)
            .has(&expected)
            .contests(Tie, &[])
            .contests(Minority, &forged);
    }
}

#[test]
fn a_false_snils_beside_a_passport_moves_nobody_with_two_records() {
    let mut city = City::default();
    let mut expected = vec![vec![snils(99)]];
    for number in 0..20 {
        let person = [snils(number), oms(number), passport(number)];
        city = city.state(2, &person);
        city = city.state(1, &[snils(99), passport(number)]);
        expected.push(person.to_vec());
    }
    let expected: Vec<_> = expected.iter().map(Vec::as_slice).collect();
    city.has(&expected);
}

#[test]
fn a_record_with_two_snils_joins_neither_and_votes_for_both() {
    City::default()
        .state(1, &[snils(1), snils(2), passport(1)])
        .has(&[&[snils(1)], &[snils(2)], &[passport(1)]])
        .contests(Tie, &[passport(1)])
        .contests(Minority, &[snils(1), snils(2)]);
}

#[test]
fn snils_under_two_keys_join_where_more_records_state_them_together() {
    let contradicting = City::default()
        .state(2, &[snils(1), new_snils(1)])
        .state(1, &[snils(2), new_snils(1)]);
    contradicting
        .has(&[&[snils(1), new_snils(1)], &[snils(2)]])
        .contests(Minority, &[snils(2)]);
    // As many on each side keep it out of both, and a lesser side does not get it then.
    contradicting
        .state(1, &[snils(2), new_snils(1)])
        .state(1, &[snils(3), new_snils(1)])
        .has(&[&[snils(1)], &[snils(2)], &[snils(3)], &[new_snils(1)]])
        .contests(Tie, &[snils(1), snils(2), new_snils(1)]);
}

#[test]
fn without_a_snils_one_record_joins_unless_two_are_demanded() {
    let honest = |city: City| {
        city.state(2, &[oms(1), passport(1)])
            .state(2, &[oms(2), passport(2)])
    };
    let forged = [passport(1), passport(2), birth(9)];
    honest(City::default()).state(1, &forged).has(&[&[
        oms(1),
        oms(2),
        passport(1),
        passport(2),
        birth(9),
    ]]);
    let apart = honest(City::doubting()).state(1, &forged);
    apart
        .has(&[&[oms(1), passport(1)], &[oms(2), passport(2)], &[birth(9)]])
        .contests(OneRecord, &[passport(1), passport(2)]);
    assert!(apart.persons().is_apart);
    apart
        .state(1, &forged)
        .has(&[&[oms(1), oms(2), passport(1), passport(2), birth(9)]]);
}

#[test]
fn a_doubting_city_believes_one_record_about_new_names() {
    let city = City::doubting().state(1, &[oms(1), passport(1), birth(1)]);
    city.has(&[&[oms(1), passport(1), birth(1)]]);
    assert!(city.persons().is_apart, "a record of one name ends this");
    city.state(1, &[passport(1)])
        .has(&[&[oms(1), passport(1), birth(1)]]);
}

#[test]
fn names_that_only_a_doubted_record_states_go_with_its_strongest_name() {
    City::doubting()
        .state(1, &[oms(1)])
        .state(1, &[passport(2)])
        .state(1, &[oms(1), passport(2), birth(1)])
        .has(&[&[oms(1), birth(1)], &[passport(2)]])
        .contests(OneRecord, &[oms(1), passport(2)]);
}

#[test]
fn two_records_that_join_the_same_parts_are_believed_together() {
    City::doubting()
        .state(2, &[oms(1)])
        .state(2, &[passport(1)])
        .state(1, &[oms(1), passport(1)])
        .state(1, &[oms(1), passport(1), birth(1)])
        .has(&[&[oms(1), passport(1), birth(1)]])
        .contests(OneRecord, &[]);
}

#[test]
fn the_id_of_a_set_depends_on_its_values_only() {
    let one = NameSetId::of(&[[1; 32], [2; 32]]);
    assert_eq!(one, NameSetId::of(&[[2; 32], [1; 32], [2; 32]]));
    assert_ne!(one, NameSetId::of(&[[1; 32]]));
    assert_ne!(one, NameSetId::of(&[[1; 32], [3; 32]]));
    // python3: hashlib.sha256(b"clinic-gateway/registry/name-set/v1\0" + b"\1"*32 +
    // b"\2"*32).hexdigest()[:32]
    assert_eq!(hex::encode(one.0), "e415dbc736090dadd04c962ab93053e7");
}
