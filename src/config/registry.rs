//! The sections about the registry: its keys and receipts, and when its records are compared with
//! what was sent.

use std::time::Duration;

use contract::{ReceiptError, ReceiptVerifier};
use schemars::JsonSchema;
use serde::Deserialize;

use super::fingerprint::PseudonymFingerprint;
use super::schedule::Schedule;

/// The `[registry]` section.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// The registry's public key (`cgpk1:…`), as `city-registry keys public` prints it. Only its
    /// holder can read a batch: have it confirmed over a second channel.
    pub public_key: String,
    /// The keys (`cgrv1:…`) that the registry signs its receipts with, as `city-registry keys
    /// public` prints them; several while the registry changes keys.
    #[serde(default)]
    pub receipt_keys: Vec<String>,
    /// Fingerprints of the city's pseudonym keys (`1:abcd1234`, epoch and fingerprint), as
    /// `clinic-gateway keys show` prints them at a clinic that holds the right ones. The gateway
    /// refuses to work under other keys.
    #[serde(default)]
    pub pseudonym_fingerprints: Vec<PseudonymFingerprint>,
    /// Proof that settles a batch: the registry's receipt, or the queue's confirm alone.
    #[serde(default)]
    pub receipts: ReceiptsMode,
    /// A delivered batch without a receipt is sent again after this many seconds, 1 to 86400; then
    /// after twice as long, up to a day.
    #[serde(default = "default_resend_after_seconds")]
    pub resend_after_seconds: u32,
}

/// Proof that settles a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptsMode {
    /// The registry's signed receipt.
    #[default]
    Required,
    /// The queue's confirm: for registries that send no receipts.
    Off,
}

impl RegistryConfig {
    /// First wait of a delivered batch for its receipt.
    #[must_use]
    pub fn resend_after(&self) -> Duration {
        Duration::from_secs(self.resend_after_seconds.into())
    }

    /// Keys that receipts are verified with; empty where receipts are off.
    ///
    /// # Errors
    /// [`ReceiptError`] if one of the keys cannot be read.
    pub fn verifiers(&self) -> Result<Vec<ReceiptVerifier>, ReceiptError> {
        match self.receipts {
            ReceiptsMode::Off => Ok(Vec::new()),
            ReceiptsMode::Required => self
                .receipt_keys
                .iter()
                .map(|key| ReceiptVerifier::from_text(key))
                .collect(),
        }
    }
}

/// The `[reconcile]` section: the registry is asked, without telling who anyone is, whether it
/// holds what was sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileConfig {
    /// When; weekly by default.
    pub schedule: Schedule,
    /// Send what differs again from the source, without being asked.
    pub repair: bool,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self {
            schedule: Schedule::Cron("0 0 4 * * 0".to_owned()),
            repair: false,
        }
    }
}

const fn default_resend_after_seconds() -> u32 {
    3600
}
