//! Moments as the file keeps them: milliseconds since 1970 in UTC.

use chrono::{DateTime, Utc};

pub(crate) fn to_ms(moment: DateTime<Utc>) -> i64 {
    moment.timestamp_millis()
}

/// `None` for a number beyond the calendar, which this crate never writes.
pub(crate) fn from_ms(ms: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
}
