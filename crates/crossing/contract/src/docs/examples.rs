//! The worked example: sealed bytes, the keys to them and the receipts that answer them, for second
//! implementations.

use std::str::from_utf8;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{HINT, example_events, exists, indented, read, updating, write};
use crate::wire::{Message, Probed, decode_message, encode, encode_probe};
use crate::{
    Answer, BatchId, ContentDigest, Difference, DifferenceKind, Opened, PrivateKey, ProbeAnswer,
    Receipt, ReceiptSigner, ReceiptVerifier, RecordDigest, RefusalReason, RefusedEvent,
    StoredAnswer, Superseded, UnreadableReason, Verdict, Version,
};

/// Id of a batch that nobody can open.
const UNREADABLE: BatchId = BatchId([0xee; 16]);

fn secret(name: &str, make: impl FnOnce() -> SecretString) -> SecretString {
    if updating() && !exists(name) {
        write(name, format!("{}\n", make().expose_secret()));
    }
    SecretString::from(String::from_utf8(read(name)).unwrap())
}

/// Opens a published sealed batch. Every sealing differs, so the file is only made anew when it has
/// to be.
fn sealed(name: &str, key: &PrivateKey, encoded: &[u8]) -> Opened {
    let opened = || {
        key.open(&read(name))
            .ok()
            .filter(|opened| opened.encoded.as_slice() == encoded)
    };
    if updating() && !(exists(name) && opened().is_some()) {
        write(name, key.public().seal(encoded).unwrap().0.bytes);
    }
    opened().unwrap_or_else(|| panic!("docs/contract/{name} {HINT}"))
}

fn same_text(name: &str, current: &str) {
    if updating() && !(exists(name) && read(name) == current.as_bytes()) {
        write(name, current);
    }
    assert!(
        read(name) == current.as_bytes(),
        "docs/contract/{name} {HINT}"
    );
}

fn version(count: u32) -> Version {
    Version::new(1 << 32 | u64::from(count)).unwrap()
}

fn probed() -> Vec<Probed> {
    (1u8..=4)
        .map(|number| Probed {
            record: RecordDigest([number; 32]),
            version: version(number.into()),
            content: ContentDigest([0xc0 | number; 16]),
            withdrawn: number == 4,
        })
        .collect()
}

fn stored_answer() -> Answer {
    let refused = |index, record: Option<u8>, reason| RefusedEvent {
        index,
        record: record.map(|byte| RecordDigest([byte; 32])),
        version: record.map(|byte| version(byte.into())),
        reason,
    };
    Answer::Stored(StoredAnswer {
        accepted: 7,
        refused: vec![
            refused(2, Some(3), RefusalReason::VersionReused),
            refused(5, None, RefusalReason::Malformed),
        ],
        superseded: vec![Superseded {
            record: RecordDigest([1; 32]),
            held: version(12),
        }],
    })
}

fn probe_answer() -> Answer {
    let difference = |number, what, held: Option<u32>| Difference {
        record: RecordDigest([number; 32]),
        what,
        held: held.map(version),
    };
    let differences = vec![
        difference(2, DifferenceKind::Missing, None),
        difference(3, DifferenceKind::Stale, Some(1)),
        difference(4, DifferenceKind::Newer, Some(9)),
    ];
    Answer::Probed(ProbeAnswer {
        equal: 1,
        differences,
    })
}

/// JSON of a receipt as the readers print it: digests in hex, versions in decimal digits, as in
/// events.
fn shown(batch: BatchId, verdict: &Verdict) -> Value {
    let number = |version: Option<Version>| version.map(|version| version.to_u64().to_string());
    let said = match verdict {
        Verdict::Unreadable(reason) => json!({ "unreadable": reason.as_str() }),
        Verdict::Answered(Answer::Stored(StoredAnswer {
            accepted,
            refused,
            superseded,
        })) => {
            let refused = refused.iter().map(|event| {
                json!({
                    "index": event.index,
                    "reason": event.reason.as_str(),
                    "record": event.record.map(|record| record.to_hex()),
                    "version": number(event.version),
                })
            });
            let superseded = superseded.iter().map(|event| {
                json!({ "record": event.record.to_hex(), "held": number(Some(event.held)) })
            });
            json!({ "stored": {
                "accepted": accepted,
                "refused": refused.collect::<Vec<_>>(),
                "superseded": superseded.collect::<Vec<_>>(),
            }})
        }
        Verdict::Answered(Answer::Probed(ProbeAnswer { equal, differences })) => {
            let differences = differences.iter().map(|difference| {
                json!({
                    "record": difference.record.to_hex(),
                    "what": difference.what.as_str(),
                    "held": number(difference.held),
                })
            });
            json!({ "probed": { "equal": equal, "differences": differences.collect::<Vec<_>>() } })
        }
    };
    let mut shown = json!({ "batch": batch.to_hex() });
    shown
        .as_object_mut()
        .unwrap()
        .extend(said.as_object().unwrap().clone());
    shown
}

