//! Sorted runs of keys, each with a Bloom filter, in the tables `key_run` and `key_block`.

pub(crate) mod bloom;
pub(crate) mod compaction;
pub(crate) mod run;
pub(crate) mod table;
