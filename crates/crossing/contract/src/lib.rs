//! Everything that crosses the queue: events, their FHIR form, the batch and its seal, the receipts
//! that come back.
//!
//! An [`Event`] has no free text at all: enums, numbers, dates, codes from closed lists,
//! pseudonyms. Data that these types cannot hold cannot leave a clinic.

mod answer_key;
mod batch;
mod bytes;
mod codes;
mod date;
#[cfg(test)]
mod docs;
mod event;
mod keytext;
mod pseudonym;
mod reason;
mod receipt;
mod seal;
mod vaccine;

pub mod wire;

pub use answer_key::AnswerKey;
pub use batch::{BatchId, SealedBatch};
pub use codes::{TestCode, TestMethod, TestResult};
pub use date::{PartialDate, Precision};
pub use event::{
    Body, ContentDigest, Event, Fact, FactKind, OWNER_TOKEN_BYTES, OwnerToken, RecordDigest,
    Version,
};
pub use pseudonym::{Epoch, Pseudonym, Scheme, Subject, Suite};
pub use reason::RefusalReason;
pub use receipt::{
    Answer, Difference, DifferenceKind, MAX_RECEIPT_BYTES, MAX_RECEIPTS_MESSAGE_BYTES,
    MAX_RECEIPTS_PER_MESSAGE, PADDED_ANSWER_BYTES, ProbeAnswer, Receipt, ReceiptError,
    ReceiptSigner, ReceiptVerifier, RefusedEvent, StoredAnswer, Superseded, UnreadableReason,
    Verdict,
};
pub use seal::{
    CompressedBatch, MAX_SEALED_BYTES, MIN_SEALED_BYTES, OpenError, Opened, PADDED_SIZES_BYTES,
    PaddedSizes, PaddedSizesError, PrivateKey, PublicKey, RELAY_SEAL_BYTES, RelayPrivateKey,
    RelayPublicKey, RelaySealer, SealError, SealedTokens, Sealer, TOKEN_BLOCK_BYTES, TOKEN_BYTES,
    batch_id_of, batch_id_of_whole, is_sealed_to_a_relay,
};
pub use vaccine::Vaccine;
