//! Renewal, as the `meta` row has it: what is left to send again after the generation rose, beside
//! what the sources hold.
//!
//! A file from before the contract's version 2 needs a raise for that first: everything is sent
//! again in the present form.

use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;

use crate::file::OutboxError;

/// Step of the renewal that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The generation has to rise, so that everything is read and sent again.
    Raise,
    /// Withdrawals of rows that are gone have to be sent again.
    Withdrawals,
}

/// Reads the step that is due; `None` usually.
pub(crate) async fn read_renewal(
    executor: impl SqliteExecutor<'_>,
) -> Result<Option<Renewal>, OutboxError> {
    let word: Option<String> = sqlx::query_scalar("SELECT renewal FROM meta WHERE id = 1")
        .fetch_one(executor)
        .await?;
    Ok(word.map(|word| match word.as_str() {
        "due" => Renewal::Raise,
        // The schema holds no third word.
        _ => Renewal::Withdrawals,
    }))
}

/// Reads the generation since which contents can be compared.
pub(crate) async fn read_contents_since(
    connection: &mut SqliteConnection,
) -> Result<u32, OutboxError> {
    let since = sqlx::query_scalar("SELECT contents_since FROM meta WHERE id = 1")
        .fetch_one(connection)
        .await?;
    Ok(since)
}

/// Notes that withdrawals have to be sent again, unless everything has to.
pub(super) async fn need_withdrawals(connection: &mut SqliteConnection) -> Result<(), OutboxError> {
    sqlx::query("UPDATE meta SET renewal = 'withdrawals' WHERE renewal IS NULL")
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that contents can be compared since this generation, and that withdrawals are next.
pub(super) async fn begin_withdrawals(
    connection: &mut SqliteConnection,
    generation: u32,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE meta SET renewal = 'withdrawals', contents_since = ?1")
        .bind(generation)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that nothing is left to send again.
pub(crate) async fn end_renewal(connection: &mut SqliteConnection) -> Result<(), OutboxError> {
    sqlx::query("UPDATE meta SET renewal = NULL")
        .execute(connection)
        .await?;
    Ok(())
}
