//! The lock file beside the outbox: one process at a time may write.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::OutboxError;

/// Only the owner may read or write anything the outbox keeps.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Held as long as the process owns the outbox; the operating system lets go of it when the process
/// ends, however.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock at `<outbox>.lock` at once, or says who has it. The file itself is never
    /// deleted: another process may just be opening it.
    pub(crate) fn acquire(outbox: &Path, owner: &str) -> Result<Self, OutboxError> {
        let what = "opening the outbox's lock file";
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE);
        let mut file = options
            .open(beside(outbox, ".lock"))
            .map_err(|error| OutboxError::io(what, &error))?;
        match file.try_lock() {
            Ok(()) => {
                let note = format!("{owner}, process {}", std::process::id());
                let written = file
                    .set_len(0)
                    .and_then(|()| file.write_all(note.as_bytes()));
                written
                    .map_err(|error| OutboxError::io("writing the outbox's lock file", &error))?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(OutboxError::Locked {
                owner: read_owner(&mut file),
            }),
            Err(TryLockError::Error(error)) => Err(OutboxError::io(what, &error)),
        }
    }
}

/// What the holder wrote about itself, printable and short, whatever the file really holds.
fn read_owner(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(80).read_to_string(&mut text);
    let printable = |character: char| character.is_ascii_graphic() || character == ' ';
    if read.is_err() || text.is_empty() || !text.chars().all(printable) {
        return "one that has just begun".into();
    }
    text
}

/// `<outbox><suffix>`.
pub(crate) fn beside(outbox: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = outbox.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_owner_is_told_who_has_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        let first = LockFile::acquire(&outbox, "run").unwrap();
        let refused = LockFile::acquire(&outbox, "sync").unwrap_err().to_string();
        assert!(
            refused.contains(&format!("run, process {}", std::process::id())),
            "{refused}"
        );
        drop(first);
        LockFile::acquire(&outbox, "sync").unwrap();
    }
}
