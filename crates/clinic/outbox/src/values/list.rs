//! Reading values that nobody has mapped.

use record_secrets::ValueDigest;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, SqliteExecutor};

use super::types::{UnknownValueCount, UnknownValueRow};
use crate::file::{OutboxError, time_in};

/// Values for which rows are refused, and their numbers; those of discarded letters are none.
macro_rules! open_values {
    () => {
        "SELECT v.*, source, feed, (SELECT count(*) FROM dead_letter \
         WHERE value_id = v.id AND discarded_at_ms IS NULL) + (SELECT count(*) \
         FROM unlisted_refusal WHERE value_id = v.id) AS refused \
         FROM unknown_value AS v JOIN feed ON feed.id = v.feed_id"
    };
}

/// Values of a source, or of all, that rows are refused for; the most frequent first.
pub(crate) async fn select(
    executor: impl SqliteExecutor<'_>,
    source: Option<&str>,
) -> Result<Vec<UnknownValueRow>, OutboxError> {
    let rows = sqlx::query(concat!(
        "SELECT * FROM (",
        open_values!(),
        ") WHERE refused > 0 AND (?1 IS NULL OR source = ?1) \
         ORDER BY refused DESC, persons DESC, id"
    ))
    .bind(source)
    .fetch_all(executor)
    .await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &SqliteRow) -> Result<UnknownValueRow, OutboxError> {
    let digest: Vec<u8> = row.try_get("digest")?;
    let digest = digest.try_into().map_err(|_| OutboxError::Damaged {
        what: "a value that nobody has mapped",
    })?;
    Ok(UnknownValueRow {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        feed: row.try_get("feed")?,
        table: row.try_get("code_table")?,
        digest: ValueDigest(digest),
        persons: row.try_get("persons")?,
        refused: unsigned(row.try_get("refused")?),
        first_seen_at: time_in(row, "first_seen_at_ms")?,
        last_seen_at: time_in(row, "last_seen_at_ms")?,
        sealed: row.try_get("sealed")?,
    })
}

/// Numbers of values, by source, feed and table.
pub(crate) async fn count(
    connection: &mut SqliteConnection,
) -> Result<Vec<UnknownValueCount>, OutboxError> {
    let rows = sqlx::query(concat!(
        "SELECT source, feed, code_table, count(*) AS number, sum(sealed IS NULL) AS not_shown, \
         sum(refused) AS refused FROM (",
        open_values!(),
        ") WHERE refused > 0 GROUP BY source, feed, code_table ORDER BY source, feed, code_table"
    ))
    .fetch_all(connection)
    .await?;
    let count = |row: &SqliteRow| {
        let number = |column| row.try_get::<i64, _>(column).map(unsigned);
        Ok(UnknownValueCount {
            source: row.try_get("source")?,
            feed: row.try_get("feed")?,
            table: row.try_get("code_table")?,
            values: number("number")?,
            not_shown: number("not_shown")?,
            refused: number("refused")?,
        })
    };
    rows.iter().map(count).collect()
}

/// Number of a column: SQLite counts in signed numbers, these never fall below zero.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
