//! Values that only a clinic can derive of its records: owner tokens, versions as they travel,
//! content digests, classes of facts, and the clinic's own ids and words sealed for the gateway's
//! disk.
//!
//! All of them come out of the clinic's record key by HMAC-SHA-256, the key of the seal too, so that
//! none of them rests anywhere, and a gateway that lost its state derives the same again.

mod classes;
mod revision;
mod secrets;
mod values;

pub use classes::{ClassDigest, ClassPerson, ClassSecrets};
pub use revision::{MAX_COUNT, MAX_FIRST_FORM_GENERATION, MAX_GENERATION, Revision};
pub use secrets::RecordSecrets;
pub use values::{ValueDigest, ValuePerson, ValueSecrets};
