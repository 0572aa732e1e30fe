//! Tests of trust: bundles there and back, who may sign, replays, and lists.

use chrono::{DateTime, TimeDelta, Utc};
use ciborium::Value;

use super::*;
use crate::cbor::{FieldFault, encode, map};
use crate::container::ContainerFault;
use crate::keys::SigningKey;
use crate::product::Product;
use crate::revocation::{Delta, Edition, RevocationList, RevocationPayload, Tag, TagSet};

const ISSUER: &str = "RU-MOW";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn trusted(key: &SigningKey, products: &[Product]) -> TrustedKey {
    TrustedKey {
        key: *key.public(),
        from: at(1_000),
        until: at(9_000),
        products: products.to_vec(),
    }
}

fn bundle(keys: Vec<TrustedKey>) -> TrustBundle {
    TrustBundle {
        sequence: 7,
        issued_at: at(5_000),
        keys,
        lowest_revocations: 3,
        issuer: ISSUER.into(),
    }
}

fn held(bundle: &TrustBundle, root: &SigningKey) -> HeldBundle {
    HeldBundle::open(&bundle.sign(root).unwrap(), root.public(), ISSUER).unwrap()
}

fn list(sequence: u64, issued_at: i64, tags: &[u64]) -> RevocationList {
    let edition = Edition::new(sequence, at(issued_at)).unwrap();
    let tags = tags.iter().filter_map(|tag| Tag::new(*tag)).collect();
    RevocationList::new(edition, TagSet::new(tags).unwrap())
}

#[test]
fn a_bundle_comes_back_with_the_pinned_root() {
    let root = SigningKey::generate();
    let [first, second] = [SigningKey::generate(), SigningKey::generate()];
    let bundle = bundle(vec![
        trusted(&first, &Product::ALL),
        trusted(&second, &[Product::City]),
    ]);
    let cose = bundle.sign(&root).unwrap();
    let opened = TrustBundle::open(&cose, root.public(), ISSUER).unwrap();
    assert_eq!(opened, bundle);
    let found = opened.key(&second.kid().0).unwrap();
    assert_eq!(found.key, *second.public());
    assert_eq!(opened.key(b"unknown!"), None);
    assert_eq!(opened.key(&[]), None);
}

#[test]
fn a_bundle_of_another_root_or_issuer_is_refused() {
    let root = SigningKey::generate();
    let other = SigningKey::generate();
    let bundle = bundle(Vec::new());
    let cose = bundle.sign(&other).unwrap();
    let fault = TrustBundle::open(&cose, root.public(), ISSUER).unwrap_err();
    assert_eq!(fault, TrustFault::NotByRoot(root.kid()));
    let cose = bundle.sign(&root).unwrap();
    let fault = TrustBundle::open(&cose, root.public(), "RU-SPE").unwrap_err();
    assert_eq!(fault, TrustFault::Issuer(ISSUER.into()));
}

#[test]
fn a_bundle_with_a_changed_byte_is_refused() {
    let root = SigningKey::generate();
    let key = SigningKey::generate();
    let cose = bundle(vec![trusted(&key, &Product::ALL)])
        .sign(&root)
        .unwrap();
    for place in 0..cose.len() {
        let mut changed = cose.clone();
        changed[place] ^= 0x10;
        assert!(
            TrustBundle::open(&changed, root.public(), ISSUER).is_err(),
            "{place}"
        );
    }
    let fault = TrustBundle::open(&[], root.public(), ISSUER).unwrap_err();
    assert_eq!(fault, TrustFault::Container(ContainerFault::Cbor));
}

#[test]
fn a_bundle_may_hold_the_greatest_number_of_keys_and_no_more() {
    let root = SigningKey::generate();
    let mut keys: Vec<TrustedKey> = (0..MAX_KEYS)
        .map(|_| trusted(&SigningKey::generate(), &[Product::City]))
        .collect();
    let most = bundle(keys.clone());
    let cose = most.sign(&root).unwrap();
    assert_eq!(
        TrustBundle::open(&cose, root.public(), ISSUER).unwrap(),
        most
    );
    keys.push(trusted(&root, &[]));
    assert!(bundle(keys).sign(&root).is_err());
}

#[test]
fn a_key_given_twice_or_without_time_is_not_signed() {
    let root = SigningKey::generate();
    let key = trusted(&root, &[Product::City]);
    assert!(bundle(vec![key.clone(), key.clone()]).sign(&root).is_err());
    let never = TrustedKey {
        until: key.from,
        ..key
    };
    assert!(bundle(vec![never]).sign(&root).is_err());
}

