//! The gateway beside a clinic: pulls records, turns people into pseudonyms, keeps what is new or
//! changed in a sealed outbox, and delivers it to the city registry's queue.
//!
//! Way of a record: [`pull`] (a connector's page → `pseudonym` → `outbox`), [`publish`] (outbox →
//! `broker`), [`receipts`] (the registry's answer to it). [`sweep`] finds what a pull cannot:
//! records that were deleted or changed unnoticed. `daemon::schedule` decides when;
//! `docs/architecture.md` explains the structure.

mod backpressure;
#[cfg(feature = "cli")]
mod circuits;
mod codes_file;
pub mod config;
mod corrections;
mod cursor;
#[cfg(feature = "cli")]
mod disks;
mod dummies;
mod endless;
mod evaluate;
mod foreground;
pub mod gateway;
mod outer_seal;
mod own_state;
pub mod publish;
pub mod pull;
#[cfg(feature = "cli")]
mod queue_causes;
pub mod receipts;
pub mod requests;
pub mod ring;
pub mod run;
mod slots;
pub mod sources;
mod surprise;
pub mod sweep;
pub mod sync;
#[cfg(test)]
mod testing;
#[cfg_attr(
    not(feature = "cli"),
    expect(
        dead_code,
        reason = "only the daemon shows metrics and looks at the ceiling"
    )
)]
pub mod tokens;
#[cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "only the daemon tells waits")
)]
mod waits;
mod withheld;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod daemon;
