//! Versions and who may give them out: the generation, its file next to the outbox, the commit
//! gate.

mod commit_gate;
mod generation;
mod generation_file;
mod giving_out;
mod identity;
mod next_revision;
mod receipt_raise;
mod renewal;

pub(crate) use commit_gate::{CommitGuard, ReadPoint, any_common};
pub(crate) use generation::determine_generation;
pub(crate) use giving_out::Versions;
pub(crate) use identity::RaiseReason;
pub(crate) use next_revision::next_revision;
pub(crate) use receipt_raise::{
    ReceiptRaise, decide_beacon_raise, decide_receipt_raise, is_raise_due,
};
pub(crate) use renewal::{Renewal, end_renewal, read_contents_since, read_renewal};
