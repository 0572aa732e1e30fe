//! Probes: a gateway's question whether the registry holds what it sent, without the facts
//! themselves.
//!
//! `CGP1`, then for each record: digest (32) | version (8) | content (16) | withdrawn (1, 0 or 1).

use super::refusal::BatchError;
use crate::bytes::ByteReader;
use crate::{ContentDigest, RecordDigest, Version};

pub(super) const MAGIC: &[u8; 4] = b"CGP1";

/// Most records in one probe.
pub const MAX_PROBED: usize = 4000;

/// Size of one record in a probe, in bytes.
pub(crate) const PROBED_BYTES: usize = 32 + 8 + 16 + 1;

/// A record as the gateway sent it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// Digest that names the record.
    pub record: RecordDigest,
    /// Version sent last.
    pub version: Version,
    /// Digest of what that version said.
    pub content: ContentDigest,
    /// True if that version took the record back.
    pub withdrawn: bool,
}

/// Encodes a probe of 1 to [`MAX_PROBED`] records, to be sealed as a batch.
#[must_use]
pub fn encode_probe(probed: &[Probed]) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAGIC.len() + probed.len() * PROBED_BYTES);
    out.extend_from_slice(MAGIC);
    for Probed {
        record,
        version,
        content,
        withdrawn,
    } in probed
    {
        out.extend_from_slice(&record.0);
        out.extend_from_slice(&version.to_u64().to_be_bytes());
        out.extend_from_slice(&content.0);
        out.push(u8::from(*withdrawn));
    }
    out
}

/// Decodes what follows the magic, whole or not at all.
pub(super) fn decode(records: &[u8]) -> Result<Vec<Probed>, BatchError> {
    let count = records.len() / PROBED_BYTES;
    if count > MAX_PROBED {
        return Err(BatchError::TooLarge);
    }
    if count == 0 {
        return Err(BatchError::NotABatch);
    }
    let mut reader = ByteReader::new(records);
    let probed = reader.list(count, |reader| {
        Some(Probed {
            record: reader.record()?,
            version: reader.version()?,
            content: ContentDigest(reader.array()?),
            withdrawn: reader.flag()?,
        })
    });
    probed
        .and_then(|probed| reader.done(probed))
        .ok_or(BatchError::NotABatch)
}
