//! The configuration as an administrator writes it; the doc comments here are what an editor shows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use connector_kit::{Feed, ZoneSetting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use settings::SecretSource;

/// Adds the settings that all three kinds share. `serde(flatten)` would undo `deny_unknown_fields`.
macro_rules! with_common_settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// The time zone of this source, an IANA name: by default the gateway's `time_zone`.
            /// Instants become dates in it; stamps without a zone are read in it.
            #[serde(default)]
            pub time_zone: ZoneSetting,
            /// Encoding of text that arrives as raw bytes: `bytea`, `BLOB`, `VARBINARY`, and text
            /// that is not UTF-8.
            #[serde(default)]
            pub encoding: Encoding,
            /// Formats of dates that the tables keep as text: `["d.M.yyyy", "yyyyMMdd"]`. Without
            /// any, the usual ones: docs/codes.md lists them.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            #[schemars(length(max = 10))]
            pub date_formats: Vec<String>,
            /// Seconds that each run looks back behind the last stamp it has seen, for rows that
            /// were committed late.
            #[serde(default = "default_overlap")]
            pub overlap_seconds: u32,
            /// Seconds after which the database is to give up one statement.
            #[serde(default = "default_statement_timeout")]
            #[schemars(range(min = 1, max = 3600))]
            pub statement_timeout_seconds: u32,
            /// Seconds to wait for a connection.
            #[serde(default = "default_connect_timeout")]
            #[schemars(range(min = 1, max = 300))]
            pub connect_timeout_seconds: u32,
            // Where it is cut says nothing of what a record becomes: it stays out of what a cursor
            // is kept with.
            /// Seconds for which one statement may stay open that reads a whole feed (a first load,
            /// a sweep); what is left is read by the next one. By default 300, of an SQLite file
            /// 20.
            #[serde(default, skip_serializing)]
            #[schemars(range(min = 1, max = 86_400))]
            pub max_read_seconds: Option<u32>,
            /// Query for vaccinations.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub vaccinations: Option<FeedConfig>,
            /// Query for laboratory tests.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tests: Option<FeedConfig>,
            /// Query for recoveries.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub recoveries: Option<FeedConfig>,
        }

        impl $name {
            pub(crate) fn common(&self) -> Common {
                Common {
                    time_zone: self.time_zone.0,
                    encoding: self.encoding,
                    date_formats: self.date_formats.clone(),
                    overlap_seconds: self.overlap_seconds,
                    listen_overlap_seconds: self.overlap_seconds,
                    statement_timeout_seconds: self.statement_timeout_seconds,
                    connect_timeout_seconds: self.connect_timeout_seconds,
                    max_read_seconds: self.max_read_seconds,
                    feeds: [self.vaccinations.clone(), self.tests.clone(), self.recoveries.clone()],
                }
            }
        }
    };
}

#[cfg(feature = "postgres")]
with_common_settings! {
    /// A clinic system in PostgreSQL.
    pub struct PostgresConfig {
        /// The server's name or address; a path that begins with `/` is the folder of its Unix
        /// socket.
        pub host: String,
        /// The server's port.
        #[serde(default = "default_postgres_port")]
        pub port: u16,
        /// The database.
        pub database: String,
        /// The account; it needs SELECT on what the queries read, and nothing else.
        pub user: String,
        /// Place of the account's password: `{ file = "…" }`, `{ env = "…" }` or `{ credential =
        /// "…" }`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub password: Option<SecretSource>,
        /// Encryption of the connection.
        #[serde(default)]
        pub tls: TlsConfig,
        // Neither changes what a record becomes: they stay out of what a cursor is kept with.
        /// A channel to LISTEN on: a NOTIFY there makes the gateway read at once, besides its
        /// schedule. Small letters, digits, `_`.
        #[serde(default, skip_serializing)]
        pub listen: Option<String>,
        /// Seconds that a run begun by a notification looks back behind the last scheduled one, in
        /// place of `overlap_seconds`.
        #[serde(default = "default_listen_overlap", skip_serializing)]
        #[schemars(range(max = 300))]
        pub listen_overlap_seconds: u32,
    }
}

#[cfg(feature = "mysql")]
with_common_settings! {
    /// A clinic system in MariaDB or MySQL.
    pub struct MySqlConfig {
        /// The server's name or address; a path that begins with `/` is its Unix socket.
        pub host: String,
        /// The server's port.
        #[serde(default = "default_mysql_port")]
        pub port: u16,
        /// The database.
        pub database: String,
        /// The account; it needs SELECT on what the queries read, and nothing else.
        pub user: String,
        /// Place of the account's password: `{ file = "…" }`, `{ env = "…" }` or `{ credential =
        /// "…" }`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub password: Option<SecretSource>,
        /// Encryption of the connection.
        #[serde(default)]
        pub tls: TlsConfig,
    }
}

