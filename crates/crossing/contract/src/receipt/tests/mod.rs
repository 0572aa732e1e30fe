//! Receipts: who can make them, who can read them, and what is refused.

mod answers;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::single::{NONCE_BYTES, TAG_BYTES};
use super::*;
use crate::keytext;
use crate::{AnswerKey, BatchId, RecordDigest, RefusalReason, Version};

const BATCH: BatchId = BatchId([7; 16]);

fn answer_key(byte: u8) -> AnswerKey {
    AnswerKey::from_bytes([byte; 32])
}

fn version(count: u32) -> Version {
    Version::new(1 << 32 | u64::from(count)).unwrap()
}

fn all_well() -> Answer {
    Answer::Stored(StoredAnswer {
        accepted: 3,
        ..StoredAnswer::default()
    })
}

fn mixed() -> Answer {
    let record = RecordDigest([1; 32]);
    let refused = vec![
        RefusedEvent {
            index: 0,
            record: Some(record),
            version: Some(version(2)),
            reason: RefusalReason::VersionReused,
        },
        RefusedEvent {
            index: 2,
            record: None,
            version: None,
            reason: RefusalReason::Malformed,
        },
    ];
    let superseded = vec![Superseded {
        record: RecordDigest([2; 32]),
        held: version(9),
    }];
    Answer::Stored(StoredAnswer {
        accepted: 1,
        refused,
        superseded,
    })
}

/// A message of a readable and of an unreadable batch.
fn message(signer: &ReceiptSigner) -> Vec<u8> {
    signer.sign(&[
        Receipt::answered(BATCH, &answer_key(1), &mixed()),
        Receipt::unreadable(BatchId([8; 16]), UnreadableReason::OtherKey),
    ])
}

#[test]
fn the_sender_reads_what_the_registry_answered() {
    let signer = ReceiptSigner::generate();
    let receipts = signer.verifier().open(&message(&signer)).unwrap();
    let batches: Vec<_> = receipts.iter().map(Receipt::batch).collect();
    assert_eq!(batches, [BATCH, BatchId([8; 16])]);
    assert_eq!(
        receipts[0].read(&answer_key(1)),
        Ok(Verdict::Answered(mixed()))
    );
    assert_eq!(receipts[0].unreadable_reason(), None);
    assert_eq!(
        receipts[1].unreadable_reason(),
        Some(UnreadableReason::OtherKey)
    );
    assert_eq!(
        receipts[1].read(&answer_key(1)),
        Ok(Verdict::Unreadable(UnreadableReason::OtherKey))
    );
}

#[test]
fn a_batch_gives_both_sides_the_key_of_its_answer() {
    let registry = crate::PrivateKey::generate();
    let (batch, kept) = registry.public().seal(b"[]").unwrap();
    let opened = registry.open(&batch.bytes).unwrap();
    let receipt = Receipt::answered(opened.id, &opened.answer_key, &mixed());
    assert_eq!(receipt.read(&kept), Ok(Verdict::Answered(mixed())));
    let (_, of_another_batch) = registry.public().seal(b"[]").unwrap();
    assert_eq!(receipt.read(&of_another_batch), Err(ReceiptError::NotOurs));
}

#[test]
fn nobody_else_reads_it_and_no_answer_moves_to_another_batch() {
    let receipt = Receipt::answered(BATCH, &answer_key(1), &mixed());
    assert_eq!(receipt.read(&answer_key(2)), Err(ReceiptError::NotOurs));
    let moved = Receipt {
        batch: BatchId([9; 16]),
        ..receipt
    };
    assert_eq!(moved.read(&answer_key(1)), Err(ReceiptError::NotOurs));
}

#[test]
fn every_cut_and_every_changed_byte_is_refused() {
    let signer = ReceiptSigner::generate();
    let verifier = signer.verifier();
    let whole = message(&signer);
    for length in 0..whole.len() {
        let expected = if length < message::HEADER_BYTES {
            ReceiptError::Format
        } else {
            ReceiptError::NotAuthentic
        };
        assert_eq!(
            verifier.open(&whole[..length]),
            Err(expected),
            "length {length}"
        );
    }
    assert_eq!(
        verifier.open(&[&whole[..], &[0]].concat()),
        Err(ReceiptError::NotAuthentic)
    );
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= bit;
            let expected = match at {
                0..4 => ReceiptError::Format,
                4..12 => ReceiptError::OtherKey,
                _ => ReceiptError::NotAuthentic,
            };
            assert_eq!(verifier.open(&changed), Err(expected), "byte {at}");
        }
    }
}

/// Knowledge of the pinned key's public half does not allow signing for it.
#[test]
fn a_forger_is_not_believed() {
    let signer = ReceiptSigner::generate();
    let forger = ReceiptSigner::generate();
    let mut forged = message(&forger);
    assert_eq!(signer.verifier().open(&forged), Err(ReceiptError::OtherKey));
    forged[4..12].copy_from_slice(&message(&signer)[4..12]);
    assert_eq!(
        signer.verifier().open(&forged),
        Err(ReceiptError::NotAuthentic)
    );
}

