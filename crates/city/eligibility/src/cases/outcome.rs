//! Running of worked cases, and what is printed about them.

use std::fmt;

use super::reading::{Case, Cases};
use crate::day_ranges::Interval;
use crate::evaluate::{Eligibility, Evidence, evaluate_on};
use crate::reason::Reason;
use crate::rules::{Rules, date_in};

/// Outcome of a worked case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseOutcome {
    /// The rules give the right answer.
    Passed,
    /// The rules give another answer.
    Failed {
        /// Days that the case expects to be covered.
        expected_days: Vec<Interval>,
        /// Reasons that the case expects.
        expected_reasons: Vec<Reason>,
        /// Answer that the rules give.
        given: Eligibility,
    },
}

/// Result of a worked case; its display is what a command prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Name of the case.
    pub name: String,
    /// Outcome of the case.
    pub outcome: CaseOutcome,
}

impl CaseResult {
    /// True where the rules give the right answer.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome == CaseOutcome::Passed
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            CaseOutcome::Passed => write!(f, "passed: {}", self.name),
            CaseOutcome::Failed {
                expected_days,
                expected_reasons,
                given,
            } => {
                writeln!(f, "FAILED: {}", self.name)?;
                write!(f, "  expected: ")?;
                write_answer(f, expected_days, expected_reasons)?;
                write!(f, "\n  given:    ")?;
                write_answer(f, &given.covered, &given.reasons)
            }
        }
    }
}

/// Writes an answer with the last days, as the file of cases does.
fn write_answer(
    f: &mut fmt::Formatter<'_>,
    covered: &[Interval],
    reasons: &[Reason],
) -> fmt::Result {
    if covered.is_empty() {
        f.write_str("not covered")?;
    }
    for (number, interval) in covered.iter().enumerate() {
        let separator = if number == 0 { "covered" } else { "," };
        write!(f, "{separator} from {}", interval.from)?;
        if let Some(last) = interval.last() {
            write!(f, " to {last}")?;
        }
    }
    for reason in reasons {
        write!(f, "; {}", reason.as_str())?;
    }
    Ok(())
}

/// Applies the rules to every case, in the order of the cases.
#[must_use]
pub fn run_cases(rules: &Rules, cases: &Cases) -> Vec<CaseResult> {
    let results = cases.cases.iter().map(|case| CaseResult {
        name: case.name.clone(),
        outcome: run(rules, case),
    });
    results.collect()
}

fn run(rules: &Rules, case: &Case) -> CaseOutcome {
    let evidence = if case.in_doubt {
        Evidence::InDoubt
    } else {
        Evidence::Facts(&case.facts)
    };
    let zone = case.zone.unwrap_or(rules.zone());
    let today = date_in(zone, case.at);
    let given = evaluate_on(rules, evidence, today);
    // The order in which a case lists its reasons says nothing.
    let mut expected_reasons = case.reasons.clone();
    expected_reasons.sort_unstable();
    if given.covered == case.covered && given.reasons == expected_reasons {
        return CaseOutcome::Passed;
    }
    CaseOutcome::Failed {
        expected_days: case.covered.clone(),
        expected_reasons,
        given,
    }
}
