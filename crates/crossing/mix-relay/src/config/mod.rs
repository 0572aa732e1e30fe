//! Configuration of the relay, `mix-relay.toml`.

mod mistakes;
#[cfg(test)]
mod tests;

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use broker::{AmqpConfig, DirectoryConfig, QueueConfig};
use contract::{MAX_SEALED_BYTES, RELAY_SEAL_BYTES};
use serde::{Deserialize, Serialize};
use settings::SecretSource;
use telemetry::{ListenConfig, LogConfig};

use crate::pool::Rules;

/// Most accounts.
pub const MAX_ACCOUNTS: usize = 256;
/// Longest name of an account, in characters.
pub const MAX_ACCOUNT_NAME: usize = 32;
/// Most keys of the outer seal: an old and a new one while they are changed, and some to spare.
pub const MAX_KEYS: usize = 4;
/// Longest slot, in seconds.
pub const LONGEST_SLOT: u32 = 600;
/// Most batches of a slot.
pub const LARGEST_SLOT: u32 = 10_000;
/// Longest delay, in seconds. RabbitMQ takes a connection's messages back that are not acknowledged
/// for half an hour (`consumer_timeout`).
pub const LONGEST_DELAY: u32 = 1200;
/// Most batches that are held of an account.
pub const MOST_HELD: u16 = 1000;
/// Most memory for batches, in bytes, that a configuration may ask for.
pub const MOST_MEMORY_BYTES: u64 = 64 << 30;

/// Configuration file of the relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[relay]`: what the relay writes, and the keys of the outer seal.
    #[serde(default)]
    pub relay: RelayConfig,
    /// `[mix]`: slots, and what is held.
    #[serde(default)]
    pub mix: MixConfig,
    /// `[[accounts]]`: whose batches are taken, 1 to [`MAX_ACCOUNTS`].
    pub accounts: Vec<AccountConfig>,
    /// `[outside.amqp]`: the broker that clinics' gateways connect to; or `[outside.directory]`: a
    /// folder with a queue directory for each account.
    pub outside: QueueConfig,
    /// `[inside.amqp]`: the broker that the registry reads from; or `[inside.directory]`: its queue
    /// directory.
    pub inside: QueueConfig,
    /// `[escrow]`, where it is laid down for an auditor who sent each batch.
    #[serde(default)]
    pub escrow: Option<EscrowConfig>,
    /// `[log]`: form and filter of the log.
    #[serde(default)]
    pub log: LogConfig,
    /// `[listen]`: metrics and health, where wanted.
    #[serde(default)]
    pub listen: Option<ListenConfig>,
}

/// `[escrow]`: folder in which is laid down for the auditor which account sent each batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscrowConfig {
    /// Folder, made when missing; a relative path is taken from the configuration file's folder.
    pub folder: PathBuf,
    /// The auditor's public key (`cgav1:…`), as `auditor keys new` prints it.
    pub public_key: String,
    /// Most that the folder's files may have together, in MiB.
    #[serde(default = "escrow_mib")]
    pub max_mib: NonZeroU32,
}

/// 50 GiB: 13 million blocks, of which a slot that publishes takes one for each 40 batches.
fn escrow_mib() -> NonZeroU32 {
    NonZeroU32::new(50 << 10).expect("50 Ki is not zero")
}

/// `[relay]`: what the relay writes, and the keys of the outer seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// Folder of the days on which accounts were heard.
    pub state: PathBuf,
    /// Places of the keys that take the outer seal off, up to [`MAX_KEYS`]. Without any, batches
    /// are taken without it.
    pub private_keys: Vec<SecretSource>,
    /// True: with keys, batches without an outer seal are taken too, while gateways are moved.
    pub take_unsealed: bool,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            state: "state".into(),
            private_keys: Vec::new(),
            take_unsealed: false,
        }
    }
}

