//! A small file system of its own, to run out of space on: a tmpfs, unmounted on drop.

use crate::error::Error;
use crate::folder::{Folder, make_dir};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Folders in which Debian keeps `mount`.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Name of the file that [`SmallDisk::fill`] writes.
const FILLER: &str = "filler";
/// Size of the pieces that the file is written in.
const PIECE_BYTES: usize = 64 * 1024;
/// Size of the last pieces, so that even the last free page is taken.
const LAST_PIECE_BYTES: usize = 512;

/// A file system of a few mebibytes, in memory. Drop what works on it first: it is unmounted on
/// drop.
///
/// Mounting takes root (more exactly CAP_SYS_ADMIN); where it is refused, [`Error::CannotMount`]
/// says so.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    _folder: Folder,
}

impl SmallDisk {
    /// Mounts an empty file system of so many mebibytes (at least 1). Everybody may make files in
    /// it.
    ///
    /// # Errors
    /// [`Error::CannotMount`] where this process may not mount; it is for the test to fail or to
    /// say that it was not run.
    pub fn mount(mebibytes: u32) -> Result<Self, Error> {
        let folder = Folder::new("disk")?;
        // A name that the clean-up script knows, in case this process is killed.
        let path = folder.path().join("mount");
        make_dir(&path, 0o700)?;
        let options = format!("size={}m,mode=1777,nodev,nosuid", mebibytes.max(1));
        let output = run("mount", &["-t", "tmpfs", "-o", &options, "testbed"], &path)?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr)
                .trim()
                .replace('\n', "; ");
            return Err(Error::CannotMount { why });
        }
        Ok(Self {
            path,
            _folder: folder,
        })
    }

    /// The folder at which the disk is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all space that is left, but for `leave_bytes` rounded to the system's blocks.
    /// [`Self::free`] gives it back.
    ///
    /// # Errors
    /// Anything but a full disk.
    pub fn fill(&self, leave_bytes: u64) -> Result<(), Error> {
        let failed = || Error::io("fill the small disk");
        let mut filler = File::options()
            .create(true)
            .append(true)
            .open(self.path.join(FILLER))
            .map_err(failed())?;
        for piece in [PIECE_BYTES, LAST_PIECE_BYTES] {
            let piece = vec![0; piece];
            loop {
                match filler.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(failed()(error)),
                }
            }
        }
        let length = filler.metadata().map_err(failed())?.len();
        filler
            .set_len(length.saturating_sub(leave_bytes))
            .map_err(failed())
    }

    /// Gives back the space that [`Self::fill`] took.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn free(&self) -> Result<(), Error> {
        let filler = self.path.join(FILLER);
        // Emptied before it is removed: a program that another thread starts just now may have it
        // open for a moment, and its blocks would stay taken.
        let emptied = File::options()
            .write(true)
            .open(&filler)
            .and_then(|file| file.set_len(0));
        match emptied.and_then(|()| std::fs::remove_file(&filler)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("free the small disk")(error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.free();
        // Lazily: a server that is still ending keeps its open files. The folder goes after this.
        let _ = run("umount", &["--lazy"], &self.path);
    }
}

fn run(program: &str, args: &[&str], path: &Path) -> Result<Output, Error> {
    let mut command = Command::new(program);
    command
        .args(args)
        .arg(path)
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
        .output()
        .map_err(Error::io(format!("run {program} (package mount)")))
}