#[test]
fn a_payload_that_is_not_as_it_must_be_is_refused() {
    let root = SigningKey::generate();
    let key = SigningKey::generate();
    let key_with = |label: i64, value: Value| {
        let item = [
            (1, Value::Bytes(key.kid().0.to_vec())),
            (2, Value::Bytes(key.public().x().to_vec())),
            (3, Value::Bytes(key.public().y().to_vec())),
            (4, 1.into()),
            (5, 2.into()),
            (6, Value::Array(vec!["city".into(), "tomorrow".into()])),
        ];
        let item = item.map(|entry| match entry.0 == label {
            true => (Value::from(label), value.clone()),
            false => (Value::from(entry.0), entry.1),
        });
        Value::Array(vec![map(item.to_vec())])
    };
    let open = |label: i64, value: Value| {
        let item = [
            (1, Value::from("trust")),
            (2, 7.into()),
            (3, 5_000.into()),
            (4, key_with(0, Value::Null)),
            (5, 3.into()),
            (6, ISSUER.into()),
        ];
        let item = item.map(|entry| match entry.0 == label {
            true => (Value::from(label), value.clone()),
            false => (Value::from(entry.0), entry.1),
        });
        let cose = root.seal(encode(&map(item.to_vec())));
        TrustBundle::open(&cose, root.public(), ISSUER)
    };
    let right = open(0, Value::Null).unwrap();
    // A product of the future is left out.
    assert_eq!(right.keys[0].products, [Product::City]);
    let cases = [
        (1, Value::from("revocations")),
        (2, (-1).into()),
        (3, "now".into()),
        (4, Value::Null),
        (4, Value::Array(vec![Value::Null])),
        (4, key_with(1, Value::Bytes(b"another!".to_vec()))),
        (4, key_with(2, Value::Bytes(vec![0; 31]))),
        (4, key_with(4, 2.into())),
        (4, key_with(5, 1.into())),
        (4, key_with(6, Value::Array(vec![1.into()]))),
        (4, key_with(6, "city".into())),
        (5, Value::Null),
        (6, 1.into()),
    ];
    for (label, value) in cases {
        let fault = open(label, value).unwrap_err();
        let named = matches!(
            fault,
            TrustFault::Field(FieldFault::Value { .. } | FieldFault::NotMap(_))
        );
        assert!(named, "{label}: {fault}");
    }
}

#[test]
fn a_newer_bundle_is_taken_and_the_held_one_is_the_same() {
    let root = SigningKey::generate();
    let first = held(&bundle(Vec::new()), &root);
    let now = at(5_000);
    assert_eq!(judge_offer(None, &first, now), Ok(Offer::Newer));
    assert_eq!(judge_offer(Some(&first), &first, now), Ok(Offer::Same));
    let next = TrustBundle {
        sequence: 8,
        ..bundle(Vec::new())
    };
    let next = held(&next, &root);
    assert_eq!(judge_offer(Some(&first), &next, now), Ok(Offer::Newer));
}

#[test]
fn a_replay_and_a_second_bundle_of_one_sequence_are_refused() {
    let root = SigningKey::generate();
    let first = held(&bundle(Vec::new()), &root);
    let older = TrustBundle {
        sequence: 6,
        ..bundle(Vec::new())
    };
    let refusal = judge_offer(Some(&first), &held(&older, &root), at(5_000)).unwrap_err();
    let replay = Refusal::Replay {
        held: 7,
        offered: 6,
    };
    assert_eq!(refusal, replay);
    // The same contents, signed again, are other bytes.
    let again = held(&bundle(Vec::new()), &root);
    let refusal = judge_offer(Some(&first), &again, at(5_000)).unwrap_err();
    assert_eq!(refusal, Refusal::Conflict(7));
}

#[test]
fn a_bundle_from_beyond_the_clocks_tolerance_is_refused_to_the_second() {
    let root = SigningKey::generate();
    let offered = held(&bundle(Vec::new()), &root);
    let edge = at(5_000) - CLOCK_TOLERANCE;
    assert_eq!(judge_offer(None, &offered, edge), Ok(Offer::Newer));
    let refusal = judge_offer(None, &offered, edge - TimeDelta::seconds(1)).unwrap_err();
    assert_eq!(refusal, Refusal::ClockWrong(at(5_000)));
}

#[test]
fn a_list_is_opened_by_a_key_that_is_for_lists_and_valid_when_it_was_issued() {
    let [for_lists, for_passes] = [SigningKey::generate(), SigningKey::generate()];
    let bundle = bundle(vec![
        trusted(&for_lists, &[Product::Revocations]),
        trusted(&for_passes, &[Product::City, Product::Hcert]),
    ]);
    let open = |issued_at: i64, key: &SigningKey| {
        let list = RevocationPayload::Whole(list(4, issued_at, &[5, 6]));
        bundle.open_revocations(&sign_revocations(&list, key))
    };
    let opened = open(1_000, &for_lists).unwrap();
    assert_eq!(opened, RevocationPayload::Whole(list(4, 1_000, &[5, 6])));
    assert!(open(8_999, &for_lists).is_ok());
    for outside in [999, 9_000] {
        assert_eq!(open(outside, &for_lists), Err(ListFault::KeyTime));
    }
    for other in [&for_passes, &SigningKey::generate()] {
        assert_eq!(open(1_000, other), Err(ListFault::Signature));
    }
    let mut changed = sign_revocations(&opened, &for_lists);
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(bundle.open_revocations(&changed), Err(ListFault::Signature));
    let other = bundle.open_revocations(&for_lists.seal(vec![0xa0]));
    assert!(matches!(other, Err(ListFault::Payload(_))));
}

