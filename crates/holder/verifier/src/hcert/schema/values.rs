//! Single values of a health certificate: texts, dates, numbers.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::{Map, Value};

use super::{Formats, Version};

/// Greatest number of faults that are told.
const MAX_FAULTS: usize = 20;

/// Forms of a date and time without a zone.
const LOCAL_TIMES: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];

/// Number of characters of a whole date, such as `2021-05-03`.
const DATE_LENGTH: usize = 10;

/// Check of one certificate: the version it is checked by, and the faults found so far.
pub(super) struct Checker {
    version: Version,
    formats: Formats,
    faults: Vec<String>,
}

impl Checker {
    /// Check by a version, without faults yet.
    pub(super) const fn new(version: Version, formats: Formats) -> Self {
        Self {
            version,
            formats,
            faults: Vec::new(),
        }
    }

    /// Version that is checked by.
    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// Faults that were found.
    pub(super) fn into_faults(self) -> Vec<String> {
        self.faults
    }

    /// Notes a fault of the member at `path`.
    pub(super) fn add(&mut self, path: &str, words: &str) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(format!("{path}: {words}"));
        }
    }

    /// Notes a missing member.
    pub(super) fn required<'a>(
        &mut self,
        path: &str,
        value: Option<&'a Value>,
    ) -> Option<&'a Value> {
        if value.is_none() {
            self.add(path, "is missing");
        }
        value
    }

    /// Object, or a fault where the value is none.
    pub(super) fn object<'a>(
        &mut self,
        path: &str,
        value: &'a Value,
    ) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.add(path, "must be an object");
        }
        object
    }

    /// Text within the length of the version.
    pub(super) fn text(&mut self, path: &str, value: &Value) {
        let length = self.version.text_length();
        match value.as_str() {
            None => self.add(path, "must be text"),
            Some(text) if text.chars().count() > length => {
                self.add(path, &format!("must have at most {length} characters"));
            }
            Some(_) => {}
        }
    }

    /// Text of any length: names of value sets, whose lengths no version limits.
    pub(super) fn any_text(&mut self, path: &str, value: &Value) {
        if !value.is_string() {
            self.add(path, "must be text");
        }
    }

    /// Name in the letters of ICAO 9303: A to Z and `<`.
    pub(super) fn machine_readable(&mut self, path: &str, value: &Value) {
        self.text(path, value);
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte == b'<';
        if value
            .as_str()
            .is_some_and(|text| !text.bytes().all(allowed))
        {
            self.add(path, "must have only the letters A to Z and <");
        }
    }

    /// Country: a text with capital letters.
    pub(super) fn country(&mut self, path: &str, value: &Value) {
        let has_capital = |text: &str| text.bytes().any(|byte| byte.is_ascii_uppercase());
        if !value.as_str().is_some_and(has_capital) {
            self.add(path, "must be a country code in capital letters");
        }
    }

    /// Number of doses.
    pub(super) fn doses(&mut self, path: &str, value: &Value) {
        let greatest = self.version.doses().unwrap_or(u64::MAX);
        match whole_number(value) {
            Some(number) if (1..=greatest).contains(&number) => {}
            _ => self.add(
                path,
                "must be a whole number of doses from 1 on, and of the version's size",
            ),
        }
    }

    /// Whole date. A time after it is accepted, because many certificates have one.
    pub(super) fn date(&mut self, path: &str, value: &Value) {
        let fits = |text: &str| self.formats == Formats::Unchecked || is_date_or_time(text);
        if !value.as_str().is_some_and(fits) {
            self.add(path, "must be a date such as 2021-05-03");
        }
    }

    /// Date of birth. From 1.1 on it may be a month or a year, from 1.3 on empty.
    pub(super) fn birth(&mut self, path: &str, value: &Value) {
        let Some(text) = value.as_str() else {
            self.add(path, "must be text");
            return;
        };
        let fits = match self.version {
            Version::First if self.formats == Formats::Unchecked => has_date(text),
            Version::First => is_date_or_time(text) && in_century(text),
            Version::PartialDates | Version::OneEntry => is_partial_date(text),
            Version::EmptyBirth | Version::OneName => text.is_empty() || is_partial_date(text),
        };
        if !fits {
            self.add(
                path,
                "must be a date from 1900 to 2099 in the form of this version",
            );
        }
    }

    /// Version: three numbers.
    pub(super) fn version_text(&mut self, members: &Map<String, Value>) {
        let Some(value) = self.required("ver", members.get("ver")) else {
            return;
        };
        if !value.as_str().is_some_and(is_version) {
            self.add("ver", "must be three numbers such as 1.3.0");
        }
    }
}

fn is_version(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number)
}

/// A number without a fraction; `2.0` is one too (JSON schema, section "integer").
fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0)
            .and_then(az::checked_cast)
    })
}

fn is_date_or_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(DATE_LENGTH) else {
        return false;
    };
    if NaiveDate::parse_from_str(date, "%Y-%m-%d").is_err() {
        return false;
    }
    rest.is_empty()
        || DateTime::parse_from_rfc3339(text).is_ok()
        || DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z").is_ok()
        || LOCAL_TIMES
            .iter()
            .any(|form| NaiveDateTime::parse_from_str(text, form).is_ok())
}

fn in_century(text: &str) -> bool {
    text.starts_with("19") || text.starts_with("20")
}

/// True where something within the text looks like a whole date: the pattern of 1.0.x is not
/// anchored.
fn has_date(text: &str) -> bool {
    let looks_so = |part: &[u8]| str::from_utf8(part).is_ok_and(is_whole_date);
    text.as_bytes().windows(DATE_LENGTH).any(looks_so)
}

fn is_whole_date(text: &str) -> bool {
    text.len() == DATE_LENGTH && is_partial_date(text)
}

/// Year, month or day: `1979`, `1979-04`, `1979-04-14`.
fn is_partial_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    match parts.as_slice() {
        [year, rest @ ..] if rest.len() <= 2 => {
            in_century(text) && digits(year, 4) && rest.iter().all(|part| digits(part, 2))
        }
        _ => false,
    }
}
