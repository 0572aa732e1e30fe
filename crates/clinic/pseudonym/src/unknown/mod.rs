//! Values that nobody has mapped: which one a record is refused for, and with whom it was seen.

mod found;
mod value;

pub use found::SeenValue;
pub use record_secrets::{RecordSecrets, ValueDigest, ValuePerson};
pub use value::{MAX_VALUE_CHARS, UnknownValue, ValueTable};

#[cfg(test)]
mod tests;
