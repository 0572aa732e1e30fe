//! The gateway beside a clinic: pulls records, turns people into pseudonyms, keeps what is new or
//! changed in a sealed outbox, and delivers it to the city registry's queue.
//!
//! One record's way: [`pull`] (a connector's page → `pseudonym` → `outbox`), [`publish`] (outbox →
//! `broker`), [`receipts`] (the registry's word on it). [`sweep`] finds what a pull cannot: what
//! was deleted or changed unnoticed. `schedule` says when; `docs/architecture.md` says why it is
//! cut this way.

mod attend;
#[cfg(feature = "cli")]
mod circuits;
mod commit;
pub mod config;
mod cursor;
mod endless;
pub mod gateway;
pub mod publish;
pub mod pull;
pub mod receipts;
pub mod reconcile;
pub mod requests;
mod retry;
mod room;
pub mod run;
pub mod sources;
mod surprise;
pub mod sweep;
pub mod sync;
#[cfg(test)]
mod testing;
mod transform;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod daemon;
