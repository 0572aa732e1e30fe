//! One date format: letters `y M d H m s`, and what stands between them.

use chrono::{Datelike, NaiveDate, NaiveTime};
use connector_kit::ClinicDate;

/// Years that a date may have; a number beyond is none, so that `yyyyMMdd` and `ddMMyyyy` are told
/// apart.
const YEARS: std::ops::RangeInclusive<u32> = 1900..=2100;

/// Year of the two digits `00`; `99` is 99 years later.
const PIVOT: u32 = 2000;

/// Part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// Piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Digits: fewest and most.
    Digits(Part, usize, usize),
    /// Text as it stands.
    Literal(char),
}

/// A format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DateFormat {
    text: String,
    pieces: Vec<Piece>,
}

impl DateFormat {
    /// Reads a format; the error says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        let pieces = pieces(text)?;
        let count = |part| {
            let is_part =
                |piece: &&Piece| matches!(piece, Piece::Digits(other, ..) if *other == part);
            pieces.iter().filter(is_part).count()
        };
        let parts = [
            Part::Year,
            Part::Month,
            Part::Day,
            Part::Hour,
            Part::Minute,
            Part::Second,
        ];
        if parts.into_iter().any(|part| count(part) > 1) {
            return Err("a letter stands in two places");
        }
        if count(Part::Year) == 0 {
            return Err("the year is missing: write yyyy, or yy");
        }
        if count(Part::Day) == 1 && count(Part::Month) == 0 {
            return Err("a day needs its month: write MM, or M");
        }
        let runs_on = |pair: &[Piece]| matches!(pair, [Piece::Digits(_, fewest, most), Piece::Digits(..)] if fewest != most);
        if pieces.windows(2).any(runs_on) {
            return Err(
                "d, M, H, m and s may have one or two digits, so a sign must follow: write \
                        dd, MM, HH, mm or ss",
            );
        }
        Ok(Self {
            text: text.to_owned(),
            pieces,
        })
    }

    /// The format as it is configured.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Reads a date; `None` if the text does not have this form, or there is no such date.
    pub(super) fn read(&self, text: &str) -> Option<ClinicDate> {
        let mut rest = text;
        let mut numbers = [None; 6];
        for piece in &self.pieces {
            match *piece {
                Piece::Literal(char) => rest = rest.strip_prefix(char)?,
                Piece::Digits(part, fewest, most) => {
                    let digits = rest
                        .bytes()
                        .take(most)
                        .take_while(u8::is_ascii_digit)
                        .count();
                    if digits < fewest {
                        return None;
                    }
                    let (number, after) = rest.split_at(digits);
                    let number: u32 = number.parse().ok()?;
                    numbers[part as usize] = Some(if part == Part::Year && most == 2 {
                        PIVOT + number
                    } else {
                        number
                    });
                    rest = after;
                }
            }
        }
        rest.is_empty().then(|| date(numbers)).flatten()
    }

    /// Writes a day; `padded` has two digits where the format allows one.
    pub(super) fn write(&self, day: NaiveDate, padded: bool) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match *piece {
                Piece::Literal(char) => text.push(char),
                Piece::Digits(part, fewest, most) => {
                    let number = match part {
                        Part::Year if most == 2 => day.year().rem_euclid(100).unsigned_abs(),
                        Part::Year => day.year().unsigned_abs(),
                        Part::Month => day.month(),
                        Part::Day => day.day(),
                        Part::Hour | Part::Minute | Part::Second => 0,
                    };
                    let width = if padded { most } else { fewest };
                    text += &format!("{number:0width$}");
                }
            }
        }
        text
    }
}

