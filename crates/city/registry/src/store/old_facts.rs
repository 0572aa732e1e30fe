//! Facts from before links, on their way to where facts are now.

use linking::{NameSetId, StoredRecord};

use super::person_statements::NameValue;

/// Fact as it was stored before links, as far as its new names need it.
pub(super) struct OldFact {
    /// Digest of the record, as its clinic sends it.
    pub record: [u8; 32],
    /// Strongest name that the record stated; `None` when withdrawn.
    pub name: Option<NameValue>,
}

/// Fact's new names.
pub(super) struct MovedFact {
    /// Digest of the record, as its clinic sends it.
    pub sent: [u8; 32],
    /// Second-layer digest of the record.
    pub stored: StoredRecord,
    /// Set of the person's names; `None` when withdrawn.
    pub name_set: Option<NameSetId>,
}