#[test]
fn what_is_signed_must_follow_the_contract_too() {
    let signer = ReceiptSigner::generate();
    let receipt = |kind: u8, rest: &[u8]| [&BATCH.0[..], &[kind], rest].concat();
    let body = |count: u16, receipts: &[u8]| [&count.to_be_bytes(), receipts].concat();
    let unreadable = receipt(2, &[1]);
    let answered = |padded: u32, bytes: usize| {
        receipt(
            1,
            &[
                &padded.to_be_bytes()[..],
                &vec![0; NONCE_BYTES + bytes + TAG_BYTES],
            ]
            .concat(),
        )
    };
    let open = |body: &[u8]| {
        signer
            .verifier()
            .open(&signer.sign_body(body))
            .map(|receipts| receipts.len())
    };
    assert_eq!(open(&body(1, &unreadable)), Ok(1));
    assert_eq!(open(&body(1, &answered(1024, 1024))), Ok(1));
    for (what, bad) in [
        ("no count", vec![]),
        ("no receipt", body(0, &[])),
        ("one less than counted", body(2, &unreadable)),
        (
            "one more than counted",
            body(1, &[&unreadable[..], &unreadable].concat()),
        ),
        ("an unknown kind", body(1, &receipt(3, &[1]))),
        ("kind zero", body(1, &receipt(0, &[1]))),
        ("reason zero", body(1, &receipt(2, &[0]))),
        ("an unknown reason", body(1, &receipt(2, &[7]))),
        (
            "a size that is none of the padded ones",
            body(1, &answered(1000, 1000)),
        ),
        ("a length beyond the end", body(1, &answered(16384, 1024))),
        (
            "a length beyond all limits",
            body(1, &answered(u32::MAX, 1024)),
        ),
        ("too many", body(17, &unreadable.repeat(17))),
    ] {
        assert_eq!(open(&bad), Err(ReceiptError::Content), "{what}");
    }
}

#[test]
fn the_largest_message_is_let_in_and_no_longer_one() {
    let signer = ReceiptSigner::generate();
    let differences = |count| {
        let missing = Difference {
            record: RecordDigest([3; 32]),
            what: DifferenceKind::Missing,
            held: None,
        };
        Answer::Probed(ProbeAnswer {
            equal: 0,
            differences: vec![missing; count],
        })
    };
    let largest = Receipt::answered(BATCH, &answer_key(1), &differences(crate::wire::MAX_PROBED));
    let message = signer.sign(&vec![largest; MAX_RECEIPTS_PER_MESSAGE]);
    assert_eq!(message.len(), MAX_RECEIPTS_MESSAGE_BYTES);
    assert_eq!(
        signer.verifier().open(&message).unwrap().len(),
        MAX_RECEIPTS_PER_MESSAGE
    );
    let longer = signer.sign_body(&vec![0; message.len() - message::HEADER_BYTES + 1]);
    assert_eq!(signer.verifier().open(&longer), Err(ReceiptError::Format));
}

#[test]
fn keys_read_back_from_their_text() {
    let signer = ReceiptSigner::generate();
    let secret = signer.to_text();
    let public = signer.verifier().to_text();
    assert!(
        public.starts_with("cgrv1:") && public.len() == 49,
        "{public}"
    );
    let again = ReceiptSigner::from_text(&secret).unwrap();
    assert_eq!(again.verifier(), signer.verifier());
    let verifier = ReceiptVerifier::from_text(&format!(" {public}\n")).unwrap();
    assert!(verifier.open(&message(&again)).is_ok());
    let shown = format!("{signer:?}");
    assert!(shown.contains(&public), "{shown}");
    assert!(
        !shown.contains(&secret.expose_secret()["cgrs1:".len()..]),
        "{shown}"
    );
}

#[test]
fn texts_that_are_no_key_are_told_apart() {
    let signer = ReceiptSigner::generate();
    let bad = |text: &str| ReceiptVerifier::from_text(text).unwrap_err().to_string();
    assert_eq!(
        bad(signer.to_text().expose_secret()),
        "not a receipt key: a receipt verification key begins with cgrv1:"
    );
    assert_eq!(
        bad("cgrv1:abc"),
        "not a receipt key: after the colon come 43 characters of base64url"
    );
    // The neutral element: under it everything is "signed".
    let neutral = keytext::public("cgrv1:", &std::array::from_fn(|at| u8::from(at == 0)));
    assert_eq!(
        bad(&neutral),
        "not a receipt key: it is no Ed25519 key that can be trusted"
    );
    let mistaken = ReceiptSigner::from_text(&signer.verifier().to_text().into()).unwrap_err();
    assert_eq!(
        mistaken.to_string(),
        "not a receipt key: a receipt signing key begins with cgrs1:"
    );
}

#[test]
fn debug_tells_no_answer() {
    let shown = format!("{:?}", Receipt::answered(BATCH, &answer_key(1), &mixed()));
    assert_eq!(
        shown,
        format!("Receipt({BATCH}, {} bytes)", NONCE_BYTES + 1024 + TAG_BYTES)
    );
}

proptest! {
    #[test]
    fn arbitrary_messages_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let signer = ReceiptSigner::generate();
        prop_assert!(signer.verifier().open(&bytes).is_err());
        // As if the registry itself had signed it.
        if let Ok(receipts) = signer.verifier().open(&signer.sign_body(&bytes)) {
            prop_assert_eq!(message::body(&receipts), bytes);
        }
    }
}
