//! Refusals of one event, and of a whole batch.

use crate::{RecordDigest, RefusalReason, Version};

/// An event of a readable batch that the contract does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Place of the event in the batch, from 0.
    pub index: usize,
    /// Record of the event, where that could be read.
    pub record: Option<RecordDigest>,
    /// Version of the event, where that could be read.
    pub version: Option<Version>,
    /// Reason for the refusal.
    pub reason: RefusalReason,
}

/// The batch as a whole cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Neither a JSON array of objects nor a probe.
    #[error("neither a JSON array of events nor a probe")]
    NotABatch,
    /// More than [`MAX_EVENTS`](super::MAX_EVENTS) events or [`MAX_PROBED`](super::MAX_PROBED)
    /// probed records, or more than [`MAX_ENCODED_BYTES`](super::MAX_ENCODED_BYTES) bytes.
    #[error("larger than the contract's limits")]
    TooLarge,
}
