//! Values that nobody has mapped: which one a record is refused for, and with whom it was seen.

mod found;
mod nearest;
mod seen;
mod value;

pub use record_secrets::{RecordSecrets, ValueDigest, ValuePerson};
pub use seen::SeenValue;
pub use value::{MAX_VALUE_CHARS, UnknownValue, ValueTable};

#[cfg(test)]
mod tests;
