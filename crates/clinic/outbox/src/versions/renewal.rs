//! Renewal of a file from before the contract's version 2, as its `meta` row has it: everything is
//! sent again, in the present form.

use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::OutboxError;

/// Step of the renewal that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The generation has to rise, so that everything is read and sent again.
    Raise,
    /// Withdrawals of rows that are gone have to be sent again.
    Withdrawals,
}

/// Reads the step that is due; `None` if the file is of the present form.
pub(crate) async fn read_renewal(pool: &SqlitePool) -> Result<Option<Renewal>, OutboxError> {
    let word: Option<String> = sqlx::query_scalar("SELECT renewal FROM meta WHERE id = 1")
        .fetch_one(pool)
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

/// Notes that the generation is raised, and that withdrawals are next.
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

/// Notes that nothing is left to renew.
pub(crate) async fn end_renewal(connection: &mut SqliteConnection) -> Result<(), OutboxError> {
    sqlx::query("UPDATE meta SET renewal = NULL")
        .execute(connection)
        .await?;
    Ok(())
}
