//! A value that nobody has mapped, as a record has it.

use record_secrets::{ValueDigest, ValuePerson};

use super::value::UnknownValue;

/// A value that nobody has mapped, as one record has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenValue {
    /// The value.
    pub value: UnknownValue,
    /// Keyed digest of the value's table, system and word, the same for each of its spellings.
    pub digest: ValueDigest,
    /// Keyed digests of the record's person, one for each usable identifier; none where there is
    /// none.
    pub persons: Vec<ValuePerson>,
}
