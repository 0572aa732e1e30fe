//! Reconciliation: sealed probes ask the registry what it holds of every record; the repair sends
//! again what differs.

mod differences;
mod parking;
mod reconciliations;
mod report;

pub(crate) use reconciliations::Reconciliations;
pub use reconciliations::RepairPlan;
pub use report::Report;
pub(super) use report::{read_last_report, read_report};
