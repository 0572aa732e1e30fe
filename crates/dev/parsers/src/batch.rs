//! Sealed batches: from outside, inside the seal, and inside the compression.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contract::wire::{self, MAX_ENCODED_BYTES, MAX_EVENTS, MAX_PROBED, Message};
use contract::{OpenError, PADDED_SIZES_BYTES, PrivateKey, batch_id_of};
use hpke::aead::ChaCha20Poly1305;
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};

/// The key that `corpus/sealed_batch` is sealed to. For nothing else.
static KEY: LazyLock<PrivateKey> = LazyLock::new(|| {
    let text = format!("cgsk1:{}", URL_SAFE_NO_PAD.encode([7; 32]));
    PrivateKey::from_text(&text.into()).expect("any 32 bytes are an X25519 key")
});

/// `PrivateKey::open`: what anybody may put into the queue.
pub fn sealed_batch(bytes: &[u8]) -> bool {
    match KEY.open(bytes) {
        Ok(opened) => {
            assert_eq!(
                batch_id_of(bytes),
                Some(opened.id),
                "the clear header names the batch"
            );
            assert!(opened.encoded.len() <= MAX_ENCODED_BYTES);
            batch_content(&opened.encoded);
            true
        }
        Err(OpenError::Format) => false,
        Err(_) => {
            assert!(
                batch_id_of(bytes).is_some(),
                "a batch of the right form has an id"
            );
            false
        }
    }
}

/// Seals the bytes as a gateway's own encoder would, and decodes them as the registry does.
pub fn batch_content(encoded: &[u8]) -> bool {
    if let Ok((sealed, key)) = KEY.public().seal(encoded) {
        let opened = KEY.open(&sealed.bytes).expect("what was sealed opens");
        assert!(
            opened.encoded.as_slice() == encoded
                && opened.id == sealed.id
                && opened.answer_key == key
        );
        assert!(
            PADDED_SIZES_BYTES
                .into_iter()
                .any(|size| sealed.bytes.len() == 76 + size)
        );
    } else {
        // Random bytes beyond the largest padded size: refused by the sender, and still decoded
        // here.
        assert!(encoded.len() > PADDED_SIZES_BYTES[4] / 2);
    }
    match wire::decode_message(encoded) {
        Ok(Message::Events(events)) => {
            assert!(events.len() <= MAX_EVENTS);
            let events: Vec<_> = events.into_iter().filter_map(Result::ok).collect();
            let again = wire::decode(&wire::encode(&events)).expect("what was encoded decodes");
            assert!(
                events.iter().map(|event| Ok(event.clone())).eq(again),
                "events come back as they were"
            );
            !events.is_empty()
        }
        Ok(Message::Probe(probed)) => {
            assert!((1..=MAX_PROBED).contains(&probed.len()));
            assert_eq!(
                wire::encode_probe(&probed),
                encoded,
                "a probe has one form only"
            );
            true
        }
        Err(_) => false,
    }
}

/// Seals the bytes as they are, where a zstd frame and its length should be: what a hostile sender
/// could do.
pub fn batch_frame(plaintext: &[u8]) -> bool {
    let sealed = seal(plaintext);
    match KEY.open(&sealed) {
        Ok(opened) => {
            assert!(opened.encoded.len() <= MAX_ENCODED_BYTES);
            true
        }
        Err(error) => {
            assert_eq!(
                error,
                OpenError::Content,
                "sealed by the rules, so only the content can be wrong"
            );
            false
        }
    }
}

/// Seals as crates/crossing/contract documents it, written a second time without padding and
/// compression.
fn seal(plaintext: &[u8]) -> Vec<u8> {
    let public = KEY.public().to_text();
    let public = URL_SAFE_NO_PAD
        .decode(&public["cgpk1:".len()..])
        .expect("a key's text is base64url");
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&public).expect("and 32 bytes");
    let size = PADDED_SIZES_BYTES
        .into_iter()
        .find(|size| plaintext.len() <= *size);
    let size = size.unwrap_or(PADDED_SIZES_BYTES[4]);
    let mut padded = plaintext[..plaintext.len().min(size)].to_vec();
    padded.resize(size, 0);
    let (encapsulated, mut context) = hpke::setup_sender::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &key, b"clinic-gateway batch v1")
    .expect("the key is sound");
    let mut bytes = [b"CGB1", &public[..8], &[9; 16], &encapsulated.to_bytes()].concat();
    let header = bytes.clone();
    let tag = context.seal_inout_detached(InOutBuf::from(padded.as_mut_slice()), &header);
    bytes.extend_from_slice(&padded);
    bytes.extend_from_slice(
        &tag.expect("one message is within the cipher's limits")
            .to_bytes(),
    );
    bytes
}
