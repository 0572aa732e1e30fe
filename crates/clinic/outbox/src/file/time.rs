//! Times as the file keeps them: milliseconds since 1970 in UTC.

use chrono::{DateTime, Utc};

/// Converts a time to milliseconds since 1970.
pub(crate) fn to_ms(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// Converts milliseconds since 1970 to a time; `None` for a number beyond the calendar, which this
/// crate never writes.
pub(crate) fn from_ms(ms: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
}
