//! Receipts: from outside, inside the signature, and inside the encryption.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use contract::{
    AnswerKey, BatchId, MAX_RECEIPTS_PER_MESSAGE, PADDED_ANSWER_BYTES, Receipt, ReceiptError,
    ReceiptSigner, ReceiptVerifier, Verdict,
};
use ed25519_dalek::{Signer as _, SigningKey};

/// The key that `corpus/receipts_message` is signed with. For nothing else.
const SECRET: [u8; 32] = [5; 32];
const ANSWER_KEY: [u8; 32] = [6; 32];
const BATCH: BatchId = BatchId([3; 16]);

static SIGNER: LazyLock<ReceiptSigner> = LazyLock::new(|| {
    let text = format!("cgrs1:{}", URL_SAFE_NO_PAD.encode(SECRET));
    ReceiptSigner::from_text(&text.into()).expect("any 32 bytes are an Ed25519 key")
});
static VERIFIER: LazyLock<ReceiptVerifier> = LazyLock::new(|| SIGNER.verifier());

/// `ReceiptVerifier::open`: what anybody may broadcast.
pub fn receipts_message(bytes: &[u8]) -> bool {
    VERIFIER.open(bytes).is_ok_and(|receipts| {
        hold(&receipts);
        true
    })
}

/// Signs the bytes as they are, where a count and receipts should be.
pub fn receipts_body(body: &[u8]) -> bool {
    let message = sign(body);
    match VERIFIER.open(&message) {
        Ok(receipts) => {
            hold(&receipts);
            assert_eq!(
                SIGNER.sign(&receipts),
                message,
                "receipts have one form only"
            );
            true
        }
        Err(error) => {
            // Beyond the largest message even the signature is not looked at.
            assert!(
                matches!(error, ReceiptError::Content | ReceiptError::Format),
                "{error:?}"
            );
            false
        }
    }
}

/// Encrypts the bytes as they are, where an answer and its length should be, and signs the receipt.
pub fn receipt_answer(plaintext: &[u8]) -> bool {
    let size = PADDED_ANSWER_BYTES
        .into_iter()
        .find(|size| plaintext.len() <= *size);
    let size = size.unwrap_or(PADDED_ANSWER_BYTES[3]);
    let mut padded = plaintext[..plaintext.len().min(size)].to_vec();
    padded.resize(size, 0);
    let receipts = VERIFIER
        .open(&sign(&encrypted(&mut padded)))
        .expect("of the documented form");
    let [receipt] = receipts.as_slice() else {
        panic!("one receipt went in")
    };
    assert_eq!(
        receipt.read(&AnswerKey::from_bytes([0; 32])),
        Err(ReceiptError::NotOurs)
    );
    match receipt.read(&AnswerKey::from_bytes(ANSWER_KEY)) {
        Ok(Verdict::Answered(answer)) => {
            let again = Receipt::answered(BATCH, &AnswerKey::from_bytes(ANSWER_KEY), &answer);
            let read = again.read(&AnswerKey::from_bytes(ANSWER_KEY));
            assert_eq!(
                read,
                Ok(Verdict::Answered(answer)),
                "an answer comes back as it was"
            );
            true
        }
        Ok(Verdict::Unreadable(reason)) => panic!("an answer was encrypted, not {reason:?}"),
        Err(error) => {
            assert_eq!(
                error,
                ReceiptError::Content,
                "encrypted by the rules: only the content can be wrong"
            );
            false
        }
    }
}

fn hold(receipts: &[Receipt]) {
    assert!((1..=MAX_RECEIPTS_PER_MESSAGE).contains(&receipts.len()));
    for receipt in receipts {
        let read = receipt.read(&AnswerKey::from_bytes([0; 32]));
        assert_eq!(
            receipt.unreadable_reason().is_some(),
            matches!(read, Ok(Verdict::Unreadable(_)))
        );
    }
}

/// Signs as crates/crossing/contract documents it for a receipts message, written a second time.
fn sign(body: &[u8]) -> Vec<u8> {
    let key = SigningKey::from_bytes(&SECRET);
    let signature = key
        .sign(&[b"clinic-gateway receipts v1", body].concat())
        .to_bytes();
    let public = VERIFIER.to_text();
    let public = URL_SAFE_NO_PAD
        .decode(&public["cgrv1:".len()..])
        .expect("a key's text is base64url");
    [b"CGR1", &public[..8], &signature, body].concat()
}

/// The body of a message of one encrypted receipt.
fn encrypted(plaintext: &mut [u8]) -> Vec<u8> {
    let nonce = [1; 12];
    let length = u32::try_from(plaintext.len()).expect("padded sizes are small");
    let associated = [b"CGR1", &BATCH.0[..]].concat();
    let tag = ChaCha20Poly1305::new((&ANSWER_KEY).into())
        .encrypt_inout_detached(&nonce.into(), &associated, InOutBuf::from(&mut *plaintext))
        .expect("an answer is within the cipher's limits");
    [
        &[0, 1],
        &BATCH.0[..],
        &[1],
        &length.to_be_bytes(),
        &nonce,
        plaintext,
        &tag,
    ]
    .concat()
}
