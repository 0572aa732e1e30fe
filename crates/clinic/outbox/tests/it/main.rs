//! Tests of the outbox through its public interface, on real files.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on may say so by a panic"
)]

mod beacon;
mod classes;
mod content_sweeps;
mod corrections;
mod crash;
mod dead_letters;
mod evaluation;
mod figures;
mod generation;
mod joined;
mod keys;
mod model;
mod names;
mod opening;
mod overlap;
mod pages;
mod parked;
mod publishing;
mod raises;
mod receipts;
mod reconciliation;
mod refused_events;
mod renewal;
mod requests;
mod reused;
mod support;
mod sweep_model;
mod sweeps;
mod values;
mod versions;
