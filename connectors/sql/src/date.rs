//! Dates, dates with a time, and whole numbers out of a database's text forms.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use connector_kit::{ClinicDate, Field, FieldFault};

use crate::config::Encoding;
use crate::native;
use crate::text::{self, Text};
use crate::value::{Cell, Kind, Value};

/// Whole numbers from here on, up to the next bound, are milliseconds since 1970: as seconds they
/// would lie after the year 5138, and milliseconds below lie before March 1973.
const FIRST_MILLIS: u64 = 100_000_000_000;
/// Whole numbers from here on are microseconds since 1970.
const FIRST_MICROS: u64 = FIRST_MILLIS * 1000;
/// Whole numbers from here on are no instant.
const FIRST_BEYOND: u64 = FIRST_MICROS * 1000;

/// Unit of a whole number that counts from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EpochUnit {
    Seconds,
    Millis,
    Micros,
}

impl EpochUnit {
    /// The unit that a number's size shows; `None` where no unit makes a likely instant of it.
    pub(crate) fn of(number: i64) -> Option<Self> {
        match number.unsigned_abs() {
            0..FIRST_MILLIS => Some(Self::Seconds),
            FIRST_MILLIS..FIRST_MICROS => Some(Self::Millis),
            FIRST_MICROS..FIRST_BEYOND => Some(Self::Micros),
            _ => None,
        }
    }
}

/// A date and time as written, with the offset if one is written.
pub(crate) type Written = (NaiveDateTime, Option<FixedOffset>);

/// Reads a cell as a date in the clinic's time zone.
pub(crate) fn date(cell: Cell<'_>, zone: Tz, encoding: Encoding) -> Field<ClinicDate> {
    if let Some(date) = native_date(cell, zone) {
        return Field::Value(date);
    }
    let text = match text::read(cell, encoding) {
        Text::Missing => return Field::Missing,
        Text::Unreadable(_) => return Field::Invalid(FieldFault::BadEncoding),
        Text::Value(text) => text,
    };
    let date = match cell.kind {
        Kind::Date | Kind::Timestamp => native_day(&text),
        Kind::TimestampTz => written(&text).and_then(|(utc, _)| local_day(utc.and_utc(), zone)),
        Kind::Year => text
            .parse()
            .ok()
            .filter(|year| *year > 0)
            .map(ClinicDate::Year),
        Kind::Integer => text
            .parse()
            .ok()
            .and_then(|number| year_or_epoch(number, zone)),
        Kind::Text | Kind::FixedText | Kind::Bytes => text_date(&text, zone),
        _ => None,
    };
    date.map_or(Field::Invalid(FieldFault::NotADate), Field::Value)
}

/// The date of a value that is no text.
fn native_date(cell: Cell<'_>, zone: Tz) -> Option<ClinicDate> {
    match (cell.kind, cell.value) {
        (_, Value::Days(days)) => native::day(days).map(ClinicDate::Day),
        (Kind::Timestamp, Value::Micros(micros)) => {
            native::moment(micros).map(|at| ClinicDate::Day(at.date()))
        }
        (Kind::TimestampTz, Value::Micros(micros)) => {
            local_day(native::moment(micros)?.and_utc(), zone)
        }
        (Kind::Integer, Value::Whole(number)) => year_or_epoch(number, zone),
        _ => None,
    }
}

/// The instant that a cell holds, where a time zone decides its day.
pub(crate) fn instant(cell: Cell<'_>, encoding: Encoding) -> Option<DateTime<Utc>> {
    match (cell.kind, cell.value) {
        (Kind::TimestampTz, Value::Micros(micros)) => {
            return Some(native::moment(micros)?.and_utc());
        }
        (Kind::Integer, Value::Whole(number)) => return epoch(number),
        _ => {}
    }
    let Text::Value(text) = text::read(cell, encoding) else {
        return None;
    };
    match cell.kind {
        Kind::TimestampTz => written(&text).map(|(utc, _)| utc.and_utc()),
        Kind::Integer => epoch(text.parse().ok()?),
        Kind::Text | Kind::FixedText | Kind::Bytes => {
            let (time, offset) = written(&text).or_else(|| written_russian(&text))?;
            Some(offset?.from_local_datetime(&time).single()?.to_utc())
        }
        _ => None,
    }
}

