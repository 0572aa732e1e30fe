//! Versions and who may give them out: the generation, its file next to the outbox, the commit
//! gate.

mod commit_gate;
mod generation;
mod generation_file;
mod giving_out;
mod identity;
mod next_version;

pub(crate) use commit_gate::{CommitGuard, ReadPoint, any_common};
pub(crate) use generation::determine_generation;
pub(crate) use giving_out::Versions;
pub(crate) use identity::RaiseReason;
pub(crate) use next_version::next_version;
