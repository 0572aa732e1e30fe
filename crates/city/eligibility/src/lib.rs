//! The city's rules as data: which facts entitle a person to a pass, and when.
//!
//! [`Rules`] are read from TOML; [`evaluate`] applies them to a person's facts and returns the days
//! that are covered, or the reasons why today is not. Nothing here reads a file or asks the time.
//!
//! A fact's date may be a day, a month or a year. It stands for every day that it may mean, and a
//! day is covered only if it is covered whichever of them was the true one.

mod cases;
mod claims;
mod day_ranges;
mod doses;
mod evaluate;
mod last_use;
mod names;
mod reason;
mod rules;
mod span;
mod statements;
mod suspensions;

pub use cases::{CaseOutcome, CaseResult, Cases, run_cases};
pub use day_ranges::Interval;
pub use evaluate::{Eligibility, Evidence, HORIZON_DAYS, MAX_FACTS, evaluate};
pub use last_use::{LastUse, last_use};
pub use reason::{Language, Reason};
pub use rules::{MAX_DAYS, MAX_MONTHS, Rules};
pub use statements::{
    Certifiable, MAX_DOSES, NoCertificate, Statement, carried_statements, certifiable,
};
