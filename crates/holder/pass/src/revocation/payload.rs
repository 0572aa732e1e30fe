//! Payload of a signed revocation list: a CBOR map with a whole list or a delta.
//!
//! `{1: "revocations", 2: sequence, 3: issued at, 4: base sequence, 5: added, 6: removed}`; a whole
//! list has base 0 and no key 6. A set of tags is `{1: count, 2: Rice parameter, 3: bytes}`.

use chrono::DateTime;

use super::cbor::{Malformed, Reader, Writer};
use super::delta::{Delta, DeltaError};
use super::list::{Edition, EditionError, RevocationList};
use super::rice::{self, CodeError, CodedSet};
use super::tags::TagSet;

/// Text that tells the payload of a revocation list from other signed payloads.
pub const PAYLOAD_TYPE: &str = "revocations";

/// Number of entries in the map of a whole list.
const ENTRIES_OF_LIST: u64 = 5;
/// Number of entries in the map of a delta.
const ENTRIES_OF_DELTA: u64 = 6;
/// Number of entries in the map of a set.
const ENTRIES_OF_SET: u64 = 3;
/// Base sequence of a whole list.
const NO_BASE: u64 = 0;

/// Fault of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Payload is not the map of deterministic CBOR that a list is.
    #[error("not a revocation list in deterministic CBOR; fetch it again")]
    Malformed,
    /// Sequence or time of issue is impossible.
    #[error("the edition of the revocation list is impossible: {0}")]
    Edition(#[from] EditionError),
    /// Set of tags cannot be decoded.
    #[error("the tags of the revocation list are unreadable: {0}")]
    Code(#[from] CodeError),
    /// Delta contradicts itself.
    #[error("the delta contradicts itself: {0}")]
    Delta(#[from] DeltaError),
}

impl From<Malformed> for PayloadError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Whole list or difference, as a signed payload carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationPayload {
    /// Whole list.
    Whole(RevocationList),
    /// Difference to an earlier list.
    Delta(Delta),
}

impl RevocationPayload {
    /// Reads a payload. Memory stays within a constant factor (64) of the length of the bytes.
    ///
    /// # Errors
    /// Bytes that are no revocation list, byte for byte as [`Self::to_bytes`] writes one (another
    /// Rice parameter than the best is accepted).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(bytes);
        let entries = reader.map()?;
        reader.key(1)?;
        if reader.text()? != PAYLOAD_TYPE.as_bytes() {
            return Err(PayloadError::Malformed);
        }
        reader.key(2)?;
        let sequence = reader.unsigned()?;
        reader.key(3)?;
        let seconds = i64::try_from(reader.unsigned()?).map_err(|_| PayloadError::Malformed)?;
        let issued_at = DateTime::from_timestamp(seconds, 0).ok_or(EditionError::Time)?;
        let edition = Edition::new(sequence, issued_at)?;
        reader.key(4)?;
        let base = reader.unsigned()?;
        reader.key(5)?;
        let added = read_set(&mut reader)?;
        let payload = match (entries, base) {
            (ENTRIES_OF_LIST, NO_BASE) => Self::Whole(RevocationList::new(edition, added)),
            (ENTRIES_OF_DELTA, 1..) => {
                reader.key(6)?;
                let removed = read_set(&mut reader)?;
                Self::Delta(Delta::from_parts(base, edition, added, removed)?)
            }
            _ => return Err(PayloadError::Malformed),
        };
        reader.end()?;
        Ok(payload)
    }

    /// Bytes of the payload, to be signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Whole(list) => {
                writer.map(ENTRIES_OF_LIST);
                write_edition(&mut writer, list.edition(), NO_BASE);
                write_set(&mut writer, 5, list.tags());
            }
            Self::Delta(delta) => {
                writer.map(ENTRIES_OF_DELTA);
                write_edition(&mut writer, delta.edition(), delta.base());
                write_set(&mut writer, 5, delta.added());
                write_set(&mut writer, 6, delta.removed());
            }
        }
        writer.finish()
    }

    /// Sequence and time of issue of the list, or of the list that the delta leads to.
    #[must_use]
    pub const fn edition(&self) -> Edition {
        match self {
            Self::Whole(list) => list.edition(),
            Self::Delta(delta) => delta.edition(),
        }
    }
}

/// Keys 1 to 4.
fn write_edition(writer: &mut Writer, edition: Edition, base: u64) {
    writer.unsigned(1);
    writer.text(PAYLOAD_TYPE);
    writer.unsigned(2);
    writer.unsigned(edition.sequence());
    writer.unsigned(3);
    // An edition is not before 1970.
    writer.unsigned(edition.issued_at().timestamp().unsigned_abs());
    writer.unsigned(4);
    writer.unsigned(base);
}

fn write_set(writer: &mut Writer, key: u64, tags: &TagSet) {
    let coded = rice::encode(tags);
    writer.unsigned(key);
    writer.map(ENTRIES_OF_SET);
    writer.unsigned(1);
    writer.unsigned(coded.count);
    writer.unsigned(2);
    writer.unsigned(coded.parameter);
    writer.unsigned(3);
    writer.bytes(&coded.bytes);
}

fn read_set(reader: &mut Reader<'_>) -> Result<TagSet, PayloadError> {
    if reader.map()? != ENTRIES_OF_SET {
        return Err(PayloadError::Malformed);
    }
    reader.key(1)?;
    let count = reader.unsigned()?;
    reader.key(2)?;
    let parameter = reader.unsigned()?;
    reader.key(3)?;
    let bytes = reader.bytes()?;
    let coded = CodedSet {
        count,
        parameter,
        bytes,
    };
    Ok(rice::decode(coded)?)
}
