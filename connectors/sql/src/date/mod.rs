//! Dates, dates with a time, and whole numbers out of a database's text forms.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
mod format;
mod formats;

pub(crate) use formats::DateFormats;

use connector_kit::{ClinicDate, Dose, Field, FieldFault};

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

/// Length of a day without a time, such as `2021-07-01`.
const DAY_CHARS: usize = 10;

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

/// Reads a cell as a date in the clinic's time zone; `of_text` reads text, and whole numbers where
/// it knows them.
fn date_of(
    cell: Cell<'_>,
    zone: Tz,
    encoding: Encoding,
    of_text: impl Fn(&str) -> Option<ClinicDate>,
) -> Field<ClinicDate> {
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
        Kind::Text | Kind::FixedText | Kind::Bytes => of_text(&text),
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

/// The wall-clock time that a cell holds, whose day no time zone changes.
pub(crate) fn wall_clock(cell: Cell<'_>, encoding: Encoding) -> Option<NaiveDateTime> {
    match (cell.kind, cell.value) {
        (Kind::Timestamp, Value::Micros(micros)) => return native::moment(micros),
        (Kind::Timestamp | Kind::Text | Kind::FixedText | Kind::Bytes, _) => {}
        _ => return None,
    }
    let Text::Value(text) = text::read(cell, encoding) else {
        return None;
    };
    let (time, offset) = written(&text).or_else(|| written_russian(&text))?;
    (offset.is_none() && text.len() > DAY_CHARS).then_some(time)
}

/// Reads a cell as a number of doses: a whole number, or the word that stands there.
pub(crate) fn dose(cell: Cell<'_>, encoding: Encoding) -> Field<Dose> {
    if let Value::Whole(number) = cell.value
        && let Ok(number) = u32::try_from(number)
    {
        return Field::Value(Dose::Number(number));
    }
    let text = match text::read(cell, encoding) {
        Text::Missing => return Field::Missing,
        Text::Unreadable(_) => return Field::Invalid(FieldFault::BadEncoding),
        Text::Value(text) => text,
    };
    let number = whole(&text, cell.kind).and_then(|digits| digits.parse().ok());
    Field::Value(number.map_or_else(|| Dose::Word(text.into_owned()), Dose::Number))
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
mod tests;
