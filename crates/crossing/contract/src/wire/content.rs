//! Encoding and decoding of a whole batch: events, or a probe.

use super::constants::MAX_ENCODED_BYTES;
use super::probe::Probed;
use super::refusal::{BatchError, Refused};
use super::{encoder, probe, quick_reader, strict_reader};
use crate::Event;

/// Content of a sealed batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Events, each whole or refused by itself.
    Events(Vec<Result<Event, Refused>>),
    /// A question about the versions that the registry holds of these records.
    Probe(Vec<Probed>),
}

/// Encodes events, at most [`MAX_EVENTS`](super::MAX_EVENTS), as one CloudEvents JSON batch; one of
/// none is a dummy.
#[must_use]
pub fn encode(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(events, &mut out);
    out
}

/// Appends the result of [`encode`] to a buffer that is used for batch after batch.
pub(crate) fn encode_into(events: &[Event], out: &mut Vec<u8>) {
    out.reserve(events.len() * encoder::TYPICAL_EVENT_BYTES);
    out.push(b'[');
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encoder::event(event, out);
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
    match quick_reader::batch(encoded) {
        Some(events) => Ok(events),
        None => strict_reader::batch(encoded),
    }
}

/// Decodes a batch: events as [`decode`] does, or a probe, which is whole or nothing.
///
/// # Errors
/// [`BatchError`] when nothing of it can be read.
pub fn decode_message(encoded: &[u8]) -> Result<Message, BatchError> {
    match encoded.strip_prefix(probe::MAGIC) {
        Some(records) => probe::decode(records).map(Message::Probe),
        None => decode(encoded).map(Message::Events),
    }
}