fn date([year, month, day, hour, minute, second]: [Option<u32>; 6]) -> Option<ClinicDate> {
    let [hour, minute, second] = [hour, minute, second].map(|number| number.unwrap_or(0));
    NaiveTime::from_hms_opt(hour, minute, second)?;
    let year = year.filter(|year| YEARS.contains(year))?;
    let year = i32::try_from(year).ok()?;
    match (month, day) {
        (None, _) => Some(ClinicDate::Year(year)),
        (Some(month), None) => (1..=12)
            .contains(&month)
            .then_some(ClinicDate::Month(year, month)),
        (Some(month), Some(day)) => NaiveDate::from_ymd_opt(year, month, day).map(ClinicDate::Day),
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' if chars.next_if_eq(&'\'').is_some() => pieces.push(Piece::Literal('\'')),
            '\'' => loop {
                match chars.next() {
                    Some('\'') if chars.next_if_eq(&'\'').is_none() => break,
                    Some(char) => pieces.push(Piece::Literal(char)),
                    None => return Err("a quotation mark is not closed"),
                }
            },
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                pieces.push(digits(letter, count)?);
            }
            digit if digit.is_ascii_digit() => {
                return Err("a digit stands in it: write letters, such as dd.MM.yyyy");
            }
            other => pieces.push(Piece::Literal(other)),
        }
    }
    Ok(pieces)
}

fn digits(letter: char, count: usize) -> Result<Piece, &'static str> {
    let part = match letter {
        'y' => Part::Year,
        'M' => Part::Month,
        'd' => Part::Day,
        'H' => Part::Hour,
        'm' => Part::Minute,
        's' => Part::Second,
        _ => {
            return Err(
                "letters are y, M, d, H, m and s (M is the month, m the minute); others \
                        stand in quotation marks, such as 'T'",
            );
        }
    };
    match (part, count) {
        (Part::Year, 2 | 4) => Ok(Piece::Digits(part, count, count)),
        (Part::Year, _) => Err("a year is yyyy, or yy"),
        (_, 1 | 2) => Ok(Piece::Digits(part, count, 2)),
        _ => Err("a letter but y stands once or twice: months are numbers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, text: &str) -> String {
        let format = DateFormat::new(format).expect(format);
        match format.read(text) {
            Some(ClinicDate::Year(year)) => year.to_string(),
            Some(ClinicDate::Month(year, month)) => format!("{year}-{month}"),
            Some(ClinicDate::Day(day)) => day.to_string(),
            None => "-".into(),
        }
    }

    #[test]
    fn letters_stand_for_digits() {
        for (format, text, expected) in [
            ("d.M.yyyy", "1.7.2021", "2021-07-01"),
            ("d.M.yyyy", "01.07.2021", "2021-07-01"),
            ("dd.MM.yyyy", "1.7.2021", "-"),
            ("yyyyMMdd", "20210701", "2021-07-01"),
            ("yyyyMMdd", "2021071", "-"),
            ("yyyyMMdd", "202107011", "-"),
            ("MM/yyyy", "07/2021", "2021-7"),
            ("MM/yyyy", "13/2021", "-"),
            ("yyyy г.", "2021 г.", "2021"),
            ("yyyy-MM-dd'T'HH:mm:ss", "2021-07-01T23:59:59", "2021-07-01"),
            ("yyyy-MM-dd'T'HH:mm:ss", "2021-07-01T24:00:00", "-"),
            ("dd.MM.yyyy H:mm", "01.07.2021 9:05", "2021-07-01"),
            ("d'o''clock' M yyyy", "1o'clock 7 2021", "2021-07-01"),
            ("yyyy", "1899", "-"),
            ("yyyy", "1900", "1900"),
            ("yyyy", "2100", "2100"),
            ("yyyy", "2101", "-"),
        ] {
            assert_eq!(read(format, text), expected, "{format} {text}");
        }
    }

    #[test]
    fn two_digits_of_a_year_are_of_this_century() {
        for (text, expected) in [("01.07.00", "2000-07-01"), ("01.07.99", "2099-07-01")] {
            assert_eq!(read("dd.MM.yy", text), expected);
        }
    }

    #[test]
    fn what_is_no_format_is_refused_with_what_to_write() {
        for (format, words) in [
            ("", "the year is missing"),
            ("dd.MM", "the year is missing"),
            ("dd.yyyy", "a day needs its month"),
            ("yyyy-yy", "in two places"),
            ("dMyyyy", "a sign must follow"),
            ("dd-MMM-yyyy", "months are numbers"),
            ("yyy", "a year is yyyy"),
            ("DD.MM.YYYY", "letters are y, M, d"),
            ("yyyy-MM-ddTHH", "in quotation marks"),
            ("yyyy'T", "not closed"),
            ("2021-MM-dd", "a digit"),
        ] {
            let said = DateFormat::new(format).expect_err(format);
            assert!(said.contains(words), "{format}: {said}");
        }
    }
}
