//! Days of a zone: when they begin, and which one it is.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use super::{WindowError, YEARS};

/// First moment of a day in a zone: midnight; the first of two, or, where the clock jumps over
/// midnight, the moment that it jumps at.
pub(super) fn first_moment(zone: Tz, date: NaiveDate) -> Result<DateTime<Utc>, WindowError> {
    let midnight = date.and_time(NaiveTime::MIN);
    if let Some(first) = zone.from_local_datetime(&midnight).earliest() {
        return Ok(first.with_timezone(&Utc));
    }
    let gap = GapInfo::new(&midnight, &zone);
    let after_gap = gap.and_then(|gap| gap.end);
    after_gap
        .map(|first| first.with_timezone(&Utc))
        .ok_or(WindowError::NoMidnight(date))
}

/// Day of the zone whose window contains the time.
pub(super) fn today(zone: Tz, now: DateTime<Utc>) -> Result<NaiveDate, WindowError> {
    if !YEARS.contains(&now.year()) {
        return Err(WindowError::Year);
    }
    let date = now.with_timezone(&zone).date_naive();
    // Where clocks go back over midnight, they show yesterday again after today has begun.
    let next = date.succ_opt().ok_or(WindowError::Year)?;
    if first_moment(zone, next)? <= now {
        Ok(next)
    } else {
        Ok(date)
    }
}
