//! What crosses the queue: events, their FHIR form, the batch and its seal.
//!
//! An [`Event`] has no free text at all: enums, numbers, dates, codes from closed lists, pseudonyms. What is not
//! in these types cannot leave a clinic.

mod batch;
mod codes;
mod date;
#[cfg(test)]
mod docs;
mod event;
mod pseudonym;
mod reason;
mod seal;

pub mod wire;

pub use batch::{BatchId, SealedBatch};
pub use codes::{TestCode, TestResult, Vaccine};
pub use date::{PartialDate, Precision};
pub use event::{Body, ContentDigest, Draft, Event, Fact, FactKind, RecordDigest, Version};
pub use pseudonym::{Epoch, Pseudonym, Scheme, Subject, Suite};
pub use reason::RefusalReason;
pub use seal::{OpenError, PADDED_SIZES_BYTES, PrivateKey, PublicKey, SealError};
