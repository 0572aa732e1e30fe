//! The corpus in `fuzz/corpus`: text written by hand, binary made by `write_seeds`.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use contract::wire::{Probed, encode, encode_probe};
use contract::{
    Answer, AnswerKey, BatchId, Body, ContentDigest, Difference, DifferenceKind, Event, Fact,
    FactKind, OwnerToken, PartialDate, PrivateKey, ProbeAnswer, Pseudonym, Receipt, ReceiptSigner,
    RecordDigest, RefusalReason, RefusedEvent, Scheme, StoredAnswer, Subject, Suite, Superseded,
    TestCode, TestResult, UnreadableReason, Vaccine, Version,
};

pub(crate) fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz")
}

/// The seeds of a target with their files' names, in the order of the names.
pub(crate) fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(target);
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    seeds.sort();
    seeds
}

/// The tokens of the dictionary that libFuzzer takes as well: `"text"` a line, `\xNN` for a byte.
pub(crate) fn tokens() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz_folder().join("tokens.dict")).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| token(line).unwrap_or_else(|| panic!("tokens.dict: {line}")))
        .collect()
}

fn token(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut token = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, rest) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                token.extend(hex::decode([*high, *low]).ok()?);
                rest = after;
            }
            (b'\\', [escaped @ (b'\\' | b'"'), after @ ..]) => {
                token.push(*escaped);
                rest = after;
            }
            (b'\\', _) => return None,
            _ => token.push(*first),
        }
    }
    Some(token)
}

fn version(number: u64) -> Version {
    Version::new((1 << 32) + number).unwrap()
}

fn events() -> Vec<Event> {
    let day = |d| PartialDate::from_day(NaiveDate::from_ymd_opt(2021, 7, d).unwrap()).unwrap();
    let pseudonym = |scheme, byte| Pseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch: 1,
        value: [byte; 32],
    };
    let subject = || {
        let both = vec![
            pseudonym(Scheme::Snils, 0xa1),
            pseudonym(Scheme::PassportForeign, 0xb2),
        ];
        Subject::new(both).unwrap()
    };
    let vaccination = Fact::Vaccination {
        vaccine: Vaccine::SputnikV,
        dose_number: Some(1),
        series_doses: Some(2),
        occurred_on: day(4),
    };
    let test = Fact::Test {
        test: TestCode::RnaNasopharynx,
        result: TestResult::NotDetected,
        occurred_on: day(5),
    };
    let recovery = Fact::Recovery {
        began_on: None,
        occurred_on: PartialDate::from_month(2021, 6).unwrap(),
    };
    let facts = [vaccination, test, recovery].map(|fact| Body::Asserted {
        subject: subject(),
        fact,
    });
    let bodies = facts
        .into_iter()
        .chain(FactKind::ALL.map(|kind| Body::Withdrawn { kind }));
    (1..)
        .zip(bodies)
        .map(|(number, body)| Event {
            record: RecordDigest([number; 32]),
            version: version(number.into()),
            content: ContentDigest([number; 16]),
            owner: OwnerToken([number; 16]),
            body,
        })
        .collect()
}

fn stored() -> Answer {
    let refused = |index, record, version| {
        let reason = RefusalReason::VersionReused;
        RefusedEvent {
            index,
            record,
            version,
            reason,
        }
    };
    Answer::Stored(StoredAnswer {
        accepted: 3,
        refused: vec![
            refused(0, Some(RecordDigest([1; 32])), Some(version(7))),
            refused(4, None, None),
        ],
        superseded: vec![Superseded {
            record: RecordDigest([2; 32]),
            held: version(9),
        }],
    })
}

fn probed() -> Answer {
    let difference = |what, held| Difference {
        record: RecordDigest([4; 32]),
        what,
        held,
    };
    Answer::Probed(ProbeAnswer {
        equal: 2,
        differences: vec![
            difference(DifferenceKind::Missing, None),
            difference(DifferenceKind::Newer, Some(version(12))),
        ],
    })
}

/// The bytes of an answer inside its encryption, out of its receipt.
fn plaintext(answer: &Answer) -> Vec<u8> {
    use chacha20poly1305::aead::inout::InOutBuf;
    use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
    let key = [6; 32];
    let message = ReceiptSigner::generate().sign(&[Receipt::answered(
        BatchId([3; 16]),
        &AnswerKey::from_bytes(key),
        answer,
    )]);
    // Magic, key id, signature, count, batch id, kind and size stand before the nonce.
    let (nonce, rest) = message[4 + 8 + 64 + 2 + 16 + 1 + 4..]
        .split_first_chunk::<12>()
        .unwrap();
    let (ciphertext, tag) = rest.split_last_chunk::<16>().unwrap();
    let mut plaintext = ciphertext.to_vec();
    let associated = [&b"CGR1"[..], &[3; 16]].concat();
    ChaCha20Poly1305::new((&key).into())
        .decrypt_inout_detached(
            nonce.into(),
            &associated,
            InOutBuf::from(plaintext.as_mut_slice()),
            tag.into(),
        )
        .unwrap();
    // Without the padding, which the target puts back.
    let length = u32::from_be_bytes(*plaintext.first_chunk().unwrap());
    plaintext.truncate(4 + usize::try_from(length).unwrap());
    plaintext
}

