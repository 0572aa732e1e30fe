//! Answers: their bytes, their sizes, their limits.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::answer::{padded, unpadded};
use super::*;
use crate::wire::{MAX_EVENTS, MAX_PROBED};

fn records() -> impl Strategy<Value = RecordDigest> {
    any::<[u8; 32]>().prop_map(RecordDigest)
}

fn versions() -> impl Strategy<Value = Version> {
    (1..=Version::MAX.to_u64()).prop_map(|number| Version::new(number).unwrap())
}

fn answers() -> impl Strategy<Value = Answer> {
    let refused = (
        0..1000u32,
        option::of(records()),
        option::of(versions()),
        select(&RefusalReason::ALL[..]),
    )
        .prop_map(|(index, record, version, reason)| RefusedEvent {
            index,
            record,
            version,
            reason,
        });
    let superseded = (records(), versions()).prop_map(|(record, held)| Superseded { record, held });
    let stored = (0..800u32, vec(refused, 0..100), vec(superseded, 0..100)).prop_map(
        |(accepted, refused, superseded)| {
            Answer::Stored(StoredAnswer {
                accepted,
                refused,
                superseded,
            })
        },
    );
    let difference = (records(), select(&DifferenceKind::ALL[..]), versions()).prop_map(
        |(record, what, version)| Difference {
            record,
            what,
            held: (what != DifferenceKind::Missing).then_some(version),
        },
    );
    let probed = (0..3900u32, vec(difference, 0..100))
        .prop_map(|(equal, differences)| Answer::Probed(ProbeAnswer { equal, differences }));
    prop_oneof![stored, probed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_answer_comes_back(answer in answers()) {
        let receipt = Receipt::answered(BATCH, &answer_key(1), &answer);
        prop_assert_eq!(receipt.read(&answer_key(1)), Ok(Verdict::Answered(answer)));
    }

    #[test]
    fn arbitrary_answers_never_panic(bytes in vec(any::<u8>(), 0..300), kind in 0..4u8) {
        let length = u32::try_from(bytes.len() + 1).unwrap().to_be_bytes();
        let mut dressed = [&length[..], &[kind], &bytes].concat();
        dressed.resize(1024, 0);
        if let Some(answer) = unpadded(&dressed) {
            prop_assert!(padded(&answer)[..] == dressed[..]);
        }
        let _ = unpadded(&bytes);
    }
}

/// Puts the bytes of an answer into a padded plaintext.
fn dressed(answer: &[u8], fill: u8) -> Vec<u8> {
    let mut out = u32::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(answer);
    out.resize(1024, fill);
    out
}

fn bytes_of(answer: &Answer) -> Vec<u8> {
    let plaintext = padded(answer);
    let length = u32::from_be_bytes(plaintext[..4].try_into().unwrap());
    plaintext[4..4 + length as usize].to_vec()
}

/// The bytes are the contract's: a change here is a new magic.
#[test]
fn the_bytes_of_an_answer() {
    let stored = "03000000010000000200000001".to_owned()
        + &format!("000000000601{}0000000100000002", "01".repeat(32))
        + &format!("000000020100{}0000000000000000", "00".repeat(32))
        + &format!("{}0000000100000009", "02".repeat(32));
    assert_eq!(hex::encode(bytes_of(&mixed())), stored);
    let held = Some(version(5));
    let differences = vec![Difference {
        record: RecordDigest([4; 32]),
        what: DifferenceKind::Conflicting,
        held,
    }];
    let probed = format!("02000000020000000104{}0000000100000005", "04".repeat(32));
    assert_eq!(
        hex::encode(bytes_of(&Answer::Probed(ProbeAnswer {
            equal: 2,
            differences
        }))),
        probed
    );
}

#[test]
fn answers_of_different_content_have_one_size() {
    let size = |answer: &Answer| {
        let mut out = Vec::new();
        Receipt::answered(BATCH, &answer_key(1), answer).write(&mut out);
        out.len()
    };
    let probed = Answer::Probed(ProbeAnswer {
        equal: 4000,
        differences: vec![],
    });
    let sizes = [all_well(), mixed(), probed].map(|answer| size(&answer));
    assert_eq!(sizes, [16 + 1 + 4 + 12 + 1024 + 16; 3]);
    assert_ne!(
        padded(&all_well())[..],
        padded(&mixed())[..],
        "the test would prove nothing on equal answers"
    );
}

fn refusals(count: u32) -> StoredAnswer {
    let refused = |index| RefusedEvent {
        index,
        record: None,
        version: None,
        reason: RefusalReason::BadDate,
    };
    StoredAnswer {
        accepted: 0,
        refused: (0..count).map(refused).collect(),
        superseded: vec![],
    }
}

fn read_back(answer: &Answer) -> Answer {
    let receipt = Receipt::answered(BATCH, &answer_key(1), answer);
    match receipt.read(&answer_key(1)) {
        Ok(Verdict::Answered(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_largest_answers_fit() {
    let all_refused = Answer::Stored(refusals(MAX_EVENTS.try_into().unwrap()));
    assert_eq!(read_back(&all_refused), all_refused);
    let superseded = vec![
        Superseded {
            record: RecordDigest([1; 32]),
            held: version(1)
        };
        MAX_EVENTS
    ];
    let all_superseded = Answer::Stored(StoredAnswer {
        accepted: 0,
        refused: vec![],
        superseded,
    });
    assert_eq!(read_back(&all_superseded), all_superseded);
    let held = Some(version(u32::MAX));
    let difference = Difference {
        record: RecordDigest([1; 32]),
        what: DifferenceKind::Newer,
        held,
    };
    let all_differ = Answer::Probed(ProbeAnswer {
        equal: 0,
        differences: vec![difference; MAX_PROBED],
    });
    assert_eq!(read_back(&all_differ), all_differ);
}

/// Such an answer is refused where it is made, and, written by hand, where it is read.
#[test]
fn answers_beyond_the_limits() {
    let many = u32::try_from(MAX_EVENTS).unwrap();
    let too_many = StoredAnswer {
        accepted: 1,
        ..refusals(many)
    };
    let mut far = refusals(1);
    far.refused[0].index = many;
    let superseded = vec![Superseded {
        record: RecordDigest([1; 32]),
        held: version(1),
    }];
    let one_more_superseded = StoredAnswer {
        accepted: many,
        refused: vec![],
        superseded,
    };
    let difference = |what, held| {
        let differences = vec![Difference {
            record: RecordDigest([1; 32]),
            what,
            held,
        }];
        Answer::Probed(ProbeAnswer {
            equal: 0,
            differences,
        })
    };
    let equal = u32::try_from(MAX_PROBED).unwrap() + 1;
    for bad in [
        Answer::Stored(too_many),
        Answer::Stored(far),
        Answer::Stored(one_more_superseded),
        Answer::Probed(ProbeAnswer {
            equal,
            differences: vec![],
        }),
        difference(DifferenceKind::Missing, Some(version(1))),
        difference(DifferenceKind::Stale, None),
    ] {
        let made = std::panic::catch_unwind(|| Receipt::answered(BATCH, &answer_key(1), &bad));
        assert!(made.is_err(), "{bad:?}");
        let mut written = Vec::new();
        bad.write(&mut written);
        if written.len() <= 1020 {
            assert_eq!(unpadded(&dressed(&written, 0)), None, "{bad:?}");
        }
    }
}

#[test]
fn bytes_the_contract_does_not_know() {
    let good = bytes_of(&mixed());
    assert_eq!(unpadded(&dressed(&good, 0)), Some(mixed()));
    assert_eq!(unpadded(&dressed(&good, 1)), None, "padding is zeros");
    assert_eq!(
        unpadded(&dressed(&[&good[..], &[0]].concat(), 0)),
        None,
        "more than counted"
    );
    for length in 0..good.len() {
        assert_eq!(
            unpadded(&dressed(&good[..length], 0)),
            None,
            "cut at {length}"
        );
    }
    let first_refused = 13;
    for (what, at, byte) in [
        ("an unknown kind", 0, 4),
        ("the kind of the contract's first version", 0, 1),
        ("a count beyond the limit", 5, 0xff),
        ("reason zero", first_refused + 4, 0),
        ("a reason of a newer registry", first_refused + 4, 11),
        ("a flag that is none", first_refused + 5, 2),
        ("a record that is not there", first_refused + 5, 0),
        ("a version beyond a BIGINT", first_refused + 6 + 32, 0x80),
    ] {
        let mut changed = good.clone();
        changed[at] = byte;
        assert_eq!(unpadded(&dressed(&changed, 0)), None, "{what}");
    }
}
