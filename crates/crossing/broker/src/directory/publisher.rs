//! Writes batches into the directory: temporary file, fsync, atomic rename, fsync of the folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use contract::{BatchId, SealedBatch};
use fault::Point;
use parking_lot::Mutex;

use super::blocking::run_blocking;
use super::layout::{QueueLayout, list};
use super::scratch::Scratch;
use crate::batch_file::BatchFile;
use crate::{BrokerError, DirectoryConfig, Publisher, QueueState};

pub(crate) fn publisher(config: &DirectoryConfig, base: &Path) -> Arc<dyn Publisher> {
    let incoming = IncomingFolder {
        layout: QueueLayout::new(&config.path, base),
        max_batches: config.max_batches.map(Into::into),
        scratch: Scratch::default(),
        waiting: AtomicU64::new(u64::MAX),
        state: Mutex::new(QueueState::Idle),
    };
    Arc::new(DirectoryPublisher {
        window: config.window.get().into(),
        incoming: Arc::new(incoming),
    })
}

/// The directory as a [`Publisher`].
#[derive(Debug)]
struct DirectoryPublisher {
    window: usize,
    incoming: Arc<IncomingFolder>,
}

#[derive(Debug)]
struct IncomingFolder {
    layout: QueueLayout,
    max_batches: Option<u64>,
    scratch: Scratch,
    /// Upper bound of the batches in `incoming/`; counted anew only when it reaches the limit.
    waiting: AtomicU64,
    state: Mutex<QueueState>,
}

#[async_trait]
impl Publisher for DirectoryPublisher {
    async fn publish(&self, batch: &SealedBatch) -> Result<(), BrokerError> {
        let incoming = Arc::clone(&self.incoming);
        let SealedBatch { id, bytes } = batch.clone();
        run_blocking(move || {
            let outcome = fault::check(Point::BrokerPublishing)
                .and_then(|()| incoming.store(id, &bytes))
                .and_then(|()| fault::check(Point::BrokerConfirmed));
            *incoming.state.lock() = QueueState::after(&outcome);
            outcome
        })
        .await
    }

    /// Nothing is to be connected to.
    fn connect(&self) {}

    fn window(&self) -> usize {
        self.window
    }

    fn state(&self) -> QueueState {
        *self.incoming.state.lock()
    }

    async fn close(&self) {
        self.incoming.scratch.close();
    }
}

impl IncomingFolder {
    fn store(&self, id: BatchId, bytes: &[u8]) -> Result<(), BrokerError> {
        self.layout.refuse_links()?;
        self.scratch.open(&self.layout)?;
        self.check_limit()?;
        let target = self.layout.incoming.join(BatchFile::new(id).name());
        self.scratch.write(&self.layout, id, bytes, &target)?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn check_limit(&self) -> Result<(), BrokerError> {
        let Some(limit) = self.max_batches else {
            return Ok(());
        };
        if self.waiting.load(Ordering::Relaxed) < limit {
            return Ok(());
        }
        let listing = list(&self.layout.incoming, usize::MAX)
            .map_err(|error| self.layout.error("be read", &error))?;
        let waiting = listing.batches.len() as u64;
        self.waiting.store(waiting, Ordering::Relaxed);
        if waiting < limit {
            return Ok(());
        }
        Err(BrokerError::retry(format!(
            "the queue directory {} holds {waiting} batches, and max_batches is {limit}; is the \
             registry running?",
            self.layout.root.display()
        )))
    }
}