/// Length, then one zstd frame: what stands inside a seal.
fn frame(encoded: &[u8]) -> Vec<u8> {
    let frame = zstd::bulk::compress(encoded, 3).unwrap();
    [
        &u32::try_from(frame.len()).unwrap().to_be_bytes(),
        frame.as_slice(),
    ]
    .concat()
}

/// Makes the binary seeds anew, after the contract's formats changed.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn write_seeds() {
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = fuzz_folder().join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    let key = |prefix: &str, byte: u8| format!("{prefix}{}", URL_SAFE_NO_PAD.encode([byte; 32]));
    let batch = PrivateKey::from_text(&key("cgsk1:", 7).into()).unwrap();
    let signer = ReceiptSigner::from_text(&key("cgrs1:", 5).into()).unwrap();

    let encoded = encode(&events());
    let probe = |withdrawn| Probed {
        record: RecordDigest([8; 32]),
        version: version(3),
        content: ContentDigest([9; 16]),
        withdrawn,
    };
    let probes = encode_probe(&[probe(false), probe(true)]);
    put("batch_content", "valid-events", &encoded);
    put(
        "batch_content",
        "valid-one-withdrawal",
        &encode(&events()[5..]),
    );
    put("batch_content", "valid-probe", &probes);
    put(
        "batch_content",
        "refused-cut-probe",
        &probes[..probes.len() - 1],
    );
    put(
        "batch_content",
        "refused-cut-events",
        &encoded[..encoded.len() - 1],
    );
    put(
        "batch_content",
        "refused-unknown-magic",
        &[b"CGP2", &probes[4..]].concat(),
    );

    put(
        "sealed_batch",
        "valid-events",
        &batch.public().seal(&encoded).unwrap().0.bytes,
    );
    let other = PrivateKey::from_text(&key("cgsk1:", 8).into()).unwrap();
    put(
        "sealed_batch",
        "refused-other-key",
        &other.public().seal(&probes).unwrap().0.bytes,
    );
    put(
        "sealed_batch",
        "refused-header-only",
        &batch.public().seal(&probes).unwrap().0.bytes[..76],
    );

    put("batch_frame", "valid-events", &frame(&encoded));
    put("batch_frame", "valid-empty", &frame(b""));
    put("batch_frame", "refused-bomb", &frame(&vec![0; 64 << 20]));
    put("batch_frame", "valid-largest", &frame(&vec![b' '; 8 << 20]));
    put("batch_frame", "refused-cut", &frame(&encoded)[..200]);

    put("receipt_answer", "valid-stored", &plaintext(&stored()));
    put("receipt_answer", "valid-probed", &plaintext(&probed()));
    put("receipt_answer", "refused-cut", &plaintext(&stored())[..60]);

    let receipts = [
        Receipt::answered(BatchId([1; 16]), &AnswerKey::from_bytes([2; 32]), &stored()),
        Receipt::unreadable(BatchId([2; 16]), UnreadableReason::NotAuthentic),
    ];
    let message = signer.sign(&receipts);
    put("receipts_message", "valid-two", &message);
    put(
        "receipts_message",
        "refused-cut",
        &message[..message.len() - 1],
    );
    put("receipts_body", "valid-two", &message[4 + 8 + 64..]);
    put(
        "receipts_body",
        "valid-unreadable",
        &signer.sign(&receipts[1..])[4 + 8 + 64..],
    );
    put("receipts_body", "refused-none", &[0, 0]);

    let gateway = fs::read_to_string(fuzz_folder().join("gateway.toml")).unwrap();
    let gateway = gateway
        .replace("PUBLIC", &batch.public().to_text())
        .replace("VERIFIER", &signer.verifier().to_text());
    put("gateway_settings", "valid-everything", gateway.as_bytes());

    put("keys", "valid-public", batch.public().to_text().as_bytes());
    put("keys", "valid-private", key("cgsk1:", 7).as_bytes());
    put("keys", "valid-signer", key("cgrs1:", 5).as_bytes());
    put(
        "keys",
        "valid-verifier",
        signer.verifier().to_text().as_bytes(),
    );
}
