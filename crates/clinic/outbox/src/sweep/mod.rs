//! Sweeps: records that the source no longer names are withdrawn, after a second look and under a
//! safety catch. The same catch holds for older versions of records whose correction is refused.

mod bitmap;
mod contents;
mod missing;
mod refused;
mod removed_source;
mod running;
mod shown;
mod sweeps;
mod types;
mod withdrawals;

pub(crate) use contents::NamesLacking;
pub(crate) use refused::Corrections;
pub use removed_source::RemovedFeed;
pub(crate) use removed_source::RemovedSources;
pub(crate) use running::{SeenPage, note_page, owe_sweeps, owes_sweep};
pub use shown::ShownMissing;
pub(crate) use sweeps::Sweeps;
pub use types::{
    CorrectionRule, MissingRecord, SeenKeys, SettledCorrections, Sweep, SweepEnd, SweepKind,
    SweepLimits, SweepLookUp, SweepStep,
};
pub(crate) use withdrawals::{GivenOut, Withdrawals, WithdrawnAlike};
