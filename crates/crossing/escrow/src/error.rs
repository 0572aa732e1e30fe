//! Errors of keys, names and folders.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use settings::path_error_text;

use crate::format::MAX_ACCOUNT_BYTES;

/// Text that is no key of the auditor's. Quotes nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Text that begins otherwise.
    #[error("a {what} begins with `{prefix}`")]
    Prefix {
        /// Kind of key that is needed.
        what: &'static str,
        /// Beginning of such a key.
        prefix: &'static str,
    },
    /// Another number of characters behind the prefix.
    #[error("after the colon come {characters} characters of base64url; copy the whole text")]
    Length {
        /// Number of characters that such a key has.
        characters: usize,
    },
    /// A character that base64url does not have, or one that the checksum does not fit.
    #[error("a character after the colon is mistyped: compare the whole text")]
    Characters,
    /// Bytes that are no key, or a point that cannot keep a secret.
    #[error("the text stands for no key: compare the whole text, or make a new one")]
    Value,
}

/// Name that no account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account's name has 1 to {MAX_ACCOUNT_BYTES} bytes and no control characters")]
pub struct NameError;

/// Folder that cannot be written or read. After a failed write nothing was laid down for certain;
/// the same entries may be appended again.
#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    /// Disk that is full.
    #[error(
        "the disk of the escrow folder {} is full: make room on it; nothing goes on until then",
        path.display()
    )]
    DiskFull {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Folder that has reached the size which it may have.
    #[error(
        "the escrow folder {} holds {bytes} bytes, and {max_bytes} are the most that it may have: \
         raise that, or destroy the files of days that are beyond the period of keeping",
        path.display()
    )]
    FolderFull {
        /// Path of the folder.
        path: PathBuf,
        /// Size of its files and of what was to be appended, in bytes.
        bytes: u64,
        /// Most that it may have, in bytes.
        max_bytes: u64,
    },
    /// Folder that others than its owner may enter.
    #[error(
        "others than its owner may enter the escrow folder {p} (mode {mode:04o}): name a folder that \
         serves nothing else, and has mode 0700",
        p = path.display()
    )]
    TooOpen {
        /// Path of the folder.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Path that cannot be read or written.
    #[error(
        "{} cannot be read or written: {}; name a folder that this user may read and write",
        path.display(),
        path_error_text(*kind)
    )]
    Io {
        /// Path of the folder or file.
        path: PathBuf,
        /// Error of the operating system.
        kind: ErrorKind,
    },
}

impl EscrowError {
    /// True if the cause may pass without anybody changing the configuration: a full disk, one
    /// that is away for a moment, a folder that has reached its size.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        const LASTING: [ErrorKind; 4] = [
            ErrorKind::PermissionDenied,
            ErrorKind::NotFound,
            ErrorKind::NotADirectory,
            ErrorKind::ReadOnlyFilesystem,
        ];
        match self {
            Self::DiskFull { .. } | Self::FolderFull { .. } => true,
            Self::TooOpen { .. } => false,
            Self::Io { kind, .. } => !LASTING.contains(kind),
        }
    }
}

/// Makes an error of the operating system's on `path`.
pub(crate) fn io_error(path: &Path) -> impl Fn(io::Error) -> EscrowError {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => EscrowError::DiskFull {
            path: path.to_owned(),
        },
        kind => EscrowError::Io {
            path: path.to_owned(),
            kind,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_so_and_may_pass() {
        let path = Path::new("/escrow");
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let error = io_error(path)(kind.into());
            assert!(error.to_string().contains("is full") && error.may_pass());
        }
        assert!(!io_error(path)(ErrorKind::ReadOnlyFilesystem.into()).may_pass());
    }
}
