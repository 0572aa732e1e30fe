//! The gateway beside a clinic: pulls records, turns people into pseudonyms, keeps what is new or changed in a sealed
//! outbox, and delivers it to the city registry's queue.
//!
//! One record's way: [`pull`] (a connector's page → `pseudonym` → `outbox`), then [`publish`] (outbox → `broker`).
//! `schedule` says when; `docs/architecture.md` says why it is cut this way.

pub mod config;
mod cursor;
pub mod gateway;
pub mod publish;
pub mod pull;
pub mod run;
pub mod sources;
pub mod sync;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod daemon;
