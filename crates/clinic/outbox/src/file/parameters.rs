//! Sets as parameters of SQL statements, and digests in columns.

use contract::RecordDigest;

use super::error::OutboxError;

/// Builds a statement over the 32-byte digests that lie side by side in its first parameter:
/// `substr(?1, place.at, 32)` each. An empty parameter is one place with an empty digest, which is
/// no record's.
macro_rules! each_digest {
    ($statement:literal) => {
        concat!(
            "WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 32 FROM place WHERE at \
             + 32 < length(?1)) ",
            $statement
        )
    };
}
pub(crate) use each_digest;

/// Digests as [`each_digest`] takes them.
pub(crate) fn side_by_side<'a>(records: impl IntoIterator<Item = &'a RecordDigest>) -> Vec<u8> {
    records.into_iter().flat_map(|record| record.0).collect()
}

/// Values as `json_each` takes them.
pub(crate) fn json(values: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(values).expect("numbers and strings always have a JSON form")
}

/// Digest in a column.
///
/// # Errors
/// [`OutboxError::Damaged`] for one of another length.
pub(crate) fn digest_from(column: Vec<u8>) -> Result<RecordDigest, OutboxError> {
    let digest = column.try_into();
    digest
        .map(RecordDigest)
        .map_err(|_| OutboxError::Damaged { what: "a digest" })
}
