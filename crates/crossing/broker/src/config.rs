//! The `[queue.…]` section of the gateway's and the registry's configuration.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::SecretSource;

/// The queue between clinics and registry: `[queue.directory]` or `[queue.amqp]`.
///
/// Every clinic uses the same settings but for its account; nothing here may name the institution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a program holds one of these")]
pub enum QueueConfig {
    /// A RabbitMQ broker (AMQP 0-9-1).
    Amqp(AmqpConfig),
    /// A directory that both sides can reach; needs no server.
    Directory(DirectoryConfig),
}

impl QueueConfig {
    /// Longest time from the broker's return until a connection that was lost is up again: the
    /// longest pause between two attempts to connect, and one attempt. Zero for a directory.
    #[must_use]
    pub fn longest_return(&self) -> Duration {
        match self {
            Self::Amqp(amqp) => {
                let pause = u64::from(amqp.max_backoff_seconds.get());
                let attempt = u64::from(amqp.connect_timeout_seconds.get());
                Duration::from_secs(pause + attempt)
            }
            Self::Directory(_) => Duration::ZERO,
        }
    }
}

/// A directory of sealed batch files, with the same promises as the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryConfig {
    /// The directory; a relative path is taken from the configuration file's folder. Made when
    /// missing.
    pub path: PathBuf,
    /// Refuse to add batches (they stay in the outbox) while this many are waiting. Default: no
    /// limit.
    #[serde(default)]
    pub max_batches: Option<NonZeroU64>,
    /// Number of times a batch may be handed out again after a consumer died with it, before it
    /// goes to `dead/`.
    #[serde(default = "default_delivery_limit")]
    pub delivery_limit: NonZeroU32,
    /// Number of batches that may be on the way at once.
    #[serde(default = "default_directory_window")]
    pub window: NonZeroU16,
    /// Time that receipts stay for gateways that are not running, in hours. Counts at the registry,
    /// which writes them.
    #[serde(default = "default_receipts_keep_hours")]
    pub receipts_keep_hours: NonZeroU16,
}

impl QueueConfig {
    /// Warning of a way on which the account's password may be read, as the configuration permits.
    #[must_use]
    pub fn plain_warning(&self) -> Option<&'static str> {
        let Self::Amqp(config) = self else {
            return None;
        };
        (config.allow_plain && !config.url.starts_with("amqps://")).then_some(
            "allow_plain of [queue.amqp] is set: to a broker on another machine the password \
             travels in clear, unless something else encrypts the way; amqps:// needs no such word",
        )
    }
}

impl DirectoryConfig {
    /// The directory at `path`, everything else by default.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_batches: None,
            delivery_limit: default_delivery_limit(),
            window: default_directory_window(),
            receipts_keep_hours: default_receipts_keep_hours(),
        }
    }
}

/// A RabbitMQ broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AmqpConfig {
    /// `amqp://user@host:port/vhost`, or `amqps://` for TLS. No password in it: that is `password`.
    /// Without a user, RabbitMQ's own `guest` (loopback only); without a path, the virtual host
    /// `/`.
    pub url: String,
    /// The account's password.
    pub password: Option<SecretSource>,
    /// Lets `amqp://` go to another machine, password and all in clear. Only where something else
    /// encrypts the way.
    pub allow_plain: bool,
    /// Proof of identity at login: by password, or by the client certificate of `[queue.amqp.tls]`.
    pub login: Login,
    /// Certificates for `amqps://`.
    pub tls: TlsConfig,
    /// The durable direct exchange batches are published to. The same for every clinic.
    pub exchange: String,
    /// The durable queue, and the routing key. The same for every clinic. No exchange bears this
    /// name: an account may bind what it may write to.
    pub queue: String,
    /// The queue of dead letters, and their routing key. It holds 10 000 or 512 MiB; the oldest go
    /// first.
    pub dead_letters: String,
    /// The durable direct exchange that dead letters are published to.
    pub dead_letters_exchange: String,
    /// The durable fanout exchange of the registry's receipts. The same for every clinic.
    pub receipts: String,
    /// A gateway's own queue of receipts, which the broker's operator has made and bound for its
    /// account. Default: a queue named by the broker, which the account must be allowed to make.
    pub receipts_queue: Option<String>,
    /// Kind of both queues. Quorum survives the loss of a node and limits redelivery.
    pub queue_kind: QueueKind,
    /// After this many failed deliveries a quorum queue moves a batch to the dead letters.
    pub delivery_limit: NonZeroU32,
    /// `true`: create exchanges and queues where missing. `false`: only make sure that they exist.
    pub declare: bool,
    /// Number of batches that may wait for the broker's confirm at once; none is added while 1 MiB
    /// of them do.
    pub window: NonZeroU16,
    /// Number of batches that the broker may hand a consumer ahead of its acknowledgements.
    pub prefetch: NonZeroU16,
    /// Longest wait of a publish for its confirm before it counts as failed, in seconds. Counts
    /// from when the batch is handed to the connection; for that it waits at most as long again.
    pub confirm_timeout_seconds: NonZeroU16,
    /// Longest time for connecting, in seconds, from the name's resolution to the login.
    pub connect_timeout_seconds: NonZeroU16,
    /// Heartbeat interval, in seconds; a peer silent for twice as long is gone.
    pub heartbeat_seconds: NonZeroU16,
    /// Longest pause between two attempts to connect, in seconds.
    pub max_backoff_seconds: NonZeroU16,
}

