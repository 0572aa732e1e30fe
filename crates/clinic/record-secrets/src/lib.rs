//! Values that only a clinic can derive of its records: owner tokens, versions as they travel, and
//! content digests.
//!
//! All of them come out of the clinic's record key by HMAC-SHA-256, so that none of them rests
//! anywhere, and a gateway that lost its state derives the same again.

mod revision;
mod secrets;

pub use revision::{MAX_COUNT, MAX_FIRST_FORM_GENERATION, MAX_GENERATION, Revision};
pub use secrets::RecordSecrets;
