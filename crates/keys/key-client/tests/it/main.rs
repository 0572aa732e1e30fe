//! The client of key services against doubles that answer well or ill.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod config;
mod double;
mod evaluate;
mod faults;
mod idle;
mod look;
mod metrics;
mod refusals;
mod tls;
mod tokens;
