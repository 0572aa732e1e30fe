//! Folder of a program's state: one process at a time, small files written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use settings::path_error_text;

use crate::FileLock;

/// Largest file of the folder, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Error on the folder of a program's state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Path that cannot be read or written.
    #[error(
        "{} cannot be read or written: {}; it lies in {setting}: let this user read and write \
         there, or name another folder",
        path.display(),
        path_error_text(*kind)
    )]
    Io {
        /// Setting that names the folder.
        setting: &'static str,
        /// Path of the folder or file.
        path: PathBuf,
        /// Error of the operating system.
        kind: ErrorKind,
    },
    /// Folder that another process uses.
    #[error(
        "another process uses {setting}, {}; stop it, or name another folder",
        path.display()
    )]
    InUse {
        /// Setting that names the folder.
        setting: &'static str,
        /// Path of the folder.
        path: PathBuf,
    },
    /// File that is not of the form that the program writes.
    #[error(
        "{} is not as this program writes it; put it back from a backup, or remove it, which {loss}",
        path.display()
    )]
    Form {
        /// Path of the file.
        path: PathBuf,
        /// Consequence of removing the file, for the sentence `which …`.
        loss: &'static str,
    },
}

impl StateError {
    /// True if a disk that is full, or away for a moment, may be the cause.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        const LASTING: [ErrorKind; 5] = [
            ErrorKind::AlreadyExists,
            ErrorKind::PermissionDenied,
            ErrorKind::NotFound,
            ErrorKind::NotADirectory,
            ErrorKind::ReadOnlyFilesystem,
        ];
        matches!(self, Self::Io { kind, .. } if !LASTING.contains(kind))
    }
}

/// Words of a program about its folder, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Setting that names the folder, such as `service.state`.
    pub setting: &'static str,
    /// Consequence of removing a file, for the sentence `which …`.
    pub loss: &'static str,
}

/// Folder of a program's state, which this process alone writes.
#[derive(Debug)]
pub struct StateFolder {
    folder: PathBuf,
    words: Words,
    _lock: FileLock,
}

impl Words {
    /// Error of the operating system on a path of the folder.
    pub fn io_error(self, path: &Path) -> impl Fn(io::Error) -> StateError {
        move |error| StateError::Io {
            setting: self.setting,
            path: path.to_owned(),
            kind: error.kind(),
        }
    }
}

/// Reads a file of the folder, also beside the process that writes it; `None` where there is none.
///
/// # Errors
/// [`StateError::Io`] and [`StateError::Form`].
pub fn read<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
    words: Words,
) -> Result<Option<T>, StateError> {
    let path = folder.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(words.io_error(&path)(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE_BYTES).read_to_end(&mut bytes);
    read.map_err(words.io_error(&path))?;
    let value = serde_json::from_slice(&bytes);
    let loss = words.loss;
    value.map(Some).map_err(|_| StateError::Form { path, loss })
}

impl StateFolder {
    /// Makes the folder with mode 0700 where it is missing, and locks it.
    ///
    /// # Errors
    /// [`StateError::Io`] and [`StateError::InUse`].
    pub fn open(folder: &Path, words: Words) -> Result<Self, StateError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(words.io_error(folder))?;
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(words.io_error(&path))?;
        let lock = FileLock::try_exclusive(file).map_err(|refused| match refused.error {
            TryLockError::WouldBlock => StateError::InUse {
                setting: words.setting,
                path: folder.to_owned(),
            },
            TryLockError::Error(error) => words.io_error(&path)(error),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            words,
            _lock: lock,
        })
    }

    /// Reads a file; `None` where there is none.
    ///
    /// # Errors
    /// [`StateError::Io`] and [`StateError::Form`].
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        read(&self.folder, name, self.words)
    }

    /// Writes a file whole, and returns once it is on the disk. After an error the file is as it
    /// was before, or as it should be.
    ///
    /// # Errors
    /// Error of the operating system.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let path = self.folder.join(name);
        let new = self.folder.join(format!("{name}.new"));
        let bytes = serde_json::to_vec(value)?;
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Error of the operating system on a file of the folder.
    #[must_use]
    pub fn io_error(&self, name: &str, error: &io::Error) -> StateError {
        StateError::Io {
            setting: self.words.setting,
            path: self.folder.join(name),
            kind: error.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words {
        setting: "program.state",
        loss: "forgets the days",
    };

    #[test]
    fn one_process_at_a_time_and_files_come_back() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path(), WORDS).unwrap();
        assert_eq!(folder.read::<u8>("days").unwrap(), None);
        folder.write("days", &7).unwrap();
        assert_eq!(folder.read::<u8>("days").unwrap(), Some(7));
        assert_eq!(read::<u8>(place.path(), "days", WORDS).unwrap(), Some(7));
        let second = StateFolder::open(place.path(), WORDS).unwrap_err();
        assert!(matches!(second, StateError::InUse { .. }), "{second}");
        assert!(second.to_string().contains("program.state"), "{second}");
        drop(folder);
        assert!(StateFolder::open(place.path(), WORDS).is_ok());
    }

    #[test]
    fn a_file_of_another_form_is_told_with_what_its_loss_means() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(place.path(), WORDS).unwrap();
        std::fs::write(place.path().join("days"), b"{").unwrap();
        let error = folder.read::<u8>("days").unwrap_err();
        assert!(error.to_string().contains("forgets the days"), "{error}");
        assert!(!error.may_pass());
    }
}
