//! Registry as other programs hold it: a consumer of the queue beside a reader of the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, QueueConfig};
use chrono::{DateTime, Utc};
use clock::Clock;
use linking::GroupOutcome;
use settings::SettingsError;

use crate::breaker::{Breaker, STORE};
use crate::config::{Config, ConsumeConfig};
use crate::consume::{BatchConsumer, ConsumeContext, ConsumeError, ConsumeStep};
use crate::escrow_folder::EscrowFolderError;
use crate::keys::{Keys, KeysError};
use crate::reader::Reader;
use crate::receipts::ReceiptSender;
use crate::retention::Retention;
use crate::store::StoreError;
use crate::tokens::{TokenKeys, TokenKeysError};

/// Reason for which a registry could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenRegistryError {
    /// Key that cannot be read.
    #[error("{0}")]
    Keys(#[from] KeysError),
    /// Store that cannot be opened.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Folder of the auditor's entries that cannot be used.
    #[error("{0}")]
    Escrow(#[from] EscrowFolderError),
    /// Rules of the retention that cannot be read.
    #[error("retention: {0}")]
    Retention(#[from] SettingsError),
    /// Keys of tokens that cannot be used.
    #[error("{0}")]
    Tokens(#[from] TokenKeysError),
    /// Settings of the queue that are wrong; it need not be reachable yet.
    #[error("queue: {0}")]
    Queue(#[from] BrokerError),
}

impl OpenRegistryError {
    /// Returns whether somebody must change something, rather than wait.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        match self {
            Self::Keys(_) | Self::Retention(_) | Self::Tokens(_) => true,
            Self::Store(error) => matches!(error, StoreError::Misconfigured { .. }),
            Self::Escrow(error) => !error.may_pass(),
            Self::Queue(error) => !error.is_retry(),
        }
    }
}

/// Consumer of the queue that writes into the store. Several may run on one PostgreSQL at once.
pub struct Registry {
    context: ConsumeContext,
    consumer: BatchConsumer,
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
        let keys = Keys::read(&config.keys, base)?;
        let mut reader = Reader::open(&config.store, keys, base).await?;
        if let Some(escrow) = &config.escrow {
            reader.lay_down(escrow, &config.store, base)?;
        }
        if let Some(retention) = &config.retention {
            reader.keep_by(Retention::read(retention, config.passes.as_ref(), base)?);
        }
        if let Some(tokens) = &config.tokens {
            reader.verify_by(TokenKeys::read(tokens, base)?);
        }
        Self::new(reader, &config.queue, config.consume.clone(), base, clock)
    }

    /// Makes a consumer of `queue` beside an open store.
    ///
    /// # Errors
    /// [`OpenRegistryError::Queue`].
    pub fn new(
        mut reader: Reader,
        queue: &QueueConfig,
        settings: ConsumeConfig,
        base: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenRegistryError> {
        reader.store.set_rules(settings.link_rules());
        let receipts = match reader.keys.receipt() {
            None => None,
            Some(signer) => Some(Arc::new(ReceiptSender::new(
                signer.clone(),
                queue,
                base,
                Arc::clone(&clock),
            )?)),
        };
        Self::with(ConsumeContext {
            reader,
            queue: queue.clone(),
            settings,
            base: base.to_owned(),
            breaker: Breaker::new("store", STORE, Arc::clone(&clock)),
            clock,
            receipts,
        })
    }

    fn with(context: ConsumeContext) -> Result<Self, OpenRegistryError> {
        let consumer = BatchConsumer::new(&context)?;
        Ok(Self { context, consumer })
    }

    /// Makes one more consumer on the same store and queue; they share the way out for receipts and
    /// the store's circuit.
    ///
    /// # Errors
    /// [`OpenRegistryError::Queue`].
    pub fn additional_consumer(&self) -> Result<Self, OpenRegistryError> {
        Self::with(self.context.clone())
    }

    /// Time for which the store is to be left alone; `None` where it may be asked. Then
    /// [`Registry::consume_once`] or [`Registry::consume_ahead`] is to be called at once, since its
    /// outcome decides for all consumers. Gives back the batches that are pending for too long.
    pub async fn store_pause(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        self.consumer.store_pause(now).await
    }

    /// Asks whether the store answers, and reports a failure to its circuit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn check_store(&mut self) -> Result<(), StoreError> {
        self.consumer.ping_store().await
    }

    /// Reader of the store.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.context.reader
    }

    /// Does one step: waits shortly for batches, opens them, stores them in as few transactions as
    /// the limits allow, and after each commit answers with receipts and acknowledges. Probes are
    /// answered from what is committed. Unreadable batches go to the dead letters. Dropped
    /// midway, it loses nothing, but work is repeated; only [`Registry::close`] may follow.
    ///
    /// # Errors
    /// [`ConsumeError`]: what is not stored is not acknowledged; the batches stay pending for the
    /// next call.
    pub async fn consume_once(&mut self, now: DateTime<Utc>) -> Result<ConsumeStep, ConsumeError> {
        self.consumer.consume(now, false).await
    }

    /// Does several steps, as long as batches are there: while one transaction runs, the one before
    /// is answered and acknowledged, and the next batches are received and opened. Returns after a
    /// few transactions, with what they came to; batches that were taken meanwhile stay pending for
    /// the next call. May be dropped midway as [`Registry::consume_once`] may.
    ///
    /// # Errors
    /// As for [`Registry::consume_once`].
    pub async fn consume_ahead(&mut self, now: DateTime<Utc>) -> Result<ConsumeStep, ConsumeError> {
        self.consumer.consume(now, true).await
    }

    /// Returns whether batches can arrive now: an idle step says nothing about a queue that is
    /// still being connected to.
    #[must_use]
    pub fn queue_connected(&self) -> bool {
        self.consumer.queue_connected()
    }

    /// Does steps until the queue is empty; returns what all of it came to, and the number of
    /// batches that went to the dead letters.
    ///
    /// # Errors
    /// The first [`ConsumeError`].
    pub async fn drain(&mut self) -> Result<(GroupOutcome, usize), ConsumeError> {
        let mut total = GroupOutcome::default();
        let mut dead_letters = 0;
        let mut was_empty = false;
        loop {
            // A wait that begins before the consumer is established tells nothing. Nor does the
            // broker's count alone: what it has already sent ahead to this consumer is not in it,
            // and is here after a wait that begins when the count is known.
            let connected = self.queue_connected();
            match self.consume_ahead(self.context.clock.now()).await? {
                ConsumeStep::Done { outcome, dead, .. } => {
                    total += outcome;
                    dead_letters += dead;
                    was_empty = false;
                }
                ConsumeStep::Idle if !(connected && self.queue_connected()) => was_empty = false,
                ConsumeStep::Idle if was_empty => return Ok((total, dead_letters)),
                ConsumeStep::Idle => {
                    was_empty = self.context.queue_depth().await?.waiting == 0;
                }
            }
        }
    }

    /// Closes the queue's connection, giving back what is pending. The store stays open for its
    /// reader, and so does the way out for receipts while another consumer shares it.
    pub async fn close(&mut self) {
        self.consumer.close().await;
        if let Some(receipts) = self.context.receipts.take().and_then(Arc::into_inner) {
            receipts.close().await;
        }
    }
}
