//! Tests of the record index over a real SQLite file.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on may say so by a panic"
)]

mod appends;
mod changes;
mod damage;
#[path = "../support/file.rs"]
mod file;
mod look_ups;
mod model;
mod scans;
mod support;
