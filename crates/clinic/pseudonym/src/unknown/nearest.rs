//! What a value could be mapped to: the targets of its table, and the one that its words are
//! nearest to. A hint for a person, who decides.

use contract::{TestCode, TestResult, Vaccine};

use super::value::{UnknownValue, ValueTable};
use crate::apply::Pseudonymiser;
use crate::codes::{CodeTable, folded_text};
use crate::config::{IGNORE, RECOVERY};

/// Fewest letters of a listed name that a longer word may hold inside.
const MIN_CONTAINED: usize = 5;

/// Least likeness of two words of which one is taken for the other.
const MIN_LIKENESS: f64 = 0.7;

impl Pseudonymiser {
    /// Target that the value is probably to be mapped to, by the names that the table has; `None`
    /// where no name is near.
    #[must_use]
    pub fn nearest_target(&self, value: &UnknownValue) -> Option<&'static str> {
        let policy = self.policy();
        let word = folded_text(&value.word);
        match value.table {
            ValueTable::Vaccines => nearest(&word, &policy.vaccines).map(Vaccine::as_str),
            ValueTable::Tests => nearest(&word, &policy.tests).map(TestCode::loinc),
            ValueTable::Results => nearest(&word, &policy.results).map(TestResult::as_str),
            ValueTable::Diagnoses => nearest(&word, &policy.diagnoses).map(|()| RECOVERY),
            ValueTable::Countries | ValueTable::Status | ValueTable::Conflicts => None,
        }
    }
}

impl ValueTable {
    /// Targets that a value of the table may be mapped to; none where they are too many to name, or
    /// where there is no table.
    #[must_use]
    pub fn targets(self) -> Vec<&'static str> {
        match self {
            Self::Vaccines => Vaccine::ALL
                .map(Vaccine::as_str)
                .into_iter()
                .chain([IGNORE])
                .collect(),
            Self::Tests => TestCode::ALL
                .map(TestCode::loinc)
                .into_iter()
                .chain([IGNORE])
                .collect(),
            Self::Results => TestResult::ALL
                .map(TestResult::as_str)
                .into_iter()
                .chain([IGNORE])
                .collect(),
            Self::Diagnoses => vec![RECOVERY, IGNORE],
            Self::Status => vec!["final", "cancelled", "not-a-fact"],
            Self::Countries | Self::Conflicts => Vec::new(),
        }
    }
}

/// Meaning of the name that the word holds, the longest before others, or else that it is most
/// like.
fn nearest<T: Copy + PartialEq>(word: &str, table: &CodeTable<T>) -> Option<T> {
    if !word.chars().any(char::is_alphabetic) {
        return None;
    }
    let contained = table
        .names()
        .filter(|(name, _)| name.chars().count() >= MIN_CONTAINED && word.contains(name));
    if let Some((_, meaning)) = contained.max_by_key(|(name, _)| (name.len(), *name)) {
        return Some(meaning);
    }
    let likeness = |(name, meaning)| {
        (
            strsim::normalized_damerau_levenshtein(word, name),
            name,
            meaning,
        )
    };
    let alike = table.names().map(likeness);
    alike
        .filter(|(likeness, ..)| *likeness >= MIN_LIKENESS)
        .max_by(|(a, one, _), (b, other, _)| a.total_cmp(b).then(one.cmp(other)))
        .map(|(.., meaning)| meaning)
}
