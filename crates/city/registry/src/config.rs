//! `city-registry.toml`.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use audit::{AuditConfig, AuditMistake, OtherFolder};
use broker::QueueConfig;
use contract::{Epoch, Suite};
use linking::{LinkRules, OpenEpoch};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use settings::SecretSource;
use telemetry::{ListenConfig, LogConfig};

use crate::passes::PassesConfig;
use crate::portal::PortalConfig;
use crate::retention::{RetentionConfig, RetentionMistake};
use crate::tokens::TokensConfig;

/// Configuration file of the registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[store.sqlite]` or `[store.postgres]`.
    pub store: StoreConfig,
    /// `[queue.directory]` or `[queue.amqp]`.
    pub queue: QueueConfig,
    /// `[keys]`.
    pub keys: KeysConfig,
    /// `[consume]`.
    #[serde(default)]
    pub consume: ConsumeConfig,
    /// `[escrow]`, where what batches state is laid down for an auditor.
    #[serde(default)]
    pub escrow: Option<EscrowConfig>,
    /// `[passes]`, where passes are issued.
    #[serde(default)]
    pub passes: Option<PassesConfig>,
    /// `[retention]`, where facts expire once no pass can rest on them any more.
    #[serde(default)]
    pub retention: Option<RetentionConfig>,
    /// `[tokens]`, where batches prove by one-use tokens that a genuine clinic sent them.
    #[serde(default)]
    pub tokens: Option<TokensConfig>,
    /// `[portal]`.
    #[serde(default)]
    pub portal: PortalConfig,
    /// `[listen]`: metrics and health, where wanted.
    #[serde(default)]
    pub listen: Option<ListenConfig>,
    /// `[audit]`: log of who did what with the registry, where wanted.
    #[serde(default)]
    pub audit: Option<AuditConfig>,
    /// `[log]`.
    #[serde(default)]
    pub log: LogConfig,
}

impl Config {
    /// Mistake in `[retention]`, with what to write instead.
    #[must_use]
    pub fn retention_mistake(&self) -> Option<RetentionMistake> {
        let retention = self.retention.as_ref()?;
        retention.rules_file(self.passes.as_ref()).err()
    }

    /// Mistake in `[audit]`, with what to write instead.
    #[must_use]
    pub fn audit_mistake(&self) -> Option<AuditMistake> {
        let audit = self.audit.as_ref()?;
        let mut others = Vec::new();
        if let QueueConfig::Directory(directory) = &self.queue {
            others.push(OtherFolder {
                setting: "queue.directory.path",
                path: &directory.path,
            });
        }
        if let Some(escrow) = &self.escrow {
            others.push(OtherFolder {
                setting: "escrow.folder",
                path: &escrow.folder,
            });
        }
        audit.mistake(&others)
    }
}

/// Database that keeps pseudonyms and facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "StoreSections")]
pub enum StoreConfig {
    /// SQLite: one file, for one registry process.
    Sqlite(SqliteConfig),
    /// PostgreSQL: a server, for any number of registry processes.
    Postgres(Box<PostgresConfig>),
}

/// Sections as a file may have them, so that each mistake (none, or two) has a message of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreSections {
    sqlite: Option<SqliteConfig>,
    postgres: Option<Box<PostgresConfig>>,
}

impl TryFrom<StoreSections> for StoreConfig {
    type Error = &'static str;

    fn try_from(sections: StoreSections) -> Result<Self, Self::Error> {
        match (sections.sqlite, sections.postgres) {
            (Some(sqlite), None) => Ok(Self::Sqlite(sqlite)),
            (None, Some(postgres)) => Ok(Self::Postgres(postgres)),
            (Some(_), Some(_)) => {
                Err("both [store.sqlite] and [store.postgres] are here: keep one")
            }
            (None, None) => Err("write [store.sqlite] or [store.postgres]"),
        }
    }
}

/// `[store.sqlite]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteConfig {
    /// Database file, made when missing; a relative path is taken from the configuration file's
    /// folder.
    pub path: PathBuf,
}

