//! Expiry of facts that no pass can rest on any more: a tombstone of each record stays, so that the
//! same version, sent again, changes nothing.
//!
//! Not only facts carry passes, but also the links that their records make between a person's
//! names. So a fact expires only if all its person's facts do, or if its record states one name
//! alone, or if enough other records state the same names. A person with a name that is kept apart
//! keeps everything: one record less may change who is whom.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::FactKind;
use linking::{LinkRules, NameSetId, OpenBatch, SetChange, StoredRecord, StoredVersion, SubjectId};
use sqlx::Error;

use super::error::StoreError;
use super::held_facts::HeldFact;
use super::marks::NewMarks;
use super::persons::{Linking, relink};
use super::transaction::{Abort, StoreTransaction};
use super::{Store, in_time};
use crate::retention::Retention;
use crate::view::foreign_fact;

/// Number of subjects that are looked at together.
const PAGE_SUBJECTS: i64 = if cfg!(test) { 3 } else { 200 };
/// Most facts that expire in one transaction, for which the other writers wait.
const PART_FACTS: usize = if cfg!(test) { 2 } else { 200 };

/// Counts of an expiry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Number of facts that expired, by kind.
    pub facts: BTreeMap<FactKind, usize>,
    /// Number of facts that no pass rests on, and that stay because their records say which names
    /// are one person's.
    pub kept_for_links: usize,
}

impl Expired {
    /// Number of facts that expired.
    #[must_use]
    pub fn all(&self) -> usize {
        self.facts.values().sum()
    }

    fn add(&mut self, other: &Self) {
        for (kind, facts) in &other.facts {
            *self.facts.entry(*kind).or_default() += facts;
        }
        self.kept_for_links += other.kept_for_links;
    }
}

/// Conditions under which facts expire.
#[derive(Clone, Copy)]
pub(super) struct ExpiryTerms<'a> {
    pub retention: &'a Retention,
    pub rules: &'a LinkRules,
    /// Most facts in the transaction.
    pub most: usize,
    pub now: DateTime<Utc>,
}

/// Fact that is to expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expiring {
    record: StoredRecord,
    kind: FactKind,
    set: NameSetId,
}

/// Facts of some persons that expire, and the number of those that stay for their links.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    expiring: Vec<Expiring>,
    kept_for_links: usize,
}

impl Plan {
    /// Plans the expiry of facts, which are sorted by subject.
    fn of(held: &[HeldFact], terms: ExpiryTerms<'_>) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        for person in held.chunk_by(|one, other| one.row.subject == other.row.subject) {
            plan.add_person(person, terms)?;
        }
        Ok(plan)
    }

    fn add_person(
        &mut self,
        person: &[HeldFact],
        terms: ExpiryTerms<'_>,
    ) -> Result<(), StoreError> {
        let mut outdated = Vec::new();
        for held in person {
            let kind = held.row.says.kind().ok_or_else(foreign_fact)?;
            let fact = held.row.says.fact(kind).ok_or_else(foreign_fact)?;
            if terms.retention.is_outdated(&fact, terms.now) {
                outdated.push((held, kind));
            }
        }
        let goes_whole = outdated.len() == person.len();
        // The newest stay, where some have to.
        outdated.sort_by(|(one, _), (other, _)| {
            one.row.says.occurred_on.cmp(&other.row.says.occurred_on)
        });
        let needed = i64::try_from(terms.rules.join_needs_records).unwrap_or(i64::MAX);
        let mut left: HashMap<NameSetId, i64> = HashMap::new();
        for (held, kind) in outdated {
            let left = left.entry(held.set).or_insert(held.set_records);
            if goes_whole || held.set_names == 1 || *left > needed {
                *left -= 1;
                self.expiring.push(Expiring {
                    record: held.row.record,
                    kind,
                    set: held.set,
                });
            } else {
                self.kept_for_links += 1;
            }
        }
        Ok(())
    }

    fn counts(&self) -> Expired {
        let mut counts = Expired {
            kept_for_links: self.kept_for_links,
            ..Expired::default()
        };
        for expiring in &self.expiring {
            *counts.facts.entry(expiring.kind).or_default() += 1;
        }
        counts
    }
}

/// Has facts of these subjects expire within the transaction; the caller commits. Returns those
/// that did; there may be more where they are as many as the terms allow.
pub(super) async fn expire(
    transaction: &mut dyn StoreTransaction,
    subjects: &[SubjectId],
    terms: ExpiryTerms<'_>,
    is_bounded: bool,
) -> Result<Expired, Abort> {
    // Alone: what is planned by the facts of a person has to be true of all of them.
    transaction.lock_writers(true).await?;
    let held = transaction.held_facts(subjects).await?;
    let mut plan = Plan::of(&held, terms)?;
    plan.expiring.truncate(terms.most);
    plan.expiring.sort_unstable_by_key(|one| one.record);
    let records: Vec<StoredRecord> = plan.expiring.iter().map(|one| one.record).collect();
    transaction.lock_stored(&records).await?;
    let mut sets: BTreeMap<NameSetId, i64> = BTreeMap::new();
    for expiring in &plan.expiring {
        *sets.entry(expiring.set).or_default() -= 1;
    }
    let changes: Vec<SetChange<'_>> = sets
        .into_iter()
        .map(|(id, change)| SetChange {
            id,
            change,
            names: &[],
        })
        .collect();
    let linking = Linking {
        rules: terms.rules,
        is_bounded,
        now: terms.now,
    };
    let mut marks = NewMarks::default();
    relink(transaction, &changes, linking, &mut marks).await?;
    marks.write(transaction, terms.now).await?;
    if transaction.expire_facts(&records).await? != records.len() as u64 {
        return Err(Abort::Raced);
    }
    Ok(plan.counts())
}

