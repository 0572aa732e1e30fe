//! The mark of a state that another gateway runs on a copy of: read at every opening, cleared by an
//! operator.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::connect::open_alone;
use super::error::OutboxError;

/// Refuses a state that another gateway was found to run on a copy of.
///
/// # Errors
/// [`OutboxError::OtherGateway`] and the disk's failures.
pub(crate) async fn check_alone(connection: &mut SqliteConnection) -> Result<(), OutboxError> {
    let marked: bool = sqlx::query_scalar("SELECT other_at_ms IS NOT NULL FROM beacon")
        .fetch_one(connection)
        .await?;
    if marked {
        Err(OutboxError::OtherGateway)
    } else {
        Ok(())
    }
}

/// Goes on with the state at `path` though another gateway was found to run on a copy of it;
/// returns false if none was. The next run asks the registry anew, and rises above what the other
/// one sent. `owner` is shown to whoever finds the outbox locked.
///
/// # Errors
/// [`OutboxError::Missing`], [`OutboxError::Locked`], and the errors of opening.
pub async fn accept_state(path: &Path, owner: &str) -> Result<bool, OutboxError> {
    let mut alone = open_alone(path, owner).await?;
    let cleared = sqlx::query(
        "UPDATE beacon SET other_at_ms = NULL, other_generation = NULL, risen_at_ms = NULL, \
         raises = 0 WHERE other_at_ms IS NOT NULL",
    )
    .execute(&mut alone.connection)
    .await?;
    alone.connection.close().await?;
    Ok(cleared.rows_affected() > 0)
}