/// `[store.postgres]`: either `url`, or `host`, `port`, `database` and `user`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgres://USER@HOST:PORT/DATABASE`, without a password.
    pub url: Option<String>,
    /// Name or address of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// Name of the database.
    pub database: String,
    /// Name of the account.
    pub user: String,
    /// Password of the account.
    pub password: Option<SecretSource>,
    /// Encryption of the connection. Default: `verify-full`; to a server on the same machine,
    /// without `ca_file` and `cert_file`, TLS where the server offers it, whatever its certificate.
    pub tls: Option<TlsMode>,
    /// Lets `tls = "off"` go to another machine, facts and password all in clear. Only where
    /// something else encrypts the way there.
    pub allow_plain: bool,
    /// PEM file of the authority to trust. Default: those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate, with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    pub key_file: Option<PathBuf>,
    /// Largest number of connections of this process.
    pub connections: NonZeroU16,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            url: None,
            host: "127.0.0.1".into(),
            port: 5432,
            database: "registry".into(),
            user: "registry".into(),
            password: None,
            tls: None,
            allow_plain: false,
            ca_file: None,
            cert_file: None,
            key_file: None,
            connections: NonZeroU16::new(8).expect("8 is not zero"),
        }
    }
}

/// Encryption of the connection to PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Unencrypted: for a server on the same machine; on another, only with `allow_plain`.
    Off,
    /// Encrypted, the server's certificate checked, but not its name.
    VerifyCa,
    /// Encrypted, the server's certificate and name checked.
    VerifyFull,
}

/// `[escrow]`: folder in which is laid down for the auditor which records each batch states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscrowConfig {
    /// Folder, made when missing, neither around nor below the folder of the database file; a
    /// relative path is taken from the configuration file's folder.
    pub folder: PathBuf,
    /// The auditor's public key (`cgav1:…`), as `auditor keys new` prints it.
    pub public_key: String,
    /// Most that the folder's files may have together, in MiB.
    #[serde(default = "escrow_mib")]
    pub max_mib: NonZeroU32,
}

/// 50 GiB: 13 million blocks.
fn escrow_mib() -> NonZeroU32 {
    NonZeroU32::new(50 << 10).expect("50 Ki is not zero")
}

/// `[keys]`: kept apart from the database, each readable by this program's user only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// Private key that batches are sealed to (`cgsk1:…`).
    pub private_key: SecretSource,
    /// Earlier private keys, while batches sealed to them may still arrive.
    #[serde(default)]
    pub previous_private_keys: Vec<SecretSource>,
    /// Second-layer key, 64 hex characters. Losing it loses every link: back it up, apart from
    /// the database.
    pub second_layer: SecretSource,
    /// Key that receipts are signed with (`cgrs1:…`). Absent: no receipts, and probes stay
    /// unanswered.
    #[serde(default)]
    pub receipt_key: Option<SecretSource>,
    /// Epochs of the pseudonym keys that are open, one or two of each suite: `1` for every suite,
    /// or `"voprf:1"` for one. An event that names another one is refused, and waits at its clinic
    /// as a dead letter.
    #[serde(
        default = "first_epoch",
        deserialize_with = "open_epochs",
        serialize_with = "written_epochs"
    )]
    pub pseudonym_epochs: Vec<OpenEpoch>,
    /// Changes of the key services' keys that stored names of suite `voprf` follow, or are to
    /// follow, by `city-registry rekey`; each until its `from_epoch` is closed.
    #[serde(default)]
    pub rekeyed: Vec<RekeyedConfig>,
}

/// `[[keys.rekeyed]]`: change of the key services' keys from one key epoch to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RekeyedConfig {
    /// Epoch whose names change.
    pub from_epoch: Epoch,
    /// Epoch that they change to.
    pub to_epoch: Epoch,
    /// Key services whose keys differ between the two epochs.
    pub services: Vec<RekeyedServiceConfig>,
}

/// `[[keys.rekeyed.services]]`: change of one key service's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RekeyedServiceConfig {
    /// New private key divided by the old one (`cgof1:…`), as the service's operator gives it.
    pub factor: SecretSource,
    /// Public key of `from_epoch` (`cgov1:…`), as clinics pin it.
    pub old_public_key: String,
    /// Public key of `to_epoch` (`cgov1:…`), as clinics pin it.
    pub new_public_key: String,
}

/// Number of the first pseudonym key of a city.
pub(crate) const FIRST_EPOCH: Epoch = 1;

/// Largest number of epochs of one suite that may be open: the present key's and the next one's.
const MAX_OPEN_EPOCHS: usize = 2;