fn receipts_example(batch: &Opened, probe: &Opened) {
    let signer_name = "examples/test-only-receipt-key.txt";
    let verifier_name = "examples/receipt-public-key.txt";
    let signer =
        ReceiptSigner::from_text(&secret(signer_name, || ReceiptSigner::generate().to_text()))
            .unwrap();
    same_text(verifier_name, &format!("{}\n", signer.verifier().to_text()));
    let verifier = ReceiptVerifier::from_text(from_utf8(&read(verifier_name)).unwrap()).unwrap();

    let id = batch.id;
    let key = &batch.answer_key;
    let expected = [
        (id, key, Verdict::Answered(stored_answer())),
        (
            probe.id,
            &probe.answer_key,
            Verdict::Answered(probe_answer()),
        ),
        (
            UNREADABLE,
            key,
            Verdict::Unreadable(UnreadableReason::OtherKey),
        ),
    ];
    let name = "examples/receipts.message";
    let holds = || {
        let Ok(receipts) = verifier.open(&read(name)) else {
            return false;
        };
        let mut pairs = receipts.iter().zip(&expected);
        receipts.len() == expected.len()
            && pairs.all(|(receipt, (id, key, verdict))| {
                receipt.batch() == *id && receipt.read(key).as_ref() == Ok(verdict)
            })
    };
    // Every encryption differs, so the file is only made anew when it has to be.
    if updating() && !(exists(name) && holds()) {
        let answered = [
            Receipt::answered(id, key, &stored_answer()),
            Receipt::answered(probe.id, &probe.answer_key, &probe_answer()),
            Receipt::unreadable(UNREADABLE, UnreadableReason::OtherKey),
        ];
        write(name, signer.sign(&answered));
    }
    assert!(holds(), "docs/contract/{name} {HINT}");
    let shown = expected
        .iter()
        .map(|(id, _, verdict)| shown(*id, verdict))
        .collect();
    super::generated("examples/receipts.json", &Value::Array(shown));
}

#[test]
fn docs_sealed_examples() {
    let key_name = "examples/test-only-private-key.txt";
    let key =
        PrivateKey::from_text(&secret(key_name, || PrivateKey::generate().to_text())).unwrap();
    let batch = sealed("examples/sealed.batch", &key, &encode(&example_events()));
    let probe = sealed(
        "examples/sealed-probe.batch",
        &key,
        &encode_probe(&probed()),
    );
    assert_eq!(decode_message(&probe.encoded), Ok(Message::Probe(probed())));
    for (name, opened) in [
        ("examples/answer-key.txt", &batch),
        ("examples/probe-answer-key.txt", &probe),
    ] {
        same_text(
            name,
            &format!("{}\n", hex::encode(opened.answer_key.expose())),
        );
    }
    receipts_example(&batch, &probe);
}

#[test]
fn docs_decoded_probe() {
    let records = probed().into_iter().map(|probed| {
        json!({
            "record": probed.record.to_hex(),
            "version": probed.version.to_u64().to_string(),
            "content": probed.content.to_hex(),
            "withdrawn": probed.withdrawn,
        })
    });
    super::generated(
        "examples/decoded-probe.json",
        &json!({ "probe": records.collect::<Vec<_>>() }),
    );
}

#[test]
fn docs_decoded_example() {
    let name = "examples/decoded.json";
    let events = example_events();
    if updating() {
        write(name, indented(from_utf8(&encode(&events)).unwrap()));
    }
    let published = read(name);
    assert!(
        crate::wire::decode(&published)
            .unwrap()
            .into_iter()
            .eq(events.into_iter().map(Ok)),
        "docs/contract/{name} {HINT}"
    );
    let batch = serde_json::from_slice(&published).unwrap();
    assert!(
        jsonschema::validator_for(&crate::wire::schema::batch())
            .unwrap()
            .is_valid(&batch)
    );
}
