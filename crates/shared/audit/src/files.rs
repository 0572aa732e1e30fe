//! Files of the log in their folder: one for each month, named so that names sort by time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use state_folder::FileLock;

use crate::error::AuditError;

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const LOCK: &str = "lock";
/// Pause between two looks whether the log is free.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Mode of the folder.
const FOLDER_MODE: u32 = 0o700;
/// Mode of every file in it.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Makes an error of the operating system's on `path`.
pub(crate) fn io_error(path: &Path) -> impl Fn(io::Error) -> AuditError {
    move |error| AuditError::Io {
        path: path.to_owned(),
        kind: error.kind(),
    }
}

/// Name of the file of a month.
pub(crate) fn name_at(time: DateTime<Utc>) -> String {
    format!("{PREFIX}{}{SUFFIX}", time.format("%Y-%m"))
}

fn is_name(name: &str) -> bool {
    let month = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    let Some((year, month)) = month.and_then(|month| month.split_once('-')) else {
        return false;
    };
    let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    let is_month = month.len() == 2 && month.parse().is_ok_and(|month| (1..=12).contains(&month));
    is_year && is_month
}

/// Names of the log's files, the oldest first.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, AuditError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error(folder))? {
        let entry = entry.map_err(io_error(folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_name(&name) {
            names.push(name.into_owned());
        } else if name.starts_with(PREFIX) {
            return Err(AuditError::StrangeName { path: entry.path() });
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes the folder where it is missing, and refuses one that others may enter.
pub(crate) fn prepare(folder: &Path) -> Result<(), AuditError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE);
    builder.create(folder).map_err(io_error(folder))?;
    refuse_open(folder)
}

/// Refuses a folder that others than its owner may enter.
///
/// # Errors
/// [`AuditError::TooOpen`]; [`AuditError::Io`] if there is none.
pub fn refuse_open(folder: &Path) -> Result<(), AuditError> {
    let metadata = std::fs::metadata(folder).map_err(io_error(folder))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = folder.to_owned();
        return Err(AuditError::TooOpen { path, mode });
    }
    Ok(())
}

/// Locks the folder for this process.
pub(crate) fn lock(folder: &Path) -> Result<FileLock, AuditError> {
    FileLock::try_exclusive(open_lock(folder)?).map_err(|_| AuditError::InUse {
        path: folder.to_owned(),
    })
}

/// Locks the folder for this process as soon as no other process has
/// it locked; after `limit` at the latest, since one that hangs must not hang the others.
pub(crate) fn lock_in_turn(folder: &Path, limit: Duration) -> Result<FileLock, AuditError> {
    let mut file = open_lock(folder)?;
    let tries = limit.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..tries {
        match FileLock::try_exclusive(file) {
            Ok(lock) => return Ok(lock),
            Err(refused) => file = refused.file,
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(AuditError::Busy {
        path: folder.to_owned(),
    })
}

fn open_lock(folder: &Path) -> Result<File, AuditError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false);
    let opened = options.mode(FILE_MODE).open(&path);
    let file = opened.map_err(io_error(&path))?;
    give_to_owner(folder, &file).map_err(io_error(&path))?;
    Ok(file)
}

/// Gives a file to the owner of the folder. A file that a command of root's has made could not be
/// written by the service, whose account the folder belongs to.
pub(crate) fn give_to_owner(folder: &Path, file: &File) -> io::Result<()> {
    let owner = std::fs::metadata(folder)?;
    if file.metadata()?.uid() == owner.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Opens a file for appending, made where it is missing.
pub(crate) fn open(folder: &Path, name: &str) -> Result<File, AuditError> {
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(FILE_MODE);
    let file = options.open(&path).map_err(io_error(&path))?;
    give_to_owner(folder, &file).map_err(io_error(&path))?;
    sync_folder(folder)?;
    Ok(file)
}

/// Makes new names in the folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), AuditError> {
    let opened = File::open(folder).map_err(io_error(folder))?;
    opened.sync_all().map_err(io_error(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_alone_are_names() {
        let time: DateTime<Utc> = "2026-11-30T23:59:59Z".parse().unwrap();
        assert_eq!(name_at(time), "audit-2026-11.jsonl");
        assert!(is_name("audit-2026-11.jsonl"));
        for name in [
            "audit-2026-00.jsonl",
            "audit-2026-13.jsonl",
            "audit-2026-1.jsonl",
            "audit-+026-11.jsonl",
            "audit-2026-11.jsonl.bak",
            "2026-11.jsonl",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
