//! What people and tests may see of the store: facts, subjects, counts.

use std::collections::BTreeMap;

use contract::{Fact, FactKind, RecordDigest, Version};
use serde::Serialize;

use crate::link::SubjectId;
use crate::second_layer::CityPseudonym;
use crate::store::{RawFact, RawStats, Store, StoreError, fact_of, kind_of};

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFact {
    /// Which record.
    pub record: RecordDigest,
    /// Its highest version.
    pub version: Version,
    /// What kind of fact.
    pub kind: FactKind,
    /// The fact; `None` when withdrawn.
    pub fact: Option<Fact>,
    /// Every pseudonym of its person, strongest first; empty when withdrawn.
    pub subject: Vec<CityPseudonym>,
}

/// A subject with all it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectView {
    /// Its pseudonyms, strongest first.
    pub pseudonyms: Vec<CityPseudonym>,
    /// Its facts, sorted by record.
    pub facts: Vec<StoredFact>,
}

/// Counts over the whole store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Persons, as far as the registry can tell.
    pub subjects: u64,
    /// Pseudonyms by scheme.
    pub pseudonyms: BTreeMap<String, u64>,
    /// Facts by kind, those that hold.
    pub asserted: BTreeMap<String, u64>,
    /// Facts by kind, those taken back.
    pub withdrawn: BTreeMap<String, u64>,
    /// Pairs of persons kept apart although some event named them as one.
    pub conflicts: u64,
    /// Refused events by reason, the newest of them.
    pub refusals: BTreeMap<String, u64>,
}

/// All facts, sorted by record.
pub(crate) async fn all_facts(store: &Store) -> Result<Vec<StoredFact>, StoreError> {
    let facts = store.facts(None).await?;
    let subjects = store.pseudonyms(None).await?;
    stored(facts, &by_subject(subjects))
}

/// The subjects behind these pseudonyms, each once, the strongest pseudonym's first. More than one
/// when the registry keeps them apart.
pub(crate) async fn find(
    store: &Store,
    wanted: &[CityPseudonym],
) -> Result<Vec<SubjectView>, StoreError> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable_by_key(CityPseudonym::strength);
    let values: Vec<[u8; 32]> = wanted.iter().map(|pseudonym| pseudonym.value).collect();
    let known = store.subjects_of(&values).await?;
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
            .collect();
        Ok(SubjectView {
            pseudonyms: subjects.get(id).cloned().unwrap_or_default(),
            facts: stored(own, &subjects)?,
        })
    };
    ids.iter().map(view).collect()
}

impl From<RawStats> for Stats {
    fn from(raw: RawStats) -> Self {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let of = |status: &str| {
            let rows = raw.facts.iter().filter(|(_, stored, _)| stored == status);
            rows.map(|(kind, _, number)| (kind.clone(), count(*number)))
                .collect()
        };
        Self {
            subjects: count(raw.subjects),
            asserted: of("asserted"),
            withdrawn: of("withdrawn"),
            pseudonyms: raw
                .pseudonyms
                .iter()
                .map(|(scheme, number)| (scheme.clone(), count(*number)))
                .collect(),
            conflicts: count(raw.conflicts),
            refusals: raw
                .refusals
                .iter()
                .map(|(reason, number)| (reason.clone(), count(*number)))
                .collect(),
        }
    }
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

fn stored(rows: Vec<RawFact>, subjects: &BySubject) -> Result<Vec<StoredFact>, StoreError> {
    let strange = || StoreError::Misconfigured {
        what: "it holds a fact this program did not write".into(),
        help: "run the program that wrote it",
    };
    let read = |raw: RawFact| {
        let kind = kind_of(&raw.kind)?;
        let fact = match raw.occurred_on {
            None => None,
            Some(_) => Some(fact_of(kind, &raw)?),
        };
        Some(StoredFact {
            record: RecordDigest(raw.record),
            version: Version::from_u64(u64::try_from(raw.version).ok()?),
            kind,
            fact,
            subject: raw
                .subject
                .and_then(|id| subjects.get(&id))
                .cloned()
                .unwrap_or_default(),
        })
    };
    rows.into_iter()
        .map(|raw| read(raw).ok_or_else(strange))
        .collect()
}
