//! Puts a file into the queue's folders whole and durable, or not at all, by way of a folder of the
//! writer's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use contract::BatchId;
use fault::Point;
use parking_lot::Mutex;

use super::layout::{QueueLayout, sync_folder};
use super::process_folder::ProcessFolder;
use crate::BrokerError;

/// Mode of new files: readable for the group, so that gateway and registry may be two users of one
/// group.
const FILE_MODE: u32 = 0o640;

/// A writer's folder for half-written files, made when first needed.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    folder: Mutex<Option<ProcessFolder>>,
    next_number: AtomicU64,
}

impl Scratch {
    /// Writes a temporary file, syncs it, renames it to `target`, and syncs the folder of that.
    pub(super) fn write(
        &self,
        layout: &QueueLayout,
        id: BatchId,
        bytes: &[u8],
        target: &Path,
    ) -> Result<(), BrokerError> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let temporary = self.open(layout)?.join(format!("{id}.{number}"));
        write_through(&temporary, bytes, target)
            .map_err(|error| layout.error("take a file", &error))
    }

    /// Makes the folder if need be, and clears away what dead writers left. Returns its path.
    pub(super) fn open(&self, layout: &QueueLayout) -> Result<PathBuf, BrokerError> {
        let mut folder = self.folder.lock();
        if let Some(folder) = folder.as_ref().filter(|folder| folder.path.is_dir()) {
            return Ok(folder.path.clone());
        }
        layout.create()?;
        let refused = |error| layout.error("be written to", &error);
        for abandoned in ProcessFolder::take_over_abandoned(&layout.tmp).map_err(refused)? {
            for file in fs::read_dir(&abandoned.path)
                .into_iter()
                .flatten()
                .flatten()
            {
                if is_half_written(&file.file_name()) {
                    drop(fs::remove_file(file.path()));
                }
            }
        }
        let created = ProcessFolder::create(&layout.tmp).map_err(refused)?;
        Ok(folder.insert(created).path.clone())
    }

    pub(super) fn close(&self) {
        *self.folder.lock() = None;
    }
}

/// Returns whether the name is one that [`Scratch::write`] gives: `<id>.<number>`.
fn is_half_written(name: &std::ffi::OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('.'));
    parts.is_some_and(|(id, number)| {
        BatchId::from_hex(id).is_some() && number.bytes().all(|b| b.is_ascii_digit())
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
        .and_then(|file| write_and_sync(file, bytes))
        .and_then(|()| fault::check(Point::DirectoryWritten))
        .and_then(|()| fs::rename(temporary, target));
    if let Err(error) = outcome {
        drop(fs::remove_file(temporary));
        return Err(error);
    }
    fault::check::<io::Error>(Point::DirectoryRenamed)?;
    target.parent().map_or(Ok(()), sync_folder)
}

fn write_and_sync(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = write_and_sync(full, b"batch").unwrap_err();
        let error =
            QueueLayout::new(Path::new("q"), Path::new("/srv")).error("take a batch", &error);
        assert!(
            error.is_retry() && error.to_string().ends_with("its disk is full"),
            "{error}"
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
