//! Tests of claims: the bytes of the format, the way back, and every fault by its name.

use chrono::{DateTime, Utc};
use ciborium::Value;
use proptest::prelude::*;

use super::*;
use crate::cbor::{encode, map};
use crate::claim_labels::{EXPIRY, ISSUED_AT, ISSUER, NOT_BEFORE, PASS_ID};
use crate::holder::{BirthDate, Initial};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn strip() -> CityClaims {
    CityClaims {
        issuer: "RU-MOW".into(),
        not_before: at(1_795_899_600),
        expires: at(1_795_986_000),
        id: PassId([1, 2, 3, 4, 5, 6, 7, 8]),
        holder: HolderAttributes::new(
            Initial::try_from('A').ok(),
            None,
            BirthDate::new(Some(31), Some(12)).unwrap(),
        ),
    }
}

/// Entries of the strip, to be changed.
fn entries() -> Vec<(Value, Value)> {
    let item: Value = ciborium::from_reader(strip().encode().as_slice()).unwrap();
    item.into_map().unwrap()
}

fn with(label: i64, value: Value) -> Result<Claims, ClaimsFault> {
    let mut entries = entries();
    entries.retain(|entry| entry.0 != Value::from(label));
    entries.push((Value::from(label), value));
    Claims::decode(&encode(&map(entries)))
}

fn holder_of(attributes: Vec<(i64, Value)>) -> Result<Claims, ClaimsFault> {
    let attributes = attributes.into_iter();
    let attributes = attributes.map(|(label, value)| (Value::from(label), value));
    with(HOLDER, map(attributes.collect()))
}

fn fault(claims: Result<Claims, ClaimsFault>) -> String {
    claims.unwrap_err().to_string()
}

#[test]
fn the_payload_is_that_of_the_format_to_the_byte() {
    let mut expected = vec![0xa5, 0x01, 0x66];
    expected.extend_from_slice(b"RU-MOW");
    expected.extend_from_slice(&[0x04, 0x1a, 0x6b, 0x0c, 0x92, 0x50]);
    expected.extend_from_slice(&[0x05, 0x1a, 0x6b, 0x0b, 0x40, 0xd0]);
    expected.extend_from_slice(&[0x07, 0x48, 1, 2, 3, 4, 5, 6, 7, 8]);
    expected.extend_from_slice(&[0x3a, 0x00, 0x01, 0x00, 0x00]);
    expected.extend_from_slice(&[0xa3, 0x01, 0x61, b'A', 0x03, 0x18, 31, 0x04, 12]);
    assert_eq!(strip().encode(), expected);
    assert_eq!(Claims::decode(&expected).unwrap(), Claims::City(strip()));
}

#[test]
fn an_undisclosed_holder_is_an_empty_map() {
    let claims = CityClaims {
        holder: HolderAttributes::NONE,
        ..strip()
    };
    assert!(claims.encode().ends_with(&[0x3a, 0, 1, 0, 0, 0xa0]));
    assert_eq!(
        Claims::decode(&claims.encode()).unwrap().holder(),
        claims.holder
    );
}

#[test]
fn every_claim_is_wanted() {
    let names = [
        (ISSUER, "the issuer of the strip is missing"),
        (EXPIRY, "the expiry of the strip is missing"),
        (NOT_BEFORE, "the not-before of the strip is missing"),
        (PASS_ID, "the id of the strip is missing"),
    ];
    for (label, text) in names {
        let mut entries = entries();
        entries.retain(|entry| entry.0 != Value::from(label));
        assert_eq!(fault(Claims::decode(&encode(&map(entries)))), text);
    }
}

#[test]
fn an_unknown_claim_and_one_given_twice_are_refused() {
    assert_eq!(
        fault(with(ISSUED_AT, 1.into())),
        "the strip has the unknown key 6"
    );
    let mut twice = entries();
    twice.insert(1, twice[0].clone());
    let fault = Claims::decode(&encode(&Value::Map(twice))).unwrap_err();
    assert_eq!(fault, ClaimsFault::Field(FieldFault::Cbor("the payload")));
}

