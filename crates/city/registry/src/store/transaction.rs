//! Interface of one writing transaction, and its outcomes.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::StoredAnswer;
use linking::{EventRefusal, GroupOutcome, IncomingEvent, StoredRecord, StoredVersion, SubjectId};
use sqlx::Error;

use super::error::StoreError;
use super::held_facts::HeldFact;
use super::old_facts::{MovedFact, OldFact};
use super::person_statements::{NameValue, PersonStatements};
use super::rekey::RekeyStatements;
use super::token_statements::TokenStatements;

/// Statements of one writing transaction, each over a whole set: facts, and by its supertrait
/// persons.
#[async_trait]
pub(super) trait StoreTransaction:
    PersonStatements + RekeyStatements + TokenStatements
{
    /// Joins the writers until the transaction ends: as one of many, or alone. Alone it cannot lose
    /// a race.
    async fn lock_writers(&mut self, exclusive: bool) -> Result<(), Error>;

    /// Versions of those records that are stored, kept from others' changes until the transaction
    /// ends. `records` is sorted.
    async fn lock_stored(
        &mut self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, Error>;

    /// Writes facts of records that were not stored a moment ago, and returns the number written. A
    /// record that is stored by now is left out, or fails as a lost race.
    async fn add_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error>;

    /// Writes facts of records that are stored and locked, where they are of the same kind and
    /// owner and of a higher version. Returns the number written.
    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error>;

    /// Withdraws the facts of records that are stored and locked, and has no newer versions of them
    /// taken; those of a deletion never again. Returns the number of records.
    async fn purge_facts(
        &mut self,
        records: &[StoredRecord],
        is_deletion: bool,
    ) -> Result<u64, Error>;

    /// Has newer versions taken again of those of the records that are purged and belong to no
    /// deleted person, and returns their number.
    async fn permit_facts(&mut self, records: &[StoredRecord]) -> Result<u64, Error>;

    /// Facts of the subjects with their sets of names, sorted by subject; none of a subject with a
    /// name that is kept apart.
    async fn held_facts(&mut self, subjects: &[SubjectId]) -> Result<Vec<HeldFact>, Error>;

    /// Keeps nothing of the facts of records that are stored and locked but their versions. Returns
    /// the number of records.
    async fn expire_facts(&mut self, records: &[StoredRecord]) -> Result<u64, Error>;

    /// Returns whether changes of evidence are marked.
    async fn is_watched(&mut self) -> Result<bool, Error>;

    /// Has changes of evidence marked.
    async fn watch(&mut self) -> Result<(), Error>;

    /// Has changes of evidence marked no longer.
    async fn unwatch(&mut self) -> Result<(), Error>;

    /// Marks the persons of names and of subjects.
    async fn add_marks(
        &mut self,
        names: &[NameValue],
        subjects: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<(), Error>;

    /// Returns whether the table of the facts from before links is there.
    async fn has_old_facts(&mut self) -> Result<bool, Error>;

    /// Facts from before links, at most `limit`, the first by record.
    async fn old_facts(&mut self, limit: usize) -> Result<Vec<OldFact>, Error>;

    /// Moves facts from before links to where facts are now.
    async fn move_old_facts(&mut self, facts: &[MovedFact]) -> Result<(), Error>;

    /// Removes names that no set states, and subjects without names.
    async fn remove_unstated_names(&mut self) -> Result<(), Error>;

    /// Removes the table of the facts from before links.
    async fn drop_old_facts(&mut self) -> Result<(), Error>;

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
    /// Transaction that would read more than it may.
    TooMuch,
    /// Transaction of names that have changed by now.
    Rekeyed,
    /// Failure of something else than the driver: of the escrow folder, or one that a test asked
    /// for.
    Failed(StoreError),
}

impl From<Error> for Abort {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Abort {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Result of a committed transaction.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    /// Counts of its events and links.
    pub outcome: GroupOutcome,
    /// Answer to each batch, in the batches' order.
    pub answers: Vec<StoredAnswer>,
    /// Number of batches that were refused because their token is spent for another one.
    pub replayed: usize,
}

/// Manner in which a transaction is tried.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    /// Alone among the writers.
    pub exclusive: bool,
    /// Without a look for the records: they are taken for new ones, and the first that is stored
    /// makes it a lost race.
    pub blind: bool,
    /// Rolled back at its end.
    pub is_rehearsal: bool,
    /// Without writing refusals down, of which the store has enough.
    pub drops_refusals: bool,
    /// Given up where it would have to read too much of who is one person.
    pub is_bounded: bool,
}
