//! Lock on a file, which ends with its value.

use std::fs::{File, TryLockError};

/// Lock on an open file (`flock(2)`), for as long as this value lives.
///
/// It is given back when the value is dropped, and not only when the file is closed: a child
/// process that is just being started has copies of its parent's open files until it runs its
/// program, and the lock would stay taken until then. Of a process that is killed the operating
/// system gives it back.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

/// File that could not be locked, to be read or tried again.
#[derive(Debug)]
pub struct NotLocked {
    /// File as it was handed in.
    pub file: File,
    /// Reason.
    pub error: TryLockError,
}

impl NotLocked {
    /// True where somebody else holds the lock.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self.error, TryLockError::WouldBlock)
    }
}

impl FileLock {
    /// Takes the lock for this process alone, if nobody holds it.
    ///
    /// # Errors
    /// [`NotLocked`], with [`TryLockError::WouldBlock`] if anybody holds it, shared or not.
    pub fn try_exclusive(file: File) -> Result<Self, NotLocked> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(error) => Err(NotLocked { file, error }),
        }
    }

    /// Takes the lock beside others who do so, if nobody holds it alone.
    ///
    /// # Errors
    /// [`NotLocked`], with [`TryLockError::WouldBlock`] if somebody holds it alone.
    pub fn try_shared(file: File) -> Result<Self, NotLocked> {
        match file.try_lock_shared() {
            Ok(()) => Ok(Self { file }),
            Err(error) => Err(NotLocked { file, error }),
        }
    }

    /// Gives the lock back and keeps the file open.
    ///
    /// # Errors
    /// The operating system's failure.
    pub fn give_back(self) -> std::io::Result<File> {
        let file = self.file.try_clone()?;
        drop(self);
        Ok(file)
    }

    /// File that is locked.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// File that is locked, to write to it.
    pub const fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // The file is closed next, which gives the lock back too.
        let _given_back = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::Path;

    use super::*;

    fn open(path: &Path) -> File {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false);
        options.open(path).unwrap()
    }

    #[test]
    fn one_holds_it_alone_and_many_share_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let alone = FileLock::try_exclusive(open(&path)).unwrap();
        assert!(FileLock::try_exclusive(open(&path)).is_err());
        assert!(FileLock::try_shared(open(&path)).is_err());
        drop(alone);
        let first = FileLock::try_shared(open(&path)).unwrap();
        let second = FileLock::try_shared(open(&path)).unwrap();
        assert!(FileLock::try_exclusive(open(&path)).is_err());
        drop((first, second));
        assert!(FileLock::try_exclusive(open(&path)).is_ok());
    }

    /// A copy of the open file, as a child process has one between its start and its program.
    #[test]
    fn a_copy_of_the_open_file_does_not_keep_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let lock = FileLock::try_exclusive(open(&path)).unwrap();
        let copy = lock.file().try_clone().unwrap();
        assert!(FileLock::try_exclusive(open(&path)).is_err());
        drop(lock);
        assert!(FileLock::try_exclusive(open(&path)).is_ok());
        drop(copy);
    }

    #[test]
    fn a_file_that_was_not_locked_or_is_not_any_more_can_be_locked_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let first = FileLock::try_shared(open(&path)).unwrap();
        let refused = FileLock::try_exclusive(open(&path)).unwrap_err();
        assert!(refused.is_held());
        let _open = first.give_back().unwrap();
        assert!(FileLock::try_exclusive(refused.file).is_ok());
    }
}
