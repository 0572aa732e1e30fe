//! The gateway put together: sources, outbox, publisher and clock, made from a configuration.

use std::path::PathBuf;
use std::sync::Arc;

use broker::{BrokerError, Publisher, QueueConfig};
use clock::Clock;
use connector_kit::{Cursor, Feed, SourceError};
use contract::{PublicKey, ReceiptVerifier, Suite};
use key_client::{KeyClient, KeyConfigMistake, TokenClient};
use outbox::{BatchTokens, BeaconOccasion, Outbox, OutboxError, OutboxOptions};
use pseudonym::{KeyError, KeyRing};
use settings::SecretError;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backpressure::{Backpressure, SpaceWait};
use crate::config::{LoadedConfig, ReceiptsMode, ReconcileConfig, ReleaseMistake, SuiteName};
use crate::cursor;
use crate::evaluate::Evaluation;
use crate::outer_seal::PublisherToRelay;
use crate::own_state::OwnState;
#[cfg(feature = "cli")]
use crate::queue_causes::QueueCauses;
use crate::ring::{
    CityKeysError, RotationWhileMoving, compare_with_city, fingerprints,
    refuse_rotation_while_moving,
};
use crate::slots::Slots;
use crate::sources::Source;
use crate::tokens::Tokens;
use crate::waits::Waits;

/// The running gateway: everything that a run of a source needs.
pub struct Gateway {
    /// Clock of the program.
    pub clock: Arc<dyn Clock>,
    /// The clinic's time zone.
    pub time_zone: chrono_tz::Tz,
    /// Key services that evaluate pseudonyms; `None` where the key ring makes them.
    pub(crate) evaluation: Option<Arc<Evaluation>>,
    /// Tokens of which every sealed batch carries one; `None` where the registry asks for none.
    pub(crate) tokens: Option<Arc<Tokens>>,
    /// Waits for key services and for the token issuer.
    #[cfg(feature = "cli")]
    pub(crate) waits: Arc<Waits>,
    /// Durable state.
    pub outbox: Outbox,
    /// The queue's near end.
    pub publisher: Arc<dyn Publisher>,
    /// The clinic's systems.
    pub sources: Vec<Arc<Source>>,
    /// Notified when a commit put batches into the outbox.
    pub batches_waiting: Notify,
    /// The pause of pulling while the outbox is full.
    pub backpressure: Backpressure,
    /// Slots in which batches leave; `None` where they leave at once.
    pub(crate) slots: Option<Slots>,
    /// Schedule of the comparisons with the registry.
    pub reconcile: ReconcileConfig,
    /// Keys that receipts are verified with; empty where receipts are off.
    pub(crate) verifiers: Vec<ReceiptVerifier>,
    /// Cancelled when another gateway was found to run on a copy of this state.
    pub other_gateway: CancellationToken,
    /// Settlements of leased batches that could not be written yet.
    pub(crate) unsettled: tokio::sync::Mutex<Vec<outbox::Settlement>>,
    /// Whether the outbox could be written last.
    pub(crate) own_state: OwnState,
    /// Causes of the present failures on the way to the queue.
    #[cfg(feature = "cli")]
    pub(crate) queue_causes: QueueCauses,
    pub(crate) queue: QueueConfig,
    /// Folder that relative paths start from.
    pub(crate) base: PathBuf,
}

