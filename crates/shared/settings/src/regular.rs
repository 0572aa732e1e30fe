//! Opening of files that somebody has named: regular files alone, and never a wait.

use std::fs::{File, FileType, OpenOptions};
use std::io::ErrorKind;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use crate::io_text::io_error_text;

/// Reason why a file was not opened, or not read. Its text says what the file is instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The operating system refuses.
    #[error("{}", io_error_text(*.0))]
    Io(ErrorKind),
    /// Something else than a regular file: reading it could wait for ever, or never end.
    #[error("it is {0}, and must be a regular file")]
    NotRegular(&'static str),
}

impl FileError {
    /// True if there is no such file.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(ErrorKind::NotFound))
    }
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// Opens a regular file for reading, through links. A pipe, a socket, a device or a folder is
/// refused without waiting for whoever might write to it; so is `/dev/stdin`, unless standard input
/// is a regular file.
///
/// # Errors
/// [`FileError`].
pub(crate) fn open_regular_file(path: &Path) -> Result<File, FileError> {
    // Looked at first: opening some devices does something already.
    refuse_others(std::fs::metadata(path)?.file_type())?;
    let file = OpenOptions::new()
        .read(true)
        // A pipe may have taken its place since.
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open(path)?;
    refuse_others(file.metadata()?.file_type())?;
    Ok(file)
}

/// Reads the first `most_bytes` bytes of a regular file.
///
/// # Errors
/// [`FileError`]: pipes, sockets, devices and folders are refused without a wait.
pub fn read_regular_file(path: &Path, most_bytes: u64) -> Result<Vec<u8>, FileError> {
    let mut content = Vec::new();
    open_regular_file(path)?
        .take(most_bytes)
        .read_to_end(&mut content)?;
    Ok(content)
}

fn refuse_others(found: FileType) -> Result<(), FileError> {
    if found.is_file() {
        return Ok(());
    }
    Err(FileError::NotRegular(if found.is_dir() {
        "a folder"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn refused(path: &Path) -> String {
        open_regular_file(path).unwrap_err().to_string()
    }

    #[test]
    fn what_could_wait_for_ever_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, what) in [
            (pipe.as_path(), "a pipe"),
            (link.as_path(), "a pipe"),
            (socket.as_path(), "a socket"),
            (folder.path(), "a folder"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let told = refused(path);
            assert_eq!(told, format!("it is {what}, and must be a regular file"));
        }
        assert_eq!(
            refused(&folder.path().join("none")),
            "there is no such file"
        );
    }

    #[test]
    fn a_file_is_opened_and_so_is_a_link_to_one() {
        use std::io::Read as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [path, link] {
            let mut text = String::new();
            let read = open_regular_file(&path).unwrap().read_to_string(&mut text);
            assert_eq!((read.unwrap(), text.as_str()), (7, "content"));
        }
    }
}
