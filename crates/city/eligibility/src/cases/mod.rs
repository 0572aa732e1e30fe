//! Worked cases: persons with their facts, and the answer that the rules must give about each.

mod file;
#[cfg(test)]
mod mutations;
mod outcome;
mod reading;
#[cfg(test)]
mod tests;

pub use outcome::{CaseOutcome, CaseResult, run_cases};
pub use reading::Cases;
