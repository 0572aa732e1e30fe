//! Append-only log whose lines are chained by digests, and its check.
//!
//! README.md describes the form of the lines and what the check finds.

mod account;
mod append;
mod config;
mod error;
mod files;
mod head;
mod limits;
mod line;
mod torn;
mod verify;

pub use account::{Account, AccountName};
pub use append::{Log, append_shared};
pub use config::{AuditConfig, AuditMistake, OtherFolder};
pub use error::{AuditError, Damage};
pub use files::refuse_open;
pub use head::{Head, HeadError};
pub use limits::{MAX_EVENT_BYTES, MAX_LINE_BYTES, MAX_TORN_FILES, MAX_WAIT};
pub use torn::TORN_EVENT;
pub use verify::{Verified, verify};

#[cfg(test)]
mod tests;
