//! Writes batches into the directory: temporary file, fsync, atomic rename, fsync of the folder.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contract::{BatchId, SealedBatch};
use fault::Point;

use super::layout::{Layout, Name, list};
use super::scratch::Scratch;
use super::{BrokerError, DirectoryConfig, blocking};
use crate::{Publisher, State};

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
    scratch: Scratch,
    /// Upper bound of the batches in `incoming/`; counted anew only when it reaches the limit.
    waiting: AtomicU64,
    state: Mutex<State>,
}

impl DirectoryPublisher {
    pub(crate) fn new(config: &DirectoryConfig, base: &Path) -> Self {
        let desk = Desk {
            layout: Layout::new(&config.path, base),
            max_batches: config.max_batches.map(Into::into),
            scratch: Scratch::default(),
            waiting: AtomicU64::new(u64::MAX),
            state: Mutex::new(State::Idle),
        };
        Self {
            window: config.window.get().into(),
            desk: Arc::new(desk),
        }
    }
}

#[async_trait]
impl Publisher for DirectoryPublisher {
    async fn publish(&self, batch: &SealedBatch) -> Result<(), BrokerError> {
        let desk = Arc::clone(&self.desk);
        let SealedBatch { id, bytes } = batch.clone();
        blocking(move || {
            let outcome = fault::check(Point::BrokerPublishing)
                .and_then(|()| desk.store(id, &bytes))
                .and_then(|()| fault::check(Point::BrokerConfirmed));
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

    fn window(&self) -> usize {
        self.window
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
    fn store(&self, id: BatchId, bytes: &[u8]) -> Result<(), BrokerError> {
        self.scratch.open(&self.layout)?;
        self.make_room()?;
        self.scratch.write(
            &self.layout,
            id,
            bytes,
            &self.layout.incoming.join(Name::new(id).file()),
        )?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn make_room(&self) -> Result<(), BrokerError> {
        let Some(limit) = self.max_batches else {
            return Ok(());
        };
        if self.waiting.load(Ordering::Relaxed) < limit {
            return Ok(());
        }
        let (names, _) = list(&self.layout.incoming, usize::MAX)
            .map_err(|error| self.layout.error("be read", &error))?;
        let waiting = names.len() as u64;
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
