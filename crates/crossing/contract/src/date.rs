//! Dates as they travel: a day, a month or a year (FHIR `dateTime` at those precisions), never a
//! time of day.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};

/// Precision of a date, coarsest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// Only the year.
    Year,
    /// Year and month.
    Month,
    /// The day.
    Day,
}

/// A calendar date as precise as it is known, or as policy lets it leave. Years 1900 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialDate {
    year: u16,
    month: Option<u8>,
    day: Option<u8>,
}

impl PartialDate {
    /// Makes a date of a year.
    #[must_use]
    pub fn from_year(year: i32) -> Option<Self> {
        let year = u16::try_from(year)
            .ok()
            .filter(|year| (1900..=9999).contains(year))?;
        Some(Self {
            year,
            month: None,
            day: None,
        })
    }

    /// Makes a date of a month (1 to 12) of a year.
    #[must_use]
    pub fn from_month(year: i32, month: u32) -> Option<Self> {
        let month = u8::try_from(month)
            .ok()
            .filter(|month| (1..=12).contains(month))?;
        Some(Self {
            month: Some(month),
            ..Self::from_year(year)?
        })
    }

    /// Makes a date of a day.
    #[must_use]
    pub fn from_day(day: NaiveDate) -> Option<Self> {
        Some(Self {
            day: u8::try_from(day.day()).ok(),
            ..Self::from_month(day.year(), day.month())?
        })
    }

    /// Precision of the date.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        match (self.month, self.day) {
            (None, _) => Precision::Year,
            (Some(_), None) => Precision::Month,
            (Some(_), Some(_)) => Precision::Day,
        }
    }

    /// Year, month (1 to 12) and day, as far as they are known.
    #[must_use]
    pub const fn parts(&self) -> (u16, Option<u8>, Option<u8>) {
        (self.year, self.month, self.day)
    }

    /// Makes the date no more precise than `most`.
    #[must_use]
    pub fn generalised_to(self, most: Precision) -> Self {
        Self {
            year: self.year,
            month: self.month.filter(|_| most >= Precision::Month),
            day: self.day.filter(|_| most >= Precision::Day),
        }
    }

    /// The first day it may mean, for sorting and for "not in the future".
    #[must_use]
    pub fn earliest(&self) -> NaiveDate {
        let month = u32::from(self.month.unwrap_or(1));
        let day = u32::from(self.day.unwrap_or(1));
        NaiveDate::from_ymd_opt(i32::from(self.year), month, day).unwrap_or(NaiveDate::MIN)
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if let Some(month) = self.month {
            write!(f, "-{month:02}")?;
        }
        if let Some(day) = self.day {
            write!(f, "-{day:02}")?;
        }
        Ok(())
    }
}

impl FromStr for PartialDate {
    type Err = crate::pseudonym::NotListed;

    /// Reads `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, and nothing else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |part: &str, len: usize| {
            (part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse::<u32>().ok())
                .flatten()
        };
        let mut parts = text.split('-');
        let year = parts
            .next()
            .and_then(|part| digits(part, 4))
            .and_then(|year| i32::try_from(year).ok());
        let month = parts.next();
        let day = parts.next();
        let rest = parts.next();
        let parsed = match (year, month, day, rest) {
            (Some(year), None, None, None) => Self::from_year(year),
            (Some(year), Some(month), None, None) => {
                digits(month, 2).and_then(|m| Self::from_month(year, m))
            }
            (Some(year), Some(month), Some(day), None) => digits(month, 2)
                .zip(digits(day, 2))
                .and_then(|(m, d)| NaiveDate::from_ymd_opt(year, m, d))
                .and_then(Self::from_day),
            _ => None,
        };
        parsed.ok_or(crate::pseudonym::NotListed)
    }
}
