//! A block: as many entries as fit, sealed to the auditor, always of the same size.

use chrono::{DateTime, NaiveDate};
use hpke::aead::{AeadTag, ChaCha20Poly1305};
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use zeroize::Zeroizing;

use crate::entry::{self, Entry};
use crate::format::{BLOCK_BYTES, INFO};
use crate::key::{AuditorKey, AuditorPublicKey, KEY_BYTES};

const MAGIC: &[u8; 4] = b"CGE1";
const KEY_ID_BYTES: usize = 8;
const ENCAPSULATED_AT: usize = MAGIC.len() + KEY_ID_BYTES;
const HEADER_BYTES: usize = ENCAPSULATED_AT + KEY_BYTES;
const TAG_BYTES: usize = 16;
const PLAIN_BYTES: usize = BLOCK_BYTES - HEADER_BYTES - TAG_BYTES;
/// Bytes of the day and of the number of entries, before the first entry.
const PREAMBLE_BYTES: usize = 4 + 2;

/// Opened block.
pub(crate) struct Opened {
    /// Day on which it was written, in UTC.
    pub day: NaiveDate,
    pub entries: Vec<Entry>,
}

/// Failure to open a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// Sealed to another key.
    OtherKey,
    /// No block, or one that was changed.
    Damaged,
}

/// Seals entries of a day into blocks, as few as hold them.
pub(crate) fn seal(key: &AuditorPublicKey, day: NaiveDate, entries: &[Entry]) -> Vec<u8> {
    let mut blocks = Vec::new();
    let mut plain = Zeroizing::new(Vec::with_capacity(PLAIN_BYTES));
    let mut count = 0_u16;
    plain.resize(PREAMBLE_BYTES, 0);
    for entry in entries {
        let mut left = Some(entry.whole());
        while let Some(part) = left {
            let (fitting, rest) = part.split(PLAIN_BYTES - plain.len());
            left = rest;
            if let Some(fitting) = fitting {
                fitting.write(&mut plain);
                count += 1;
            }
            if left.is_some() {
                seal_block(key, day, count, &mut plain, &mut blocks);
                count = 0;
            }
        }
    }
    if count > 0 {
        seal_block(key, day, count, &mut plain, &mut blocks);
    }
    blocks
}

/// Seals what `plain` holds as one block at the end of `blocks`, and empties it for the next.
fn seal_block(
    key: &AuditorPublicKey,
    day: NaiveDate,
    count: u16,
    plain: &mut Vec<u8>,
    blocks: &mut Vec<u8>,
) {
    plain[..4].copy_from_slice(&days_since_epoch(day).to_be_bytes());
    plain[4..PREAMBLE_BYTES].copy_from_slice(&count.to_be_bytes());
    plain.resize(PLAIN_BYTES, 0);
    let (encapsulated, mut context) = hpke::setup_sender::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &key.0, INFO)
    .expect("a key that cannot seal is refused when it is read");
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&key.bytes()[..KEY_ID_BYTES]);
    header.extend_from_slice(&encapsulated.to_bytes());
    let tag = context
        .seal_inout_detached(InOutBuf::from(plain.as_mut_slice()), &header)
        .expect("the first message of a context is within the cipher's limits");
    blocks.extend_from_slice(&header);
    blocks.extend_from_slice(plain);
    blocks.extend_from_slice(&tag.to_bytes());
    plain.clear();
    plain.resize(PREAMBLE_BYTES, 0);
}

/// Opens one block.
pub(crate) fn open(key: &AuditorKey, block: &[u8; BLOCK_BYTES]) -> Result<Opened, OpenError> {
    let (header, sealed) = block.split_at(HEADER_BYTES);
    if !header.starts_with(MAGIC) {
        return Err(OpenError::Damaged);
    }
    if header[MAGIC.len()..ENCAPSULATED_AT] != key.public().bytes()[..KEY_ID_BYTES] {
        return Err(OpenError::OtherKey);
    }
    decrypt(key, header, sealed)
        .and_then(|plain| read(&plain))
        .ok_or(OpenError::Damaged)
}

fn decrypt(key: &AuditorKey, header: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (ciphertext, tag) = sealed.split_at(PLAIN_BYTES);
    let tag = AeadTag::<ChaCha20Poly1305>::from_bytes(tag).ok()?;
    let encapsulated =
        <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&header[ENCAPSULATED_AT..]).ok()?;
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key.secret,
        &encapsulated,
        INFO,
    )
    .ok()?;
    context
        .open_inout_detached(InOutBuf::from(plain.as_mut_slice()), header, &tag)
        .ok()?;
    Some(plain)
}

fn read(mut plain: &[u8]) -> Option<Opened> {
    let day = u32::from_be_bytes(entry::take(&mut plain)?);
    let count = u16::from_be_bytes(entry::take(&mut plain)?);
    let day = DateTime::from_timestamp(i64::from(day) * SECONDS_OF_A_DAY, 0)?.date_naive();
    let entries = (0..count).map(|_| entry::read(&mut plain));
    let entries = entries.collect::<Option<_>>()?;
    Some(Opened { day, entries })
}

const SECONDS_OF_A_DAY: i64 = 86_400;

/// Days since 1970-01-01; 0 for a day before it.
fn days_since_epoch(day: NaiveDate) -> u32 {
    let days = (day - DateTime::UNIX_EPOCH.date_naive()).num_days();
    u32::try_from(days).unwrap_or_default()
}
