//! Tests of the key service: over mutual TLS in this process, and as the program that is installed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod ceilings;
mod commands;
mod disk;
mod door;
mod killed;
mod leaks;
mod program;
mod record;
mod refusals;
mod tls;
mod tokens;
mod units;
mod world;
