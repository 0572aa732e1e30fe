//! The registry on real queues and stores, as library and as program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consume;
mod outage;
mod program;
mod world;