/// Reads a cell as a whole number.
pub(crate) fn number(cell: Cell<'_>, encoding: Encoding) -> Field<u32> {
    if let Value::Whole(number) = cell.value {
        return u32::try_from(number).map_or(Field::Invalid(FieldFault::NotANumber), Field::Value);
    }
    let text = match text::read(cell, encoding) {
        Text::Missing => return Field::Missing,
        Text::Unreadable(_) => return Field::Invalid(FieldFault::BadEncoding),
        Text::Value(text) => text,
    };
    let number = match cell.kind {
        Kind::Boolean => None,
        _ => whole(&text, cell.kind).and_then(|digits| digits.parse().ok()),
    };
    number.map_or(Field::Invalid(FieldFault::NotANumber), Field::Value)
}

/// The digits of a number that is whole and not negative, without leading zeros: `007` → `7`,
/// `2.00` → `2`.
pub(crate) fn whole(text: &str, kind: Kind) -> Option<String> {
    if kind == Kind::Float || text.contains(['e', 'E']) {
        let value: f64 = text.parse().ok()?;
        // Below 2^53 a double holds every whole number exactly.
        return ((0.0..9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0)
            .then(|| format!("{value:.0}"));
    }
    let (digits, fraction) = text.split_once('.').unwrap_or((text, ""));
    let ok = !digits.is_empty() && all_digits(digits) && fraction.bytes().all(|b| b == b'0');
    let digits = digits.trim_start_matches('0');
    ok.then(|| {
        if digits.is_empty() {
            "0".to_owned()
        } else {
            digits.to_owned()
        }
    })
}

/// Reads `2021-07-01` followed by nothing or by a time: `T10:00`, ` 10:00:00.123`, with `Z`, `+03`
/// or `+03:00` or without.
pub(crate) fn written(text: &str) -> Option<Written> {
    let day = iso_day(text.get(..10)?)?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return Some((day.and_time(NaiveTime::MIN), None));
    }
    let (time, offset) = time_of_day(rest.strip_prefix(['T', 't', ' '])?)?;
    Some((day.and_time(time), offset))
}

