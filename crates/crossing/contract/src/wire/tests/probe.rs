//! Probes: whole or nothing.

use proptest::collection::vec;
use proptest::prelude::*;

use super::samples;
use crate::wire::{
    BatchError, MAX_ENCODED_BYTES, MAX_PROBED, Message, Probed, decode_message, encode,
    encode_probe,
};
use crate::{ContentDigest, PrivateKey, RecordDigest, Version};

fn probed() -> impl Strategy<Value = Probed> {
    (
        any::<[u8; 32]>(),
        1..=Version::MAX.to_u64(),
        any::<[u8; 16]>(),
        any::<bool>(),
    )
        .prop_map(|(record, version, content, withdrawn)| Probed {
            record: RecordDigest(record),
            version: Version::new(version).unwrap(),
            content: ContentDigest(content),
            withdrawn,
        })
}

fn one() -> Probed {
    let version = Version::new(1 << 32 | 7).unwrap();
    Probed {
        record: RecordDigest([1; 32]),
        version,
        content: ContentDigest([2; 16]),
        withdrawn: true,
    }
}

proptest! {
    #[test]
    fn a_probe_comes_back(all in vec(probed(), 1..50)) {
        prop_assert_eq!(decode_message(&encode_probe(&all)), Ok(Message::Probe(all)));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_what_passes_is_whole(bytes in vec(any::<u8>(), 0..600)) {
        let dressed = [b"CGP1", &bytes[..]].concat();
        if let Ok(Message::Probe(all)) = decode_message(&dressed) {
            prop_assert_eq!(encode_probe(&all), dressed);
        }
        let _ = decode_message(&bytes);
    }
}

#[test]
fn the_bytes_of_a_probe() {
    let expected = format!(
        "{}{}{:016x}{}01",
        hex::encode("CGP1"),
        "01".repeat(32),
        (1u64 << 32) + 7,
        "02".repeat(16)
    );
    assert_eq!(hex::encode(encode_probe(&[one()])), expected);
}

#[test]
fn events_are_told_from_probes() {
    let events: Vec<_> = samples().into_iter().map(|(_, event)| event).collect();
    let expected = Message::Events(events.iter().cloned().map(Ok).collect());
    assert_eq!(decode_message(&encode(&events)), Ok(expected));
    for bad in [&b""[..], b"CGP", b"CGP2", b"CGR1", b"{}"] {
        assert_eq!(
            decode_message(bad),
            Err(BatchError::NotABatch),
            "{}",
            String::from_utf8_lossy(bad)
        );
    }
}

#[test]
fn every_other_length_is_refused() {
    let two = encode_probe(&[one(), one()]);
    for length in (0..two.len()).filter(|length| *length != 4 + 57) {
        assert_eq!(
            decode_message(&two[..length]),
            Err(BatchError::NotABatch),
            "{length}"
        );
    }
    assert_eq!(
        decode_message(&[&two[..], &[0]].concat()),
        Err(BatchError::NotABatch)
    );
}

#[test]
fn flags_and_versions_are_strict() {
    let good = encode_probe(&[one()]);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        decode_message(&changed)
    };
    assert!(with(4 + 56, &[0]).is_ok());
    assert_eq!(with(4 + 56, &[2]), Err(BatchError::NotABatch));
    for version in [0, 1 << 63, u64::MAX] {
        assert_eq!(
            with(4 + 32, &version.to_be_bytes()),
            Err(BatchError::NotABatch),
            "{version}"
        );
    }
    assert!(with(4 + 32, &(u64::MAX >> 1).to_be_bytes()).is_ok());
}

/// A full probe of contents that do not shrink still fits a batch; one record more is too many.
#[test]
fn the_largest_probe_fits_the_limits() {
    let mut state = 7u8;
    let mut all: Vec<_> = (0..MAX_PROBED)
        .map(|_| {
            let record = RecordDigest(std::array::from_fn(|_| {
                state = state.wrapping_mul(141).wrapping_add(91);
                state
            }));
            Probed { record, ..one() }
        })
        .collect();
    let encoded = encode_probe(&all);
    assert!(encoded.len() < MAX_ENCODED_BYTES);
    let key = PrivateKey::generate();
    let opened = key
        .open(&key.public().seal(&encoded).unwrap().0.bytes)
        .unwrap();
    assert!(decode_message(&opened.encoded) == Ok(Message::Probe(all.clone())));
    all.push(one());
    assert_eq!(
        decode_message(&encode_probe(&all)),
        Err(BatchError::TooLarge)
    );
}
