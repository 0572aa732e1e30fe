//! Times as the file keeps them: milliseconds since 1970 in UTC.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// Converts a time to milliseconds since 1970.
pub(crate) fn to_ms(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// Converts milliseconds since 1970 to a time; `None` for a number beyond the calendar, which this
/// crate never writes.
pub(crate) fn from_ms(ms: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
}

/// Reads the time in a column, if it holds one.
pub(crate) fn time_in(row: &SqliteRow, column: &str) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let ms: Option<i64> = row.try_get(column)?;
    Ok(ms.and_then(from_ms))
}