/// A day in the clinic's zone; `None` where the calendar ends.
pub(crate) fn local_day(instant: DateTime<Utc>, zone: Tz) -> Option<ClinicDate> {
    let utc = instant.naive_utc();
    let local = utc.checked_add_offset(zone.offset_from_utc_datetime(&utc).fix())?;
    Some(ClinicDate::Day(local.date()))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn digits<T: std::str::FromStr>(text: &str, length: usize) -> Option<T> {
    (text.len() == length && all_digits(text))
        .then(|| text.parse().ok())
        .flatten()
}

fn iso_day(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let year = parts.next()?;
    let month = parts.next()?;
    let day = parts.next()?;
    if parts.next().is_some() {
        return None;
    }
    NaiveDate::from_ymd_opt(
        digits(year, 4).filter(|year| *year > 0)?,
        digits(month, 2)?,
        digits(day, 2)?,
    )
}

fn time_of_day(text: &str) -> Option<(NaiveTime, Option<FixedOffset>)> {
    let text = text.trim();
    let (time, offset) = if let Some(time) = text.strip_suffix(['Z', 'z']) {
        (time, Some(Utc.fix()))
    } else if let Some(at) = text.rfind(['+', '-']) {
        (&text[..at], Some(zone_offset(&text[at..])?))
    } else {
        (text, None)
    };
    let time = time.trim_end();
    let parsed = NaiveTime::parse_from_str(time, "%H:%M:%S%.f")
        .or_else(|_| NaiveTime::parse_from_str(time, "%H:%M"));
    Some((parsed.ok()?, offset))
}

fn zone_offset(text: &str) -> Option<FixedOffset> {
    let (sign, rest) = text.split_at(1);
    let rest = rest.replace(':', "");
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes: i32 = if minutes.is_empty() {
        0
    } else {
        digits(minutes, 2)?
    };
    let seconds = digits::<i32>(hours, 2)? * 3600 + minutes * 60;
    FixedOffset::east_opt(if sign == "-" { -seconds } else { seconds })
}

/// The day of a DATE, DATETIME or timestamp: already the clinic's. MySQL's zero parts mean "not
/// known".
fn native_day(text: &str) -> Option<ClinicDate> {
    if text.ends_with("BC") {
        return None;
    }
    let text = text.get(..10)?;
    match (digits::<i32>(text.get(..4)?, 4)?, text.get(4..)?) {
        (0, _) => None,
        (year, "-00-00") => Some(ClinicDate::Year(year)),
        (_, rest) if rest.ends_with("-00") => year_and_month(text.get(..7)?),
        _ => iso_day(text).map(ClinicDate::Day),
    }
}

/// SQLite has no dates: a whole number is a year, or else counts from 1970.
fn year_or_epoch(number: i64, zone: Tz) -> Option<ClinicDate> {
    match as_year(number) {
        Some(year) => Some(ClinicDate::Year(year)),
        None => local_day(epoch(number)?, zone),
    }
}

/// A number that is a year rather than some minutes after 1970 began.
fn as_year(number: i64) -> Option<i32> {
    i32::try_from(number)
        .ok()
        .filter(|year| (1900..=2100).contains(year))
}

/// The instant of a number that counts from 1970 and is no year.
fn epoch(number: i64) -> Option<DateTime<Utc>> {
    if as_year(number).is_some() {
        return None;
    }
    match EpochUnit::of(number)? {
        EpochUnit::Seconds => DateTime::from_timestamp(number, 0),
        EpochUnit::Millis => DateTime::from_timestamp_millis(number),
        EpochUnit::Micros => DateTime::from_timestamp_micros(number),
    }
}

fn year_and_month(text: &str) -> Option<ClinicDate> {
    let (year, month) = text.split_once('-')?;
    let year = digits(year, 4).filter(|year| *year > 0)?;
    let month = digits(month, 2)?;
    (1..=12)
        .contains(&month)
        .then_some(ClinicDate::Month(year, month))
}

fn text_date(text: &str, zone: Tz) -> Option<ClinicDate> {
    if let Some(year) = digits(text, 4) {
        return (year > 0).then_some(ClinicDate::Year(year));
    }
    if let Some(month) = year_and_month(text) {
        return Some(month);
    }
    let (time, offset) = written(text).or_else(|| written_russian(text))?;
    match offset {
        Some(offset) => local_day(offset.from_local_datetime(&time).single()?.to_utc(), zone),
        None => Some(ClinicDate::Day(time.date())),
    }
}

/// `01.07.2021`, with or without a time.
fn written_russian(text: &str) -> Option<Written> {
    let day = text.get(..10)?;
    let rest = text.get(10..)?;
    let mut parts = day.split('.');
    let day = parts.next()?;
    let month = parts.next()?;
    let year = parts.next()?;
    if day.len() != 2 || month.len() != 2 {
        return None;
    }
    written(&format!("{year}-{month}-{day}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind, text: &str) -> String {
        let cell = Cell::of(kind, text.as_bytes());
        match date(cell, Tz::Europe__Moscow, Encoding::Utf8) {
            Field::Missing => "missing".into(),
            Field::Invalid(fault) => format!("{fault:?}"),
            Field::Value(ClinicDate::Year(y)) => format!("{y}"),
            Field::Value(ClinicDate::Month(y, m)) => format!("{y}-{m}"),
            Field::Value(ClinicDate::Day(day)) => day.to_string(),
        }
    }

    #[test]
    fn every_kind_of_date_has_one_meaning() {
        for (kind, text, expected) in [
            (Kind::Text, "2021-07-01", "2021-07-01"),
            (Kind::Text, "2021-07", "2021-7"),
            (Kind::Text, "2021", "2021"),
            (Kind::Text, "01.07.2021", "2021-07-01"),
            (Kind::Text, " 01.07.2021 23:59 ", "2021-07-01"),
            (Kind::Text, "2021-07-01T23:30:00", "2021-07-01"),
            (Kind::Text, "2021-07-01T23:30:00Z", "2021-07-02"),
            (Kind::Text, "2021-07-01 01:30:00.5+05:00", "2021-06-30"),
            (Kind::Text, "2021-07-01 23:30+00", "2021-07-02"),
            (Kind::Text, "", "missing"),
            (Kind::Text, "2021-02-30", "NotADate"),
            (Kind::Text, "2021-13", "NotADate"),
            (Kind::Text, "1.7.2021", "NotADate"),
            (Kind::Text, "07/01/2021", "NotADate"),
            (Kind::Text, "2021-07-00", "NotADate"),
            (Kind::Text, "0000", "NotADate"),
            (Kind::Text, "2021-07-01 25:00", "NotADate"),
            (Kind::Text, "2021-07-01 вечер", "NotADate"),
            (Kind::Text, "20210701", "NotADate"),
            (Kind::Text, "вчера", "NotADate"),
            (Kind::Date, "2021-07-01", "2021-07-01"),
            (Kind::Date, "infinity", "NotADate"),
            (Kind::Date, "0044-03-15 BC", "NotADate"),
            (Kind::Date, "12021-07-01", "NotADate"),
            (Kind::Date, "0000-00-00", "NotADate"),
            (Kind::Date, "2021-00-00", "2021"),
            (Kind::Date, "2021-07-00", "2021-7"),
            (Kind::Timestamp, "2021-07-01 23:59:59.999999", "2021-07-01"),
            (Kind::Timestamp, "0000-00-00 00:00:00", "NotADate"),
            (Kind::TimestampTz, "2021-07-01 20:59:59+00", "2021-07-01"),
            (Kind::TimestampTz, "2021-07-01 21:00:00+00", "2021-07-02"),
            (Kind::TimestampTz, "2021-07-01 21:00:00", "2021-07-02"),
            (Kind::TimestampTz, "0000-00-00 00:00:00", "NotADate"),
            (Kind::Year, "2021", "2021"),
            (Kind::Year, "0000", "NotADate"),
            (Kind::Integer, "2021", "2021"),
            (Kind::Integer, "1625173200", "2021-07-02"),
            (Kind::Integer, "1625173199", "2021-07-01"),
            (Kind::Integer, "1625173200000", "2021-07-02"),
            (Kind::Integer, "1625173199999", "2021-07-01"),
            (Kind::Integer, "1625173199999999", "2021-07-01"),
            (Kind::Integer, "1625173200000000000", "NotADate"),
            (Kind::Integer, "99999999999", "5138-11-16"),
            (Kind::Integer, "100000000000", "1973-03-03"),
            (Kind::Integer, "100000000000000", "1973-03-03"),
            (Kind::Integer, "9223372036854775807", "NotADate"),
            (Kind::Integer, "-9223372036854775808", "NotADate"),
            (Kind::Float, "2021.5", "NotADate"),
            (Kind::Boolean, "true", "NotADate"),
        ] {
            assert_eq!(shown(kind, text), expected, "{kind:?} {text}");
        }
    }

    /// The date in a zone, of a cell whose `instant` is told as well.
    fn day_in(zone: Tz, kind: Kind, text: &str) -> String {
        let cell = Cell::of(kind, text.as_bytes());
        let Field::Value(ClinicDate::Day(day)) = date(cell, zone, Encoding::Utf8) else {
            panic!("{text} is no day");
        };
        let instant = instant(cell, Encoding::Utf8).expect("an instant");
        assert_eq!(local_day(instant, zone), Some(ClinicDate::Day(day)));
        day.to_string()
    }

    #[test]
    fn an_instant_near_midnight_has_the_day_of_its_zone_on_days_that_clocks_change_too() {
        // Vladivostok, UTC+10. Moscow went from UTC+4 to UTC+3 on 26 October 2014. Berlin's clocks
        // go forward on 28 March 2021 (UTC+1 before) and back on 31 October 2021 (UTC+2 before).
        // Apia had no 30 December 2011.
        for (zone, utc, before, from) in [
            (
                Tz::Asia__Vladivostok,
                "2021-07-01 14:00:00",
                "2021-07-01",
                "2021-07-02",
            ),
            (
                Tz::Europe__Moscow,
                "2014-10-25 20:00:00",
                "2014-10-25",
                "2014-10-26",
            ),
            (
                Tz::Europe__Moscow,
                "2014-10-26 21:00:00",
                "2014-10-26",
                "2014-10-27",
            ),
            (
                Tz::Europe__Berlin,
                "2021-03-27 23:00:00",
                "2021-03-27",
                "2021-03-28",
            ),
            (
                Tz::Europe__Berlin,
                "2021-03-28 22:00:00",
                "2021-03-28",
                "2021-03-29",
            ),
            (
                Tz::Europe__Berlin,
                "2021-10-30 22:00:00",
                "2021-10-30",
                "2021-10-31",
            ),
            (
                Tz::Europe__Berlin,
                "2021-10-31 23:00:00",
                "2021-10-31",
                "2021-11-01",
            ),
            (
                Tz::Pacific__Apia,
                "2011-12-30 10:00:00",
                "2011-12-29",
                "2011-12-31",
            ),
        ] {
            let midnight: DateTime<Utc> = format!("{}Z", utc.replace(' ', "T")).parse().unwrap();
            for (at, expected) in [
                (midnight - chrono::TimeDelta::milliseconds(1), before),
                (midnight, from),
            ] {
                let plain = at.format("%Y-%m-%d %H:%M:%S%.3f");
                for (kind, text) in [
                    (Kind::TimestampTz, format!("{plain}+00")),
                    (Kind::Text, format!("{plain}Z")),
                    (
                        Kind::Text,
                        at.with_timezone(&FixedOffset::west_opt(5 * 3600).unwrap())
                            .to_rfc3339(),
                    ),
                    (Kind::Integer, at.timestamp_millis().to_string()),
                    (Kind::Integer, at.timestamp_micros().to_string()),
                    (Kind::Integer, at.timestamp().to_string()),
                ] {
                    assert_eq!(
                        day_in(zone, kind, &text),
                        expected,
                        "{} {text}",
                        zone.name()
                    );
                }
            }
        }
    }

    #[test]
    fn what_no_zone_decides_is_no_instant() {
        for (kind, text) in [
            (Kind::Date, "2021-07-01"),
            (Kind::Timestamp, "2021-07-01 23:59:59"),
            (Kind::Text, "2021-07-01"),
            (Kind::Text, "2021-07-01 10:00"),
            (Kind::Integer, "2021"),
            (Kind::Text, "2021"),
            (Kind::Text, ""),
        ] {
            let cell = Cell::of(kind, text.as_bytes());
            assert_eq!(instant(cell, Encoding::Utf8), None, "{kind:?} {text}");
        }
    }

    #[test]
    fn numbers_are_whole_or_refused() {
        for (kind, text, expected) in [
            (Kind::Integer, "2", Some(2)),
            (Kind::Unsigned, "4294967295", Some(u32::MAX)),
            (Kind::Unsigned, "4294967296", None),
            (Kind::Decimal, "2.00", Some(2)),
            (Kind::Decimal, "1.5", None),
            (Kind::Float, "1e1", Some(10)),
            (Kind::Text, " 007 ", Some(7)),
            (Kind::Text, "-1", None),
            (Kind::Text, "V1", None),
            (Kind::Text, ".", None),
            (Kind::Boolean, "1", None),
        ] {
            let cell = Cell::of(kind, text.as_bytes());
            let expected = expected.map_or(Field::Invalid(FieldFault::NotANumber), Field::Value);
            assert_eq!(number(cell, Encoding::Utf8), expected, "{kind:?} {text}");
        }
    }
}
