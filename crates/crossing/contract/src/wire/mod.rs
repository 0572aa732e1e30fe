//! The wire form: a CloudEvents 1.0 JSON batch whose data are FHIR R4 resources.

mod constants;
mod content;
mod encoder;
mod envelope;
mod fhir;
#[cfg(test)]
mod field_schema;
mod fixed;
mod hex;
mod pieces;
mod probe;
mod quick_reader;
mod refusal;
#[cfg(test)]
pub(crate) mod schema;
mod strict_reader;
#[cfg(test)]
pub(crate) mod tests;

pub use constants::{MAX_ENCODED_BYTES, MAX_EVENTS};
pub(crate) use content::encode_into;
pub use content::{Message, decode, decode_message, encode};
pub use probe::{MAX_PROBED, Probed, encode_probe};
pub use refusal::{BatchError, Refused};