#[test]
fn a_delta_is_taken_on_exactly_its_list() {
    let trust = bundle(Vec::new());
    let first = list(3, 100, &[1, 2]);
    let second = list(5, 200, &[2, 3]);
    let delta = RevocationPayload::Delta(Delta::between(&first, &second).unwrap());
    let taken = take_revocations(Some(&first), delta.clone(), &trust);
    assert_eq!(taken, Ok(second.clone()));
    let refusal = take_revocations(None, delta.clone(), &trust);
    assert_eq!(refusal, Err(ListRefusal::NoBase));
    let refusal = take_revocations(Some(&list(4, 100, &[1, 2])), delta, &trust);
    assert!(matches!(refusal, Err(ListRefusal::Delta(_))));
}

#[test]
fn an_older_list_than_is_known_is_a_replay() {
    let trust = bundle(Vec::new());
    let offer = |held: Option<&RevocationList>, list: RevocationList| {
        take_revocations(held, RevocationPayload::Whole(list), &trust)
    };
    // The bundle knows of list 3.
    assert!(offer(None, list(3, 100, &[1])).is_ok());
    let replay = |offered, known| Err(ListRefusal::Replay { offered, known });
    assert_eq!(offer(None, list(2, 100, &[1])), replay(2, 3));
    let newest = list(9, 100, &[1]);
    assert_eq!(offer(Some(&newest), list(8, 100, &[1])), replay(8, 9));
    assert!(offer(Some(&newest), list(10, 100, &[])).is_ok());
}

#[test]
fn a_second_list_of_one_sequence_is_taken_only_where_it_says_the_same_later() {
    let trust = bundle(Vec::new());
    let held = list(9, 100, &[1]);
    let offer = |list: RevocationList| {
        take_revocations(Some(&held), RevocationPayload::Whole(list), &trust)
    };
    assert_eq!(offer(held.clone()), Ok(held.clone()));
    assert!(offer(list(9, 101, &[1])).is_ok());
    assert_eq!(offer(list(9, 99, &[1])), Err(ListRefusal::Conflict(9)));
    assert_eq!(offer(list(9, 100, &[2])), Err(ListRefusal::Conflict(9)));
}

#[test]
fn a_new_key_must_be_published_longer_ahead_than_a_verifier_may_be_offline() {
    let [old, new] = [SigningKey::generate(), SigningKey::generate()];
    let earlier = bundle(vec![trusted(&old, &[Product::City])]);
    let issued_at = at(6_000);
    let begins = |ahead: TimeDelta| {
        let key = TrustedKey {
            from: issued_at + ahead,
            until: issued_at + ahead + TimeDelta::days(30),
            ..trusted(&new, &[Product::City])
        };
        let next = TrustBundle {
            sequence: 8,
            issued_at,
            ..bundle(vec![earlier.keys[0].clone(), key])
        };
        next.check_after(&earlier)
    };
    let offline = TimeDelta::hours(72);
    assert_eq!(begins(offline + TimeDelta::seconds(1)), Ok(()));
    for early in [offline, TimeDelta::zero()] {
        assert_eq!(begins(early), Err(SuccessionFault::TooEarly(new.kid())));
    }
}

#[test]
fn a_key_must_stay_as_it_is_until_it_ends() {
    let old = SigningKey::generate();
    let earlier = bundle(vec![trusted(&old, &[Product::City, Product::Hcert])]);
    let next = |issued_at: i64, change: fn(&mut Vec<TrustedKey>)| {
        let mut next = TrustBundle {
            sequence: 8,
            issued_at: at(issued_at),
            ..earlier.clone()
        };
        change(&mut next.keys);
        next.check_after(&earlier)
    };
    assert_eq!(next(8_999, |_| {}), Ok(()));
    let gone = Err(SuccessionFault::Gone(old.kid()));
    assert_eq!(next(8_999, Vec::clear), gone);
    assert_eq!(next(9_000, Vec::clear), Ok(()));
    assert_eq!(next(5_000, |keys| keys[0].until = at(8_999)), gone);
    assert_eq!(next(5_000, |keys| keys[0].from = at(1_001)), gone);
    assert_eq!(next(5_000, |keys| keys[0].products.truncate(1)), gone);
    assert_eq!(next(5_000, |keys| keys[0].until = at(9_001)), Ok(()));
}

#[test]
fn a_bundle_that_goes_back_must_not_follow() {
    let earlier = bundle(Vec::new());
    let next = TrustBundle {
        sequence: 8,
        ..earlier.clone()
    };
    assert_eq!(next.check_after(&earlier), Ok(()));
    assert_eq!(
        earlier.check_after(&earlier),
        Err(SuccessionFault::Sequence)
    );
    let before = TrustBundle {
        issued_at: at(4_999),
        ..next.clone()
    };
    let lower = TrustBundle {
        lowest_revocations: 2,
        ..next
    };
    for back in [before, lower] {
        assert_eq!(back.check_after(&earlier), Err(SuccessionFault::GoesBack));
    }
}
