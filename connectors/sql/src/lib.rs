//! Reads a clinic's records out of PostgreSQL, MariaDB/MySQL or SQLite, with one plain SELECT a
//! kind of fact.
//!
//! The administrator's SELECT names its columns as [the README](../README.md) says; this crate
//! wraps it for keyset paging, runs it in read-only transactions and gives every column type one
//! defined meaning.

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod build;
mod by_id;
mod catalog;
mod changes;
mod check;
mod closing;
mod columns;
mod config;
mod connector;
mod cursor;
mod date;
mod driver;
mod forms;
mod hourly;
mod ids;
mod layout;
mod list;
mod load;
mod named_ids;
mod native;
mod open_read;
mod page;
mod present;
mod proposal;
mod pull;
mod row;
mod salvage;
mod settings;
mod source;
mod stamp;
mod statement;
mod sweep;
mod table;
mod text;
mod value;
mod whole;
mod without_key;

#[cfg(feature = "mysql")]
pub use config::MySqlConfig;
#[cfg(feature = "postgres")]
pub use config::PostgresConfig;
#[cfg(feature = "sqlite")]
pub use config::SqliteConfig;
pub use config::{ChangeDetection, Encoding, FeedConfig, StatusWord, TlsConfig, TlsMode};
pub use connector::SqlConnector;
pub use proposal::{
    Changes, CountedValue, Database, FoundValues, KnownCodes, KnownSystem, MissingFeed,
    OTHER_DISEASE, Proposal, ProposedFeed,
};
