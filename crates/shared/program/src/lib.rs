//! Frame that every program of the project shares: runtime, stop signals, exit codes, opening the
//! configuration, printing, files that `init` writes.
//!
//! The command line itself (arguments, help texts, commands) stays with its program; README.md says
//! how to add one.

mod address;
#[cfg(feature = "audit")]
pub mod audit_log;
mod check;
mod config;
mod core_dumps;
mod failure;
pub mod files;
mod findings;
mod memory_lock;
mod run;
mod signals;
#[cfg(feature = "daemon")]
pub mod systemd;
pub mod terminal;

pub use address::{Address, quoted};
pub use check::{CheckLayout, CheckRow, Severity, check_json, print_check};
pub use config::{load, open};
pub use failure::Failure;
pub use findings::Findings;
pub use run::run;
pub use signals::{DaemonSignals, stop_on_signal};
