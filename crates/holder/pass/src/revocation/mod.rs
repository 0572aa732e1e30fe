//! Revocation lists: which passes ended before their expiry, whole or as the difference to a list.
//!
//! A list is exact: it names every ended pass by its tag and no other pass. This module makes and
//! reads the payload; whoever signs and verifies it does so before and after.

mod cbor;
mod delta;
mod list;
mod payload;
mod rice;
mod tags;

pub use delta::{Delta, DeltaError};
pub use list::{Edition, EditionError, EndedPass, RevocationList};
pub use payload::{PAYLOAD_TYPE, PayloadError, RevocationPayload};
pub use rice::{CodeError, MAX_PARAMETER};
pub use tags::{MAX_TAGS, TAG_BITS, Tag, TagSet, TooManyTags};

#[cfg(test)]
mod tests;
