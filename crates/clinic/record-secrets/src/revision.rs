//! Revisions: the numbers behind the versions of a record, which never leave the clinic.

/// Last generation there can be: 29 bits of a version.
pub const MAX_GENERATION: u32 = (1 << 29) - 1;

/// Last generation of the contract's first version above whose versions every one of today's lies.
/// Only false or damaged values of that time are beyond: no gateway rises so often.
pub const MAX_FIRST_FORM_GENERATION: u32 = 65_535;

/// Last count within a generation: 20 bits of a version.
pub const MAX_COUNT: u32 = (1 << 20) - 1;

/// Revision of a record, which rises with every change: the generation of the gateway's state, then
/// a count. Never a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Number that rises when the gateway's state was lost or copied back; from 1.
    pub generation: u32,
    /// Number that rises with every change sent in this generation; from 1. 0 where none was sent.
    pub count: u32,
}

impl Revision {
    /// Revision of a record that was never sent.
    #[must_use]
    pub const fn never_sent(generation: u32) -> Self {
        Self {
            generation,
            count: 0,
        }
    }

    /// Returns whether a version stands for it.
    #[must_use]
    pub const fn is_within_limits(self) -> bool {
        self.generation >= 1
            && self.generation <= MAX_GENERATION
            && self.count >= 1
            && self.count <= MAX_COUNT
    }
}
