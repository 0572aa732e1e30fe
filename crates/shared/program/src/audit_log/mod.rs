//! Audit log of what was done with a program: a line before and after each command, the check of
//! the log, and the command `audit verify`.
//!
//! The form of the log is that of the crate `audit`.

mod check;
mod recorded;
mod verify;

#[cfg(test)]
mod tests;

use audit::AuditError;

use crate::Failure;

pub use audit::{AuditConfig, OtherFolder};
pub use check::{describe, look};
pub use recorded::{AuditedCommand, Counts};
pub use verify::{AuditCommand, audit};

/// Failure of a log that a person has to look at, or of a disk.
#[must_use]
pub fn failure(error: &AuditError) -> Failure {
    Failure::by(error.may_pass(), error)
}
