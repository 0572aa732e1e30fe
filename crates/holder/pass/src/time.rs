//! Times of claims: whole seconds since 1970-01-01 00:00 UTC, as unsigned integers.

use chrono::{DateTime, Utc};

use crate::cbor::{FieldFault, Fields};

/// Last second that a time may name: 9999-12-31 23:59:59 UTC.
pub const LAST_SECOND: u64 = 253_402_300_799;

/// Seconds of a time; those before 1970 are 0.
pub(crate) fn seconds(time: DateTime<Utc>) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or(0)
}

impl Fields {
    /// Takes a time.
    pub(crate) fn time(
        &mut self,
        key: i64,
        field: &'static str,
    ) -> Result<DateTime<Utc>, FieldFault> {
        let seconds = self.uint(key, field)?;
        let time = Some(seconds)
            .filter(|seconds| *seconds <= LAST_SECOND)
            .and_then(|seconds| i64::try_from(seconds).ok())
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        time.ok_or_else(|| self.fault(field, "a time before the year 10000"))
    }
}
