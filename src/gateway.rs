//! The gateway put together: sources, outbox, publisher and clock, made from a configuration.

use std::sync::Arc;

use broker::{BrokerError, Publisher};
use clock::Clock;
use connector_kit::SourceError;
use contract::PublicKey;
use outbox::{Outbox, OutboxError, OutboxOptions};
use pseudonym::{KeyError, KeyRing};
use secrets::SecretError;
use tokio::sync::Notify;

use crate::config::LoadedConfig;
use crate::sources::{self, Source};

/// Everything a run needs.
pub struct Gateway {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The clinic's time zone.
    pub time_zone: chrono_tz::Tz,
    /// The durable state.
    pub outbox: Outbox,
    /// The queue's near end.
    pub publisher: Arc<dyn Publisher>,
    /// The clinic's systems.
    pub sources: Vec<Arc<Source>>,
    /// Rung when a commit put batches into the outbox.
    pub batches_waiting: Notify,
}

/// Why the gateway could not be put together. Each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key ring cannot be had.
    #[error("keys.ring: {0}")]
    Secret(#[from] SecretError),
    /// The key ring cannot be read.
    #[error("keys.ring: {0}")]
    Keys(#[from] KeyError),
    /// A source is misconfigured.
    #[error("source.{name}: {error}")]
    Source {
        /// Its name.
        name: String,
        /// What is wrong.
        error: SourceError,
    },
    /// The queue is misconfigured.
    #[error("queue: {0}")]
    Queue(#[from] BrokerError),
    /// The state file cannot be opened.
    #[error("outbox: {0}")]
    Outbox(#[from] OutboxError),
    /// The registry's key.
    #[error("registry.public_key: {0}")]
    RegistryKey(#[from] contract::SealError),
}

/// Reads the configured key ring.
///
/// # Errors
/// [`StartError::Secret`] and [`StartError::Keys`].
pub fn read_ring(loaded: &LoadedConfig) -> Result<KeyRing, StartError> {
    Ok(KeyRing::parse(&loaded.config.keys.ring.read(&loaded.base)?)?)
}

/// Makes the configured sources ready without opening the outbox: for `preview`.
///
/// # Errors
/// See [`StartError`].
pub fn build_sources(loaded: &LoadedConfig, ring: &KeyRing) -> Result<Vec<Arc<Source>>, StartError> {
    let suite = loaded.config.keys.suite.into();
    loaded
        .config
        .source
        .iter()
        .map(|(name, config)| {
            sources::build(name, config, &loaded.base, ring, suite)
                .map(Arc::new)
                .map_err(|error| StartError::Source { name: name.clone(), error })
        })
        .collect()
}

impl Gateway {
    /// Opens everything that is local. Servers are first asked when they are needed, so that the gateway starts while
    /// they are down. `owner` is the command that holds the outbox, told to whoever finds it locked.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(
        loaded: &LoadedConfig,
        clock: Arc<dyn Clock>,
        owner: &'static str,
    ) -> Result<Self, StartError> {
        let config = &loaded.config;
        let ring = read_ring(loaded)?;
        let sources = build_sources(loaded, &ring)?;
        let publisher = broker::publisher(&config.queue, &loaded.base)?;
        let options = OutboxOptions {
            batch_events: config.outbox.batch_events,
            max_bytes: config.outbox.max_mebibytes << 20,
            shuffle: config.outbox.shuffle,
            min_generation: config.outbox.min_generation,
            keys_check: ring.record_fingerprint(),
            ..OutboxOptions::new(PublicKey::from_text(&config.registry.public_key)?, owner)
        };
        let outbox = Outbox::open(&loaded.base.join(&config.outbox.path), options, clock.now()).await?;
        Ok(Self {
            clock,
            time_zone: config.time_zone.0,
            outbox,
            publisher,
            sources,
            batches_waiting: Notify::new(),
        })
    }

    /// Flushes and closes the outbox and the queue.
    pub async fn close(self) {
        self.publisher.close().await;
        if let Err(error) = self.outbox.close().await {
            tracing::warn!(
                event = "outbox-not-closed",
                code = error.code(),
                "the outbox was left to be tidied at the next start"
            );
        }
    }
}