/// `[mix]`: slots, and what is held until one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixConfig {
    /// Length of a slot, in seconds, up to [`LONGEST_SLOT`]. Slots begin at its multiples since
    /// 1970.
    pub slot_seconds: NonZeroU32,
    /// Most batches of a slot, up to [`LARGEST_SLOT`], beside those that are overdue.
    pub batches_per_slot: NonZeroU32,
    /// Number of waiting batches below which a slot publishes overdue ones only.
    pub minimum_pool: NonZeroU32,
    /// The same for the number of accounts that a batch waits of.
    pub minimum_accounts: NonZeroU32,
    /// Age at which a batch is overdue, in seconds: from one slot to [`LONGEST_DELAY`].
    pub maximum_delay_seconds: NonZeroU32,
    /// Longest batch that is passed on, in bytes without the outer seal: from the shortest to the longest sealed batch.
    pub largest_batch_bytes: usize,
    /// Most batches that are held of an account, up to [`MOST_HELD`].
    pub held_batches: NonZeroU16,
    /// Most memory for batches, in bytes, up to [`MOST_MEMORY_BYTES`]. Accounts, `held_batches` and
    /// `largest_batch_bytes` (with the 60 of the outer seal) must not need more.
    pub memory_bytes: u64,
}

impl Default for MixConfig {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).expect("defaults are not zero");
        Self {
            slot_seconds: number(30),
            batches_per_slot: number(64),
            minimum_pool: number(8),
            minimum_accounts: number(3),
            maximum_delay_seconds: number(300),
            largest_batch_bytes: MAX_SEALED_BYTES,
            held_batches: NonZeroU16::new(16).expect("defaults are not zero"),
            memory_bytes: 1 << 30,
        }
    }
}

/// Entry of `[[accounts]]`: an account at the clinics' broker, and its queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// Name in the metrics, the log and the state: 1 to [`MAX_ACCOUNT_NAME`] letters, digits, - and
    /// _. An account that is named anew counts as another.
    pub name: String,
    /// Queue of the account, at a broker. Default: `clinic.relay.NAME.intake`.
    #[serde(default)]
    pub queue: Option<String>,
    /// Exchange that the account alone publishes to, at a broker. Default: `clinic.relay.NAME`.
    #[serde(default)]
    pub exchange: Option<String>,
}

impl AccountConfig {
    pub(crate) fn queue(&self) -> String {
        let default = || format!("clinic.relay.{}.intake", self.name);
        self.queue.clone().unwrap_or_else(default)
    }

    fn exchange(&self) -> String {
        let default = || format!("clinic.relay.{}", self.name);
        self.exchange.clone().unwrap_or_else(default)
    }
}

impl Config {
    /// Settings of the clinics' side for the queue of one account: at the broker under its names,
    /// or the directory of its name.
    pub(crate) fn outside_of(&self, account: &AccountConfig) -> QueueConfig {
        match &self.outside {
            QueueConfig::Amqp(outside) => QueueConfig::Amqp(AmqpConfig {
                exchange: account.exchange(),
                queue: account.queue(),
                ..outside.clone()
            }),
            QueueConfig::Directory(outside) => QueueConfig::Directory(DirectoryConfig {
                path: outside.path.join(&account.name),
                ..outside.clone()
            }),
        }
    }

    /// Queues outside that receipts are broadcast over: the broker's, or the directory of each
    /// account.
    pub(crate) fn outside_receipts(&self) -> Vec<QueueConfig> {
        match &self.outside {
            QueueConfig::Amqp(_) => vec![self.outside.clone()],
            QueueConfig::Directory(_) => {
                let accounts = self.accounts.iter();
                accounts.map(|account| self.outside_of(account)).collect()
            }
        }
    }
}

impl MixConfig {
    pub(crate) fn rules(&self) -> Rules {
        let number = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        Rules {
            batches_per_slot: number(self.batches_per_slot),
            minimum_pool: number(self.minimum_pool),
            minimum_accounts: number(self.minimum_accounts),
            maximum_delay: Duration::from_secs(self.maximum_delay_seconds.get().into()),
        }
    }

    /// Most memory that batches of so many accounts take, in bytes. Twice what is held, since what
    /// is on its way when a connection is lost comes again before it has left.
    pub(crate) fn memory_needed(&self, accounts: usize) -> u64 {
        let held = accounts as u64 * u64::from(self.held_batches.get());
        (2 * held).saturating_mul((self.largest_batch_bytes + RELAY_SEAL_BYTES) as u64)
    }
}
