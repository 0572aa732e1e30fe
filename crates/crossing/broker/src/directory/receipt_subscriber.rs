//! Receives receipts through the directory: each file of `receipts/` once, also where others read
//! them.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use contract::BatchId;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::blocking::run_blocking;
use super::layout::{QueueLayout, read_regular_file};
use super::receipt_file::{MAX_KEPT, name, parse};
use crate::{BrokerError, DirectoryConfig, MAX_MESSAGE_BYTES, ReceiptSubscriber};

/// Pause between two looks into the folder.
const POLL: Duration = Duration::from_millis(200);
/// Number of looks after which a folder that shows no change is listed all the same: its time may
/// be coarse, or cached.
const LIST_AFTER: u32 = 50;
/// Limit of the files remembered; of more than these, some are read twice.
const MAX_SEEN: usize = 2 * MAX_KEPT;

pub(crate) fn receipt_subscriber(
    config: &DirectoryConfig,
    base: &Path,
) -> Box<dyn ReceiptSubscriber> {
    let files = ReceiptFiles {
        layout: QueueLayout::new(&config.path, base),
        seen: HashSet::new(),
        unread: VecDeque::new(),
        ready: VecDeque::new(),
        listed: [None; 2],
        looks_since_listed: 0,
        warned: false,
    };
    Box::new(DirectoryReceiptSubscriber {
        files: Arc::new(Mutex::new(files)),
    })
}

/// The directory as a [`ReceiptSubscriber`].
#[derive(Debug)]
struct DirectoryReceiptSubscriber {
    files: Arc<Mutex<ReceiptFiles>>,
}

#[derive(Debug)]
struct ReceiptFiles {
    layout: QueueLayout,
    /// Files given to the caller, and there when last looked at.
    seen: HashSet<BatchId>,
    /// Files found and not yet read.
    unread: VecDeque<BatchId>,
    /// Messages read and not yet given to the caller, who may have stopped waiting.
    ready: VecDeque<Vec<u8>>,
    /// Modification times of the folder before its last two listings, the last first.
    listed: [Option<SystemTime>; 2],
    looks_since_listed: u32,
    /// True once an unreadable receipt has been logged.
    warned: bool,
}

impl DirectoryReceiptSubscriber {
    /// Looks into the folder; returns whether messages are ready.
    async fn look(&self, max: usize) -> Result<bool, BrokerError> {
        let files = Arc::clone(&self.files);
        run_blocking(move || files.blocking_lock().read_ahead(max)).await
    }

    async fn wait(&self, max: usize) -> Result<(), BrokerError> {
        loop {
            sleep(POLL).await;
            if self.look(max).await? {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl ReceiptSubscriber for DirectoryReceiptSubscriber {
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Vec<u8>>, BrokerError> {
        // The first look is no part of the wait: what is there is received, however short that is.
        let waited = match self.look(max).await {
            Ok(false) => timeout(max_wait, self.wait(max)).await,
            Ok(true) => Ok(Ok(())),
            Err(error) => Ok(Err(error)),
        };
        let mut files = self.files.lock().await;
        let taken = files.ready.len().min(max);
        match waited {
            Ok(Err(error)) if taken == 0 => Err(error),
            _ => Ok(files.ready.drain(..taken).collect()),
        }
    }

    /// Always true: `receive` reports a folder that cannot be read, each time.
    fn connected(&self) -> bool {
        true
    }

    async fn close(&mut self) {
        let mut files = self.files.lock().await;
        files.ready.clear();
        files.unread.clear();
    }
}

impl ReceiptFiles {
    /// Reads files until `ready` holds `max` messages. Returns whether it holds any.
    fn read_ahead(&mut self, max: usize) -> Result<bool, BrokerError> {
        if self.unread.is_empty() && self.ready.is_empty() {
            self.find_new()?;
        }
        let mut bytes: usize = self.ready.iter().map(Vec::len).sum();
        while self.ready.len() < max && bytes < MAX_MESSAGE_BYTES {
            let Some(id) = self.unread.pop_front() else {
                break;
            };
            let path = self.layout.receipts.join(name(id));
            match read_regular_file(&path, MAX_MESSAGE_BYTES) {
                Ok(file) if file.cut_from.is_none() => {
                    bytes += file.bytes.len();
                    self.ready.push_back(file.bytes);
                }
                Ok(_) => self.skip("longer than any message"),
                // Removed since: it was old.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.skip(&error.kind().to_string()),
            }
        }
        Ok(!self.ready.is_empty())
    }

    /// Passes over a receipt for good: the batches it may have been about are sent again.
    fn skip(&mut self, why: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            let folder = self.layout.receipts.display();
            warn!(
                %folder,
                why,
                "a receipt cannot be read and is passed over; further ones silently"
            );
        }
    }

    /// Finds files not seen before, and forgets those that are gone.
    fn find_new(&mut self) -> Result<(), BrokerError> {
        self.layout.refuse_links()?;
        let refused = |error| self.layout.error("be read", &error);
        let folder = &self.layout.receipts;
        let changed = match fs::metadata(folder).and_then(|metadata| metadata.modified()) {
            Ok(changed) => changed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.layout.create()?;
                return Ok(());
            }
            Err(error) => return Err(refused(error)),
        };
        // Listed twice at the same time of the folder: a file that came in the same tick of the
        // clock as the first listing is in the second.
        self.looks_since_listed += 1;
        if self.listed == [Some(changed); 2] && self.looks_since_listed < LIST_AFTER {
            return Ok(());
        }
        let present = self.list().map_err(refused)?;
        self.unread = present.difference(&self.seen).copied().collect();
        self.seen = present;
        self.listed = [Some(changed), self.listed[0]];
        self.looks_since_listed = 0;
        Ok(())
    }

    fn list(&self) -> io::Result<HashSet<BatchId>> {
        let mut present = HashSet::new();
        for entry in fs::read_dir(&self.layout.receipts)? {
            let entry = entry?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let Some(id) = entry.file_name().to_str().and_then(parse) else {
                continue;
            };
            if !is_file {
                continue;
            }
            if present.len() == MAX_SEEN {
                break;
            }
            present.insert(id);
        }
        Ok(present)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::receipt_publisher::receipt_publisher;
    use super::*;

    /// A runtime whose only thread for blocking work can be held.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap()
    }

    #[test]
    fn what_is_there_is_received_however_short_the_wait_and_slow_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let config = DirectoryConfig::at("queue");
        runtime().block_on(async {
            let publisher = receipt_publisher(&config, folder.path());
            publisher.broadcast(b"a receipt".to_vec()).await.unwrap();
            let mut subscriber = receipt_subscriber(&config, folder.path());
            let (release, held) = mpsc::channel::<()>();
            let holding = tokio::task::spawn_blocking(move || held.recv());
            let mut receiving = subscriber.receive(9, Duration::ZERO);
            // The wait runs out while the first look has not begun.
            timeout(Duration::from_millis(5), &mut receiving)
                .await
                .unwrap_err();
            release.send(()).unwrap();
            assert_eq!(receiving.await.unwrap(), [b"a receipt".to_vec()]);
            holding.await.unwrap().unwrap();
        });
    }
}
