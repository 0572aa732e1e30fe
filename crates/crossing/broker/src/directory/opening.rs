//! Opening of files where several accounts may write, each of which may put something else in a
//! file's place at any moment.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a regular file, and nothing else: neither follows a link nor waits for the other end of a
/// pipe. Whatever is asked of the file afterwards is asked of the opened one, so that nobody can
/// exchange it meanwhile.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for anything but a regular file, and failures of the opening.
pub(super) fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = options.custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        // A link; a pipe without a reader; a socket; a folder to be written to.
        Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => io::ErrorKind::InvalidInput.into(),
        _ => error,
    })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// Opens a folder, and nothing else, without following a link.
///
/// # Errors
/// Failures of the opening.
pub(super) fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn kind(path: &Path, write: bool) -> io::ErrorKind {
        let opened = open_regular(path, OpenOptions::new().read(!write).write(write));
        opened.unwrap_err().kind()
    }

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), b"x").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        let made = Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        for write in [false, true] {
            for name in ["link", "dangling", "folder", "pipe", "socket"] {
                let found = kind(&path(name), write);
                assert_eq!(found, io::ErrorKind::InvalidInput, "{name}");
            }
            assert_eq!(kind(&path("gone"), write), io::ErrorKind::NotFound);
        }
        open_regular(&path("file"), OpenOptions::new().read(true)).unwrap();
        open_folder(&path("folder")).unwrap();
        symlink(path("folder"), path("folder-link")).unwrap();
        for name in ["file", "pipe", "folder-link"] {
            open_folder(&path(name)).unwrap_err();
        }
    }

    #[test]
    fn file_that_is_exchanged_all_the_time_never_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("secret"), b"secret").unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::write(path("new"), b"own").unwrap();
                    fs::rename(path("new"), path("file")).unwrap();
                    symlink(path("secret"), path("new")).unwrap();
                    fs::rename(path("new"), path("file")).unwrap();
                }
            });
            for _ in 0..2000 {
                let opened = open_regular(&path("file"), OpenOptions::new().read(true));
                if let Ok(file) = opened {
                    assert_ne!(io::read_to_string(file).unwrap(), "secret");
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
