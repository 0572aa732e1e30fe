//! Names of receipt files: random, since receipts have no sender and no order.

use contract::BatchId;

const SUFFIX: &str = ".receipt";

/// Number of receipt files above which the oldest are removed early.
pub(super) const MAX_KEPT: usize = 100_000;

/// Reads the name of a file of `receipts/`.
pub(super) fn parse(file_name: &str) -> Option<BatchId> {
    let id = BatchId::from_hex(file_name.strip_suffix(SUFFIX)?)?;
    // One spelling only.
    (name(id) == file_name).then_some(id)
}

/// Name of a file of `receipts/`.
pub(super) fn name(id: BatchId) -> String {
    format!("{id}{SUFFIX}")
}
