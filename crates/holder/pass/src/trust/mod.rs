//! The trust bundle: which keys sign passes and lists, from when until when, signed by a root key
//! that verifiers have pinned.

mod bundle;
mod lists;
mod replay;
mod succession;

#[cfg(test)]
mod tests;

pub use bundle::{MAX_KEYS, TrustBundle, TrustFault, TrustedKey};
pub use lists::{ListFault, ListRefusal, sign_revocations, take_revocations};
pub(crate) use replay::is_clock_behind;
pub use replay::{CLOCK_TOLERANCE, HeldBundle, Offer, Refusal, judge_offer};
pub use succession::SuccessionFault;
