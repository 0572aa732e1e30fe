//! Facts and subjects, as people and tests see them.

use std::collections::BTreeMap;

use contract::{Fact, FactKind, Version};
use linking::{CityPseudonym, StoredRecord, SubjectId};

use crate::store::{FactRow, NameValue, Store, StoreError};

/// Record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFact {
    /// Digest of the record under the second layer.
    pub record: StoredRecord,
    /// Highest version of the record.
    pub version: Version,
    /// Kind of the fact.
    pub kind: FactKind,
    /// Medical fact; `None` when withdrawn.
    pub fact: Option<Fact>,
    /// Pseudonyms of the person, strongest first; empty when withdrawn.
    pub subject: Vec<CityPseudonym>,
}

/// Subject with its pseudonyms and facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectView {
    /// Pseudonyms, strongest first.
    pub pseudonyms: Vec<CityPseudonym>,
    /// Facts, sorted by record.
    pub facts: Vec<StoredFact>,
}

/// Reads all facts, sorted by record.
pub(crate) async fn all_facts(store: &Store) -> Result<Vec<StoredFact>, StoreError> {
    let facts = store.facts(None).await?;
    let subjects = store.pseudonyms(None).await?;
    stored_facts(&facts, &by_subject(subjects))
}

/// Finds the subjects behind names of these second-layer values, each once, that of the first value
/// first. There are several where the registry keeps them apart.
pub(crate) async fn find_subjects(
    store: &Store,
    values: &[NameValue],
) -> Result<Vec<SubjectView>, StoreError> {
    let known = store.subjects_of(values).await?;
    let mut ids: Vec<SubjectId> = Vec::new();
    for id in values.iter().filter_map(|value| known.get(value)) {
        if !ids.contains(id) {
            ids.push(*id);
        }
    }
    let subjects = by_subject(store.pseudonyms(Some(&ids)).await?);
    let facts = store.facts(Some(&ids)).await?;
    let view = |id: &SubjectId| {
        let own = facts
            .iter()
            .filter(|fact| fact.subject == Some(*id))
            .cloned()
            .collect::<Vec<_>>();
        Ok(SubjectView {
            pseudonyms: subjects.get(id).cloned().unwrap_or_default(),
            facts: stored_facts(&own, &subjects)?,
        })
    };
    ids.iter().map(view).collect()
}

type BySubject = BTreeMap<SubjectId, Vec<CityPseudonym>>;

fn by_subject(rows: Vec<(SubjectId, CityPseudonym)>) -> BySubject {
    let mut subjects = BySubject::new();
    for (id, pseudonym) in rows {
        subjects.entry(id).or_default().push(pseudonym);
    }
    for pseudonyms in subjects.values_mut() {
        pseudonyms.sort_unstable_by_key(CityPseudonym::strength);
    }
    subjects
}

fn stored_facts(rows: &[FactRow], subjects: &BySubject) -> Result<Vec<StoredFact>, StoreError> {
    rows.iter()
        .map(|row| stored_fact(row, subjects).ok_or_else(foreign_fact))
        .collect()
}

/// Failure at a fact that is stored as this program never writes one.
pub(crate) fn foreign_fact() -> StoreError {
    StoreError::Misconfigured {
        what: "it holds a fact this program did not write".into(),
        help: "run the program that wrote it",
    }
}

/// Fact behind a row; `None` when this program did not write it.
fn stored_fact(row: &FactRow, subjects: &BySubject) -> Option<StoredFact> {
    let kind = row.says.kind()?;
    let fact = match row.says.occurred_on {
        None => None,
        Some(_) => Some(row.says.fact(kind)?),
    };
    let subject = row.subject.and_then(|id| subjects.get(&id));
    Some(StoredFact {
        record: row.record,
        version: Version::new(u64::try_from(row.version).ok()?)?,
        kind,
        fact,
        subject: subject.cloned().unwrap_or_default(),
    })
}
