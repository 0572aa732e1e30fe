//! The registry as other programs hold it: a reader of the store, and a consumer of the queue
//! beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, QueueConfig};
use chrono::{DateTime, Utc};
use clock::Clock;
use contract::Pseudonym;

use crate::breaker::{Breaker, STORE};
use crate::config::{Config, ConsumeConfig, StoreConfig};
use crate::consume::{ConsumeError, Step, Worker};
use crate::keys::{Keys, KeysError};
use crate::receipts::Receipts;
use crate::second_layer::CityPseudonym;
use crate::store::{Outcome, REFUSALS_KEPT, Store, StoreError};
use crate::view::{Stats, StoredFact, SubjectView, all_facts, find};

/// Why a registry could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenRegistryError {
    /// A key.
    #[error("{0}")]
    Keys(#[from] KeysError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The queue's settings; it need not be reachable yet.
    #[error("queue: {0}")]
    Queue(#[from] BrokerError),
}

impl OpenRegistryError {
    /// Whether somebody must change something, rather than wait.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        match self {
            Self::Keys(_) => true,
            Self::Store(error) => matches!(error, StoreError::Misconfigured { .. }),
            Self::Queue(error) => !error.is_retry(),
        }
    }
}

/// An open store with the second-layer key: enough to look things up.
#[derive(Clone)]
pub struct Reader {
    pub(crate) store: Store,
    keys: Arc<Keys>,
}

impl Reader {
    /// Opens the store, making its tables where missing. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`StoreError`], saying whether to wait or what to change; also when the store was filled
    /// under another second-layer key.
    pub async fn open(store: &StoreConfig, keys: Keys, base: &Path) -> Result<Self, StoreError> {
        let store = Store::open(store, base).await?;
        store.claim(&keys.second_layer.check_value()).await?;
        Ok(Self {
            store,
            keys: Arc::new(keys),
        })
    }

    /// Every fact, sorted by record. Reads the whole store into memory.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts(&self) -> Result<Vec<StoredFact>, StoreError> {
        all_facts(&self.store).await
    }

    /// The subjects behind a person's pseudonyms as a clinic or portal computes them: none, one, or
    /// several when the registry keeps them apart; the strongest pseudonym's comes first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subjects_by(
        &self,
        pseudonyms: &[Pseudonym],
    ) -> Result<Vec<SubjectView>, StoreError> {
        let values: Vec<CityPseudonym> = pseudonyms
            .iter()
            .map(|pseudonym| self.second_layer(pseudonym))
            .collect();
        find(&self.store, &values).await
    }

    /// A pseudonym as the registry keeps it.
    #[must_use]
    pub fn second_layer(&self, pseudonym: &Pseudonym) -> CityPseudonym {
        self.keys.second_layer.apply(pseudonym)
    }

    /// Counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats().await.map(Stats::from)
    }

    /// Removes all but the newest refusals, so that they stay bounded; how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_refusals(&self) -> Result<u64, StoreError> {
        self.store.prune(REFUSALS_KEPT).await
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Which kind of store it is, in words.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        self.store.describe()
    }

    /// Closes every connection to the store.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

/// A consumer of the queue that writes into the store. Several may run on one PostgreSQL at once.
pub struct Registry {
    reader: Reader,
    worker: Worker,
    queue: QueueConfig,
    base: PathBuf,
}

