//! The gateway's durable state in one SQLite file: sealed batches, record digests, cursors and dead
//! letters.
//!
//! [`Outbox`] is the single owner (an exclusive lock file sees to it); [`OutboxReader`] looks
//! without the lock. A page of a source is one [`Outbox::prepare`] and one [`Outbox::commit`]: what
//! is new or changed is encoded and sealed, then committed in one transaction with the records'
//! digests, the dead letters and the cursor. A crash re-reads; it never skips. Nothing readable
//! rests in the file: sealed bytes, keyed digests, cursors, record ids of refused rows with a code.

mod bitmap;
mod block;
mod blocks;
mod commit;
mod connect;
mod error;
mod fill;
mod filter;
mod gate;
mod generation;
mod index;
mod keys;
mod letters;
mod lock;
mod mark;
mod outbox;
mod overview;
mod plan;
mod prepare;
mod publish;
mod reader;
mod receipts;
mod reconcile;
mod records;
mod requests;
mod retry;
mod sealing;
mod status;
mod sweep;
mod time;
mod types;
mod withdraw;

pub use error::OutboxError;
pub use letters::{DeadLetter, DeadLetterFilter, Origin};
pub use outbox::Outbox;
pub use prepare::{NotCommitted, Prepared};
pub use publish::{LeaseToken, Leased, Outcome, Settled, Settlement};
pub use reader::OutboxReader;
pub use receipts::SettledVerdicts;
pub use reconcile::{RepairPlan, Report};
pub use requests::{Postbox, Request};
pub use retry::RetryPlan;
pub use status::{
    Backlog, DeadLetterCount, FeedStatus, PublisherStatus, Status, Surprise, SweepStatus,
};
pub use sweep::{Sweep, SweepEnd, SweepLimits, SweepLookUp};
pub use types::{
    Committed, OutboxOptions, PageCommit, Pulled, Refused, RunOutcome, SeenKeys, SourceStamp,
    SweepStep,
};
pub use withdraw::RemovedFeed;

/// Most drafts in one page; a larger one is refused.
pub const MAX_PAGE_DRAFTS: usize = 100_000;

/// Most dead letters kept for one feed; beyond it refusals are answered as not new and not listed.
pub const MAX_DEAD_LETTERS_PER_FEED: u32 = 100_000;

/// Longest wait of a lease or a retry, in milliseconds; longer ones are cut to it. A batch due
/// later than that from now can only mean that the clock was set back, and is due at once.
pub const MAX_WAIT_MS: i64 = 60 * 60 * 1000;

/// Longest wait for a receipt before a batch is sent again, in milliseconds.
pub const MAX_RESEND_MS: i64 = 24 * 60 * 60 * 1000;
