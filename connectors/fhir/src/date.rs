//! FHIR dates (R4 `date`, `dateTime`, `instant`) as dates in the clinic's own zone, as precise as
//! written.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;
use connector_kit::{ClinicDate, Field, FieldFault};

/// Longest text looked at; a full instant with nanoseconds has 35 characters.
const MAX_DATE_BYTES: usize = 40;

/// Reads a FHIR date; a moment becomes the date it had in `zone`.
///
/// A time without an offset is not FHIR, but common: it is taken as the clinic's local time.
pub(crate) fn clinic_date(text: Option<&str>, zone: Tz) -> Field<ClinicDate> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Field::Missing;
    }
    match parse(text, zone) {
        Some(date) => Field::Value(date),
        None => not_a_date(),
    }
}

/// The field for text that is there and is no date.
pub(crate) const fn not_a_date() -> Field<ClinicDate> {
    Field::Invalid(FieldFault::NotADate)
}

/// A FHIR `instant`, such as `meta.lastUpdated`.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    (text.len() <= MAX_DATE_BYTES)
        .then(|| DateTime::parse_from_rfc3339(text).ok())?
        .map(|t| t.to_utc())
}

/// The last day a partial date may mean: 2020 ends on 31 December.
pub(crate) fn last_day(date: ClinicDate) -> Option<NaiveDate> {
    match date {
        ClinicDate::Day(day) => Some(day),
        ClinicDate::Year(year) => NaiveDate::from_ymd_opt(year, 12, 31),
        ClinicDate::Month(year, 12) => NaiveDate::from_ymd_opt(year, 12, 31),
        ClinicDate::Month(year, month) => NaiveDate::from_ymd_opt(year, month + 1, 1)?.pred_opt(),
    }
}

fn parse(text: &str, zone: Tz) -> Option<ClinicDate> {
    if text.len() > MAX_DATE_BYTES || !text.is_ascii() {
        return None;
    }
    let year = i32::try_from(digits(text.get(..4)?)?)
        .ok()
        .filter(|year| *year > 0)?;
    match text.len() {
        4 => return Some(ClinicDate::Year(year)),
        7 => {
            return Some(ClinicDate::Month(
                year,
                after_dash(text, 4).filter(|month| (1..=12).contains(month))?,
            ));
        }
        _ => {}
    }
    let day = NaiveDate::from_ymd_opt(year, after_dash(text, 4)?, after_dash(text, 7)?)?;
    if text.len() == 10 {
        return Some(ClinicDate::Day(day));
    }
    if text.as_bytes()[10] != b'T' {
        return None;
    }
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(ClinicDate::Day(moment.with_timezone(&zone).date_naive()));
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    Some(ClinicDate::Day(local.date()))
}

/// Exactly two digits behind the dash at `dash`.
fn after_dash(text: &str, dash: usize) -> Option<u32> {
    (*text.as_bytes().get(dash)? == b'-').then(|| digits(text.get(dash + 1..dash + 3)?))?
}

fn digits(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moscow(text: &str) -> Field<ClinicDate> {
        clinic_date(Some(text), Tz::Europe__Moscow)
    }

    fn day(year: i32, month: u32, day: u32) -> Field<ClinicDate> {
        Field::Value(ClinicDate::Day(
            NaiveDate::from_ymd_opt(year, month, day).unwrap(),
        ))
    }

    #[test]
    fn precision_is_kept() {
        assert_eq!(moscow("2021"), Field::Value(ClinicDate::Year(2021)));
        assert_eq!(moscow("2021-07"), Field::Value(ClinicDate::Month(2021, 7)));
        assert_eq!(moscow("2021-07-05"), day(2021, 7, 5));
        assert_eq!(moscow(" "), Field::Missing);
        assert_eq!(clinic_date(None, Tz::UTC), Field::Missing);
    }

    #[test]
    fn a_moment_becomes_the_date_it_had_at_the_clinic() {
        assert_eq!(moscow("2021-07-05T21:30:00Z"), day(2021, 7, 6));
        assert_eq!(moscow("2021-07-05T20:59:59.999Z"), day(2021, 7, 5));
        assert_eq!(moscow("2021-07-05T01:00:00+12:00"), day(2021, 7, 4));
        assert_eq!(
            moscow("2016-12-31T23:59:60Z"),
            day(2017, 1, 1),
            "a leap second"
        );
        assert_eq!(
            moscow("2021-07-05T23:30:00"),
            day(2021, 7, 5),
            "no offset: the clinic's own time"
        );
    }

    #[test]
    fn what_is_no_date_is_told_apart_from_nothing() {
        for wrong in [
            "2021-02-30",
            "2021-13",
            "2021-00",
            "0000",
            "0000-00-00",
            "05.07.2021",
            "2021-7-5",
            "+2021-07-05",
            "2021-07-05 10:00:00",
            "2021-07-05T25:00:00Z",
            "2021/07/05",
            "202",
            "20210705",
            "июль 2021",
            "2021-07-05T10:00:00Zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
            "2021-07-0",
            "２０２１",
        ] {
            assert_eq!(moscow(wrong), not_a_date(), "{wrong}");
        }
    }

    #[test]
    fn a_partial_date_ends_on_its_last_day() {
        let end = |date| last_day(date).unwrap().to_string();
        assert_eq!(end(ClinicDate::Year(2020)), "2020-12-31");
        assert_eq!(end(ClinicDate::Month(2020, 2)), "2020-02-29");
        assert_eq!(end(ClinicDate::Month(2020, 12)), "2020-12-31");
    }
}
