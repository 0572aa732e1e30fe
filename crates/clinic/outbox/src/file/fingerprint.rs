//! The fingerprint of the key that record digests are made with.

use sqlx::sqlite::SqliteConnection;

use super::error::OutboxError;

/// Remembers the fingerprint at the first opening, and compares it at every other; an empty one is
/// not compared.
///
/// # Errors
/// [`OutboxError::OtherKeys`] and the disk's failures.
pub(crate) async fn check_fingerprint(
    connection: &mut SqliteConnection,
    fingerprint: &str,
) -> Result<(), OutboxError> {
    if fingerprint.is_empty() {
        return Ok(());
    }
    let remembered: String = sqlx::query_scalar(
        "UPDATE meta SET keys_check = coalesce(keys_check, ?1) RETURNING keys_check",
    )
    .bind(fingerprint)
    .fetch_one(connection)
    .await?;
    if remembered == fingerprint {
        Ok(())
    } else {
        Err(OutboxError::OtherKeys)
    }
}
