//! The seal under tampering, at its edges, and on hostile content.

use hpke::aead::ChaCha20Poly1305;
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{OpModeS, Serializable as _};
use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};

use super::format::*;
use super::sealer::ZSTD_LEVEL;
use super::*;
use crate::SealedBatch;
use crate::wire::MAX_ENCODED_BYTES;

/// Bytes that zstd cannot shrink (SplitMix64), the same on every run.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    out.truncate(bytes);
    out
}

pub(super) fn plaintext_bytes(batch: &SealedBatch) -> usize {
    batch.bytes.len() - HEADER_BYTES - TAG_BYTES
}

/// Seals a plaintext as it is, past all the rules of [`PublicKey::seal`].
pub(super) fn seal_raw(key: &PublicKey, length: u32, frame: &[u8], fill: u8) -> Vec<u8> {
    let (encapsulated, mut context) = hpke::setup_sender::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &key.0, INFO)
    .unwrap();
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&key.id());
    bytes.extend_from_slice(&[9; 16]);
    bytes.extend_from_slice(&encapsulated.to_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(frame);
    bytes.resize(HEADER_BYTES + PADDED_SIZES_BYTES[0], fill);
    let (header, plaintext) = bytes.split_at_mut(HEADER_BYTES);
    let tag = context
        .seal_inout_detached(InOutBuf::from(plaintext), header)
        .unwrap();
    bytes.extend_from_slice(&tag.to_bytes());
    bytes
}

pub(super) fn framed(frame: &[u8]) -> u32 {
    u32::try_from(frame.len()).unwrap()
}

#[test]
fn opens_what_was_sealed() {
    let key = PrivateKey::generate();
    for content in [
        &b""[..],
        b"[]",
        &noise(300_000),
        &vec![b' '; MAX_ENCODED_BYTES],
    ] {
        let (batch, answer_key) = key.public().seal(content).unwrap();
        let opened = key.open(&batch.bytes).unwrap();
        assert_eq!(
            (opened.id, batch_id_of(&batch.bytes)),
            (batch.id, Some(batch.id))
        );
        assert!(opened.encoded.as_slice() == content);
        assert!(opened.answer_key == answer_key);
    }
}

#[test]
fn same_content_never_seals_to_the_same_bytes() {
    let key = PrivateKey::generate().public();
    let (one, one_key) = key.seal(b"[]").unwrap();
    let (two, two_key) = key.seal(b"[]").unwrap();
    assert!(one_key != two_key);
    assert_ne!(one.id, two.id);
    assert_ne!(
        one.bytes[ENCAPSULATED_AT..HEADER_BYTES],
        two.bytes[ENCAPSULATED_AT..HEADER_BYTES]
    );
    assert_ne!(one.bytes[HEADER_BYTES..], two.bytes[HEADER_BYTES..]);
}

