//! The seal: zstd, padding to a few sizes, HPKE (RFC 9180) to the registry's public key.
//!
//! Bytes of a sealed batch: `CGB1` | key id (8) | batch id (16) | encapsulated key (32) |
//! ciphertext | tag (16). All before the ciphertext is authenticated as associated data. The
//! plaintext is the compressed length (4 bytes, big-endian), one zstd frame that states its content
//! size, and zeros up to a padded size.

mod sealer;

use std::fmt;

use hpke::aead::{AeadTag, ChaCha20Poly1305};
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, HpkeError, Kem, OpModeR, OpModeS, Serializable as _};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::keytext::{self, KEY_BYTES};
use crate::wire::MAX_ENCODED_BYTES;
use crate::{AnswerKey, BatchId, SealedBatch};

pub use sealer::{Framed, Sealer};

/// The plaintext sizes a batch is padded to before it is sealed, smallest first.
pub const PADDED_SIZES_BYTES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

const MAGIC: &[u8; 4] = b"CGB1";
const INFO: &[u8] = b"clinic-gateway batch v1";
/// What the exported secret is for (RFC 9180, section 5.3).
const EXPORTER_CONTEXT: &[u8] = b"clinic-gateway receipt v1";
const KEY_ID_AT: usize = MAGIC.len();
const KEY_ID_BYTES: usize = 8;
const BATCH_ID_AT: usize = KEY_ID_AT + KEY_ID_BYTES;
const ENCAPSULATED_AT: usize = BATCH_ID_AT + 16;
pub(crate) const HEADER_BYTES: usize = ENCAPSULATED_AT + KEY_BYTES;
pub(crate) const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;
/// Most of a batch is hex digits of digests. Level 1 looks for long matches only: on such text it
/// is not just twice as fast as level 3 but also a tenth smaller, since short chance matches cost
/// more than the digits they replace.
const ZSTD_LEVEL: i32 = 1;
const PUBLIC_PREFIX: &str = "cgpk1:";
const PRIVATE_PREFIX: &str = "cgsk1:";

type Tag = AeadTag<ChaCha20Poly1305>;

/// The registry's public key; gateways seal to it. Text form `cgpk1:<base64url>`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(<X25519HkdfSha256 as Kem>::PublicKey);

/// The registry's private key. Text form `cgsk1:<base64url>`; never printed, zeroed on drop.
#[derive(Clone)]
pub struct PrivateKey {
    secret: <X25519HkdfSha256 as Kem>::PrivateKey,
    public: PublicKey,
}

/// Why a batch could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Larger than the largest padded size even when compressed: seal fewer events at a time.
    #[error(
        "the batch takes {bytes} bytes, more than fits the largest padded size: seal fewer events \
         at a time"
    )]
    TooLarge {
        /// Compressed size; the encoded size if that alone is beyond [`MAX_ENCODED_BYTES`].
        bytes: usize,
    },
    /// The text is no key of the expected kind.
    #[error("not a registry key: {0}")]
    BadKey(&'static str),
}

/// Why a sealed batch could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not a sealed batch at all, or cut short, or of an unknown format version.
    #[error("not a sealed batch of a known format")]
    Format,
    /// Sealed to a key this registry does not hold.
    #[error("sealed to another key")]
    WrongKey,
    /// Changed on the way, or sealed to another key with the same id.
    #[error("does not authenticate")]
    NotAuthentic,
    /// The content expands beyond the limit or is not what the seal promised.
    #[error("the content is not a batch within the limits")]
    Content,
}

/// An opened batch.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its id.
    pub id: BatchId,
    /// What it holds, for [`crate::wire::decode_message`].
    pub encoded: Vec<u8>,
    /// The key the answer is to be encrypted under.
    pub answer_key: AnswerKey,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({}, {} bytes)", self.id, self.encoded.len())
    }
}

impl PublicKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`SealError::BadKey`], saying what the text lacks.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let lacks = "a public key begins with cgpk1:";
        let bytes = keytext::read(text, PUBLIC_PREFIX, lacks).map_err(SealError::BadKey)?;
        let key = Self::from_bytes(&bytes)?;
        // A low-order point seals nothing; better told when the configuration is read than at the
        // first batch.
        hpke::setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &key.0,
            INFO,
        )
        .map_err(|_| SealError::BadKey("it is a point that cannot keep a secret"))?;
        Ok(key)
    }

    fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Result<Self, SealError> {
        let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(bytes);
        key.map(Self)
            .map_err(|_| SealError::BadKey("it is no X25519 key"))
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        keytext::public(PUBLIC_PREFIX, &self.0.to_bytes().into())
    }

    /// Seals the encoded batch ([`crate::wire::encode`] or [`crate::wire::encode_probe`]) under a
    /// fresh random id; with it the key under which the registry will answer. Whoever seals more
    /// than one batch keeps a [`Sealer`].
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal(&self, encoded: &[u8]) -> Result<(SealedBatch, AnswerKey), SealError> {
        Sealer::new(self).compress_encoded(encoded)?.seal()
    }

    /// Pads and seals one zstd frame.
    fn seal_frame(&self, frame: &[u8]) -> Result<(SealedBatch, AnswerKey), SealError> {
        let too_large = SealError::TooLarge { bytes: frame.len() };
        let Ok(length) = u32::try_from(frame.len()) else {
            return Err(too_large);
        };
        let framed = LENGTH_BYTES + frame.len();
        let padded = PADDED_SIZES_BYTES
            .into_iter()
            .find(|size| framed <= *size)
            .ok_or(too_large)?;

        let (encapsulated, mut context) = hpke::setup_sender::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &self.0, INFO)
        .map_err(|_| SealError::BadKey("it is a point that cannot keep a secret"))?;
        let id = BatchId::random();
        // The plaintext is laid out where the ciphertext will stand, so that no copy of it stays
        // behind.
        let mut bytes = Vec::with_capacity(HEADER_BYTES + padded + TAG_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.id());
        bytes.extend_from_slice(&id.0);
        bytes.extend_from_slice(&encapsulated.to_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(frame);
        bytes.resize(HEADER_BYTES + padded, 0);
        let (header, plaintext) = bytes.split_at_mut(HEADER_BYTES);
        let tag = context
            .seal_inout_detached(InOutBuf::from(plaintext), header)
            .expect("the first message of a context is within the cipher's limits");
        bytes.extend_from_slice(&tag.to_bytes());
        let answer_key = exported(|context_of, key| context.export(context_of, key));
        Ok((SealedBatch { id, bytes }, answer_key))
    }

    /// Tells keys apart: the first bytes of the key itself.
    fn id(&self) -> [u8; KEY_ID_BYTES] {
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&self.0.to_bytes()[..KEY_ID_BYTES]);
        id
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_text())
    }
}