#[cfg(feature = "sqlite")]
with_common_settings! {
    /// A clinic system in an SQLite file.
    pub struct SqliteConfig {
        /// The file; a relative path is taken from the configuration file's folder. It is opened
        /// read-only.
        pub path: PathBuf,
    }
}

/// Settings of one kind of fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// A plain SELECT whose column aliases are the documented names, such as `record_id` and
    /// `changed_at`.
    pub query: String,
    /// How the gateway notices that a row has changed: `stamp` by the query's `changed_at`,
    /// `several-stamps` by the queries under `changes`, `content` by comparing whole rows in
    /// sweeps. Absent: `several-stamps` where there are `changes`, otherwise `stamp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_detection: Option<ChangeDetection>,
    /// Short queries with the columns `record_id` and `changed_at`, one for each table whose rows
    /// make records change, each under a name of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, String>,
    // What a sweep reads says nothing of what a record becomes.
    /// Lets sweeps compare whole rows, where stamps do not always move.
    #[serde(default, skip_serializing)]
    pub sweep_contents: bool,
    /// Meanings of the words of the `status` column; capital letters and outer blanks do not
    /// matter, `""` stands for an empty status. A word that is not listed holds its record back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub status_words: BTreeMap<String, StatusWord>,
    /// Formats of the feed's dates that are kept as text, in place of the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    pub date_formats: Option<Vec<String>>,
}

/// Way in which changes of a feed are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeDetection {
    /// By the query's own `changed_at`.
    Stamp,
    /// By one short query for each table.
    SeveralStamps,
    /// By comparing whole rows in sweeps.
    Content,
}

/// Meaning of a word of the status column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatusWord {
    /// The fact holds.
    Final,
    /// The fact is taken back.
    Cancelled,
    /// Planned, refused, preliminary: not a fact (yet). `ignore` is the same.
    #[serde(alias = "ignore")]
    NotAFact,
}

/// The encoding of text that arrives as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// Windows code page 1251.
    #[serde(rename = "windows-1251")]
    Windows1251,
    /// KOI8-R.
    #[serde(rename = "koi8-r")]
    Koi8R,
    /// DOS code page 866.
    #[serde(rename = "ibm866")]
    Ibm866,
}

/// Encryption of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { mode = 'verify-full' }, whose mode is disable, prefer, require \
                 or verify-full"
)]
pub struct TlsConfig {
    /// `prefer` encrypts when the server can, `require` insists, `verify-full` also checks the
    /// server's name. Absent: `verify-full` for another machine, `prefer` for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,
    /// Lets `disable` and `prefer` go to another machine, records and password all in clear. Only
    /// where something else encrypts the way there.
    // No part of what a record becomes: it stays out of what a cursor is kept with.
    #[serde(default, skip_serializing)]
    pub allow_plain: bool,
    /// PEM file with the clinic's own certificate authority, trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file with the client certificate's key; only its owner may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<PathBuf>,
}

/// Degree of encryption that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encrypted when the server offers it; the server is not verified.
    Prefer,
    /// Encrypted or not at all; the server is not verified.
    Require,
    /// Encrypted, and the certificate must be valid for the host's name.
    VerifyFull,
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl TlsMode {
    /// Returns whether a connection may end up without encryption.
    pub(crate) const fn may_be_plain(self) -> bool {
        matches!(self, Self::Disable | Self::Prefer)
    }
}

/// Settings that all three kinds share, taken out of the configuration.
pub(crate) struct Common {
    pub time_zone: chrono_tz::Tz,
    pub encoding: Encoding,
    pub date_formats: Vec<String>,
    pub overlap_seconds: u32,
    /// Seconds that runs begun by a hint look back.
    pub listen_overlap_seconds: u32,
    pub statement_timeout_seconds: u32,
    pub connect_timeout_seconds: u32,
    pub max_read_seconds: Option<u32>,
    /// Feeds in the order of [`Feed::ALL`].
    pub feeds: [Option<FeedConfig>; 3],
}

impl Common {
    /// Feeds that are configured, in the order of [`Feed::ALL`].
    pub(crate) fn configured_feeds(&self) -> Vec<Feed> {
        let feeds = Feed::ALL.into_iter().zip(&self.feeds);
        let configured = feeds.filter(|(_, config)| config.is_some());
        configured.map(|(feed, _)| feed).collect()
    }
}

const fn default_overlap() -> u32 {
    300
}

#[cfg(feature = "postgres")]
const fn default_listen_overlap() -> u32 {
    2
}

const fn default_statement_timeout() -> u32 {
    60
}

const fn default_connect_timeout() -> u32 {
    10
}

#[cfg(feature = "postgres")]
const fn default_postgres_port() -> u16 {
    5432
}

#[cfg(feature = "mysql")]
const fn default_mysql_port() -> u16 {
    3306
}