impl Registry {
    /// Opens everything a configuration file names; relative paths start from `base`, the file's
    /// folder.
    ///
    /// # Errors
    /// [`OpenRegistryError`].
    pub async fn open(
        config: &Config,
        base: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenRegistryError> {
        let reader = Reader::open(&config.store, Keys::read(&config.keys, base)?, base).await?;
        Self::new(reader, &config.queue, config.consume.clone(), base, clock)
    }

    /// A consumer of `queue` beside an open store.
    ///
    /// # Errors
    /// [`OpenRegistryError::Queue`].
    pub fn new(
        reader: Reader,
        queue: &QueueConfig,
        settings: ConsumeConfig,
        base: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenRegistryError> {
        let receipts = match reader.keys.receipt() {
            None => None,
            Some(signer) => Some(Arc::new(Receipts::new(
                signer.clone(),
                queue,
                base,
                Arc::clone(&clock),
            )?)),
        };
        let breaker = Breaker::new("store", STORE, Arc::clone(&clock));
        Self::with(reader, queue, settings, base, clock, (breaker, receipts))
    }

    fn with(
        reader: Reader,
        queue: &QueueConfig,
        settings: ConsumeConfig,
        base: &Path,
        clock: Arc<dyn Clock>,
        shared: (Breaker, Option<Arc<Receipts>>),
    ) -> Result<Self, OpenRegistryError> {
        let consumer = broker::consumer(queue, base)?;
        let opened = (reader.store.clone(), Arc::clone(&reader.keys));
        let worker = Worker::new(opened, consumer, settings, clock, shared);
        Ok(Self {
            reader,
            worker,
            queue: queue.clone(),
            base: base.to_owned(),
        })
    }

    /// One more consumer on the same store and queue; they share the way out for receipts and the
    /// store's circuit.
    ///
    /// # Errors
    /// [`OpenRegistryError::Queue`].
    pub fn another(&self) -> Result<Self, OpenRegistryError> {
        let Worker {
            settings,
            clock,
            breaker,
            desk,
            ..
        } = &self.worker;
        let shared = (breaker.clone(), desk.receipts.clone());
        Self::with(
            self.reader.clone(),
            &self.queue,
            settings.clone(),
            &self.base,
            Arc::clone(clock),
            shared,
        )
    }

    /// How long the store wants to be left alone; `None`: it may be asked, and
    /// [`Registry::consume_once`] or [`Registry::consume_ahead`] is to be called now, since its
    /// outcome decides for all consumers. Gives back what is in hand for too long.
    pub async fn rest(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        self.worker.rest(now).await
    }

    /// Whether the store answers; its circuit is told when it does not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn check_store(&mut self) -> Result<(), StoreError> {
        let answered = self.worker.store.ping().await;
        answered.inspect_err(|_| self.worker.breaker.failure())
    }

    /// The store.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// One step: waits shortly for batches, opens them, stores them in as few transactions as the
    /// limits allow, and after each commit answers with receipts and acknowledges. Probes are
    /// answered from what is committed. Unreadable batches go to the dead letters. Not to be
    /// cancelled midway (nothing would be lost, but work repeated).
    ///
    /// # Errors
    /// [`ConsumeError`]: what is not stored is not acknowledged; the batches stay in hand for the
    /// next call.
    pub async fn consume_once(&mut self, now: DateTime<Utc>) -> Result<Step, ConsumeError> {
        self.worker.consume(now, false).await
    }

    /// Several steps, as long as batches are there: while one transaction runs, the one before is
    /// answered and acknowledged, and the next batches are received and opened. Returns after a few
    /// transactions, with what they came to; batches that were taken meanwhile stay in hand for the
    /// next call. Not to be cancelled midway either.
    ///
    /// # Errors
    /// As for [`Registry::consume_once`].
    pub async fn consume_ahead(&mut self, now: DateTime<Utc>) -> Result<Step, ConsumeError> {
        self.worker.consume(now, true).await
    }

    /// Whether batches can arrive now: an idle step says nothing about a queue that is still being
    /// connected to.
    #[must_use]
    pub fn queue_connected(&self) -> bool {
        self.worker.desk.connected()
    }

    /// Steps until the queue is empty; what all of it came to, and how many batches went to the
    /// dead letters.
    ///
    /// # Errors
    /// The first [`ConsumeError`].
    pub async fn drain(&mut self) -> Result<(Outcome, usize), ConsumeError> {
        let mut total = Outcome::default();
        let mut buried = 0;
        let mut empty_waits = 0;
        loop {
            // A wait that begins before the consumer is established says nothing. Nor does the
            // broker's count alone: what it has already sent ahead to this consumer is not in it.
            let connected = self.queue_connected();
            match self.consume_ahead(self.worker.clock.now()).await? {
                Step::Done { outcome, dead, .. } => {
                    total += outcome;
                    buried += dead;
                    empty_waits = 0;
                }
                Step::Idle => {
                    empty_waits += u32::from(connected && self.queue_connected());
                    if empty_waits >= 2
                        && broker::depth(&self.queue, &self.base).await?.waiting == 0
                    {
                        return Ok((total, buried));
                    }
                }
            }
        }
    }

    /// Says goodbye to the queue, giving back what is in hand. The store stays open for its reader,
    /// and so does the way out for receipts while another consumer shares it.
    pub async fn close(&mut self) {
        self.worker.close().await;
        if let Some(receipts) = self.worker.desk.receipts.take().and_then(Arc::into_inner) {
            receipts.close().await;
        }
    }
}
