//! Days and moments as numbers, and their text forms: what databases hand over without making text
//! of it first.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;
/// The first and last day whose year is written with four digits, in days since 1970.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const FOUR_DIGIT_YEARS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// True for a day in the years 1 to 9999, in days since 1970.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn is_usual_day(days: i64) -> bool {
    FOUR_DIGIT_YEARS.contains(&days)
}

/// True for a moment in the years 1 to 9999, in microseconds since 1970.
#[cfg(feature = "mysql")]
pub(crate) fn is_usual_moment(micros: i64) -> bool {
    is_usual_day(micros.div_euclid(DAY_MICROS))
}

/// The day with this number since 1970.
pub(crate) fn day(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(days)
}

/// The moment so many microseconds after 1970.
pub(crate) fn moment(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|at| at.naive_utc())
}

/// Microseconds since 1970 of the beginning of a day.
pub(crate) fn day_micros(days: i32) -> i64 {
    i64::from(days) * DAY_MICROS
}

/// Year, month and day in the proleptic Gregorian calendar, of days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `2021-07-01`; years before 1 end in ` BC`, as PostgreSQL writes them.
pub(crate) fn day_text(days: i64) -> String {
    let (year, month, day) = civil(days);
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{:04}-{month:02}-{day:02} BC", 1 - year)
    }
}

/// `2021-07-01 10:00:00`, with six decimal places if there is a fraction. The day and the time of
/// it are told apart, since a database's last year lies beyond what one number of microseconds
/// since 1970 holds.
pub(crate) fn moment_text(days: i64, micros_of_day: i64) -> String {
    let date = day_text(days);
    let seconds = micros_of_day / 1_000_000;
    let micros = micros_of_day % 1_000_000;
    let (date, era) = date
        .strip_suffix(" BC")
        .map_or((date.as_str(), ""), |date| (date, " BC"));
    let hour = seconds / 3600;
    let minute = seconds / 60 % 60;
    let second = seconds % 60;
    let fraction = if micros == 0 {
        String::new()
    } else {
        format!(".{micros:06}")
    };
    format!("{date} {hour:02}:{minute:02}:{second:02}{fraction}{era}")
}

/// Text of microseconds since 1970, as [`moment_text`] writes it.
pub(crate) fn micros_text(micros: i64) -> String {
    moment_text(micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS))
}

#[cfg(feature = "mysql")]
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Days since 1970 of exactly `2021-07-01`. None for anything else, zero dates and the 30th of
/// February among it.
#[cfg(feature = "mysql")]
pub(crate) fn read_day(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let month = number(&[m1, m2])?;
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(year).ok().filter(|year| *year > 0)?,
        u32::try_from(month).ok()?,
        u32::try_from(number(&[d1, d2])?).ok()?,
    )?;
    Some(date.to_epoch_days())
}

/// Microseconds since 1970 of exactly `2021-07-01 10:00:00` and at most six decimal places.
#[cfg(feature = "mysql")]
pub(crate) fn read_moment(text: &[u8]) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let (clock, fraction) = time.split_at_checked(9)?;
    let [b' ', h1, h2, b':', m1, m2, b':', s1, s2] = *clock else {
        return None;
    };
    let hour = number(&[h1, h2])?;
    let minute = number(&[m1, m2])?;
    let second = number(&[s1, s2])?;
    let micros = match fraction {
        [] => 0,
        [b'.', places @ ..] if (1..=6).contains(&places.len()) => {
            number(places)? * 10_i64.pow(6 - u32::try_from(places.len()).ok()?)
        }
        _ => return None,
    };
    let is_clock = hour < 24 && minute < 60 && second < 60;
    is_clock.then_some(
        day_micros(read_day(date)?) + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros,
    )
}

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_survive_their_text_forms() {
        for (text, micros) in [
            ("2021-07-01 00:00:00", 1_625_097_600_000_000),
            ("2021-07-01 00:00:00.500000", 1_625_097_600_500_000),
            ("1969-12-31 23:59:59.999999", -1),
            ("0001-01-01 00:00:00", -62_135_596_800_000_000),
            ("9999-12-31 23:59:59.999999", 253_402_300_799_999_999),
        ] {
            assert_eq!(micros_text(micros), text);
            assert_eq!(read_moment(text.as_bytes()), Some(micros), "{text}");
            assert!(is_usual_moment(micros));
        }
        assert_eq!(
            read_moment(b"2021-07-01 00:00:00.5"),
            Some(1_625_097_600_500_000)
        );
        for days in -800_000..3_000_000_i32 {
            let text = day_text(days.into());
            let usual = is_usual_day(days.into());
            assert_eq!(read_day(text.as_bytes()), usual.then_some(days), "{text}");
        }
        assert!(
            !is_usual_moment(-62_135_596_800_000_001) && !is_usual_moment(253_402_300_800_000_000)
        );
    }

    #[test]
    fn years_of_other_lengths_are_written_as_postgresql_does() {
        assert_eq!(day_text(-719_163), "0001-12-31 BC");
        assert_eq!(day_text(2_932_897), "10000-01-01");
        assert_eq!(moment_text(-719_163, 1), "0001-12-31 00:00:00.000001 BC");
    }

    #[test]
    fn what_is_not_written_so_is_left_to_the_slower_reader() {
        for text in [
            "2021-02-30 00:00:00",
            "0000-00-00 00:00:00",
            "2021-07-01T00:00:00",
            "2021-07-01 24:00:00",
            "2021-07-01 00:00:00.",
            "2021-07-01 00:00:00.1234567",
            "2021-07-01 00:00:00+00",
            "12021-07-01 00:00:00",
            "infinity",
            "",
        ] {
            assert_eq!(read_moment(text.as_bytes()), None, "{text}");
        }
    }
}
