//! Date formats in words, such as `d.M.yyyy`, for dates that a source keeps as text.

use chrono::NaiveDate;
use chrono_tz::Tz;
use connector_kit::{ClinicDate, Field, FieldFault};

use super::format::DateFormat;
use super::{date_of, text_date};
use crate::config::Encoding;
use crate::value::{Cell, Kind};

/// Most formats of one feed.
const MAX_FORMATS: usize = 10;

/// Years of the days with which formats are compared: as two digits they can be days or months, or
/// neither.
const COMPARED_YEARS: [i32; 5] = [2003, 2010, 2012, 2020, 2035];

/// Forms of dates that text may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DateFormats(Vec<DateFormat>);

impl DateFormats {
    /// Reads the formats of a configuration.
    ///
    /// # Errors
    /// A sentence: which format is none, or which two read one text as different dates.
    pub(crate) fn new(texts: &[String]) -> Result<Self, String> {
        if texts.len() > MAX_FORMATS {
            return Err(format!("more than {MAX_FORMATS} formats are listed"));
        }
        let formats: Result<Vec<_>, String> = texts
            .iter()
            .map(|text| DateFormat::new(text).map_err(|why| format!("{text:?}: {why}")))
            .collect();
        let formats = formats?;
        for one in &formats {
            for other in &formats {
                if let Some(text) = ambiguous(one, other) {
                    return Err(format!(
                        "{:?} and {:?} read {text} as different dates; leave one out",
                        one.text(),
                        other.text()
                    ));
                }
            }
        }
        Ok(Self(formats))
    }

    /// Reads a cell as a date in the clinic's time zone; text by these formats alone, if there are
    /// any.
    pub(crate) fn date(&self, cell: Cell<'_>, zone: Tz, encoding: Encoding) -> Field<ClinicDate> {
        // SQLite keeps such a date as a number, which would count from 1970.
        if !self.0.is_empty()
            && let (Kind::Integer, Some(digits)) = (cell.kind, cell.bytes())
        {
            let read = std::str::from_utf8(&digits)
                .ok()
                .and_then(|digits| self.read(digits, zone));
            return read.map_or(Field::Invalid(FieldFault::NotADate), Field::Value);
        }
        date_of(cell, zone, encoding, |text| self.read(text, zone))
    }

    fn read(&self, text: &str, zone: Tz) -> Option<ClinicDate> {
        if self.0.is_empty() {
            return text_date(text, zone);
        }
        self.0.iter().find_map(|format| format.read(text))
    }
}

/// A text that `one` writes and `other` reads as another date.
fn ambiguous(one: &DateFormat, other: &DateFormat) -> Option<String> {
    if one.text() == other.text() {
        return None;
    }
    let days = COMPARED_YEARS.into_iter().flat_map(|year| {
        let first = NaiveDate::from_ymd_opt(year, 1, 1);
        first.into_iter().flat_map(move |first| {
            first
                .iter_days()
                .take_while(move |day| chrono::Datelike::year(day) == year)
        })
    });
    let texts = days.flat_map(|day| [one.write(day, false), one.write(day, true)]);
    texts.into_iter().find(|text| {
        let read = other.read(text);
        read.is_some() && read != one.read(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(texts: &[&str]) -> Result<DateFormats, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        DateFormats::new(&texts)
    }

    fn shown(formats: &DateFormats, kind: Kind, text: &str) -> String {
        let cell = Cell::of(kind, text.as_bytes());
        match formats.date(cell, Tz::Europe__Moscow, Encoding::Utf8) {
            Field::Value(ClinicDate::Year(year)) => year.to_string(),
            Field::Value(ClinicDate::Month(year, month)) => format!("{year}-{month}"),
            Field::Value(ClinicDate::Day(day)) => day.to_string(),
            Field::Missing => "missing".into(),
            Field::Invalid(FieldFault::NotADate) => "?".into(),
            Field::Invalid(fault) => format!("{fault:?}"),
        }
    }

    #[test]
    fn several_formats_hold_at_once_and_no_other() {
        let formats = formats(&["d.M.yyyy", "yyyyMMdd", "dd/MM/yy"]).expect("formats");
        for (text, expected) in [
            ("1.7.2021", "2021-07-01"),
            (" 01.07.2021 ", "2021-07-01"),
            ("20210701", "2021-07-01"),
            ("01/07/21", "2021-07-01"),
            ("2021-07-01", "?"),
            ("1/7/21", "?"),
            ("31.6.2021", "?"),
            ("01.07.2021 10:00", "?"),
            ("", "missing"),
        ] {
            assert_eq!(shown(&formats, Kind::Text, text), expected, "{text}");
        }
        assert_eq!(shown(&formats, Kind::Bytes, "1.7.2021"), "2021-07-01");
        assert_eq!(shown(&formats, Kind::Date, "2021-07-01"), "2021-07-01");
    }

    #[test]
    fn without_formats_the_usual_forms_hold() {
        let usual = DateFormats::default();
        for (text, expected) in [("01.07.2021", "2021-07-01"), ("1.7.2021", "?")] {
            assert_eq!(shown(&usual, Kind::Text, text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_column_of_dates_is_text_to_formats() {
        let formats = formats(&["yyyyMMdd"]).expect("formats");
        assert_eq!(shown(&formats, Kind::Integer, "20210701"), "2021-07-01");
        assert_eq!(shown(&formats, Kind::Integer, "1625173200"), "?");
        let usual = DateFormats::default();
        assert_eq!(shown(&usual, Kind::Integer, "1625173200"), "2021-07-02");
    }

    #[test]
    fn formats_that_read_one_text_differently_are_refused() {
        for pair in [
            ["d/M/yyyy", "M/d/yyyy"],
            ["dd/MM/yyyy", "MM/dd/yyyy"],
            ["dd.MM.yy", "yy.MM.dd"],
            ["ddMMyy", "yyyyMM"],
            ["yyyy-MM-dd", "yyyy-dd-MM"],
        ] {
            let said = formats(&pair).expect_err(pair[0]);
            assert!(said.contains("different dates"), "{said}");
        }
        for pair in [
            ["d.M.yyyy", "d/M/yyyy"],
            ["d.M.yyyy", "dd.MM.yyyy"],
            ["yyyyMMdd", "ddMMyyyy"],
            ["d.M.yyyy", "M/d/yyyy"],
            ["yyyy", "yyyyMMdd"],
            ["d.M.yyyy", "d.M.yyyy"],
        ] {
            assert!(formats(&pair).is_ok(), "{pair:?}");
        }
    }

    #[test]
    fn the_number_of_formats_is_bounded() {
        assert!(formats(&["d.M.yyyy"; MAX_FORMATS]).is_ok());
        assert!(formats(&["d.M.yyyy"; MAX_FORMATS + 1]).is_err());
    }
}
