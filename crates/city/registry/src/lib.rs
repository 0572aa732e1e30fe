//! The city's side: opens batches, keeps pseudonyms and facts, never a person.
//!
//! [`Registry::consume_once`] is the whole work as one step: receive, open, apply in one
//! transaction, then acknowledge; [`Registry::consume_ahead`] does it for the next batches while
//! the store works on these. Everything is idempotent by record and version, so a batch may arrive
//! any number of times, in any order. `docs/` of the project and `migrations/registry` describe
//! what is kept.

mod apply;
mod breaker;
mod choose;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod consume;
mod desk;
mod held;
mod incoming;
mod keys;
mod link;
mod open;
mod probe;
mod receipts;
mod registry;
mod second_layer;
mod store;
mod view;

pub use config::{
    Config, ConsumeConfig, KeysConfig, PostgresConfig, SqliteConfig, StoreConfig, TlsMode,
};
pub use consume::{ConsumeError, Step};
pub use keys::{Keys, KeysError};
pub use registry::{OpenRegistryError, Reader, Registry};
pub use second_layer::{CityPseudonym, SecondLayerKey};
pub use store::{Outcome, StoreError};
pub use view::{Stats, StoredFact, SubjectView};
