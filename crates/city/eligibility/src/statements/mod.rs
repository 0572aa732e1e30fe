//! Statements of certificates: the vaccination, recovery or test that a person's facts carry.
//!
//! A statement is certain or it is not made: where a date is not a day, or the number of a dose
//! depends on what a date means, there is none.

mod doses;
mod recoveries;
mod refusal;
mod tested;

use chrono::{DateTime, NaiveDate, Utc};
use contract::{Fact, FactKind, TestCode, Vaccine};

use crate::claims::History;
use crate::day_ranges::DayRange;
use crate::evaluate::{Evidence, MAX_FACTS};
use crate::rules::{Period, Route, Rules};
use crate::suspensions::suspensions;

pub(crate) use recoveries::{LONGEST_ILLNESS_DAYS, LONGEST_RECOVERY_DAYS};
pub use refusal::NoCertificate;

/// Most doses that one person is taken to have had; with more no vaccination is stated.
pub const MAX_DOSES: u8 = 9;

/// Statement of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Statement {
    /// A dose.
    Dose {
        /// Vaccine.
        vaccine: Vaccine,
        /// Number of the dose, counted by dates from 1.
        number: u8,
        /// Number of doses of the series. A dose beyond a series of two is 3/3, and beyond a series
        /// of one 2/1 (Implementing Decision (EU) 2021/2301, annex).
        series: u8,
        /// Day of the dose.
        given_on: NaiveDate,
    },
    /// A recovery.
    Recovery {
        /// Day of the first positive test; where none is on record the day on which the illness
        /// began, and where that is not either, the day on which the person was declared well.
        first_positive: NaiveDate,
        /// First day on which the recovery counts by the rules.
        from: NaiveDate,
        /// Last day on which the recovery counts by the rules.
        last: NaiveDate,
    },
    /// A test whose result was negative.
    NegativeTest {
        /// Test.
        test: TestCode,
        /// Day of the sample.
        sampled_on: NaiveDate,
    },
}

/// Statement that a certificate may be issued of, and the days on which it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certifiable {
    /// Statement.
    pub statement: Statement,
    /// First day on which the certificate may hold, today or later.
    pub from: NaiveDate,
    /// First day on which it may not hold any more; `None`: the rules set no end.
    pub until: Option<NaiveDate>,
}

/// Statement that is carried, and whether it is that of the newest fact of its kind.
struct Carried {
    certifiable: Certifiable,
    is_newest: bool,
}

/// Facts and rules that statements are made of.
struct Basis<'a> {
    today: NaiveDate,
    facts: &'a [Fact],
    history: History,
    period: &'a Period,
    /// True where a positive test suspends today what it may suspend.
    is_suspended: bool,
}

impl<'a> Basis<'a> {
    fn new(
        rules: &'a Rules,
        evidence: Evidence<'a>,
        today: NaiveDate,
    ) -> Result<Self, NoCertificate> {
        let facts = match evidence {
            Evidence::Facts(facts) if facts.len() <= MAX_FACTS => facts,
            Evidence::Facts(_) | Evidence::InDoubt => return Err(NoCertificate::PersonInDoubt),
        };
        let period = rules.in_force(today).ok_or(NoCertificate::NoStatement)?;
        let history = History::until(today, facts);
        let mut suspended = suspensions(period, &history).into_iter();
        Ok(Self {
            today,
            facts,
            is_suspended: suspended.any(|days| days.contains(today)),
            history,
            period,
        })
    }

    /// Returns whether a positive test suspends today what this way entitles to.
    fn suspends(&self, route: Route) -> bool {
        let rule = self.period.positive_test.as_ref();
        self.is_suspended && rule.is_some_and(|rule| rule.suspends.contains(&route))
    }

    /// Every day from today on.
    const fn days_ahead(&self) -> DayRange {
        DayRange {
            from: self.today,
            until: NaiveDate::MAX,
        }
    }

    fn carried(&self, kind: FactKind) -> Vec<Carried> {
        match kind {
            FactKind::Vaccination => doses::carried(self),
            FactKind::Recovery => recoveries::carried(self),
            FactKind::Test => tested::carried(self),
        }
    }
}

/// Returns the statement of the person's newest fact of a kind.
///
/// # Errors
/// A person in doubt, or facts that carry none: whatever the cause, the reason is the same.
pub fn certifiable(
    rules: &Rules,
    evidence: Evidence<'_>,
    kind: FactKind,
    now: DateTime<Utc>,
) -> Result<Certifiable, NoCertificate> {
    let basis = Basis::new(rules, evidence, rules.date_at(now))?;
    let newest = basis.carried(kind).into_iter().find(|one| one.is_newest);
    newest
        .map(|one| one.certifiable)
        .ok_or(NoCertificate::NoStatement)
}

/// Returns every statement that the person's facts carry, of the newest facts and of older ones: a
/// certificate whose statement is not among them does not hold any more.
#[must_use]
pub fn carried_statements(
    rules: &Rules,
    evidence: Evidence<'_>,
    now: DateTime<Utc>,
) -> Vec<Statement> {
    let Ok(basis) = Basis::new(rules, evidence, rules.date_at(now)) else {
        return Vec::new();
    };
    let all = FactKind::ALL
        .into_iter()
        .flat_map(|kind| basis.carried(kind));
    all.map(|one| one.certifiable.statement).collect()
}

#[cfg(test)]
mod tests;
