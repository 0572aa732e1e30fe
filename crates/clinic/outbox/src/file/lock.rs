//! The lock file of the outbox: one process at a time may write.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use state_folder::{FileLock, NotLocked};

use super::error::OutboxError;
use super::paths::{FILE_MODE, sibling_path};

/// What the disk's failures were at.
const LOCKING: &str = "asking for the outbox's lock";
/// Longest name of an owner that is read, in bytes.
const MAX_OWNER_BYTES: u64 = 80;

/// Most tries to take a lock that readers hold, each for a moment: 10 s of them. On a busy machine
/// a reader may stand still while it holds the lock.
const MAX_TRIES: u32 = 10_000;
/// Pause between two of them.
const TRY_PAUSE: Duration = Duration::from_millis(1);

/// Process that holds an outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Command of the process, such as `run`.
    pub command: String,
    /// Id of the process, in the process namespace it lives in.
    pub process: Option<u32>,
    /// Time at which it took the outbox.
    pub since: Option<DateTime<Utc>>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command)?;
        match self.process {
            Some(process) => write!(f, ", process {process}"),
            None => Ok(()),
        }
    }
}

/// Takes the lock at `<outbox>.lock` at once; it is held as long as the process owns the outbox. The
/// file itself is never deleted: another process may just be opening it.
///
/// # Errors
/// [`OutboxError::Locked`] with the name of the owner, [`OutboxError::NoFolder`], and the
/// disk's failures.
pub(crate) fn acquire_lock(
    outbox: &Path,
    owner: &str,
    now: Option<DateTime<Utc>>,
) -> Result<FileLock, OutboxError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(sibling_path(outbox, ".lock"))
        .map_err(|error| match error.kind() {
            // A file that is made lacks nothing but its folder.
            ErrorKind::NotFound => OutboxError::NoFolder,
            _ => OutboxError::io("opening the outbox's lock file", &error),
        })?;
    let mut lock = take(file)?;
    let since = now.map_or_else(String::new, |now| {
        format!(", since {}", now.to_rfc3339_opts(SecondsFormat::Secs, true))
    });
    let note = format!("{owner}, process {}{since}", std::process::id());
    let file = lock.file_mut();
    file.set_len(0)
        .and_then(|()| file.write_all(note.as_bytes()))
        .map_err(|error| OutboxError::io("writing the outbox's lock file", &error))?;
    Ok(lock)
}

/// Takes the lock. Whoever asks for the owner holds it too, shared, for a moment: that is waited
/// out.
fn take(mut file: File) -> Result<FileLock, OutboxError> {
    for _ in 0..MAX_TRIES {
        let by_others = match FileLock::try_exclusive(file) {
            Ok(lock) => return Ok(lock),
            Err(refused) if !refused.is_held() => return Err(refusal(refused)),
            Err(refused) => FileLock::try_shared(refused.file).map_err(refusal)?,
        };
        // Held on to, it would keep another one that waits from it.
        file = by_others
            .give_back()
            .map_err(|error| OutboxError::io(LOCKING, &error))?;
        std::thread::sleep(TRY_PAUSE);
    }
    Err(refusal(NotLocked {
        file,
        error: TryLockError::WouldBlock,
    }))
}

fn refusal(refused: NotLocked) -> OutboxError {
    match refused.error {
        TryLockError::WouldBlock => OutboxError::Locked {
            owner: read_owner(refused.file),
        },
        TryLockError::Error(error) => OutboxError::io(LOCKING, &error),
    }
}

/// Returns the process that holds the outbox at `path`, or `None` if none does.
///
/// # Errors
/// The disk's failures.
pub fn owner(outbox: &Path) -> Result<Option<Owner>, OutboxError> {
    let file = match File::open(sibling_path(outbox, ".lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OutboxError::io("opening the outbox's lock file", &error)),
    };
    match FileLock::try_shared(file) {
        Ok(_) => Ok(None),
        Err(NotLocked {
            file,
            error: TryLockError::WouldBlock,
        }) => Ok(Some(parse(&read_owner(file)))),
        Err(refused) => Err(refusal(refused)),
    }
}

fn parse(note: &str) -> Owner {
    let mut parts = note.split(", ");
    let command = parts.next().unwrap_or_default().to_owned();
    let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
    Owner {
        command,
        process: part("process ").and_then(|id| id.parse().ok()),
        since: part("since ").and_then(|since| since.parse().ok()),
    }
}

/// Reads the name that the owner wrote: printable and short, whatever the file really holds.
fn read_owner(file: File) -> String {
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
        let now = Some("2021-07-01T09:00:00.5Z".parse().unwrap());
        assert_eq!(owner(&outbox).unwrap(), None);
        let first = acquire_lock(&outbox, "run", now).unwrap();
        let refused = acquire_lock(&outbox, "sync", now).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("run, process {}", std::process::id())),
            "{refused}"
        );
        let expected = Owner {
            command: "run".into(),
            process: Some(std::process::id()),
            since: Some("2021-07-01T09:00:00Z".parse().unwrap()),
        };
        assert_eq!(owner(&outbox).unwrap(), Some(expected));
        drop(first);
        assert_eq!(owner(&outbox).unwrap(), None, "it has ended");
        acquire_lock(&outbox, "sync", now).unwrap();
    }

    #[test]
    fn a_child_that_is_just_being_started_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        let first = acquire_lock(&outbox, "sync", None).unwrap();
        // What a child has between fork and exec: another descriptor of the same open file.
        let of_child = first.file().try_clone().unwrap();
        acquire_lock(&outbox, "sync", None).unwrap_err();
        drop(first);
        acquire_lock(&outbox, "sync", None).unwrap();
        drop(of_child);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("state/outbox.db");
        let refused = acquire_lock(&outbox, "run", None).unwrap_err();
        assert!(matches!(refused, OutboxError::NoFolder), "{refused}");
        assert!(!refused.is_retryable(), "somebody has to make it");
        assert_eq!(owner(&outbox).unwrap(), None);
    }

    #[test]
    fn whoever_asks_for_the_owner_keeps_nobody_from_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        let now = Some("2021-07-01T09:00:00Z".parse().unwrap());
        drop(acquire_lock(&outbox, "run", now).unwrap());
        let asked = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..5000 {
                    owner(&outbox).unwrap();
                }
                asked.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            while !asked.load(std::sync::atomic::Ordering::Relaxed) {
                drop(acquire_lock(&outbox, "run", now).unwrap());
            }
        });
    }

    #[test]
    fn notes_of_older_programs_are_read_as_far_as_they_go() {
        let older = parse("run, process 7");
        assert_eq!((older.command.as_str(), older.process), ("run", Some(7)));
        assert_eq!((older.since, parse("").process), (None, None));
    }

    #[test]
    fn whoever_looks_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        assert_eq!(owner(&outbox).unwrap(), None);
        assert!(!sibling_path(&outbox, ".lock").exists());
    }
}
