//! Tests of the roll-over, at its edges.

use pass::PassIdKey;
use pass::keys::SigningKey;
use secrecy::SecretBox;

use super::*;

fn now() -> DateTime<Utc> {
    "2021-07-01T09:00:00Z".parse().unwrap()
}

/// Keys that begin and end so many hours from now.
fn keys(product: Product, hours: &[(i64, i64)]) -> PassKeys {
    let key = |(from, until): &(i64, i64)| DatedKey {
        key: SigningKey::generate(),
        products: vec![product],
        from: now() + TimeDelta::hours(*from),
        until: now() + TimeDelta::hours(*until),
    };
    let ids = PassIdKey::new(&SecretBox::new(Box::new([7; 32])));
    PassKeys::new(SigningKey::generate(), ids, hours.iter().map(key).collect())
}

const PAPER: i64 = 7 * 24;
const OFFLINE: i64 = 72;
const ASKED: i64 = 14 * 24;

#[test]
fn the_next_key_is_due_72_hours_before_the_present_one_suffices_no_more() {
    let state = |until: i64| keys(Product::City, &[(-1, until)]).state(Product::City, now());
    let edge = PAPER + OFFLINE;
    assert!(matches!(state(edge), KeyState::Overdue(_)));
    let KeyState::DueSoon(times) = state(edge + 1) else {
        panic!("not due");
    };
    assert_eq!(times.due_at, now() + TimeDelta::hours(1));
    assert_eq!(times.suffice_until, now() + TimeDelta::hours(OFFLINE + 1));
    assert!(matches!(state(edge + ASKED), KeyState::DueSoon(_)));
    assert!(matches!(state(edge + ASKED + 1), KeyState::Good(_)));
    assert_eq!(state(0), KeyState::None);
}

#[test]
fn a_list_needs_its_key_at_its_issue_only() {
    let state = |until: i64| {
        let keys = keys(Product::Revocations, &[(-1, until)]);
        keys.state(Product::Revocations, now())
    };
    assert!(matches!(state(OFFLINE), KeyState::Overdue(_)));
    assert!(matches!(state(OFFLINE + 1), KeyState::DueSoon(_)));
}

#[test]
fn a_successor_counts_if_it_begins_while_the_earlier_key_still_suffices() {
    let ends = PAPER + 100;
    let state = |from: i64| {
        let keys = keys(Product::City, &[(-1, ends), (from, 10_000)]);
        keys.state(Product::City, now())
    };
    assert!(matches!(state(100), KeyState::Good(_)));
    let late = state(101);
    assert!(
        matches!(late, KeyState::DueSoon(times) if times.suffice_until
        == now() + TimeDelta::hours(100))
    );
}

#[test]
fn a_key_that_begins_within_72_hours_is_pointed_at() {
    let soon = |from: i64| {
        let keys = keys(Product::City, &[(from, 10_000)]);
        keys.beginning_soon(now()).count()
    };
    assert_eq!([soon(0), soon(1), soon(72), soon(73)], [0, 1, 1, 0]);
}
