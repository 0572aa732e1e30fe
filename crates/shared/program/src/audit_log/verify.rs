//! Command `audit verify`, the same for every program.

use std::path::PathBuf;

use audit::{AuditError, Head, verify};
use clap::Subcommand;

use super::{describe, failure};
use crate::Failure;
use crate::terminal::print_line;

/// Commands about the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check every line of the log, also beside a running service, and print its head, to be kept
    /// elsewhere.
    Verify {
        /// A head that was kept: the log must still hold its line. Without it a changed newest
        /// line, and lines cut off at the end, are not found.
        #[arg(long, value_name = "SEQUENCE:DIGEST")]
        head: Option<Head>,
        /// The folder of the log, such as a copy on another machine. Absent: the one that this
        /// program writes.
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

/// Does the command. `written` is the folder of the program's log, `None` where it writes none; it
/// is asked only where the command line names no folder.
///
/// # Errors
/// [`Failure::Look`]: the log is damaged, or does not hold the head. [`Failure::Change`] and
/// [`Failure::Later`]: there is no log, or it cannot be read.
pub fn audit(
    command: &AuditCommand,
    written: impl FnOnce() -> Result<Option<PathBuf>, Failure>,
) -> Result<(), Failure> {
    let AuditCommand::Verify { head, folder } = command;
    let folder = match folder {
        Some(folder) => folder.clone(),
        None => written()?.ok_or_else(no_log)?,
    };
    let verified = verify(&folder, *head).map_err(|error| match error {
        AuditError::Damaged { .. } => Failure::look(error),
        error => failure(&error),
    })?;
    if verified.lines == 0 && verified.torn_bytes == 0 {
        return Err(Failure::Change(format!(
            "{} holds no audit log: there is no line in any file of the name audit-YYYY-MM.jsonl; \
             name the folder of a log with --folder",
            folder.display()
        )));
    }
    print_line(describe(&verified));
    print_line(format!("head: {}", verified.head));
    Ok(())
}

fn no_log() -> Failure {
    Failure::Change(
        "no audit log is kept, as there is no [audit] in the configuration\n  help: write [audit] \
         with a folder, or name a log with --folder"
            .to_owned(),
    )
}
