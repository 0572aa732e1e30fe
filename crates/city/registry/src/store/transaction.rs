//! Interface of one writing transaction, and its outcomes.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::StoredAnswer;
use linking::{
    CityPseudonym, Conflict, EventRefusal, GroupOutcome, IncomingEvent, StoredVersion, SubjectId,
};
use sqlx::Error;

use super::error::StoreError;

/// Statements of one writing transaction, each over a whole set.
#[async_trait]
pub(super) trait StoreTransaction: Send {
    /// Joins the writers until the transaction ends: as one of many, or alone. Alone it cannot lose
    /// a race.
    async fn lock_writers(&mut self, exclusive: bool) -> Result<(), Error>;

    /// Versions of those records that are stored.
    async fn stored(
        &mut self,
        records: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], StoredVersion>, Error>;

    /// Subjects of those pseudonyms that are stored.
    async fn subjects_of(
        &mut self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error>;

    /// Keeps others, until the transaction ends, from adding pseudonyms to these subjects and from
    /// merging them. `ids` is sorted.
    async fn lock_subjects(&mut self, ids: &[SubjectId]) -> Result<(), Error>;

    /// SNILS pseudonyms of these subjects.
    async fn anchors(
        &mut self,
        ids: &[SubjectId],
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error>;

    /// Makes these subjects, and returns the number made. One that exists is left out, or fails as
    /// a lost race.
    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error>;

    /// Adds pseudonyms, and returns the number added. One that exists is left out, or fails as a
    /// lost race.
    async fn add_pseudonyms(&mut self, rows: &[(CityPseudonym, SubjectId)]) -> Result<u64, Error>;

    /// Gives the first subject's pseudonyms to the second and removes the first, for each pair.
    async fn merge(&mut self, pairs: &[(SubjectId, SubjectId)]) -> Result<(), Error>;

    /// Writes conflicts, leaving out those that are known.
    async fn add_conflicts(&mut self, rows: &[Conflict], now: DateTime<Utc>) -> Result<(), Error>;

    /// Writes facts of records that were not stored a moment ago, and returns the number written. A
    /// record that is stored by now is treated as in [`StoreTransaction::put_facts`], or fails as a
    /// lost race.
    async fn add_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        self.put_facts(facts).await
    }

    /// Writes facts where they are new, or of the same kind and of a higher version, or of the same
    /// version and status with a content that was unknown. Returns the number written.
    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error>;

    /// Writes refusals, leaving out those that are known.
    async fn add_refusals(
        &mut self,
        rows: &[&EventRefusal],
        now: DateTime<Utc>,
    ) -> Result<(), Error>;
}

/// Reason for which a transaction was given up.
#[derive(Debug)]
pub(super) enum Abort {
    /// Failure of the store's driver.
    Sql(Error),
    /// Another writer was faster; the same transaction, run again, will see what it wrote.
    Raced,
    /// Transaction that took longer than it may.
    TooSlow,
    /// Failure that a test asked for.
    Injected(StoreError),
}

impl From<Error> for Abort {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Abort {
    fn from(error: StoreError) -> Self {
        Self::Injected(error)
    }
}

/// Result of a committed transaction.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Counts of its events and links.
    pub outcome: GroupOutcome,
    /// Answer to each batch, in the batches' order.
    pub answers: Vec<StoredAnswer>,
}

/// Manner in which a transaction is tried.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    /// Alone among the writers.
    pub exclusive: bool,
    /// Without a look for the records: they are taken for new ones, and the first that is stored
    /// makes it a lost race.
    pub blind: bool,
}
