//! The lock file of the outbox: one process at a time may write.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::error::OutboxError;
use super::paths::{FILE_MODE, sibling_path};

/// Longest name of an owner that is read, in bytes.
const MAX_OWNER_BYTES: u64 = 80;

/// Lock that is held as long as the process owns the outbox; the operating system releases it when
/// the process ends, however.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock at `<outbox>.lock` at once. The file itself is never deleted: another process
    /// may just be opening it.
    ///
    /// # Errors
    /// [`OutboxError::Locked`] with the name of the owner, and the disk's failures.
    pub(crate) fn acquire(outbox: &Path, owner: &str) -> Result<Self, OutboxError> {
        let what = "opening the outbox's lock file";
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(sibling_path(outbox, ".lock"))
            .map_err(|error| OutboxError::io(what, &error))?;
        match file.try_lock() {
            Ok(()) => {
                let note = format!("{owner}, process {}", std::process::id());
                file.set_len(0)
                    .and_then(|()| file.write_all(note.as_bytes()))
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

/// Returns the name of the process that owns the outbox now; `None` if no process does. Makes no
/// file: one of a command's account could keep the gateway's account from its own.
///
/// # Errors
/// The disk's failures.
pub fn owner_of(outbox: &Path) -> Result<Option<String>, OutboxError> {
    let failed = |error| OutboxError::io("opening the outbox's lock file", &error);
    let mut file = match File::open(sibling_path(outbox, ".lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Two that look at the same time do not see each other as owners.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_owner(&mut file))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Reads the name that the owner wrote: printable and short, whatever the file really holds.
fn read_owner(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(MAX_OWNER_BYTES).read_to_string(&mut text);
    let printable = |character: char| character.is_ascii_graphic() || character == ' ';
    if read.is_err() || text.is_empty() || !text.chars().all(printable) {
        return "one that has just begun".into();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_owner_learns_who_has_the_lock_and_gets_it_afterwards() {
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

    #[test]
    fn owner_is_told_and_whoever_looks_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        assert_eq!(owner_of(&outbox).unwrap(), None);
        assert!(!sibling_path(&outbox, ".lock").exists());
        let lock = LockFile::acquire(&outbox, "run").unwrap();
        let process = format!("run, process {}", std::process::id());
        assert_eq!(owner_of(&outbox).unwrap(), Some(process));
        drop(lock);
        assert_eq!(
            owner_of(&outbox).unwrap(),
            None,
            "its name stays in the file"
        );
    }
}