impl PrivateKey {
    /// A fresh key.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        let (secret, public) = X25519HkdfSha256::gen_keypair();
        Self {
            secret,
            public: PublicKey(public),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`SealError::BadKey`].
    pub fn from_text(text: &SecretString) -> Result<Self, SealError> {
        let lacks = "a private key begins with cgsk1:";
        let bytes = keytext::read(text.expose_secret(), PRIVATE_PREFIX, lacks)
            .map_err(SealError::BadKey)?;
        let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(bytes.as_slice())
            .map_err(|_| SealError::BadKey("it is no X25519 key"))?;
        let public = PublicKey(X25519HkdfSha256::sk_to_pk(&secret));
        Ok(Self { secret, public })
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        self.secret.write_exact(bytes.as_mut_slice());
        keytext::secret(PRIVATE_PREFIX, &bytes)
    }

    /// The key gateways seal to.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }

    /// Opens sealed bytes: the batch's id, the encoded batch, and the key to answer under.
    ///
    /// # Errors
    /// See [`OpenError`]; none of them is worth another try.
    pub fn open(&self, sealed: &[u8]) -> Result<Opened, OpenError> {
        let (header, id) = self.check_header(sealed)?;
        let (ciphertext, tag) =
            sealed[HEADER_BYTES..].split_at(sealed.len() - HEADER_BYTES - TAG_BYTES);
        let tag = Tag::from_bytes(tag).map_err(|_| OpenError::Format)?;
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&header[ENCAPSULATED_AT..])
                .map_err(|_| OpenError::Format)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.secret,
            &encapsulated,
            INFO,
        )
        .map_err(|_| OpenError::NotAuthentic)?;
        context
            .open_inout_detached(InOutBuf::from(plaintext.as_mut_slice()), header, &tag)
            .map_err(|_| OpenError::NotAuthentic)?;
        let answer_key = exported(|context_of, key| context.export(context_of, key));
        Ok(Opened {
            id,
            encoded: expand(&plaintext)?,
            answer_key,
        })
    }

    /// The header and the batch id, if the whole has the right form and is sealed to this key.
    fn check_header<'a>(&self, sealed: &'a [u8]) -> Result<(&'a [u8], BatchId), OpenError> {
        let header = sealed.get(..HEADER_BYTES).ok_or(OpenError::Format)?;
        let content = sealed
            .len()
            .checked_sub(HEADER_BYTES + TAG_BYTES)
            .ok_or(OpenError::Format)?;
        if !header.starts_with(MAGIC) || !PADDED_SIZES_BYTES.contains(&content) {
            return Err(OpenError::Format);
        }
        if header[KEY_ID_AT..BATCH_ID_AT] != self.public.id() {
            return Err(OpenError::WrongKey);
        }
        let mut id = BatchId([0; 16]);
        id.0.copy_from_slice(&header[BATCH_ID_AT..ENCAPSULATED_AT]);
        Ok((header, id))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// The answer key out of a context's exporter.
fn exported(export: impl FnOnce(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> AnswerKey {
    let mut key = Zeroizing::new([0; AnswerKey::BYTES]);
    export(EXPORTER_CONTEXT, key.as_mut_slice()).expect("32 bytes are within the exporter's limit");
    AnswerKey::from_bytes(*key)
}

/// Unpads and decompresses; memory is bounded by the size the frame states, and that by the
/// contract.
fn expand(plaintext: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (length, rest) = plaintext
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(OpenError::Content)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| OpenError::Content)?;
    let (frame, padding) = rest.split_at_checked(length).ok_or(OpenError::Content)?;
    let stated = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten();
    let expanded = stated
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes <= MAX_ENCODED_BYTES)
        .ok_or(OpenError::Content)?;
    // All of it, without a branch a byte: most of a half-empty batch is padding.
    if padding.iter().fold(0, |all, byte| all | byte) != 0 {
        return Err(OpenError::Content);
    }
    zstd::bulk::decompress(frame, expanded).map_err(|_| OpenError::Content)
}

/// The id in the clear header of a sealed batch, to name one that cannot be opened. Nothing vouches
/// for it.
#[must_use]
pub fn batch_id_of(sealed: &[u8]) -> Option<BatchId> {
    let header = sealed
        .get(..HEADER_BYTES)
        .filter(|header| header.starts_with(MAGIC))?;
    header[BATCH_ID_AT..ENCAPSULATED_AT]
        .try_into()
        .ok()
        .map(BatchId)
}

#[cfg(test)]
mod tests;