impl Default for AmqpConfig {
    fn default() -> Self {
        Self {
            url: "amqp://127.0.0.1:5672".into(),
            password: None,
            allow_plain: false,
            login: Login::default(),
            tls: TlsConfig::default(),
            exchange: "clinic.facts".into(),
            queue: "clinic.facts.intake".into(),
            dead_letters: "clinic.facts.dead".into(),
            dead_letters_exchange: "clinic.dead".into(),
            receipts: "clinic.receipts".into(),
            receipts_queue: None,
            queue_kind: QueueKind::default(),
            delivery_limit: default_delivery_limit(),
            declare: true,
            window: nonzero(64),
            prefetch: nonzero(64),
            confirm_timeout_seconds: nonzero(30),
            connect_timeout_seconds: nonzero(10),
            heartbeat_seconds: nonzero(10),
            max_backoff_seconds: nonzero(15),
        }
    }
}

/// Proof of a client's identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// User name and password (SASL PLAIN).
    #[default]
    Password,
    /// The client certificate alone (SASL EXTERNAL; the broker needs its plugin for it).
    Certificate,
}

/// Kinds of RabbitMQ queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// Replicated by Raft.
    #[default]
    Quorum,
    /// On one node, without a delivery limit.
    Classic,
}

/// Certificates for AMQPS. The server's certificate is always checked, its name too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the only authorities to trust. Default: those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate chain. Needs `ca_file`, and a broker with TLS 1.3, which
    /// hides it from whoever listens.
    pub cert_file: Option<PathBuf>,
    /// The client certificate's private key, PEM.
    pub key: Option<SecretSource>,
    /// The name the server's certificate must bear, when it is not the host of `url`.
    pub server_name: Option<String>,
}

fn default_delivery_limit() -> NonZeroU32 {
    NonZeroU32::new(20).expect("20 is not zero")
}

fn default_directory_window() -> NonZeroU16 {
    nonzero(8)
}

fn default_receipts_keep_hours() -> NonZeroU16 {
    nonzero(48)
}

fn nonzero(value: u16) -> NonZeroU16 {
    NonZeroU16::new(value).expect("defaults are not zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        queue: QueueConfig,
    }

    fn read(text: &str) -> Result<QueueConfig, String> {
        toml::from_str::<File>(text)
            .map(|file| file.queue)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_section_may_be_short_and_gets_the_documented_defaults() {
        let QueueConfig::Amqp(amqp) = read("[queue.amqp]\nurl = 'amqp://g@h'\n").unwrap() else {
            panic!()
        };
        assert_eq!(
            amqp,
            AmqpConfig {
                url: "amqp://g@h".into(),
                ..AmqpConfig::default()
            }
        );
        let directory = read("[queue.directory]\npath = 'q'\n").unwrap();
        assert_eq!(directory, QueueConfig::Directory(DirectoryConfig::at("q")));
    }

    #[test]
    fn unknown_keys_zeroes_and_unknown_kinds_are_refused_by_name() {
        for (text, word) in [
            ("[queue.amqp]\nurll = 'x'\n", "urll"),
            ("[queue.amqp.tls]\nverify = false\n", "verify"),
            ("[queue.amqp]\nwindow = 0\n", "nonzero"),
            ("[queue.kafka]\n", "kafka"),
            ("[queue.directory]\npath = 'q'\nmax = 1\n", "max"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_broker_that_may_be_spoken_to_in_clear_is_warned_of() {
        let warned = |url: &str, allow_plain| {
            let url = url.to_owned();
            let config = AmqpConfig {
                url,
                allow_plain,
                ..AmqpConfig::default()
            };
            QueueConfig::Amqp(config).plain_warning().is_some()
        };
        assert!(warned("amqp://clinic@broker.example", true));
        assert!(!warned("amqps://clinic@broker.example", true));
        assert!(!warned("amqp://127.0.0.1", false));
        let directory = QueueConfig::Directory(DirectoryConfig::at("q"));
        assert_eq!(directory.plain_warning(), None);
    }
}
