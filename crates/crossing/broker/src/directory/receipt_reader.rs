//! Hears receipts through the directory: each file of `receipts/` once, whoever else reads them.

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

use super::layout::{Layout, read_own};
use super::receipt_writer::{MAX_KEPT, name, parse};
use super::{BrokerError, DirectoryConfig, blocking};
use crate::{MAX_MESSAGE_BYTES, ReceiptSubscriber};

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(200);
/// A folder that shows no change is listed all the same after this many looks: its time may be
/// coarse, or cached.
const LIST_AFTER: u32 = 50;
/// Most files known at a time; more than this, and some are read twice.
const MAX_SEEN: usize = 2 * MAX_KEPT;

/// The directory as a [`ReceiptSubscriber`].
#[derive(Debug)]
pub(crate) struct ReceiptReader {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug)]
struct Shelf {
    layout: Layout,
    /// Files given to the caller, and there when last looked at.
    seen: HashSet<BatchId>,
    /// Files found and not yet read.
    listing: VecDeque<BatchId>,
    /// Read and not yet given to the caller, who may have stopped waiting.
    ready: VecDeque<Vec<u8>>,
    /// The folder's time before it was last listed, and before the time before that.
    listed: [Option<SystemTime>; 2],
    looks_since: u32,
    warned: bool,
}

impl ReceiptReader {
    pub(crate) fn new(config: &DirectoryConfig, base: &Path) -> Self {
        let shelf = Shelf {
            layout: Layout::new(&config.path, base),
            seen: HashSet::new(),
            listing: VecDeque::new(),
            ready: VecDeque::new(),
            listed: [None; 2],
            looks_since: 0,
            warned: false,
        };
        Self {
            shelf: Arc::new(Mutex::new(shelf)),
        }
    }

    async fn wait(&self, max: usize) -> Result<(), BrokerError> {
        loop {
            let shelf = Arc::clone(&self.shelf);
            if blocking(move || shelf.blocking_lock().fill(max)).await? {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }
}

#[async_trait]
impl ReceiptSubscriber for ReceiptReader {
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Vec<u8>>, BrokerError> {
        let waited = timeout(max_wait, self.wait(max)).await;
        let mut shelf = self.shelf.lock().await;
        let taken = shelf.ready.len().min(max);
        match waited {
            Ok(Err(error)) if taken == 0 => Err(error),
            _ => Ok(shelf.ready.drain(..taken).collect()),
        }
    }

    /// A folder that cannot be read is told by `receive`, each time.
    fn connected(&self) -> bool {
        true
    }

    async fn close(&mut self) {
        let mut shelf = self.shelf.lock().await;
        shelf.ready.clear();
        shelf.listing.clear();
    }
}

impl Shelf {
    /// One look: fills `ready` up to `max`, and says whether there is anything in it.
    fn fill(&mut self, max: usize) -> Result<bool, BrokerError> {
        if self.listing.is_empty() && self.ready.is_empty() {
            self.look()?;
        }
        let mut bytes: usize = self.ready.iter().map(Vec::len).sum();
        while self.ready.len() < max && bytes < MAX_MESSAGE_BYTES {
            let Some(id) = self.listing.pop_front() else {
                break;
            };
            match read_own(&self.layout.receipts.join(name(id))) {
                Ok(message) if message.len() <= MAX_MESSAGE_BYTES => {
                    bytes += message.len();
                    self.ready.push_back(message);
                }
                Ok(_) => self.refuse("longer than any message"),
                // Removed since: it was old.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.refuse(&error.kind().to_string()),
            }
        }
        Ok(!self.ready.is_empty())
    }

    /// Passed over for good: the batches it may have been about are sent again.
    fn refuse(&mut self, why: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            let folder = self.layout.receipts.display();
            warn!(%folder, why, "a receipt cannot be read and is passed over; further ones \
                silently");
        }
    }

    /// Finds files not seen before, and forgets those that are gone.
    fn look(&mut self) -> Result<(), BrokerError> {
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
        // Listed twice at the same time of the folder: what came in the same tick as the first is
        // in the second.
        self.looks_since += 1;
        if self.listed == [Some(changed); 2] && self.looks_since < LIST_AFTER {
            return Ok(());
        }
        let mut present = HashSet::new();
        for entry in fs::read_dir(folder).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(parse)
                .filter(|_| is_file)
            else {
                continue;
            };
            if present.len() == MAX_SEEN {
                break;
            }
            present.insert(id);
        }
        self.listing = present.difference(&self.seen).copied().collect();
        self.seen = present;
        self.listed = [Some(changed), self.listed[0]];
        self.looks_since = 0;
        Ok(())
    }
}
