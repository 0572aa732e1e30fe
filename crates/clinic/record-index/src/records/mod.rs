//! Blocks of records, in the table `record_block`.

pub(crate) mod block;
pub(crate) mod scan;
pub(crate) mod table;
