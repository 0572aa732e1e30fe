//! Statements of negative tests, for as long as the rules let them count.

use chrono::NaiveDate;
use contract::{Fact, Precision, TestCode, TestResult};

use super::{Basis, Carried, Certifiable, Statement};
use crate::claims::later;
use crate::rules::Route;
use crate::span::DateSpan;

/// Record of a test.
#[derive(Debug, Clone, Copy)]
struct TestRecord {
    test: TestCode,
    result: TestResult,
    /// Day of the sample; `None` where the date is coarse.
    taken: Option<NaiveDate>,
    /// Last day that the sample may have been taken on.
    latest: NaiveDate,
}

impl TestRecord {
    fn is_negative(&self) -> bool {
        self.result == TestResult::NotDetected
    }
}

/// Statements of the negative tests that count today.
pub(super) fn carried(basis: &Basis<'_>) -> Vec<Carried> {
    let mut records = records(basis);
    // Of several tests of one day the same one is stated each time.
    records.sort_unstable_by_key(|one| (one.latest, one.test));
    let Some(newest) = records.last().map(|one| one.latest) else {
        return Vec::new();
    };
    let mut last = records.iter().filter(|one| one.latest == newest);
    let is_statable = last.all(|one| one.is_negative() && one.taken.is_some());
    let carried = records.iter().filter_map(|record| {
        let certifiable = statement(basis, &records, record)?;
        Some(Carried {
            certifiable,
            is_newest: is_statable && record.latest == newest,
        })
    });
    carried.collect()
}

fn records(basis: &Basis<'_>) -> Vec<TestRecord> {
    let record = |fact: &Fact| match fact {
        Fact::Test {
            test,
            result,
            occurred_on,
        } if basis.period.heeds(*test) => {
            let span = DateSpan::of(*occurred_on, basis.today)?;
            let is_day = occurred_on.precision() == Precision::Day;
            Some(TestRecord {
                test: *test,
                result: *result,
                taken: is_day.then_some(span.earliest),
                latest: span.latest,
            })
        }
        Fact::Vaccination { .. } | Fact::Test { .. } | Fact::Recovery { .. } => None,
    };
    basis.facts.iter().filter_map(record).collect()
}

fn statement(basis: &Basis<'_>, all: &[TestRecord], record: &TestRecord) -> Option<Certifiable> {
    let taken = record.taken.filter(|_| record.is_negative())?;
    let mut groups = basis.period.tests.iter();
    let group = groups.find(|group| group.codes.contains(&record.test))?;
    let until = later(taken, group.calendar_days);
    let is_positive_since =
        |one: &TestRecord| one.result == TestResult::Detected && one.latest >= taken;
    let counts = basis.today < until && !all.iter().any(is_positive_since);
    let certifiable = Certifiable {
        statement: Statement::NegativeTest {
            test: record.test,
            sampled_on: taken,
        },
        from: basis.today,
        until: Some(until),
    };
    (counts && !basis.suspends(Route::Test)).then_some(certifiable)
}
