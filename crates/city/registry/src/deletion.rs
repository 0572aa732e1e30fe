//! Deletion of everything that is known of one person, who is named by pseudonyms.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contract::Pseudonym;
use escrow::StatedRecord;
use linking::{SubjectId, version_from_column};

use crate::reader::Reader;
use crate::store::{NameValue, Purged, StoreError};

/// Most times that the person's facts are looked for: a clinic may just be sending new ones.
const MOST_ROUNDS: usize = 4;

/// Counts of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Number of persons that the pseudonyms name: several where the registry keeps them apart.
    pub persons: usize,
    /// Number of pseudonyms that these persons had.
    pub pseudonyms: usize,
    /// Counts of the facts and passes.
    pub purged: Purged,
}

impl Deleted {
    /// Number of facts.
    #[must_use]
    pub fn facts(&self) -> usize {
        self.purged.withdrawn.values().sum()
    }
}

impl Reader {
    /// Number of persons that these pseudonyms name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn persons_behind(&self, pseudonyms: &[Pseudonym]) -> Result<usize, StoreError> {
        let subjects = self.subjects_behind(pseudonyms).await?;
        Ok(subjects.len())
    }

    /// Purges every record that states a fact of the persons that these pseudonyms name: their
    /// facts, names and links go, their passes end, and newer versions of the records are refused.
    /// What was done before it is broken off stays done, and calling it again does the rest.
    /// `is_dry_run` counts, and changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_persons(
        &self,
        pseudonyms: &[Pseudonym],
        is_dry_run: bool,
        now: DateTime<Utc>,
    ) -> Result<Deleted, StoreError> {
        let mut deleted = Deleted::default();
        for _ in 0..MOST_ROUNDS {
            let subjects = self.subjects_behind(pseudonyms).await?;
            if subjects.is_empty() {
                break;
            }
            let names = self.store.pseudonyms(Some(&subjects)).await?;
            let facts = self.store.facts(Some(&subjects)).await?;
            let list: Vec<StatedRecord> = facts
                .iter()
                .map(|fact| StatedRecord {
                    record: fact.record,
                    version: version_from_column(fact.version),
                })
                .collect();
            let purged = self.store.delete(&list, is_dry_run, now).await?;
            deleted.persons = deleted.persons.max(subjects.len());
            deleted.pseudonyms = deleted.pseudonyms.max(names.len());
            for (kind, facts) in purged.withdrawn {
                *deleted.purged.withdrawn.entry(kind).or_default() += facts;
            }
            deleted.purged.passes = deleted.purged.passes.max(purged.passes);
            if is_dry_run {
                break;
            }
        }
        Ok(deleted)
    }

    async fn subjects_behind(
        &self,
        pseudonyms: &[Pseudonym],
    ) -> Result<Vec<SubjectId>, StoreError> {
        let names = self.stored_names(pseudonyms).await?;
        let values: Vec<NameValue> = names.iter().map(|name| name.value).collect();
        let subjects = self.store.subjects_of(&values).await?;
        let subjects: BTreeSet<SubjectId> = subjects.into_values().collect();
        Ok(subjects.into_iter().collect())
    }
}
