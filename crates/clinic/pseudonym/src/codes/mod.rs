//! From a source's codings to the contract's closed lists: what configuration says first, then the
//! standards.

mod diagnosis;
mod dose;
mod fold;
mod mapped;
mod mention;
mod names;
mod pattern;
mod result;
mod system;
mod table;
mod test;
mod vaccine;

pub(crate) use diagnosis::diagnosis_table;
pub(crate) use dose::{Counts, DoseTable, DoseWord, MAX_DOSES, counts};
pub(crate) use fold::Folded;
pub(crate) use mapped::{Found, KeyFault, Mapped, Spelling, plain_latin};
pub use pattern::literal_key;
pub(crate) use result::result_table;
pub(crate) use table::{CodeTable, Unresolved};
pub(crate) use test::test_table;
pub(crate) use vaccine::vaccine_table;

/// Meaning of one code. Ordered by what prevails when a field has several codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning<T> {
    /// Entry of the contract's list.
    Is(T),
    /// About COVID-19, but no entry of the list: a person has to decide.
    Unlisted,
    /// Known to be about something else.
    OutOfScope,
    /// Says nothing to us.
    Unrecognised,
}

#[cfg(test)]
mod tests;