fn first_epoch() -> Vec<OpenEpoch> {
    vec![OpenEpoch::of_every_suite(FIRST_EPOCH)]
}

/// Epoch as configuration writes it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenEpoch {
    OfEverySuite(Epoch),
    OfOneSuite(String),
}

impl WrittenEpoch {
    fn open(self) -> Option<OpenEpoch> {
        let open = match self {
            Self::OfEverySuite(epoch) => OpenEpoch::of_every_suite(epoch),
            Self::OfOneSuite(text) => {
                let (suite, epoch) = text.split_once(':')?;
                OpenEpoch {
                    suite: Some(suite.parse().ok()?),
                    epoch: epoch.parse().ok()?,
                }
            }
        };
        (open.epoch > 0).then_some(open)
    }
}

/// Reads the open epochs: from 1, no key twice, and one or two keys of a suite.
fn open_epochs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OpenEpoch>, D::Error> {
    let written = Vec::<WrittenEpoch>::deserialize(deserializer)?;
    let open: Option<Vec<OpenEpoch>> = written.into_iter().map(WrittenEpoch::open).collect();
    let fits = |open: &Vec<OpenEpoch>| {
        let of_suite = |suite| open.iter().filter(move |one| one.is_of(suite));
        let is_within = |suite| {
            let mut epochs: Vec<Epoch> = of_suite(suite).map(|one| one.epoch).collect();
            let number = epochs.len();
            epochs.sort_unstable();
            epochs.dedup();
            number <= MAX_OPEN_EPOCHS && epochs.len() == number
        };
        !open.is_empty() && Suite::ALL.into_iter().all(is_within)
    };
    open.filter(fits).ok_or_else(|| {
        D::Error::custom(
            "write one epoch, or two different ones while keys are rotated, such as [1] or [1, 2]; \
             of one suite alone as \"voprf:1\"",
        )
    })
}

fn written_epochs<S: Serializer>(open: &[OpenEpoch], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(open.iter().map(|one| match one.suite {
        None => WrittenEpoch::OfEverySuite(one.epoch),
        Some(suite) => WrittenEpoch::OfOneSuite(format!("{}:{}", suite.as_str(), one.epoch)),
    }))
}

/// `[consume]`: how batches are taken from the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumeConfig {
    /// Number of consumers in this process; more than one helps with PostgreSQL only.
    pub consumers: NonZeroU16,
    /// Largest number of batches taken at once.
    pub max_batches: NonZeroU16,
    /// Largest number of events in one transaction; a single larger batch is still one transaction.
    pub max_events: NonZeroU32,
    /// Longest wait for a first batch, in milliseconds.
    pub max_wait_ms: NonZeroU32,
    /// Number of records, 1 or 2, that must state two names together before two persons become one
    /// who both have records of their own.
    #[serde(deserialize_with = "one_or_two")]
    pub join_needs_records: u64,
}

fn one_or_two<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let records = u64::deserialize(deserializer)?;
    if (1..=2).contains(&records) {
        Ok(records)
    } else {
        Err(D::Error::custom("write 1 or 2"))
    }
}

impl ConsumeConfig {
    /// Rules by which records make persons.
    pub(crate) const fn link_rules(&self) -> LinkRules {
        LinkRules {
            join_needs_records: self.join_needs_records,
        }
    }
}

impl Default for ConsumeConfig {
    fn default() -> Self {
        Self {
            consumers: NonZeroU16::MIN,
            max_batches: NonZeroU16::new(32).expect("32 is not zero"),
            max_events: NonZeroU32::new(8000).expect("8000 is not zero"),
            max_wait_ms: NonZeroU32::new(1000).expect("1000 is not zero"),
            join_needs_records: LinkRules::default().join_needs_records,
        }
    }
}

