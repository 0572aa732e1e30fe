//! A row of a generated clinic: what it says, and what may be wrong with it.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::shots::person;

/// The vaccines that rows name.
const VACCINES: [&str; 4] = ["sputnik-light", "epivaccorona", "covivac", "sputnik-v"];

/// Number of rows of which one is a test; the others are vaccinations.
const ROWS_A_TEST: u32 = 5;

/// Something that makes a row one that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::histories) enum Trouble {
    /// The vaccine or the test's result is a word that nobody has mapped.
    Code,
    /// The date is in the future.
    Future,
    /// There is no date.
    NoDate,
    /// The status is a word that nobody has mapped.
    Status,
    /// The person's number is one that belongs to nobody.
    Nobody,
    /// The person has no identifier.
    NoIdentifier,
    /// Reading the row fails: a function raises, or a FHIR server's Patient is gone.
    Unreadable,
    /// A subquery finds two rows for it, or the resource names no Patient.
    TwoRows,
    /// A value does not fit its domain, or the Patient is one that was never there.
    Domain,
}

impl Trouble {
    /// All of them.
    pub(in crate::histories) const ALL: [Self; 9] = [
        Self::Code,
        Self::Future,
        Self::NoDate,
        Self::Status,
        Self::Nobody,
        Self::NoIdentifier,
        Self::Unreadable,
        Self::TwoRows,
        Self::Domain,
    ];
}

/// Way in which a row's change stamp moves when the row changes.
#[derive(Debug, Clone, Copy)]
pub(in crate::histories) enum Stamp {
    /// To now.
    Now,
    /// Hardly, so that only a sweep can see the change once others are newer.
    Little,
    /// Three days back.
    Back,
    /// Centuries ahead.
    Ahead,
}

/// A row as the clinic has it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Number of the person.
    pub person: u32,
    pub vaccine: &'static str,
    pub positive: bool,
    /// False for a row that was cancelled.
    pub holds: bool,
    pub trouble: Option<Trouble>,
    pub stamp: DateTime<Utc>,
}

impl Row {
    pub(super) fn new(id: u32, stamp: DateTime<Utc>) -> Self {
        Self {
            person: id,
            vaccine: "sputnik-v",
            positive: false,
            holds: true,
            trouble: None,
            stamp,
        }
    }

    /// Gives the row another content, without trouble.
    pub(super) fn correct(&mut self, number: u16) {
        self.vaccine = VACCINES[usize::from(number % 4)];
        self.positive = number % 8 < 4;
        self.trouble = None;
    }

    pub(super) fn touch(&mut self, stamp: Stamp, now: DateTime<Utc>) {
        self.stamp = match stamp {
            Stamp::Now => now,
            Stamp::Little => self.stamp + TimeDelta::milliseconds(1),
            Stamp::Back => self.stamp - TimeDelta::days(3),
            Stamp::Ahead => now + TimeDelta::days(300_000),
        };
    }

    /// The row's number; that of nobody, or none, where this is its trouble.
    pub(super) fn snils(&self) -> Option<String> {
        match self.trouble {
            Some(Trouble::NoIdentifier) => None,
            Some(Trouble::Nobody) => Some("000-000-000 00".to_owned()),
            _ => Some(person(self.person)),
        }
    }

    /// The row's date; a wrong one, or none, where this is its trouble.
    pub(super) fn day(&self, id: u32) -> Option<NaiveDate> {
        match self.trouble {
            Some(Trouble::NoDate) => None,
            Some(Trouble::Future) => NaiveDate::from_ymd_opt(2981, 3, 1),
            _ => Some(day(id)),
        }
    }

    /// The row's vaccine or result, as codes that need no mapping; an unknown one where this is
    /// its trouble.
    pub(super) fn code(&self, id: u32) -> &'static str {
        match self.trouble {
            Some(Trouble::Code) => "unheard-of",
            _ if is_test(id) && self.positive => "positive",
            _ if is_test(id) => "negative",
            _ => self.vaccine,
        }
    }

    /// The fact that the registry must hold, as [`crate::shots::registry_content`] writes it.
    pub(super) fn fact(&self, id: u32) -> Option<String> {
        if !self.holds || self.trouble.is_some() {
            return None;
        }
        Some(if is_test(id) {
            let result = if self.positive {
                "detected"
            } else {
                "not-detected"
            };
            format!("test {result} {}", day(id))
        } else {
            format!("{} {} {}", self.vaccine, dose(id), day(id))
        })
    }
}

/// True for the row of a test.
pub(super) fn is_test(id: u32) -> bool {
    id % ROWS_A_TEST == ROWS_A_TEST - 1
}

pub(super) fn dose(id: u32) -> u32 {
    1 + id % 4
}

/// Dose and day of each row are its own, so that facts can be told apart without knowing who.
fn day(id: u32) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(2020, 12, 1).expect("a day");
    first + Days::new(u64::from(id / 4))
}
