//! The wire form: a CloudEvents 1.0 JSON batch whose data are FHIR R4 resources.

mod decode;
mod encode;
mod envelope;
mod fhir;
mod fixed;
mod hex;
mod pieces;
mod probe;
mod scan;
#[cfg(test)]
pub(crate) mod schema;
#[cfg(test)]
pub(crate) mod tests;

pub use probe::{MAX_PROBED, Probed, encode_probe};

use crate::{Event, RecordDigest, RefusalReason, Version};

/// Most events in one batch.
pub const MAX_EVENTS: usize = 1000;

/// Largest encoded batch, in bytes; a batch that expands beyond it is refused whole.
pub const MAX_ENCODED_BYTES: usize = 8 << 20;

/// The system of a pseudonym, up to its suite, scheme and key epoch.
const SYSTEM_PREFIX: &str = "urn:clinic-gateway:pseudonym:";

/// The illness all recoveries are from (`http://hl7.org/fhir/sid/icd-10`): COVID-19, virus
/// identified.
const ILLNESS_ICD10: &str = "U07.1";

/// An event of a readable batch that the contract does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Its record, where that could be read.
    pub record: Option<RecordDigest>,
    /// Its version, where that could be read.
    pub version: Option<Version>,
    /// Why.
    pub reason: RefusalReason,
}

/// The batch as a whole cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Neither a JSON array of objects nor a probe.
    #[error("neither a JSON array of events nor a probe")]
    NotABatch,
    /// More than [`MAX_EVENTS`] events or [`MAX_PROBED`] probed records, or more than
    /// [`MAX_ENCODED_BYTES`] bytes.
    #[error("larger than the contract's limits")]
    TooLarge,
}

/// What a sealed batch may hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Events, each whole or refused by itself.
    Events(Vec<Result<Event, Refused>>),
    /// A question what the registry holds of these records.
    Probe(Vec<Probed>),
}

/// Encodes events (1 to [`MAX_EVENTS`]) as one CloudEvents JSON batch.
#[must_use]
pub fn encode(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(events, &mut out);
    out
}

/// Appends what [`encode`] gives, to a buffer that is used again and again.
pub(crate) fn encode_into(events: &[Event], out: &mut Vec<u8>) {
    out.reserve(events.len() * encode::TYPICAL_EVENT_BYTES);
    out.push(b'[');
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode::event(event, out);
    }
    out.push(b']');
}

/// Decodes a batch of events; each event is either whole and within the contract, or refused by
/// itself.
///
/// # Errors
/// [`BatchError`] when nothing of it can be read.
pub fn decode(encoded: &[u8]) -> Result<Vec<Result<Event, Refused>>, BatchError> {
    if encoded.len() > MAX_ENCODED_BYTES {
        return Err(BatchError::TooLarge);
    }
    if let Some(events) = scan::batch(encoded) {
        return Ok(events);
    }
    decode_strictly(encoded)
}

/// The JSON as anybody may write it.
fn decode_strictly(encoded: &[u8]) -> Result<Vec<Result<Event, Refused>>, BatchError> {
    let events = decode::split(encoded)?;
    Ok(events
        .into_iter()
        .enumerate()
        .map(|(index, raw)| decode::event(index, raw))
        .collect())
}

/// Decodes whatever a batch holds: events as [`decode`] does, or a probe, which is whole or
/// nothing.
///
/// # Errors
/// [`BatchError`] when nothing of it can be read.
pub fn decode_message(encoded: &[u8]) -> Result<Message, BatchError> {
    match encoded.strip_prefix(probe::MAGIC) {
        Some(records) => probe::decode(records).map(Message::Probe),
        None => decode(encoded).map(Message::Events),
    }
}
