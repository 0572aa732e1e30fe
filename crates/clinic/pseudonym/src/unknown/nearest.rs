//! What a value could be mapped to: the targets of its table, and the one that its words are
//! nearest to. A hint for a person, who decides.

use std::cmp::Ordering;

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

/// Meaning of the longest name that the word holds, or else of the name that it is most like;
/// `None` where names of different meanings fit equally well.
fn nearest<T: Copy + PartialEq>(word: &str, table: &CodeTable<T>) -> Option<T> {
    if !word.chars().any(char::is_alphabetic) {
        return None;
    }
    let contained = table
        .names()
        .filter(|(name, _)| name.chars().count() >= MIN_CONTAINED && word.contains(name))
        .map(|(name, meaning)| (name.chars().count(), meaning));
    match best(contained, usize::cmp) {
        Best::None => {}
        Best::One(meaning) => return Some(meaning),
        Best::Tie => return None,
    }
    let alike = table
        .names()
        .map(|(name, meaning)| (strsim::normalized_damerau_levenshtein(word, name), meaning))
        .filter(|(likeness, _)| *likeness >= MIN_LIKENESS);
    match best(alike, f64::total_cmp) {
        Best::One(meaning) => Some(meaning),
        Best::None | Best::Tie => None,
    }
}

/// What fits best of several.
enum Best<T> {
    /// There is nothing to choose from.
    None,
    One(T),
    /// Different things fit equally well: to name one of them would be a guess.
    Tie,
}

/// Chooses the meaning of the greatest fit.
fn best<F, T: Copy + PartialEq>(
    fits: impl Iterator<Item = (F, T)>,
    compare: impl Fn(&F, &F) -> Ordering,
) -> Best<T> {
    let mut best = Best::None;
    let mut greatest: Option<F> = None;
    for (fit, meaning) in fits {
        let order = greatest
            .as_ref()
            .map_or(Ordering::Greater, |greatest| compare(&fit, greatest));
        match (order, &best) {
            (Ordering::Greater, _) => {
                best = Best::One(meaning);
                greatest = Some(fit);
            }
            (Ordering::Equal, Best::One(one)) if *one != meaning => best = Best::Tie,
            _ => {}
        }
    }
    best
}
