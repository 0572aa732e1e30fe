//! Writes batches into the directory: temporary file, fsync, atomic rename, fsync of the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contract::{BatchId, SealedBatch};

use super::den::Den;
use super::layout::{Layout, Name, list, sync_folder};
use super::{BrokerError, DirectoryConfig, blocking};
use crate::{Publisher, State};

/// Readable for the group, so that gateway and registry may be two users of one group.
const FILE_MODE: u32 = 0o640;

/// The directory as a [`Publisher`].
#[derive(Debug)]
pub(crate) struct DirectoryPublisher {
    window: usize,
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    layout: Layout,
    max_batches: Option<u64>,
    den: Mutex<Option<Den>>,
    /// Upper bound of the batches in `incoming/`; counted anew only when it reaches the limit.
    waiting: AtomicU64,
    serial: AtomicU64,
    state: Mutex<State>,
}

impl DirectoryPublisher {
    pub(crate) fn new(config: &DirectoryConfig, base: &Path) -> Self {
        let desk = Desk {
            layout: Layout::new(&config.path, base),
            max_batches: config.max_batches.map(Into::into),
            den: Mutex::new(None),
            waiting: AtomicU64::new(u64::MAX),
            serial: AtomicU64::new(0),
            state: Mutex::new(State::Idle),
        };
        Self { window: config.window.get().into(), desk: Arc::new(desk) }
    }
}

#[async_trait]
impl Publisher for DirectoryPublisher {
    async fn publish(&self, batch: &SealedBatch) -> Result<(), BrokerError> {
        let desk = Arc::clone(&self.desk);
        let SealedBatch { id, bytes } = batch.clone();
        blocking(move || {
            let outcome = desk.store(id, &bytes);
            let state = if outcome.is_ok() { State::Connected } else { State::Down };
            *desk.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
            outcome
        })
        .await
    }

    fn window(&self) -> usize {
        self.window
    }

    fn state(&self) -> State {
        *self.desk.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close(&self) {
        *self.desk.den.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Desk {
    fn store(&self, id: BatchId, bytes: &[u8]) -> Result<(), BrokerError> {
        let folder = self.den()?;
        self.make_room()?;
        let name = format!("{id}.{}", self.serial.fetch_add(1, Ordering::Relaxed));
        write_through(&folder.join(name), bytes, &self.layout.incoming.join(Name::new(id).file()))
            .map_err(|error| self.layout.error("take a batch", &error))?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// This publisher's folder for half-written files; clears away what dead publishers left.
    fn den(&self) -> Result<PathBuf, BrokerError> {
        let mut den = self.den.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(den) = den.as_ref().filter(|den| den.folder.is_dir()) {
            return Ok(den.folder.clone());
        }
        self.layout.create()?;
        let refused = |error| self.layout.error("be written to", &error);
        for left in Den::ownerless(&self.layout.tmp).map_err(refused)? {
            for file in fs::read_dir(&left.folder).into_iter().flatten().flatten() {
                if is_half_written(&file.file_name()) {
                    drop(fs::remove_file(file.path()));
                }
            }
        }
        let made = Den::make(&self.layout.tmp).map_err(refused)?;
        Ok(den.insert(made).folder.clone())
    }

    fn make_room(&self) -> Result<(), BrokerError> {
        let Some(limit) = self.max_batches else { return Ok(()) };
        if self.waiting.load(Ordering::Relaxed) < limit {
            return Ok(());
        }
        let (names, _) =
            list(&self.layout.incoming, usize::MAX).map_err(|error| self.layout.error("be read", &error))?;
        let waiting = names.len() as u64;
        self.waiting.store(waiting, Ordering::Relaxed);
        if waiting < limit {
            return Ok(());
        }
        Err(BrokerError::retry(format!(
            "the queue directory {} holds {waiting} batches, and max_batches is {limit}; is the registry running?",
            self.layout.root.display()
        )))
    }
}

/// Whether the name is one that [`Desk::store`] gives: `<batch id>.<number>`.
fn is_half_written(name: &std::ffi::OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('.'));
    parts.is_some_and(|(id, serial)| {
        BatchId::from_hex(id).is_some() && serial.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Puts `bytes` at `target`, whole and durable or not at all; `temporary` is on the same file system.
pub(super) fn write_through(temporary: &Path, bytes: &[u8], target: &Path) -> io::Result<()> {
    let outcome = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(FILE_MODE)
        .open(temporary)
        .and_then(|file| fill(file, bytes))
        .and_then(|()| fs::rename(temporary, target));
    if let Err(error) = outcome {
        drop(fs::remove_file(temporary));
        return Err(error);
    }
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
        assert!(words.is_retry() && words.to_string().ends_with("its disk is full"), "{words}");
    }

    #[test]
    fn nothing_stays_behind_when_the_last_step_fails() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("t");
        write_through(&temporary, b"x", &folder.path().join("no/such/folder")).unwrap_err();
        assert!(!temporary.exists());
    }
}
