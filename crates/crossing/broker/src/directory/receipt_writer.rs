//! Broadcasts receipts through the directory: one file each in `receipts/`, removed when it is old.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use contract::BatchId;
use tracing::warn;

use super::layout::Layout;
use super::scratch::Scratch;
use super::{BrokerError, DirectoryConfig, blocking};
use crate::receipts::fits;
use crate::{ReceiptPublisher, State};

const SUFFIX: &str = ".receipt";
/// The oldest go earlier when there are more files than this. Readers look at no more than twice as
/// many.
pub(super) const MAX_KEPT: usize = 100_000;
/// Old files are looked for this often, while something is broadcast.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// And after this many messages.
const PRUNE_AFTER: u32 = 1000;

/// A file of `receipts/`: a random name, since receipts have no sender and no order.
pub(super) fn parse(file: &str) -> Option<BatchId> {
    let id = BatchId::from_hex(file.strip_suffix(SUFFIX)?)?;
    // One spelling only.
    (name(id) == file).then_some(id)
}

pub(super) fn name(id: BatchId) -> String {
    format!("{id}{SUFFIX}")
}

/// The directory as a [`ReceiptPublisher`].
#[derive(Debug)]
pub(crate) struct ReceiptWriter {
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    layout: Layout,
    keep: Duration,
    scratch: Scratch,
    pruned: Mutex<Option<Pruned>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Pruned {
    at: SystemTime,
    messages_since: u32,
}

impl ReceiptWriter {
    pub(crate) fn new(config: &DirectoryConfig, base: &Path) -> Self {
        let desk = Desk {
            layout: Layout::new(&config.path, base),
            keep: Duration::from_secs(u64::from(config.receipts_keep_hours.get()) * 3600),
            scratch: Scratch::default(),
            pruned: Mutex::new(None),
            state: Mutex::new(State::Idle),
        };
        Self {
            desk: Arc::new(desk),
        }
    }
}

#[async_trait]
impl ReceiptPublisher for ReceiptWriter {
    async fn broadcast(&self, message: Vec<u8>) -> Result<(), BrokerError> {
        fits(&message)?;
        let desk = Arc::clone(&self.desk);
        blocking(move || {
            let outcome = desk.store(&message);
            let state = if outcome.is_ok() {
                State::Connected
            } else {
                State::Down
            };
            *desk.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
            outcome
        })
        .await
    }

    fn state(&self) -> State {
        *self
            .desk
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn close(&self) {
        self.desk.scratch.close();
    }
}

impl Desk {
    fn store(&self, message: &[u8]) -> Result<(), BrokerError> {
        let id = BatchId::random();
        let target = self.layout.receipts.join(name(id));
        self.scratch.write(&self.layout, id, message, &target)?;
        // The file system's own clock: what is compared with it are times of files.
        let now = fs::symlink_metadata(&target).and_then(|metadata| metadata.modified());
        if let Err(error) = now.and_then(|now| self.prune(now)) {
            warn!(folder = %self.layout.receipts.display(), kind = %error.kind(), "old receipts cannot be removed");
        }
        Ok(())
    }

    fn prune(&self, now: SystemTime) -> io::Result<()> {
        let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Pruned { at, messages_since }) = pruned.as_mut() {
            *messages_since += 1;
            let recent = now
                .duration_since(*at)
                .is_ok_and(|passed| passed < PRUNE_EVERY);
            if recent && *messages_since < PRUNE_AFTER {
                return Ok(());
            }
        }
        *pruned = Some(Pruned {
            at: now,
            messages_since: 0,
        });
        prune(&self.layout.receipts, now, self.keep, MAX_KEPT)
    }
}

/// Removes what is older than `keep`, and the oldest of more than `most`.
fn prune(folder: &Path, now: SystemTime, keep: Duration, most: usize) -> io::Result<()> {
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
    let surplus = kept.len().saturating_sub(most);
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
