//! Finds the records that a gateway has read by their digests.
//!
//! A log-structured merge tree in the tables `key_run`, `key_block` and `record_block` of the
//! caller's SQLite file: new keys collect in a memtable, are flushed as sorted runs with Bloom
//! filters, and runs of similar size are compacted into one. All writing is part of the caller's
//! transaction. Four operations: [`RecordIndex::look_up`], [`RecordIndex::append`], [`change`],
//! [`scan`].

mod candidates;
mod digest_hash;
mod error;
mod index;
mod json;
mod memory;
mod memtable;
mod record;
mod records;
mod runs;

pub use digest_hash::{ByDigest, DigestHasher, RecordMap, RecordSet};
pub use error::IndexError;
pub use index::RecordIndex;
pub use record::{Appended, Key, KnownRecord, LookedUp, RecordState, key_of};
pub use records::scan::scan;
pub use records::table::{change, last_record_no, look_up_numbers};