#[test]
fn every_changed_byte_is_noticed() {
    let key = PrivateKey::generate();
    let sealed = key.public().seal(b"[]").unwrap().0.bytes;
    // All of the header, the length, the frame and the tag; of the padding, which is alike, one
    // byte in 61.
    let front = HEADER_BYTES + 64;
    let tag = sealed.len() - TAG_BYTES;
    for at in (0..front)
        .chain((front..tag).step_by(61))
        .chain(tag..sealed.len())
    {
        let mut changed = sealed.clone();
        // The top bit too: X25519 ignores that of an encapsulated key, the seal must not.
        for bit in [0x01, 0x80] {
            changed[at] = sealed[at] ^ bit;
            let expected = match at {
                ..KEY_ID_AT => OpenError::Format,
                KEY_ID_AT..BATCH_ID_AT => OpenError::WrongKey,
                _ => OpenError::NotAuthentic,
            };
            assert_eq!(key.open(&changed), Err(expected), "byte {at}");
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    let key = PrivateKey::generate();
    let mut sealed = key.public().seal(b"[]").unwrap().0.bytes;
    for length in 0..sealed.len() {
        assert_eq!(
            key.open(&sealed[..length]),
            Err(OpenError::Format),
            "length {length}"
        );
    }
    sealed.push(0);
    assert_eq!(key.open(&sealed), Err(OpenError::Format));
    // Stretched to another padded size: the length is fine, the tag is not.
    sealed.resize(HEADER_BYTES + PADDED_SIZES_BYTES[1] + TAG_BYTES, 0);
    assert_eq!(key.open(&sealed), Err(OpenError::NotAuthentic));
}

#[test]
fn another_key_cannot_open() {
    let key = PrivateKey::generate();
    let other = PrivateKey::generate();
    let mut sealed = key.public().seal(b"[]").unwrap().0.bytes;
    assert_eq!(other.open(&sealed), Err(OpenError::WrongKey));
    // Not even when the header claims so.
    sealed[KEY_ID_AT..BATCH_ID_AT].copy_from_slice(&other.public().id());
    assert_eq!(other.open(&sealed), Err(OpenError::NotAuthentic));
}

/// The id is readable wherever the header is, whoever it is sealed to and whatever came after.
#[test]
fn the_id_of_a_batch_that_cannot_be_opened() {
    let (batch, _) = PrivateKey::generate().public().seal(b"[]").unwrap();
    assert_eq!(batch_id_of(&batch.bytes[..HEADER_BYTES]), Some(batch.id));
    assert_eq!(batch_id_of(&batch.bytes[..HEADER_BYTES - 1]), None);
    assert_eq!(batch_id_of(&vec![7; 5000]), None);
}

#[test]
fn padded_sizes_hold_at_their_edges() {
    let key = PrivateKey::generate();
    let frame = noise(PADDED_SIZES_BYTES[4]);
    for (index, size) in PADDED_SIZES_BYTES.into_iter().enumerate() {
        let fits = key
            .public()
            .seal_frame(&frame[..size - LENGTH_BYTES], PaddedSizes::ALL, None)
            .unwrap();
        assert_eq!(plaintext_bytes(&fits.0), size);
        let over = key
            .public()
            .seal_frame(&frame[..=size - LENGTH_BYTES], PaddedSizes::ALL, None);
        match PADDED_SIZES_BYTES.get(index + 1) {
            Some(next) => assert_eq!(plaintext_bytes(&over.unwrap().0), *next),
            None => {
                let framed = size - LENGTH_BYTES + 1;
                let refused = over.unwrap_err();
                assert!(matches!(refused, SealError::TooLarge { bytes } if bytes == framed));
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_not_sealed() {
    let key = PrivateKey::generate().public();
    let incompressible = noise(PADDED_SIZES_BYTES[4]);
    assert!(matches!(
        key.seal(&incompressible),
        Err(SealError::TooLarge { .. })
    ));
    // Shrinks well, but no registry would expand it.
    let long = vec![b' '; MAX_ENCODED_BYTES + 1];
    assert!(matches!(key.seal(&long), Err(SealError::TooLarge { bytes }) if bytes == long.len()));
}

#[test]
fn decompression_bombs_are_refused() {
    let key = PrivateKey::generate();
    let bomb = zstd::bulk::compress(&vec![0; MAX_ENCODED_BYTES + 1], ZSTD_LEVEL).unwrap();
    assert!(
        bomb.len() < PADDED_SIZES_BYTES[0] - LENGTH_BYTES,
        "the bomb fits the smallest batch"
    );
    let sealed = seal_raw(&key.public(), framed(&bomb), &bomb, 0);
    assert_eq!(key.open(&sealed), Err(OpenError::Content));

    // A second frame hidden behind a small one that states its own size only.
    let mut two = zstd::bulk::compress(b"[]", ZSTD_LEVEL).unwrap();
    two.extend_from_slice(&bomb);
    let sealed = seal_raw(&key.public(), framed(&two), &two, 0);
    assert_eq!(key.open(&sealed), Err(OpenError::Content));
}

#[test]
fn content_must_be_what_the_seal_promises() {
    let key = PrivateKey::generate();
    let frame = zstd::bulk::compress(b"[]", ZSTD_LEVEL).unwrap();
    let open = |length, frame: &[u8], fill| {
        key.open(&seal_raw(&key.public(), length, frame, fill))
            .map(drop)
    };
    assert_eq!(open(framed(&frame), &frame, 0), Ok(()));
    assert_eq!(
        open(framed(&frame), &frame, 1),
        Err(OpenError::Content),
        "padding is zeros"
    );
    assert_eq!(
        open(framed(&frame) - 1, &frame, 0),
        Err(OpenError::Content),
        "a frame cut short"
    );
    assert_eq!(open(0, &[], 0), Err(OpenError::Content), "no frame");
    assert_eq!(
        open(u32::MAX, &frame, 0),
        Err(OpenError::Content),
        "longer than the plaintext"
    );
    assert_eq!(open(2, b"[]", 0), Err(OpenError::Content), "not compressed");
    let unsized_frame = zstd::stream::encode_all(&b"[]"[..], ZSTD_LEVEL).unwrap();
    assert_eq!(
        open(framed(&unsized_frame), &unsized_frame, 0),
        Err(OpenError::Content),
        "no stated size"
    );
}

#[test]
fn keys_read_back_from_their_text() {
    let key = PrivateKey::generate();
    let secret = key.to_text();
    let public = key.public().to_text();
    assert!(
        public.starts_with("cgpk1:") && public.len() == 49,
        "{public}"
    );
    let again = PrivateKey::from_text(&secret).unwrap();
    assert!(again.public() == key.public());
    assert_eq!(again.to_text().expose_secret(), secret.expose_secret());
    let (batch, _) = PublicKey::from_text(&format!(" {public}\n"))
        .unwrap()
        .seal(b"[]")
        .unwrap();
    assert!(again.open(&batch.bytes).is_ok());
}

#[test]
fn texts_that_are_no_key_are_told_apart() {
    let key = PrivateKey::generate();
    let secret = key.to_text();
    let public = key.public().to_text();
    let bad = |text: &str| PublicKey::from_text(text).unwrap_err().to_string();
    assert_eq!(
        bad(secret.expose_secret()),
        "not a registry key: a public key begins with cgpk1:"
    );
    for wrong in [
        "cgpk1:",
        &public[..48],
        &format!("{public}A"),
        &public.replace(':', ":="),
        &"cgpk1:".repeat(99),
    ] {
        assert_eq!(
            bad(wrong),
            "not a registry key: after the colon come 43 characters of base64url",
            "{wrong}"
        );
    }
    let mut mistyped = public.clone();
    mistyped.replace_range(48.., "_");
    assert_eq!(
        bad(&mistyped),
        "not a registry key: a character after the colon is mistyped: compare the whole text"
    );
    // The neutral element: everything "sealed" to it is open to everyone.
    let weak = format!("cgpk1:{}", "A".repeat(43));
    assert_eq!(
        bad(&weak),
        "not a registry key: it is a point that cannot keep a secret"
    );
    let mistaken = PrivateKey::from_text(&SecretString::from(public)).unwrap_err();
    assert_eq!(
        mistaken.to_string(),
        "not a registry key: a private key begins with cgsk1:"
    );
}

#[test]
fn debug_tells_no_secret() {
    let key = PrivateKey::generate();
    let secret = key.to_text();
    let shown = format!("{key:?}");
    assert!(shown.contains(&key.public().to_text()), "{shown}");
    assert!(
        !shown.contains(&secret.expose_secret()["cgsk1:".len()..]),
        "{shown}"
    );
    let (batch, answer_key) = key.public().seal(b"[\"a fact\"]").unwrap();
    let opened = key.open(&batch.bytes).unwrap();
    let hex = hex::encode(answer_key.expose());
    let shown = format!("{answer_key:?} {opened:?}");
    assert!(
        !shown.contains(&hex[..8]) && !shown.contains("fact") && !shown.contains("102, 97"),
        "{shown}"
    );
}

#[test]
fn small_batches_are_all_of_one_size() {
    let key = PrivateKey::generate().public();
    let sizes: Vec<_> = [&b"[]"[..], &noise(10), &noise(4000)]
        .map(|content| key.seal(content).unwrap().0.bytes.len())
        .into();
    assert_eq!(sizes, [HEADER_BYTES + 4096 + TAG_BYTES; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_comes_back(content in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        let key = PrivateKey::generate();
        let (batch, answer_key) = key.public().seal(&content).unwrap();
        let expected = Opened { id: batch.id, encoded: content.into(), answer_key, tokens: None };
        prop_assert_eq!(key.open(&batch.bytes), Ok(expected));
        prop_assert!(PADDED_SIZES_BYTES.contains(&plaintext_bytes(&batch)));
    }

    #[test]
    fn opening_arbitrary_bytes_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..5000)
    ) {
        let key = PrivateKey::generate();
        prop_assert!(key.open(&bytes).is_err());
        let mut dressed = MAGIC.to_vec();
        dressed.extend_from_slice(&key.public().id());
        dressed.extend_from_slice(&bytes);
        dressed.resize(HEADER_BYTES + PADDED_SIZES_BYTES[0] + TAG_BYTES, 0);
        prop_assert_eq!(key.open(&dressed), Err(OpenError::NotAuthentic));
    }
}

#[test]
fn the_form_of_a_sealed_batch_shows_without_a_key() {
    let key = PrivateKey::generate().public();
    for padded in PADDED_SIZES_BYTES {
        let (batch, _) = key.seal(&noise(padded - 600)).unwrap();
        assert_eq!(plaintext_bytes(&batch), padded);
        assert!((MIN_SEALED_BYTES..=MAX_SEALED_BYTES).contains(&batch.bytes.len()));
        assert_eq!(batch_id_of_whole(&batch.bytes), Some(batch.id));
        let longer = [&batch.bytes[..], b"x"].concat();
        for other in [
            &batch.bytes[1..],
            &longer,
            &batch.bytes[..HEADER_BYTES],
            b"",
        ] {
            assert_eq!(batch_id_of_whole(other), None);
        }
        let mut foreign = batch.bytes;
        foreign[0] ^= 1;
        assert_eq!(batch_id_of_whole(&foreign), None);
    }
}
