//! The configuration file's sections that have no file of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use audit::AuditConfig;
use broker::QueueConfig;
use connector_kit::ZoneSetting;
use key_client::{KeyServicesConfig, TokenIssuerConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use settings::SecretSource;
use telemetry::{ListenConfig, LogConfig};

use super::registry::{ReconcileConfig, RegistryConfig};
use super::release::ReleaseConfig;
use super::source::SourceConfig;

/// The whole file. Unknown keys are refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Time zone of the clinic, an IANA name: in it "today" is told, cron schedules are read, and
    /// instants become dates, unless a source has a `time_zone` of its own. Default: Europe/Moscow.
    #[serde(default)]
    pub time_zone: ZoneSetting,
    /// The keys that turn people into pseudonyms.
    pub keys: KeysConfig,
    /// The city registry that the facts are for.
    pub registry: RegistryConfig,
    /// Transport of the sealed batches.
    pub queue: QueueConfig,
    /// The relay of strong mode, where the queue is one that it reads.
    pub relay: Option<RelayConfig>,
    /// The issuer of one-use tokens, where the registry asks for a token in every batch.
    pub tokens: Option<TokenIssuerConfig>,
    /// The gateway's state on disk.
    #[serde(default)]
    pub outbox: OutboxConfig,
    /// What leaves of each kind of fact, in which padded sizes, and when.
    #[serde(default)]
    pub release: ReleaseConfig,
    /// Comparison of what the registry holds with what was sent.
    #[serde(default)]
    pub reconcile: ReconcileConfig,
    /// The clinic's systems, by a name of your own (lower-case letters, digits, hyphens; it never
    /// leaves the clinic).
    pub source: BTreeMap<String, SourceConfig>,
    /// Audit log of who did what with the gateway; absent: none is kept.
    pub audit: Option<AuditConfig>,
    /// Logs.
    #[serde(default)]
    pub log: LogConfig,
    /// Metrics and health over HTTP; absent: not served.
    pub listen: Option<ListenConfig>,
}

/// The `[keys]` section.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// Place of the key ring, as `clinic-gateway keys new` wrote it.
    pub ring: SecretSource,
    /// Computation of pseudonyms; the same in every clinic of a city.
    #[serde(default)]
    pub suite: SuiteName,
    /// Suite that the city moves from, `hmac` or `hmac-streebog`, beside `suite = "voprf"`: facts
    /// leave under the names of both, those of this one by the pseudonym key of the ring. Taken out
    /// once every clinic has it and the portal asks by `voprf`. Changing it sends everything again.
    pub moving_from: Option<SuiteName>,
    /// Key services that evaluate pseudonyms, asked in this order; the same in every clinic of a
    /// city. For the suite `voprf` alone.
    pub services: Option<KeyServicesConfig>,
}

impl KeysConfig {
    /// Suites of the pseudonyms that leave.
    #[must_use]
    pub fn suites(&self) -> pseudonym::Suites {
        pseudonym::Suites {
            suite: self.suite.into(),
            moving_from: self.moving_from.map(Into::into),
        }
    }
}

/// The pseudonym suites, as configuration names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SuiteName {
    /// HMAC-SHA-256.
    #[default]
    Hmac,
    /// HMAC over GOST R 34.11-2012 (Streebog), 256 bits.
    HmacStreebog,
    /// RFC 9497 over ristretto255, evaluated blindly by the key services in `services`.
    Voprf,
}

impl From<SuiteName> for contract::Suite {
    fn from(name: SuiteName) -> Self {
        match name {
            SuiteName::Hmac => Self::Hmac,
            SuiteName::HmacStreebog => Self::HmacStreebog,
            SuiteName::Voprf => Self::Voprf,
        }
    }
}

/// The `[relay]` section.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// The relay's public key (`cgrp1:…`), as `mix-relay keys show` prints it. Every batch is sealed
    /// once more to it, so that its bytes at the clinics' broker are not those at the registry's.
    pub public_key: String,
}

impl RelayConfig {
    /// Sealer to the relay.
    ///
    /// # Errors
    /// [`contract::SealError::BadRelayKey`].
    pub fn sealer(&self) -> Result<contract::RelaySealer, contract::SealError> {
        contract::RelayPublicKey::from_text(&self.public_key).map(contract::RelaySealer::new)
    }
}

/// The `[outbox]` section.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxConfig {
    /// The state file (SQLite); a relative path starts from the configuration file's folder.
    pub path: PathBuf,
    /// Most events in one sealed batch, 1 to 1000; it takes as many as nearly fill a padded size.
    pub batch_events: usize,
    /// Pulling pauses while unsent batches take this many mebibytes, 1 to 1048576.
    pub max_mebibytes: u64,
    /// Shuffle the events of a page, so that their order tells nothing.
    pub shuffle: bool,
    /// The generation of versions begins here at the least. Raise it above the last generation
    /// `status` showed after the state file *and* the `.generation` file beside it were both lost;
    /// otherwise leave it at 1.
    pub min_generation: u32,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("state/outbox.db"),
            batch_events: contract::wire::MAX_EVENTS,
            max_mebibytes: 1024,
            shuffle: true,
            min_generation: 1,
        }
    }
}
