//! Tests of strict CBOR: what is refused, and that what is written here is accepted.

use ciborium::Value;
use proptest::prelude::*;

use super::strict::{MAX_DEPTH, MAX_INTEGER, is_deterministic};
use super::*;

#[test]
fn maps_are_written_sorted_by_the_encoding_of_their_keys() {
    let entries = [-260, 4, 1000, -1, 23, 24];
    let sorted = map(entries.map(|key| (Value::from(key), Value::Null)).to_vec());
    let keys = sorted.as_map().unwrap().iter().map(|entry| entry.0.clone());
    let expected = [4, 23, 24, 1000, -1, -260].map(Value::from);
    assert_eq!(keys.collect::<Vec<_>>(), expected);
    assert!(is_deterministic(&encode(&sorted)));
}

#[test]
fn what_is_not_deterministic_is_refused() {
    let refused: [&[u8]; 18] = [
        &[],
        &[0x00, 0x00],
        &[0x18, 23],
        &[0x19, 0, 255],
        &[0x1a, 0, 0, 255, 255],
        &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
        &[0x1c],
        &[0x5f, 0xff],
        &[0x42, 1],
        &[0x61, 0xff],
        &[0x82, 1],
        &[0x9f, 0xff],
        &[0xbf, 0xff],
        &[0xa2, 1, 1, 1, 1],
        &[0xa2, 2, 1, 1, 1],
        &[0xa1, 0x41, 0, 1],
        &[0xf9, 0, 0],
        &[0xf7],
    ];
    for bytes in refused {
        assert!(!is_deterministic(bytes), "{bytes:02x?}");
    }
}

#[test]
fn the_greatest_integer_is_read_and_a_greater_one_refused() {
    assert!(is_deterministic(&encode(&Value::from(MAX_INTEGER))));
    assert!(!is_deterministic(&encode(&Value::from(MAX_INTEGER + 1))));
    let lowest = Value::from(-(1_i64 << 53));
    assert!(is_deterministic(&encode(&lowest)));
}

#[test]
fn the_greatest_depth_is_read_and_a_greater_one_refused() {
    for head in [0x81, 0xc1] {
        let mut nested = vec![head; MAX_DEPTH];
        nested.push(0);
        assert!(is_deterministic(&nested));
        nested.insert(0, head);
        assert!(!is_deterministic(&nested));
    }
    assert!(!is_deterministic(&vec![0x81; 1_000_000]));
    assert!(!is_deterministic(&[
        0x9b, 0, 0x1f, 255, 255, 255, 255, 255, 255
    ]));
}

#[test]
fn fields_are_taken_by_key_and_what_is_left_is_named() {
    let entries = vec![
        (Value::from(1), Value::from(7)),
        (Value::from("b"), Value::from("text")),
    ];
    let mut fields = Fields::new(Value::Map(entries.clone()), "the map").unwrap();
    assert_eq!(fields.uint(1, "number").unwrap(), 7);
    let unknown = fields.end().unwrap_err();
    assert_eq!(unknown.to_string(), "the map has the unknown key \"b\"");
    let mut fields = Fields::new(Value::Map(entries), "the map").unwrap();
    let wrong = fields.uint("b", "number").unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "number of the map is not an unsigned integer"
    );
    let missing = fields.text(3, "name").unwrap_err();
    assert_eq!(missing.to_string(), "name of the map is missing");
    let twice = vec![(Value::from(1), Value::Null), (Value::from(1), Value::Null)];
    let duplicate = Fields::new(Value::Map(twice), "the map").err().unwrap();
    assert_eq!(duplicate.to_string(), "the map has the key 1 twice");
    assert_eq!(
        Fields::new(Value::Null, "the map").err(),
        Some(FieldFault::NotMap("the map"))
    );
}

#[test]
fn a_map_may_have_the_greatest_number_of_entries_and_no_more() {
    let entries = |count: usize| {
        let keys = (0_u64..).take(count);
        keys.map(|key| (Value::from(key), Value::Null)).collect()
    };
    assert!(Fields::new(Value::Map(entries(MAX_ENTRIES)), "the map").is_ok());
    let more = Fields::new(Value::Map(entries(MAX_ENTRIES + 1)), "the map").err();
    assert!(matches!(more, Some(FieldFault::Unknown { .. })));
}

fn item() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (-1_000_000_i64..1_000_000).prop_map(Value::from),
        "[a-zё]{0,40}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map(any::<i16>(), inner, 0..8).prop_map(|entries| {
                let entries = entries.into_iter();
                map(entries
                    .map(|(key, value)| (Value::from(key), value))
                    .collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_here_is_deterministic_and_comes_back(item in item()) {
        let bytes = encode(&item);
        prop_assert!(is_deterministic(&bytes));
        prop_assert_eq!(decode(&bytes, "the item").unwrap(), item);
    }

    #[test]
    fn what_is_accepted_is_encoded_to_the_same_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        if is_deterministic(&bytes) {
            let item = decode(&bytes, "the item");
            prop_assert_eq!(encode(&item.unwrap()), bytes);
        }
    }
}
