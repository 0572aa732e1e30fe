//! Times in the forms that test vectors have.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::Value;

/// Moment at which a vector is checked.
pub(crate) type Moment = DateTime<Utc>;

/// Forms of a time without a zone, which is read as UTC.
const LOCAL_TIMES: [&str; 5] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y%m%dT%H%M%S",
];
/// Forms of a time with a zone that RFC 3339 does not have.
const ZONED_TIMES: [&str; 5] = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y%m%dT%H%M%S%#z",
];
/// Forms of a date, which is read as its first moment in UTC.
const DATES: [&str; 2] = ["%Y-%m-%d", "%Y%m%d"];

/// Least number that counts milliseconds since 1970, not seconds: as seconds it would lie beyond
/// the year 5000.
const LEAST_MILLISECONDS: i64 = 100_000_000_000;

/// Moment of a JSON value: a text, or a number of seconds or milliseconds since 1970.
pub(crate) fn read(value: &Value) -> Option<Moment> {
    match value {
        Value::String(text) => moment(text).or_else(|| since_1970(text.trim().parse().ok()?)),
        Value::Number(number) => since_1970(number.as_i64()?),
        _ => None,
    }
}

/// Moment of a text in one of the forms of ISO 8601, with the name of a zone in brackets or
/// without.
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    // Java writes the zone's name behind the offset, such as [Europe/Vienna].
    let text = text.split_once('[').map_or(text, |(time, _)| time);
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    let zoned = |form: &&str| DateTime::parse_from_str(text, form).ok();
    if let Some(moment) = ZONED_TIMES.iter().find_map(zoned) {
        return Some(moment.to_utc());
    }
    let local = |form: &&str| NaiveDateTime::parse_from_str(text, form).ok();
    let date = |form: &&str| NaiveDate::parse_from_str(text, form).ok();
    let local = LOCAL_TIMES.iter().find_map(local).or_else(|| {
        let date = DATES.iter().find_map(date)?;
        Some(date.and_time(NaiveTime::MIN))
    });
    local.map(|local| local.and_utc())
}

fn since_1970(number: i64) -> Option<Moment> {
    if number >= LEAST_MILLISECONDS {
        DateTime::from_timestamp_millis(number)
    } else {
        DateTime::from_timestamp(number, 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn times_are_read_in_every_form_that_vectors_have() {
        for value in [
            json!("2021-05-03T18:00:00Z"),
            json!("2021-05-03T20:00:00+02:00"),
            json!("2021-05-03T20:00:00+0200"),
            json!("2021-05-03T20:00:00+02"),
            json!("2021-05-03T18:00:00"),
            json!("2021-05-03 18:00:00"),
            json!("2021-05-03 20:00:00+02:00"),
            json!("2021-05-03T18:00:00.000Z"),
            json!("2021-05-03T18:00:00.000000000Z"),
            json!("2021-05-03T20:00+02:00"),
            json!("2021-05-03T20:00:00+02:00[Europe/Vienna]"),
            json!("2021-05-03T18:00"),
            json!("2021-05-03T18:00Z"),
            json!("20210503T180000Z"),
            json!("20210503T200000+0200"),
            json!(" 2021-05-03t18:00:00z "),
            json!("1620064800"),
            json!(1_620_064_800),
            json!(1_620_064_800_000_i64),
        ] {
            let moment = read(&value).map(|moment| moment.timestamp());
            assert_eq!(moment, Some(1_620_064_800), "{value}");
        }
        assert_eq!(read(&json!("2021-05-03")), read(&json!("20210503")));
        for none in [
            json!("May"),
            json!(""),
            json!(true),
            json!(1.5),
            json!("2021-05-03T25:00Z"),
        ] {
            assert_eq!(read(&none), None, "{none}");
        }
    }
}
