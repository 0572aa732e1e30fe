//! Broadcasts receipts through the directory: one file each in `receipts/`, removed when it is old.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use contract::BatchId;
use parking_lot::Mutex;
use tracing::warn;

use super::blocking::run_blocking;
use super::layout::QueueLayout;
use super::receipt_file::{MAX_KEPT, name, parse};
use super::scratch::Scratch;
use crate::receipts::check_length;
use crate::{BrokerError, DirectoryConfig, QueueState, ReceiptPublisher};

/// Longest time between two searches for old files, while something is broadcast.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Number of messages after which old files are searched for earlier.
const PRUNE_AFTER: u32 = 1000;

pub(crate) fn receipt_publisher(
    config: &DirectoryConfig,
    base: &Path,
) -> Arc<dyn ReceiptPublisher> {
    let folder = ReceiptFolder {
        layout: QueueLayout::new(&config.path, base),
        keep: Duration::from_secs(u64::from(config.receipts_keep_hours.get()) * 3600),
        scratch: Scratch::default(),
        pruned: Mutex::new(None),
        state: Mutex::new(QueueState::Idle),
    };
    Arc::new(DirectoryReceiptPublisher {
        folder: Arc::new(folder),
    })
}

/// The directory as a [`ReceiptPublisher`].
#[derive(Debug)]
struct DirectoryReceiptPublisher {
    folder: Arc<ReceiptFolder>,
}

#[derive(Debug)]
struct ReceiptFolder {
    layout: QueueLayout,
    keep: Duration,
    scratch: Scratch,
    pruned: Mutex<Option<LastPruned>>,
    state: Mutex<QueueState>,
}

#[derive(Debug)]
struct LastPruned {
    at: SystemTime,
    messages_since: u32,
}

#[async_trait]
impl ReceiptPublisher for DirectoryReceiptPublisher {
    async fn broadcast(&self, message: Vec<u8>) -> Result<(), BrokerError> {
        check_length(&message)?;
        let folder = Arc::clone(&self.folder);
        run_blocking(move || {
            let outcome = folder.store(&message);
            *folder.state.lock() = QueueState::after(&outcome);
            outcome
        })
        .await
    }

    fn state(&self) -> QueueState {
        *self.folder.state.lock()
    }

    async fn close(&self) {
        self.folder.scratch.close();
    }
}

impl ReceiptFolder {
    fn store(&self, message: &[u8]) -> Result<(), BrokerError> {
        self.layout.refuse_links()?;
        let id = BatchId::random();
        let target = self.layout.receipts.join(name(id));
        self.scratch.write(&self.layout, id, message, &target)?;
        // The file system's own clock, since it is compared with times of files.
        let now = fs::symlink_metadata(&target).and_then(|metadata| metadata.modified());
        if let Err(error) = now.and_then(|now| self.prune(now)) {
            let folder = self.layout.receipts.display();
            warn!(%folder, kind = %error.kind(), "old receipts cannot be removed");
        }
        Ok(())
    }

    fn prune(&self, now: SystemTime) -> io::Result<()> {
        let mut pruned = self.pruned.lock();
        if let Some(last) = pruned.as_mut() {
            last.messages_since += 1;
            let passed = now.duration_since(last.at);
            let recent = passed.is_ok_and(|passed| passed < PRUNE_EVERY);
            if recent && last.messages_since < PRUNE_AFTER {
                return Ok(());
            }
        }
        *pruned = Some(LastPruned {
            at: now,
            messages_since: 0,
        });
        prune(&self.layout.receipts, now, self.keep, MAX_KEPT)
    }
}

/// Removes receipts that are older than `keep`, and the oldest of more than `max_kept`.
fn prune(folder: &Path, now: SystemTime, keep: Duration, max_kept: usize) -> io::Result<()> {
    let mut kept = Vec::new();
    let mut outcome = Ok(());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(parse).is_none() {
            continue;
        }
        // Of the entry itself, not of what a link leads to.
        let Ok(written) = entry.metadata().and_then(|metadata| metadata.modified()) else {
            continue;
        };
        if now.duration_since(written).is_ok_and(|age| age > keep) {
            outcome = outcome.and(remove(&entry.path()));
        } else {
            kept.push((written, entry.file_name()));
        }
    }
    let surplus = kept.len().saturating_sub(max_kept);
    kept.sort_unstable();
    kept.iter()
        .take(surplus)
        .fold(outcome, |outcome, (_, name)| {
            outcome.and(remove(&folder.join(name)))
        })
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        // Another registry consumer was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_go_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for age in 0..6_u8 {
            let file = fs::File::create(folder.path().join(name(BatchId([age; 16])))).unwrap();
            file.set_modified(now - Duration::from_secs(u64::from(age)))
                .unwrap();
        }
        let foreign = fs::File::create(folder.path().join("README")).unwrap();
        foreign.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        prune(folder.path(), now, Duration::from_secs(4), 3).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        let expected: Vec<_> = (0..3)
            .map(|age| name(BatchId([age; 16])))
            .chain(["README".into()])
            .map(std::ffi::OsString::from)
            .collect();
        assert_eq!(left, expected);
    }
}
