//! City's side of the queue: opens batches, keeps pseudonyms and facts, never a person.
//!
//! [`Registry::consume_once`] does the whole work as one step: receive, open, apply in one
//! transaction, then acknowledge; [`Registry::consume_ahead`] does it for the next batches while
//! the store works on these. Everything is idempotent by record and version, so a batch may arrive
//! any number of times, in any order. The tables are described in
//! `migrations/registry`, the messages in `docs/contract`.

mod breaker;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod consume;
mod deletion;
mod escrow_folder;
mod keys;
mod open;
pub mod passes;
pub mod portal;
mod probe;
mod reader;
mod receipts;
mod registry;
mod retention;
mod store;
mod tokens;
mod view;

pub use config::{
    Config, ConsumeConfig, EscrowConfig, KeysConfig, PostgresConfig, RekeyedConfig,
    RekeyedServiceConfig, SqliteConfig, StoreConfig, TlsMode,
};
pub use consume::{ConsumeError, ConsumeStep};
pub use deletion::Deleted;
pub use escrow_folder::EscrowFolderError;
pub use keys::{Keys, KeysError};
pub use linking::{CityPseudonym, GroupOutcome, Rekeying, SecondLayerKey};
pub use reader::Reader;
pub use registry::{OpenRegistryError, Registry};
pub use retention::{Retention, RetentionConfig};
pub use store::{
    ActionRow, AliveClinics, Around, ContestRow, Expired, PersonAround, Purged, RekeyProgress,
    Rekeyed, Stats, StoreError,
};
pub use tokens::{TokenKeyConfig, TokenKeyUse, TokenKeys, TokenKeysError, TokensConfig};
pub use view::{StoredFact, SubjectView};
