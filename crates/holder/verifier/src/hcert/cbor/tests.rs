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
