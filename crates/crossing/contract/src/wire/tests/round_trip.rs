//! Encoded events decode to the same, and no input makes the decoder panic.

use chrono::{Datelike as _, NaiveDate};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{reference, samples};
use crate::wire::{MAX_ENCODED_BYTES, MAX_EVENTS, decode, encode, quick_reader, strict_reader};
use crate::{
    Body, ContentDigest, Event, Fact, FactKind, OwnerToken, PartialDate, Precision, Pseudonym,
    RecordDigest, Scheme, Subject, Suite, TestCode, TestResult, Vaccine, Version,
};

fn dates() -> impl Strategy<Value = PartialDate> {
    let first = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap();
    let last = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap();
    let days = (first.num_days_from_ce()..=last.num_days_from_ce())
        .prop_map(|day| NaiveDate::from_num_days_from_ce_opt(day).unwrap());
    (
        days,
        select(&[Precision::Year, Precision::Month, Precision::Day][..]),
    )
        .prop_map(|(day, precision)| {
            PartialDate::from_day(day)
                .unwrap()
                .generalised_to(precision)
        })
}

fn pseudonyms() -> impl Strategy<Value = Pseudonym> {
    (
        select(&Scheme::ALL[..]),
        select(&Suite::ALL[..]),
        1..=u16::MAX,
        any::<[u8; 32]>(),
    )
        .prop_map(|(scheme, suite, epoch, value)| Pseudonym {
            scheme,
            suite,
            epoch,
            value,
        })
}

fn facts() -> impl Strategy<Value = Fact> {
    let dose = || option::of(1..=9u8);
    prop_oneof![
        (select(&Vaccine::ALL[..]), dose(), dose(), dates()).prop_map(
            |(vaccine, dose_number, series_doses, occurred_on)| Fact::Vaccination {
                vaccine,
                dose_number,
                series_doses,
                occurred_on
            }
        ),
        (
            select(&TestCode::ALL[..]),
            select(&TestResult::ALL[..]),
            dates()
        )
            .prop_map(|(test, result, occurred_on)| Fact::Test {
                test,
                result,
                occurred_on
            }),
        (option::of(dates()), dates()).prop_map(|(began_on, occurred_on)| Fact::Recovery {
            began_on,
            occurred_on
        }),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let subjects =
        vec(pseudonyms(), 1..=Subject::MAX).prop_filter_map("too many of one scheme", Subject::new);
    let bodies = prop_oneof![
        4 => (subjects, facts()).prop_map(|(subject, fact)| Body::Asserted { subject, fact }),
        1 => select(&FactKind::ALL[..]).prop_map(|kind| Body::Withdrawn { kind }),
    ];
    let versions = (1..=Version::MAX.to_u64()).prop_map(|number| Version::new(number).unwrap());
    let digests = (any::<[u8; 32]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    (digests, versions, bodies).prop_map(|(digests, version, body)| {
        let (record, content, owner) = digests;
        Event {
            record: RecordDigest(record),
            version,
            content: ContentDigest(content),
            owner: OwnerToken(owner),
            body,
        }
    })
}

proptest! {
    #[test]
    fn decode_gives_back_what_was_encoded(batch in vec(events(), 1..20)) {
        let decoded = decode(&encode(&batch)).unwrap();
        let decoded: Vec<_> = decoded.into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(decoded, batch);
    }

    #[test]
    fn every_byte_is_what_serde_would_write(event in events()) {
        let encoded = encode(std::slice::from_ref(&event));
        let expected = [b"[", &reference::event(&event)[..], b"]"].concat();
        prop_assert_eq!(String::from_utf8(encoded).unwrap(), String::from_utf8(expected).unwrap());
    }

    #[test]
    fn both_readers_read_what_we_write(batch in vec(events(), 1..20)) {
        let encoded = encode(&batch);
        prop_assert_eq!(
            quick_reader::batch(&encoded),
            Some(batch.into_iter().map(Ok).collect())
        );
        prop_assert_eq!(
            quick_reader::batch(&encoded),
            strict_reader::batch(&encoded).ok()
        );
    }

    /// The quick reader may give up, never let in what the strict one refuses or read it otherwise.
    #[test]
    fn what_the_quick_reader_accepts_the_strict_one_reads_alike(
        batch in vec(events(), 1..4),
        changes in vec((any::<Index>(), select(&b"\"{}[]:,0123459afnu\\-/ \
            Z\xff"[..]), any::<bool>()), 1..3),
    ) {
        let mut encoded = encode(&batch);
        for (at, byte, insert) in changes {
            let at = at.index(encoded.len());
            if insert { encoded.insert(at, byte) } else { encoded[at] = byte }
        }
        if let Some(events) = quick_reader::batch(&encoded) {
            prop_assert_eq!(Ok(events), strict_reader::batch(&encoded));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..500)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn changed_bytes_never_panic_and_what_passes_is_whole(
        event in events(),
        changes in vec((any::<Index>(), select(&b"\"{}[]:,0159afnu\\-/ \xff"[..])), 1..4),
    ) {
        let mut encoded = encode(&[event]);
        for (at, byte) in changes {
            let at = at.index(encoded.len());
            encoded[at] = byte;
        }
        for passed in decode(&encoded).into_iter().flatten().flatten() {
            prop_assert_eq!(decode(&encode(std::slice::from_ref(&passed))).unwrap(), [Ok(passed)]);
        }
    }
}

/// A full batch of the largest events stays within every limit, so that no gateway can seal what is
/// refused.
#[test]
fn the_largest_batch_fits_the_limits() {
    let value = |place: usize, index: usize| {
        let mut value = [0u8; 32];
        let mut state = (place * 31 + index + 1) as u64;
        for chunk in value.chunks_mut(8) {
            state = (state ^ (state >> 29))
                .wrapping_mul(0xbf58_476d_1ce4_e5b9)
                .rotate_left(23)
                ^ 0x9e37_79b9;
            chunk.copy_from_slice(&state.to_le_bytes());
        }
        value
    };
    let template = samples().remove(0).1;
    let Body::Asserted { fact, .. } = &template.body else {
        panic!("the first sample is a fact")
    };
    let batch: Vec<_> = (0..MAX_EVENTS)
        .map(|place| {
            let scheme = Scheme::ResidencePermit;
            let suite = Suite::HmacStreebog;
            let pseudonym = |index| Pseudonym {
                scheme,
                suite,
                epoch: u16::MAX - u16::try_from(index / Subject::MAX_OF_A_SCHEME).unwrap(),
                value: value(place, index),
            };
            let subject = Subject::new((0..Subject::MAX).map(pseudonym).collect()).unwrap();
            let version = Version::MAX;
            let record = RecordDigest(value(place, 99));
            let content = ContentDigest(value(place, 98)[..16].try_into().unwrap());
            let owner = OwnerToken(value(place, 97)[..16].try_into().unwrap());
            Event {
                record,
                version,
                content,
                owner,
                body: Body::Asserted {
                    subject,
                    fact: fact.clone(),
                },
            }
        })
        .collect();
    let encoded = encode(&batch);
    assert!(encoded.len() < MAX_ENCODED_BYTES, "{} bytes", encoded.len());
    let key = crate::PrivateKey::generate();
    let opened = key
        .open(&key.public().seal(&encoded).unwrap().0.bytes)
        .unwrap();
    assert!(
        decode(&opened.encoded)
            .unwrap()
            .into_iter()
            .eq(batch.into_iter().map(Ok))
    );
}
