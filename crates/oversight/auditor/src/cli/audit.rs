//! `auditor audit verify`: checks the log of what was opened.

use program::Failure;
use program::audit_log;

pub(super) use program::audit_log::{AuditCommand, failure};

/// Folder of the log where the command line names none.
const FOLDER: &str = "audit";

pub(super) fn audit(command: &AuditCommand) -> Result<(), Failure> {
    audit_log::audit(command, || Ok(Some(FOLDER.into())))
}
