//! Counts over the whole store.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts over the whole store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Number of subjects: persons, as far as the registry knows.
    pub subjects: u64,
    /// Number of pseudonyms by scheme.
    pub pseudonyms: BTreeMap<String, u64>,
    /// Number of facts that hold, by the suites of the names that their records state: `hmac`,
    /// `voprf`, or `hmac and voprf` while a city moves.
    pub facts_by_suite: BTreeMap<String, u64>,
    /// Number of subjects, by the suites of their names.
    pub subjects_by_suite: BTreeMap<String, u64>,
    /// Number of windows and statements for which passes and certificates hold that can be ended,
    /// by the suite of the name that they are counted under.
    pub passes_by_suite: BTreeMap<String, u64>,
    /// Number of facts that hold, by kind.
    pub asserted: BTreeMap<String, u64>,
    /// Number of facts that clinics have taken back, by kind.
    pub withdrawn: BTreeMap<String, u64>,
    /// Number of facts that an operator has purged, by kind.
    pub purged: BTreeMap<String, u64>,
    /// Number of facts that went with a person who was deleted, by kind.
    pub deleted: BTreeMap<String, u64>,
    /// Number of facts that were removed because no pass could rest on them any more, by kind.
    pub expired: BTreeMap<String, u64>,
    /// Number of names that records disagree about, or that a limit weighs on.
    pub conflicts: u64,
    /// Number of records from before owner tokens that no clinic has sent again: whoever sends the
    /// next version of one claims it.
    pub without_owner: u64,
    /// Number of refused events by reason; only the newest are kept.
    pub refusals: BTreeMap<String, u64>,
}

/// Row of [`super::sql::COUNTS`]: subject of the count, word it is counted by, number.
pub(super) type CountRow = (String, String, i64);

impl From<Vec<CountRow>> for Stats {
    fn from(rows: Vec<CountRow>) -> Self {
        let mut stats = Self::default();
        for (counted, word, number) in rows {
            let number = u64::try_from(number).unwrap_or(0);
            let by_word = match counted.as_str() {
                "pseudonyms" => &mut stats.pseudonyms,
                "asserted" => &mut stats.asserted,
                "withdrawn" => &mut stats.withdrawn,
                "purged" => &mut stats.purged,
                "deleted" => &mut stats.deleted,
                "expired" => &mut stats.expired,
                "facts-by-suite" => &mut stats.facts_by_suite,
                "subjects-by-suite" => &mut stats.subjects_by_suite,
                "passes-by-suite" => &mut stats.passes_by_suite,
                "refusals" => &mut stats.refusals,
                "subjects" => {
                    stats.subjects = number;
                    continue;
                }
                "without-owner" => {
                    stats.without_owner = number;
                    continue;
                }
                _ => {
                    stats.conflicts += number;
                    continue;
                }
            };
            by_word.insert(word, number);
        }
        stats
    }
}
