//! The SQLite file and the files next to it: opening, schema, lock, transactions, errors.

mod alone;
mod connect;
mod database;
mod error;
mod keys;
mod lock;
mod parameters;
mod paths;
mod schema;
mod tasks;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub use alone::accept_state;
pub(crate) use alone::check_alone;
pub(crate) use connect::{check_schema, open_writer, read_only_pool, writing_options};
pub(crate) use database::{Database, WriteTransaction};
pub use error::{NO_FOLDER_HELP, OutboxError};
pub use keys::{KeyFingerprint, KeyFingerprints, accept_pseudonym_keys, refresh_pseudonym_keys};
pub(crate) use keys::{compare_keys, pin_keys};
pub(crate) use lock::acquire_lock;
pub use lock::{Owner, owner};
pub(crate) use parameters::{digest_from, each_digest, json, side_by_side};
pub(crate) use paths::{FILE_MODE, create_private, sibling_path};
pub(crate) use tasks::run_to_end;
pub(crate) use text::{check_name, own_words, short_code};
pub(crate) use time::{from_ms, time_in, to_ms};