impl PostgresConfig {
    /// Mistake in the section as a whole, with what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Some((
                "store.postgres has only one of cert_file and key_file",
                "set both, or neither",
            ));
        }
        let rest = self
            .url
            .as_deref()?
            .split_once("://")
            .map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let user_info = authority
            .rsplit_once('@')
            .map_or("", |(user_info, _)| user_info);
        (user_info.contains(':') || rest.contains("password=")).then_some((
            "store.postgres.url holds a password",
            "take it out and write password = { file = \"…\" }",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const SMALLEST: &str = "[store.sqlite]\npath = 'r.sqlite'\n[queue.directory]\npath = 'q'\n
        [keys]\nprivate_key = {file = 'a'}\nsecond_layer = {file = 'b'}\n";

    #[test]
    fn the_smallest_file_is_read_and_a_typo_is_named() {
        let config: Config = settings::parse(SMALLEST, Path::new("x")).unwrap();
        assert_eq!(config.consume, ConsumeConfig::default());
        let typo = format!("{SMALLEST}[consume]\nmax_batchs = 3\n");
        let error = settings::parse::<Config>(&typo, Path::new("x"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `max_batches`?"), "{error}");
    }

    #[test]
    fn two_stores_are_refused_and_one_comes_back_as_written() {
        let two = format!("{SMALLEST}[store.postgres]\nport = 1\n");
        let error = settings::parse::<Config>(&two, Path::new("x"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("keep one"), "{error}");
        let typo = SMALLEST.replace("[store.sqlite]", "[store.sqlit]");
        let error = settings::parse::<Config>(&typo, Path::new("x"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `sqlite`?"), "{error}");
        let postgres = StoreConfig::Postgres(Box::default());
        let written = serde_json::to_value(&postgres).unwrap();
        assert_eq!(
            serde_json::from_value::<StoreConfig>(written).unwrap(),
            postgres
        );
    }

    #[test]
    fn the_example_file_is_read() {
        let text = include_str!("../../../../config/city-registry.toml");
        settings::parse::<Config>(text, Path::new("city-registry.toml")).unwrap();
        // The commented settings too: every one of them on, but for the second store and queue.
        let store = "[store.sqlite]\npath = \"registry.sqlite\"";
        let queue = "[queue.directory]\npath = \"queue\"";
        let on = text
            .replace("# [", "[")
            .replace(store, "")
            .replace(queue, "");
        let on: Vec<&str> = on
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.split(' ').nth(1) == Some("="))
                    .unwrap_or(line)
            })
            .collect();
        settings::parse::<Config>(&on.join("\n"), Path::new("city-registry.toml")).unwrap();
    }

    #[test]
    fn epochs_and_records_are_within_their_limits() {
        let with = |line: &str| {
            settings::parse::<Config>(&SMALLEST.replace("[keys]\n", line), Path::new("x")).map(
                |config| {
                    (
                        config.keys.pseudonym_epochs,
                        config.consume.join_needs_records,
                    )
                },
            )
        };
        let every = |epoch| OpenEpoch::of_every_suite(epoch);
        assert_eq!(with("[keys]\n").unwrap(), (vec![every(1)], 1));
        assert_eq!(
            with("[keys]\npseudonym_epochs = [7, 2]\n").unwrap().0,
            [every(7), every(2)]
        );
        let line = "[keys]\npseudonym_epochs = [\"hmac:1\", \"voprf:1\", \"voprf:2\"]\n";
        let of = |suite, epoch| OpenEpoch {
            suite: Some(suite),
            epoch,
        };
        assert_eq!(
            with(line).unwrap().0,
            [of(Suite::Hmac, 1), of(Suite::Voprf, 1), of(Suite::Voprf, 2)]
        );
        for bad in [
            "[]",
            "[0]",
            "[1, 1]",
            "[1, 2, 3]",
            "[65536]",
            "[1, \"voprf:1\"]",
            "[1, 2, \"voprf:3\"]",
            "[\"voprf:0\"]",
            "[\"voprf\"]",
            "[\"other:1\"]",
        ] {
            let line = format!("[keys]\npseudonym_epochs = {bad}\n");
            assert!(with(&line).is_err(), "{bad}");
        }
        let joins = |number: u8| {
            with(&format!(
                "[consume]\njoin_needs_records = {number}\n[keys]\n"
            ))
        };
        assert_eq!(joins(2).unwrap().1, 2);
        assert!(joins(0).is_err() && joins(3).is_err());
    }

    #[test]
    fn a_password_in_the_url_is_refused() {
        let with = |url: &str| {
            PostgresConfig {
                url: Some(url.into()),
                ..PostgresConfig::default()
            }
            .mistake()
        };
        assert!(with("postgres://u:secret@h/d").is_some());
        assert!(with("postgres://u@h:5432/d").is_none());
        assert!(with("postgres://h/d?user=u&password=x").is_some());
    }
}
