//! Moments: as numbers of seconds in CBOR, and as they are shown.

use chrono::{DateTime, SecondsFormat, Utc};
use ciborium::Value;

/// Nanoseconds of a second.
const NANOSECONDS: f64 = 1e9;

/// Moment as it is shown, in UTC.
pub(crate) fn shown(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Moment of a number of seconds since 1970; `None` if the item is no such number.
pub(crate) fn moment(seconds: &Value) -> Option<DateTime<Utc>> {
    match seconds {
        Value::Integer(seconds) => i64::try_from(*seconds)
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        Value::Float(seconds) => from_float(*seconds),
        _ => None,
    }
}

fn from_float(seconds: f64) -> Option<DateTime<Utc>> {
    let whole = seconds.floor();
    let fraction = (seconds - whole) * NANOSECONDS;
    let fraction: u32 = az::checked_cast(fraction)?;
    DateTime::from_timestamp(az::checked_cast(whole)?, fraction)
}

#[cfg(test)]
mod tests {
    use super::from_float;

    #[test]
    fn floats_become_moments_and_what_is_none_does_not() {
        let shown = |seconds: f64| from_float(seconds).map(super::shown);
        assert_eq!(
            shown(1_620_064_800.5).as_deref(),
            Some("2021-05-03T18:00:00Z")
        );
        assert_eq!(shown(-0.5).as_deref(), Some("1969-12-31T23:59:59Z"));
        for none in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
            assert_eq!(shown(none), None);
        }
    }
}
