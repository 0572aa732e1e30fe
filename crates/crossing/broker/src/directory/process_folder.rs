//! A folder that belongs to one live process: `<name>/` beside a locked `<name>.lock`. After a
//! crash the lock is free, and another process takes the folder over.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use contract::BatchId;
use state_folder::FileLock;

use super::opening::open_regular;

/// Number of random names to try.
const ATTEMPTS: usize = 16;

/// A folder of this process, for as long as this value lives. Removed on drop if it is empty.
#[derive(Debug)]
pub(super) struct ProcessFolder {
    pub(super) path: PathBuf,
    lock_path: PathBuf,
    _lock: FileLock,
}

impl ProcessFolder {
    /// Makes a folder of a random name under `parent`.
    pub(super) fn create(parent: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let path = parent.join(BatchId::random().to_hex());
            let lock_path = path.with_extension("lock");
            let lock = OpenOptions::new()
                .create_new(true)
                .write(true)
                .mode(0o660)
                .open(&lock_path)?;
            // Another process may have come between, and taken the lock file for a dead one's.
            if let Some(lock) = take_lock(lock, &lock_path)? {
                DirBuilder::new().mode(0o770).create(&path)?;
                return Ok(Self {
                    path,
                    lock_path,
                    _lock: lock,
                });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Takes over the folders of processes that died. Several accounts may write here, so a link, a
    /// pipe or a name of another form is passed over: a planted one must not lead this process out
    /// of the queue's folder.
    pub(super) fn take_over_abandoned(parent: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            let lock_path = entry.path();
            if !is_lock_name(&lock_path)
                || !entry.file_type()?.is_file()
                || !is_folder_or_gone(&lock_path)
            {
                continue;
            }
            let lock = match open_regular(&lock_path, OpenOptions::new().write(true)) {
                Ok(lock) => lock,
                // Gone, another user's, or exchanged meanwhile for something else: not ours to take
                // over.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound
                            | io::ErrorKind::PermissionDenied
                            | io::ErrorKind::InvalidInput
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(lock) = take_lock(lock, &lock_path)? {
                found.push(Self {
                    path: lock_path.with_extension(""),
                    lock_path,
                    _lock: lock,
                });
            }
        }
        Ok(found)
    }

    /// Counts the folders of live processes.
    pub(super) fn count_live(parent: &Path) -> io::Result<u64> {
        let mut live = 0;
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            if !is_lock_name(&entry.path()) || !entry.file_type()?.is_file() {
                continue;
            }
            let lock = open_regular(&entry.path(), OpenOptions::new().read(true));
            let shared = lock.map(FileLock::try_shared);
            live +=
                u64::from(shared.is_ok_and(|taken| taken.is_err_and(|refused| refused.is_held())));
        }
        Ok(live)
    }
}

fn is_lock_name(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    path.extension()
        .is_some_and(|extension| extension == "lock")
        && stem.and_then(BatchId::from_hex).is_some()
}

/// Looks at the folder itself, not through a link.
fn is_folder_or_gone(lock_path: &Path) -> bool {
    match fs::symlink_metadata(lock_path.with_extension("")) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

impl Drop for ProcessFolder {
    fn drop(&mut self) {
        // With something left inside, the lock file stays, so that the next process finds the
        // folder.
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            _ => drop(fs::remove_file(&self.lock_path)),
        }
    }
}

/// Locks the file, and makes sure that it is still the one at `path`: a lock on a removed file
/// excludes nobody.
fn take_lock(file: File, path: &Path) -> io::Result<Option<FileLock>> {
    let lock = match FileLock::try_exclusive(file) {
        Ok(lock) => lock,
        Err(refused) => {
            return match refused.error {
                TryLockError::WouldBlock => Ok(None),
                TryLockError::Error(error) => Err(error),
            };
        }
    };
    let ours = lock.file().metadata()?;
    match fs::metadata(path) {
        Ok(there) if there.ino() == ours.ino() && there.dev() == ours.dev() => Ok(Some(lock)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_over_only_after_its_owner_is_gone_and_only_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = ProcessFolder::create(parent.path()).unwrap();
        let file = folder.path.join("kept");
        fs::write(&file, b"x").unwrap();
        assert!(
            ProcessFolder::take_over_abandoned(parent.path())
                .unwrap()
                .is_empty()
        );

        assert_eq!(ProcessFolder::count_live(parent.path()).unwrap(), 1);
        drop(folder);
        assert_eq!(ProcessFolder::count_live(parent.path()).unwrap(), 0);
        let found = ProcessFolder::take_over_abandoned(parent.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert!(
            found[0].path.join("kept").exists(),
            "a folder with something in it outlives its owner"
        );
        assert!(
            ProcessFolder::take_over_abandoned(parent.path())
                .unwrap()
                .is_empty()
        );

        fs::remove_file(file).unwrap();
        drop(found);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_somebody_planted_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("keys"), b"x").unwrap();
        let linked = parent.path().join("aa".repeat(16));
        let odd = parent.path().join("not-a-name");
        fs::write(linked.with_extension("lock"), b"").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &linked).unwrap();
        fs::write(odd.with_extension("lock"), b"").unwrap();
        fs::create_dir(&odd).unwrap();
        // A pipe would make the opening wait for ever.
        let pipe = parent.path().join("bb".repeat(16)).with_extension("lock");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert!(
            ProcessFolder::take_over_abandoned(parent.path())
                .unwrap()
                .is_empty()
        );
        assert!(elsewhere.path().join("keys").exists());
    }
}
