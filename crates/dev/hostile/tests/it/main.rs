//! Attacks on a city, one file a topic, each with honest traffic beside it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod classifier;
mod generated;
mod honest;
mod intake;
mod interference;
mod linking;
mod ownership;
mod recorded;
mod relayed;
mod stolen;
