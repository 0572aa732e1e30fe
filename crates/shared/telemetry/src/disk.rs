//! State of the disk under a folder: room, and whether it takes writes.
//!
//! A full disk cannot keep that it is full, so it is looked at whenever somebody asks.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, StatVfs, StatVfsMountFlags, openat, statvfs};
use rustix::io::Errno;

/// Share of a disk below which it is nearly full.
const NEARLY_FULL_PERCENT: u64 = 5;

/// Most free bytes at which a disk is nearly full, however large it is: 1 GiB.
const NEARLY_FULL_BYTES: u64 = 1 << 30;

/// Share of a file system's files below which it is nearly full of them.
const NEARLY_FULL_FILES_PERCENT: u64 = 1;

/// Bytes of a trial write: less than any commit takes.
const TRIAL_BYTES: usize = 64 << 10;

/// State of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskState {
    /// Disk with room.
    Ok,
    /// Disk with less than 5 % of its bytes free, and less than 1 GiB; or with less than 1 % of its
    /// files.
    NearlyFull,
    /// Disk that takes no more bytes, or none of this account's quota.
    Full,
    /// File system that may not be written to: mounted so, or turned so after an error.
    ReadOnly,
    /// Disk that fails otherwise.
    Failing,
}

impl DiskState {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Ok,
        Self::NearlyFull,
        Self::Full,
        Self::ReadOnly,
        Self::Failing,
    ];

    /// Code for JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NearlyFull => "nearly-full",
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Failing => "failing",
        }
    }

    /// Returns whether the disk takes writes, as far as is known.
    #[must_use]
    pub const fn takes_writes(self) -> bool {
        matches!(self, Self::Ok | Self::NearlyFull)
    }
}

impl fmt::Display for DiskState {
    /// Clause that says what is wrong and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "has room",
            Self::NearlyFull => "is nearly full: free some space, or give it more",
            Self::Full => "is full: nothing can be stored; free some space",
            Self::ReadOnly => {
                "is read-only: nothing can be stored; mount it for writing, after a look at the \
                 system's log for errors of the disk"
            }
            Self::Failing => {
                "cannot be written to: look at the system's log for errors of the disk, and at the \
                 folder's permissions"
            }
        })
    }
}

/// State of the disk under a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Its state.
    pub state: DiskState,
    /// Bytes that this account may still use; 0 where that cannot be asked.
    pub free_bytes: u64,
}

impl Disk {
    /// Looks at the disk under `folder`. Where it is well no byte is written; where it is nearly
    /// full, or seems read-only, a trial write decides.
    #[must_use]
    pub fn look(folder: &Path) -> Self {
        let disk = Self::ask(folder);
        if disk.state == DiskState::Ok {
            disk
        } else {
            disk.try_to_write(folder)
        }
    }

    /// Looks at the disk under `folder` by a trial write, which finds a quota that is used up too.
    /// An account that may not write there finds out what can be asked.
    #[must_use]
    pub fn look_closely(folder: &Path) -> Self {
        Self::ask(folder).try_to_write(folder)
    }

    /// Asks for the room that is left.
    fn ask(folder: &Path) -> Self {
        match statvfs(folder) {
            Ok(system) => Self::of(&system),
            Err(_) => Self {
                state: DiskState::Failing,
                free_bytes: 0,
            },
        }
    }

    fn of(system: &StatVfs) -> Self {
        let free_bytes = system.f_bavail.saturating_mul(system.f_frsize);
        let all_bytes = system.f_blocks.saturating_mul(system.f_frsize);
        let least = (all_bytes / 100 * NEARLY_FULL_PERCENT).min(NEARLY_FULL_BYTES);
        // Some file systems have no fixed number of files, and say 0.
        let least_files = system.f_files / 100 * NEARLY_FULL_FILES_PERCENT;
        let state = if system.f_flag.contains(StatVfsMountFlags::RDONLY) {
            DiskState::ReadOnly
        } else if free_bytes == 0 {
            DiskState::Full
        } else if free_bytes < least || system.f_favail < least_files {
            DiskState::NearlyFull
        } else {
            DiskState::Ok
        };
        Self { state, free_bytes }
    }

    /// Takes over what a trial write shows.
    fn try_to_write(self, folder: &Path) -> Self {
        let state = match write_trial(folder) {
            Ok(()) if self.state.takes_writes() => self.state,
            Ok(()) => DiskState::NearlyFull,
            Err(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskState::Full,
                io::ErrorKind::ReadOnlyFilesystem => DiskState::ReadOnly,
                io::ErrorKind::PermissionDenied => self.state,
                _ => DiskState::Failing,
            },
        };
        Self { state, ..self }
    }
}

/// Writes a few bytes that nobody sees, to the disk itself.
fn write_trial(folder: &Path) -> io::Result<()> {
    let mut file = unnamed_file(folder)?;
    // No zeroes: a file system may keep those without a block.
    file.write_all(&[0x5a; TRIAL_BYTES])?;
    file.sync_data()
}

/// Makes a file without a name, which is gone when it is closed.
fn unnamed_file(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Not every file system has such files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let path = folder.join(format!(".trial-{}", std::process::id()));
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use testbed::disk::SmallDisk;

    use super::*;

    fn state(disk: &SmallDisk) -> [DiskState; 2] {
        [
            Disk::look(disk.path()).state,
            Disk::look_closely(disk.path()).state,
        ]
    }

    #[test]
    fn a_disk_is_nearly_full_below_its_threshold_then_full_and_then_well_again() {
        let Ok(disk) = SmallDisk::mount(24) else {
            println!("not tried: no small disk can be had here");
            return;
        };
        assert_eq!(state(&disk), [DiskState::Ok; 2]);
        let threshold = (24 << 20) / 100 * NEARLY_FULL_PERCENT;
        for (left, expected) in [
            (threshold + 8192, DiskState::Ok),
            (threshold - 8192, DiskState::NearlyFull),
            (8192, DiskState::Full),
            (0, DiskState::Full),
        ] {
            disk.fill(left).expect("filled");
            assert_eq!(state(&disk), [expected; 2], "{left} bytes left");
            disk.free().expect("freed");
        }
        assert_eq!(state(&disk), [DiskState::Ok; 2]);
        let left = std::fs::read_dir(disk.path()).expect("a folder").count();
        assert_eq!(left, 0, "no trial leaves a file");
    }

    #[test]
    fn a_folder_that_is_not_there_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::look(&folder.path().join("none"));
        assert_eq!((disk.state, disk.free_bytes), (DiskState::Failing, 0));
    }

    #[test]
    fn every_state_has_words_and_a_code_of_its_own() {
        let codes: std::collections::BTreeSet<_> =
            DiskState::ALL.iter().map(|state| state.as_str()).collect();
        assert_eq!(codes.len(), DiskState::ALL.len());
        for state in DiskState::ALL {
            assert_eq!(state.takes_writes(), state <= DiskState::NearlyFull);
            assert!(!state.to_string().is_empty());
        }
    }
}
