//! From a source's codings to the contract's closed lists: what configuration says first, then the
//! standards.

mod cvx;
mod diagnosis;
#[cfg(test)]
mod docs;
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
mod test_words;
mod vaccine;
mod vaccine_codes;
mod vaccine_names;

pub(crate) use diagnosis::diagnosis_table;
pub(crate) use dose::{Counts, DoseTable, DoseWord, MAX_DOSES, counts};
pub(crate) use fold::{Folded, folded_text};
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
    /// Two different entries of the list.
    Ambiguous,
    /// About COVID-19, but no entry of the list: a person has to decide.
    Unlisted,
    /// Known to be about something else.
    OutOfScope,
    /// Says nothing to us.
    Unrecognised,
}

/// The more exact of two entries that may both be said of one thing, given the entry that each is a
/// form of; `None` where they contradict.
fn narrower<T: Copy + PartialEq>(one: T, other: T, broader: fn(T) -> Option<T>) -> Option<T> {
    let is_form_of = |narrow: T, broad: T| {
        std::iter::successors(Some(narrow), |item| broader(*item)).any(|item| item == broad)
    };
    if is_form_of(one, other) {
        Some(one)
    } else {
        is_form_of(other, one).then_some(other)
    }
}

#[cfg(test)]
mod tests;
