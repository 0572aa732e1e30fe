//! Entries that only the auditor opens: which account sent a batch, which records a batch stated.
//!
//! README.md describes the files and what they tell whoever has no key.

mod block;
mod entry;
mod error;
mod files;
mod format;
mod key;
mod list;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use entry::{Account, BatchName, Entry, StatedRecord};
pub use error::{EscrowError, KeyError, NameError};
pub use files::prepare_folder;
pub use format::{BLOCK_BYTES, MAX_ACCOUNT_BYTES};
pub use key::{AuditorKey, AuditorPublicKey};
pub use list::{ListError, MAX_LISTED, RecordList};
pub use reader::{ReadSummary, Reader, Unreadable, UnreadableKind};
pub use writer::Writer;
