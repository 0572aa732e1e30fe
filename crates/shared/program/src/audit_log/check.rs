//! Check of the audit log: what `check` and `audit verify` say of it.

use std::path::Path;

use audit::{Verified, refuse_open, verify};
use telemetry::Disk;

use super::failure;
use crate::Failure;
use crate::files::can_be_made;
use crate::terminal::counted;

/// Sentence on a log without damage.
#[must_use]
pub fn describe(verified: &Verified) -> String {
    let torn = match verified.torn_bytes {
        0 => "",
        _ => "; a line after them is being written, or was torn by a crash",
    };
    let lines = counted(verified.lines, "line", "lines");
    format!("{lines}, each after the one before{torn}")
}

/// Checks a log, and whether this process could write its next line; returns a sentence on it.
///
/// # Errors
/// [`Failure`]: the log is damaged, or cannot be read or written.
pub fn look(folder: &Path) -> Result<String, Failure> {
    if !folder.exists() {
        return can_be_made(folder);
    }
    let looked = refuse_open(folder).and_then(|()| verify(folder, None));
    let verified = looked.map_err(|error| failure(&error))?;
    let disk = Disk::look_closely(folder).state;
    if !disk.takes_writes() {
        let folder = folder.display();
        return Err(Failure::Change(format!("the disk under {folder} {disk}")));
    }
    Ok(describe(&verified))
}
