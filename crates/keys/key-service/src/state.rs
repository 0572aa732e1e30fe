//! Folder of the counts: one process at a time, small files written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest file of the folder, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Error on the folder of the counts.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Path that cannot be read or written.
    #[error("{} cannot be read or written: {kind}; it lies in service.state", path.display())]
    Io {
        /// Path of the folder or file.
        path: PathBuf,
        /// Error of the operating system.
        kind: ErrorKind,
    },
    /// Folder that another process uses.
    #[error(
        "another process uses service.state, {}; stop it, or name another folder",
        path.display()
    )]
    InUse {
        /// Path of the folder.
        path: PathBuf,
    },
    /// File that is not of the form that the service writes.
    #[error(
        "{} is not as this program writes it; put it back from a backup, or remove it, which \
         gives a client the ceiling of this day anew",
        path.display()
    )]
    Form {
        /// Path of the file.
        path: PathBuf,
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

/// Folder of the counts, which this process alone uses.
#[derive(Debug)]
pub(crate) struct State {
    folder: PathBuf,
    _lock: File,
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> StateError {
    move |error| StateError::Io {
        path: path.to_owned(),
        kind: error.kind(),
    }
}

impl State {
    /// Makes the folder with mode 0700 where it is missing, and locks it.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(io_error(folder))?;
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false).mode(0o600);
        let lock = options.open(&path).map_err(io_error(&path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StateError::InUse {
                path: folder.to_owned(),
            },
            TryLockError::Error(error) => io_error(&path)(error),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Reads a file; `None` where there is none.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let path = self.folder.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path)(error)),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE_BYTES).read_to_end(&mut bytes);
        read.map_err(io_error(&path))?;
        let value = serde_json::from_slice(&bytes);
        value.map(Some).map_err(|_| StateError::Form { path })
    }

    /// Writes a file whole, and returns once it is on the disk. After an error the file is as it
    /// was before, or as it should be.
    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
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
}
