//! The gateway's durable state in one SQLite file: sealed batches, record digests, cursors and dead
//! letters.
//!
//! [`Outbox`] is the single owner (an exclusive lock file sees to it); [`OutboxReader`] reads
//! without the lock. A page of a source is one [`Outbox::prepare`] and one [`Outbox::commit`]:
//! records that are new or changed are encoded and sealed, then committed in one transaction with
//! their digests, the dead letters and the cursor. A crash re-reads; it never skips. Nothing
//! readable rests in the file: sealed bytes, keyed digests, sealed record ids and values, cursors, and
//! record ids of refused rows with a code.

mod batches;
mod classes;
mod corrections;
mod dead_letters;
mod feeds;
mod file;
mod limits;
mod operator;
mod options;
mod outbox;
mod page;
mod records;
mod sweep;
mod tokens;
mod values;
mod versions;

pub use batches::{
    Backlog, BeaconOccasion, DeliveryOutcome, LeaseToken, Leased, Settled, SettledVerdicts,
    Settlement,
};
pub use classes::{DueRecord, WithheldCount, WithheldRecord};
pub use corrections::{HeldCorrections, OlderVersion, RefusedCorrections};
pub use dead_letters::{
    DATE_FUTURE, DeadLetter, DeadLetterFilter, FOREIGN_VERSION, Origin, PERSON_HIDDEN,
    RECORD_UNREADABLE, Refused, SUPERSEDED, VERSION_REUSED, VERSIONS_EXHAUSTED,
    WITHDRAWAL_OF_UNKNOWN_KIND,
};
pub use feeds::{CODES_FILE, ChangeNotice, RunOutcome, SOURCE_ENDLESS};
pub use file::{
    KeyFingerprint, KeyFingerprints, NO_FOLDER_HELP, OutboxError, Owner, accept_pseudonym_keys,
    accept_state, owner, refresh_pseudonym_keys,
};
pub use limits::{
    BEACON_PAUSE_MS, CORRECTIONS_WINDOW_MS, LOST_STATE_MS, MAX_BEACON_RAISES, MAX_BEACON_STEP,
    MAX_DEAD_LETTERS_PER_FEED, MAX_PAGE_DRAFTS, MAX_RESEND_MS, MAX_UNKNOWN_VALUES_PER_FEED,
    MAX_WAIT_MS, OTHER_GATEWAY_MS, RECEIPT_RAISE_PAUSE_MS, UNREADABLE_AGAIN_MS,
};
pub use operator::{
    DeadLetterCount, FeedStatus, LastSweep, Link, OutboxReader, PublisherStatus, RaiseWaits,
    RejectedReceipts, RepairPlan, Report, Request, RequestQueue, RetryPlan, RowCounts, ServiceWait,
    Status, Surprise, SweepStatus, UnfinishedLoad,
};
pub use options::OutboxOptions;
pub use outbox::Outbox;
pub use page::{Committed, NotCommitted, PageCommit, Prepared, Pulled};
pub use records::{RecordName, SourceStamp};
pub use sweep::{
    CorrectionRule, MissingRecord, RemovedFeed, SeenKeys, SettledCorrections, ShownMissing, Sweep,
    SweepEnd, SweepKind, SweepLimits, SweepLookUp, SweepStep,
};
pub use tokens::{BatchTokens, FeedName, NoToken};
pub use values::{PERSONS_TO_SHOW, Persons, RefusedValue, UnknownValueCount, UnknownValueRow};