#[test]
fn a_claim_of_another_type_or_range_is_named() {
    let bytes = |length: usize| Value::Bytes(vec![0; length]);
    let cases = [
        (ISSUER, 7.into(), "the issuer"),
        (EXPIRY, "tomorrow".into(), "the expiry"),
        (EXPIRY, (-1).into(), "the expiry"),
        (EXPIRY, 253_402_300_800_i64.into(), "the expiry"),
        // The window of no second.
        (EXPIRY, 1_795_899_600.into(), "the expiry"),
        (NOT_BEFORE, Value::Null, "the not-before"),
        (PASS_ID, bytes(7), "the id"),
        (PASS_ID, bytes(9), "the id"),
        (PASS_ID, "12345678".into(), "the id"),
    ];
    for (label, value, field) in cases {
        let text = fault(with(label, value));
        assert!(
            text.starts_with(&format!("{field} of the strip is not")),
            "{text}"
        );
    }
    assert!(with(EXPIRY, 253_402_300_799_i64.into()).is_ok());
}

#[test]
fn an_attribute_that_nobody_has_is_named() {
    let cases = [
        (vec![(1, Value::from("a"))], "given"),
        (vec![(1, "AB".into())], "given"),
        (vec![(1, "".into())], "given"),
        (vec![(2, "Я".into())], "family"),
        (vec![(2, 65.into())], "family"),
        (vec![(3, 0.into())], "day"),
        (vec![(3, 32.into())], "day"),
        (vec![(3, 300.into())], "day"),
        (vec![(4, 0.into())], "month"),
        (vec![(4, 13.into())], "month"),
        (vec![(4, "May".into())], "month"),
        (vec![(3, 31.into()), (4, 4.into())], "month"),
        (vec![(5, 1990.into())], "the holder has the unknown key 5"),
    ];
    for (attributes, part) in cases {
        let text = fault(holder_of(attributes));
        assert!(text.contains(part) && text.contains("the holder"), "{text}");
    }
    let text = fault(with(HOLDER, Value::Null));
    assert_eq!(text, "the holder is not a map");
}

#[test]
fn the_claims_of_no_product_and_of_two_are_refused() {
    let mut none = entries();
    none.retain(|entry| entry.0 != Value::from(HOLDER));
    for claims in [
        Claims::decode(&encode(&map(none))),
        with(HCERT, map(Vec::new())),
        Claims::decode(&[0x01]),
    ] {
        assert_eq!(claims, Err(ClaimsFault::NoProduct));
    }
    assert_eq!(
        fault(Claims::decode(&[])),
        "the payload is not deterministic CBOR (RFC 8949 section 4.2.1)"
    );
}

fn holder() -> impl Strategy<Value = HolderAttributes> {
    let initial = || prop::option::of(prop::char::range('A', 'Z'));
    let birth = (prop::option::of(1_u8..=28), prop::option::of(1_u8..=12));
    (initial(), initial(), birth).prop_map(|(given, family, (day, month))| {
        HolderAttributes::new(
            given.and_then(|letter| Initial::try_from(letter).ok()),
            family.and_then(|letter| Initial::try_from(letter).ok()),
            BirthDate::new(day, month).unwrap(),
        )
    })
}

proptest! {
    #[test]
    fn the_claims_of_any_strip_come_back(
        issuer in ".{0,40}",
        start in 0_i64..200_000_000_000,
        length in 1_i64..700_000,
        id in any::<[u8; 8]>(),
        holder in holder(),
    ) {
        let claims = CityClaims {
            issuer,
            not_before: at(start),
            expires: at(start + length),
            id: PassId(id),
            holder,
        };
        prop_assert_eq!(Claims::decode(&claims.encode()).unwrap(), Claims::City(claims));
    }

    #[test]
    fn no_bytes_make_reading_claims_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Claims::decode(&bytes);
    }
}
