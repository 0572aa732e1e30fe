//! Tests of reading CBOR.

use serde_json::json;

use super::{CborFault, MAX_DEPTH, decode, to_json};

#[test]
fn each_fault_of_an_item_is_named() {
    assert_eq!(decode(&[]), Err(CborFault::Malformed));
    assert_eq!(decode(&[0x82, 0x01]), Err(CborFault::Malformed));
    assert_eq!(decode(&[0x01, 0x02, 0x03]), Err(CborFault::Trailing(2)));
    assert_eq!(
        decode(&[0xa2, 0x01, 0x02, 0x01, 0x03]),
        Err(CborFault::DuplicateKey)
    );
    // A byte string that claims to be longer than any memory.
    assert_eq!(
        decode(&[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Err(CborFault::Malformed)
    );
}

#[test]
fn the_greatest_depth_is_read_and_one_more_is_refused() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x81; depth];
        bytes.push(0x01);
        decode(&bytes)
    };
    assert!(nested(MAX_DEPTH).is_ok());
    assert_eq!(nested(MAX_DEPTH + 1), Err(CborFault::TooDeep));
}

#[test]
fn indefinite_lengths_and_tagged_dates_are_read() {
    // {_ "a": 0("2021"), 1: 1.5, "b": h'ff'}
    let bytes = hex::decode("bf6161c06432303231 01f93e00 616241ffff".replace(' ', "")).unwrap();
    assert_eq!(
        to_json(&decode(&bytes).unwrap()),
        json!({ "a": "2021", "1": 1.5, "b": { "bytes": "ff" } })
    );
}

#[test]
fn dates_that_are_numbers_become_text() {
    // {"a": 1(1620064800), "b": 1(1620064800.5), "c": 100(18750), "d": 1("x"), "e": 1(2^63)}
    let bytes = "a5 6161c11a60903a20 6162c1fb41d8240e88200000 6163d8641949 3e 6164c16178 \
                 6165c11b8000000000000000";
    let bytes = hex::decode(bytes.replace(' ', "")).unwrap();
    let json = to_json(&decode(&bytes).unwrap());
    assert_eq!(
        json,
        json!({
            "a": "2021-05-03T18:00:00Z",
            "b": "2021-05-03T18:00:00Z",
            "c": "2021-05-03",
            "d": "x",
            "e": 9_223_372_036_854_775_808_u64,
        })
    );
}
