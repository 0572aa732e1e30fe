//! Versions and who may give them out: the generation, its file next to the outbox, the commit
//! gate.

mod commit_gate;
mod generation;
mod generation_file;
mod identity;
mod next_version;
mod versions_in_use;

pub(crate) use commit_gate::{CommitGuard, ReadPoint, any_common};
pub(crate) use generation::determine_generation;
pub(crate) use identity::RaiseReason;
pub(crate) use next_version::next_version;
pub(crate) use versions_in_use::Versions;