/// Reason why the gateway could not be put together, with what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key ring's secret cannot be had.
    #[error("keys.ring: {0}")]
    Secret(#[from] SecretError),
    /// The key ring cannot be read.
    #[error("keys.ring: {0}")]
    Keys(#[from] KeyError),
    /// The key ring does not hold the city's keys.
    #[error("keys.ring: {0}")]
    CityKeys(#[from] CityKeysError),
    /// A key is rotated while the city moves from one suite to another.
    #[error("{0}")]
    Rotation(#[from] RotationWhileMoving),
    /// The key services are misconfigured.
    #[error("keys.services: {0}")]
    KeyServices(#[from] KeyConfigMistake),
    /// The token issuer is misconfigured.
    #[error("tokens: {0}")]
    Tokens(KeyConfigMistake),
    /// A source is misconfigured.
    #[error("source.{name}: {error}")]
    Source {
        /// Name of the source.
        name: String,
        /// The mistake.
        error: SourceError,
    },
    /// The release policy is misconfigured.
    #[error("{0}")]
    Release(#[from] ReleaseMistake),
    /// The queue is misconfigured.
    #[error("queue: {0}")]
    Queue(#[from] BrokerError),
    /// The state file cannot be opened.
    #[error("outbox: {0}")]
    Outbox(#[from] OutboxError),
    /// The registry's public key cannot be read.
    #[error("registry.public_key: {0}")]
    RegistryKey(#[from] contract::SealError),
    /// The relay's public key cannot be read.
    #[error("relay.public_key: {0}")]
    RelayKey(contract::SealError),
    /// A key of the registry's receipts cannot be read.
    #[error("registry.receipt_keys: {0}")]
    ReceiptKey(#[from] contract::ReceiptError),
}

/// Makes the configured sources ready without opening the outbox: for `preview`.
///
/// # Errors
/// See [`StartError`].
pub fn build_sources(
    loaded: &LoadedConfig,
    ring: &KeyRing,
) -> Result<Vec<Arc<Source>>, StartError> {
    let suites = loaded.config.keys.suites();
    let release = loaded.config.release.facts();
    loaded
        .config
        .source
        .iter()
        .map(|(name, config)| {
            Source::new(name, config, &loaded.base, ring, suites, &release)
                .map(Arc::new)
                .map_err(|error| StartError::Source {
                    name: name.clone(),
                    error,
                })
        })
        .collect()
}

/// Refuses to go on while another process holds the outbox.
///
/// # Errors
/// [`OutboxError::Locked`].
pub(crate) fn refuse_beside_another(loaded: &LoadedConfig) -> Result<(), StartError> {
    match outbox::owner(&loaded.base.join(&loaded.config.outbox.path)) {
        Ok(Some(owner)) => {
            let owner = owner.to_string();
            Err(OutboxError::Locked { owner }.into())
        }
        // Whoever opens the outbox says more about a file that cannot be read.
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Reads the configured key ring.
///
/// # Errors
/// [`StartError::Secret`] and [`StartError::Keys`].
pub fn read_ring(loaded: &LoadedConfig) -> Result<KeyRing, StartError> {
    let keys = &loaded.config.keys;
    let text = keys.ring.read(&loaded.base)?;
    let suite = keys.suites().keyed().unwrap_or(Suite::Voprf);
    Ok(KeyRing::parse_for(&text, suite)?)
}

/// Compares the pseudonym keys, the ring's or those of the key services, with the city's.
///
/// # Errors
/// [`StartError::CityKeys`] and [`StartError::Rotation`].
pub(crate) fn verify_keys(
    loaded: &LoadedConfig,
    ring: &KeyRing,
    services: Option<&KeyClient>,
) -> Result<(), StartError> {
    let city = &loaded.config.registry.pseudonym_fingerprints;
    let suites = loaded.config.keys.suites();
    refuse_rotation_while_moving(ring, suites, services)?;
    let keys = fingerprints(ring, suites, services).pseudonym;
    Ok(compare_with_city(keys, city)?)
}

/// Makes the client of the configured key services, if pseudonyms are evaluated by such; asks
/// them nothing.
///
/// # Errors
/// [`StartError::KeyServices`].
pub(crate) fn key_services(loaded: &LoadedConfig) -> Result<Option<KeyClient>, StartError> {
    let keys = &loaded.config.keys;
    match (keys.suite, &keys.services) {
        (SuiteName::Voprf, Some(services)) => Ok(Some(KeyClient::new(services, &loaded.base)?)),
        // Services beside another suite, and this one without any, are refused with the file.
        _ => Ok(None),
    }
}

/// Makes the client of the configured token issuer, if there is one; asks it nothing.
///
/// # Errors
/// [`StartError::Tokens`].
pub(crate) fn token_issuer(loaded: &LoadedConfig) -> Result<Option<TokenClient>, StartError> {
    let tokens = loaded.config.tokens.as_ref();
    let client = tokens.map(|config| TokenClient::new(config, &loaded.base));
    client.transpose().map_err(StartError::Tokens)
}

/// Opens the way to the queue, with the outer seal where a relay reads it.
fn open_publisher(loaded: &LoadedConfig) -> Result<Arc<dyn Publisher>, StartError> {
    let config = &loaded.config;
    let broker = broker::publisher(&config.queue, &loaded.base)?;
    let Some(relay) = &config.relay else {
        return Ok(broker);
    };
    let sealer = relay.sealer().map_err(StartError::RelayKey)?;
    Ok(Arc::new(PublisherToRelay { sealer, broker }))
}

impl Gateway {
    /// Opens everything that is local. Servers are first asked when they are needed, so that the
    /// gateway starts while they are down. `owner` is the command that holds the outbox, shown to
    /// whoever finds it locked.
    ///
    /// # Errors
    /// See [`StartError`]. That another process holds the outbox is told before any secret is
    /// read: a command beside the daemon may have none.
    pub async fn open(
        loaded: &LoadedConfig,
        clock: Arc<dyn Clock>,
        owner: &'static str,
    ) -> Result<Self, StartError> {
        let config = &loaded.config;
        refuse_beside_another(loaded)?;
        let ring = read_ring(loaded)?;
        let suites = config.keys.suites();
        let waits = Waits::new(Arc::clone(&clock));
        let evaluation = key_services(loaded)?
            .map(|client| Arc::new(Evaluation::new(client, Arc::clone(&waits))));
        let services = evaluation.as_ref().map(|evaluation| evaluation.client());
        verify_keys(loaded, &ring, services)?;
        let fingerprints = fingerprints(&ring, suites, services);
        let slots = config.release.slots()?;
        let tokens = token_issuer(loaded)?;
        let tokens = tokens.map(|client| {
            let clock = Arc::clone(&clock);
            Arc::new(Tokens::new(client, clock, Arc::clone(&waits), slots))
        });
        let sources = build_sources(loaded, &ring)?;
        let publisher = open_publisher(loaded)?;
        let options = OutboxOptions {
            sources: config.source.keys().cloned().collect(),
            batch_events: config.outbox.batch_events,
            padded_sizes: config.release.padded_sizes()?,
            max_bytes: config.outbox.max_mebibytes << 20,
            shuffle: config.outbox.shuffle,
            min_generation: config.outbox.min_generation,
            keys: Some(fingerprints),
            receipts: config.registry.receipts == ReceiptsMode::Required,
            resend_after: config.registry.resend_after(),
            tokens: tokens
                .clone()
                .map(|tokens| -> Arc<dyn BatchTokens> { tokens }),
            ..OutboxOptions::new(
                PublicKey::from_text(&config.registry.public_key)?,
                ring.record_secrets(),
                owner,
            )
        };
        let verifiers = config.registry.verifiers()?;
        let slots = slots.map(|rules| Slots::new(rules, clock.now()));
        let max_bytes = options.max_bytes;
        let outbox =
            Outbox::open(&loaded.base.join(&config.outbox.path), options, clock.now()).await?;
        let backpressure = Backpressure::new(outbox.clone(), max_bytes);
        Ok(Self {
            clock,
            time_zone: config.time_zone.0,
            evaluation,
            tokens,
            #[cfg(feature = "cli")]
            waits,
            outbox,
            publisher,
            sources,
            batches_waiting: Notify::new(),
            backpressure,
            slots,
            reconcile: config.reconcile.clone(),
            verifiers,
            other_gateway: CancellationToken::new(),
            unsettled: tokio::sync::Mutex::default(),
            own_state: OwnState::default(),
            #[cfg(feature = "cli")]
            queue_causes: QueueCauses::default(),
            queue: config.queue.clone(),
            base: loaded.base.clone(),
        })
    }

    /// Finds the source of this name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Returns whether this feed of this source is configured.
    #[cfg(feature = "cli")]
    pub(crate) fn reads(&self, source: &str, feed: &str) -> bool {
        self.source(source).is_some_and(|source| {
            let mut feeds = source.connector.feeds().into_iter();
            feeds.any(|configured| configured.as_str() == feed)
        })
    }

    /// Reads the stored cursor of a source's feed; `None` is the feed's very beginning.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) async fn stored_cursor(
        &self,
        source: &Source,
        feed: Feed,
    ) -> Result<Option<Cursor>, OutboxError> {
        let stored = self.outbox.cursor(&source.name, feed.as_str()).await?;
        Ok(cursor::read(&source.settings(feed), stored.as_deref()))
    }

    /// Does a step that adds batches to the outbox, again after each wait for space while the
    /// outbox is full, and wakes the publisher after each try. `None` when the program was stopped
    /// while it waited.
    ///
    /// # Errors
    /// Errors of the step, and of [`Backpressure::wait_for_space`].
    pub(crate) async fn add_batches<T, Step>(
        &self,
        stop: &CancellationToken,
        mut step: impl FnMut() -> Step,
    ) -> Result<Option<T>, OutboxError>
    where
        Step: Future<Output = Result<T, OutboxError>>,
    {
        loop {
            let result = step().await;
            self.batches_waiting.notify_one();
            match result {
                Err(OutboxError::Full { .. }) => {
                    if self.backpressure.wait_for_space(stop).await? == SpaceWait::Stopped {
                        return Ok(None);
                    }
                }
                result => return result.map(Some),
            }
        }
    }

    /// Puts the beacon among the batches that have to leave, if the occasion asks for it; returns
    /// whether it did. None goes out once another gateway was found to run on a copy of this state.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) async fn give_out_beacon(
        &self,
        occasion: BeaconOccasion,
    ) -> Result<bool, OutboxError> {
        let now = self.clock.now();
        match self.outbox.give_out_beacon(occasion, now).await {
            Err(OutboxError::OtherGateway) => Ok(false),
            result => result,
        }
    }

    /// Makes every source due: after the generation rose, all of them are read from the beginning.
    pub fn wake_all(&self) {
        for source in &self.sources {
            source.wake.notify_one();
        }
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
