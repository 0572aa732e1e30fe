//! Puts a file into the queue's folders whole and durable, or not at all, by way of a folder of the
//! writer's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use contract::BatchId;
use fault::Point;

use super::BrokerError;
use super::den::Den;
use super::layout::{Layout, sync_folder};

/// Readable for the group, so that gateway and registry may be two users of one group.
const FILE_MODE: u32 = 0o640;

/// A writer's folder for half-written files, made when first needed.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    den: Mutex<Option<Den>>,
    serial: AtomicU64,
}

impl Scratch {
    /// Temporary file, fsync, atomic rename to `target`, fsync of its folder.
    pub(super) fn write(
        &self,
        layout: &Layout,
        id: BatchId,
        bytes: &[u8],
        target: &Path,
    ) -> Result<(), BrokerError> {
        let temporary = self.open(layout)?.join(format!(
            "{id}.{}",
            self.serial.fetch_add(1, Ordering::Relaxed)
        ));
        write_through(&temporary, bytes, target)
            .map_err(|error| layout.error("take a file", &error))
    }

    /// The folder; clears away what dead writers left.
    pub(super) fn open(&self, layout: &Layout) -> Result<PathBuf, BrokerError> {
        let mut den = self.den.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(den) = den.as_ref().filter(|den| den.folder.is_dir()) {
            return Ok(den.folder.clone());
        }
        layout.create()?;
        let refused = |error| layout.error("be written to", &error);
        for left in Den::ownerless(&layout.tmp).map_err(refused)? {
            for file in fs::read_dir(&left.folder).into_iter().flatten().flatten() {
                if is_half_written(&file.file_name()) {
                    drop(fs::remove_file(file.path()));
                }
            }
        }
        let made = Den::make(&layout.tmp).map_err(refused)?;
        Ok(den.insert(made).folder.clone())
    }

    pub(super) fn close(&self) {
        *self.den.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Whether the name is one that [`Scratch::write`] gives: `<id>.<number>`.
fn is_half_written(name: &std::ffi::OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('.'));
    parts.is_some_and(|(id, serial)| {
        BatchId::from_hex(id).is_some() && serial.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Puts `bytes` at `target`, whole and durable or not at all; `temporary` is on the same file
/// system.
pub(super) fn write_through(temporary: &Path, bytes: &[u8], target: &Path) -> io::Result<()> {
    let outcome = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(FILE_MODE)
        .open(temporary)
        .and_then(|file| fill(file, bytes))
        .and_then(|()| fault::check(Point::DirectoryWritten))
        .and_then(|()| fs::rename(temporary, target));
    if let Err(error) = outcome {
        drop(fs::remove_file(temporary));
        return Err(error);
    }
    fault::check::<io::Error>(Point::DirectoryRenamed)?;
    target.parent().map_or(Ok(()), sync_folder)
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = fill(full, b"batch").unwrap_err();
        let words = Layout::new(Path::new("q"), Path::new("/srv")).error("take a batch", &error);
        assert!(
            words.is_retry() && words.to_string().ends_with("its disk is full"),
            "{words}"
        );
    }

    #[test]
    fn nothing_stays_behind_when_the_last_step_fails() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("t");
        write_through(&temporary, b"x", &folder.path().join("no/such/folder")).unwrap_err();
        assert!(!temporary.exists());
    }
}