/// Batches in which nothing is left of outdated facts whose records have expired; `None` where
/// there are none.
pub(super) fn with_tombstones(
    batches: &[&OpenBatch],
    stored: &HashMap<StoredRecord, StoredVersion>,
) -> Option<Vec<OpenBatch>> {
    let is_expired = |record: &StoredRecord| stored.get(record).is_some_and(|held| held.expired);
    let mut events = batches.iter().flat_map(|batch| &batch.events);
    if !events.any(|event| event.is_outdated && is_expired(&event.record.stored)) {
        return None;
    }
    let mut changed: Vec<OpenBatch> = batches.iter().map(|batch| (*batch).clone()).collect();
    for event in changed.iter_mut().flat_map(|batch| &mut batch.events) {
        if event.is_outdated && is_expired(&event.record.stored) {
            *event = event.tombstone();
        }
    }
    Some(changed)
}

impl Store {
    /// Has every fact expire that no pass can rest on any more, in transactions of a few hundred
    /// facts. What was done stays done where it is broken off. `is_dry_run` counts, and changes
    /// nothing.
    pub(crate) async fn expire(
        &self,
        retention: &Retention,
        is_dry_run: bool,
        now: DateTime<Utc>,
    ) -> Result<Expired, StoreError> {
        let mut all = Expired::default();
        let mut after = SubjectId::MIN;
        loop {
            let page = in_time(self.backend.subjects_after(after, PAGE_SUBJECTS)).await?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            after = *last;
            let held = in_time(self.backend.held_facts(&page)).await?;
            let terms = ExpiryTerms {
                retention,
                rules: &self.rules,
                most: PART_FACTS,
                now,
            };
            let plan = Plan::of(&held, terms)?;
            if is_dry_run || plan.expiring.is_empty() {
                all.add(&plan.counts());
                continue;
            }
            let expired = self.expire_page(&page, terms).await?;
            all.add(&expired);
        }
    }

    async fn expire_page(
        &self,
        subjects: &[SubjectId],
        mut terms: ExpiryTerms<'_>,
    ) -> Result<Expired, StoreError> {
        let mut all = Expired::default();
        loop {
            let run = || self.backend.expire(subjects, terms, terms.most > 1);
            let part = match self.alone(run).await {
                Err(StoreError::TooMuch) if terms.most > 1 => {
                    terms.most = terms.most.div_ceil(4);
                    continue;
                }
                part => part?,
            };
            // Counted anew by each part.
            all.kept_for_links = 0;
            all.add(&part);
            if part.all() < terms.most {
                return Ok(all);
            }
        }
    }
}

/// Expiry in one kind of database.
#[async_trait]
pub(super) trait ExpiryStore {
    /// Subjects above an id, at most `limit`, sorted.
    async fn subjects_after(&self, id: SubjectId, limit: i64) -> Result<Vec<SubjectId>, Error>;

    /// Facts of the subjects with their sets of names, sorted by subject; none of a subject with a
    /// name that is kept apart.
    async fn held_facts(&self, subjects: &[SubjectId]) -> Result<Vec<HeldFact>, Error>;

    /// Has facts of these subjects expire in one transaction; `is_bounded` where it is given up
    /// rather than read too much of who is one person.
    async fn expire(
        &self,
        subjects: &[SubjectId],
        terms: ExpiryTerms<'_>,
        is_bounded: bool,
    ) -> Result<Expired, Abort>;
}

/// Implements [`ExpiryStore`] for a store of this kind of database with this pool to read from.
macro_rules! expiry_store {
    ($kind:tt, $store:ty, $reader:ident) => {
        #[async_trait]
        impl $crate::store::expire::ExpiryStore for $store {
            async fn subjects_after(
                &self,
                id: SubjectId,
                limit: i64,
            ) -> Result<Vec<SubjectId>, Error> {
                let query = sqlx::query_scalar($crate::store::sql::SUBJECTS_AFTER);
                query.bind(id).bind(limit).fetch_all(&self.$reader).await
            }

            async fn held_facts(
                &self,
                subjects: &[SubjectId],
            ) -> Result<Vec<$crate::store::held_facts::HeldFact>, Error> {
                queries::held_facts(&self.$reader, subjects).await
            }

            async fn expire(
                &self,
                subjects: &[SubjectId],
                terms: $crate::store::expire::ExpiryTerms<'_>,
                is_bounded: bool,
            ) -> Result<$crate::store::expire::Expired, Abort> {
                $crate::store::rekey::begin_transaction!($kind, self, transaction);
                let expired =
                    $crate::store::expire::expire(&mut transaction, subjects, terms, is_bounded);
                let expired = expired.await?;
                transaction.commit().await?;
                Ok(expired)
            }
        }
    };
}
pub(super) use expiry_store;
