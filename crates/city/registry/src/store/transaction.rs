//! Interface of one writing transaction, and its outcomes.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::StoredAnswer;
use linking::{
    CityPseudonym, Contest, Decision, EventRefusal, GroupOutcome, IncomingEvent, NameSetId,
    StoredRecord, StoredVersion, SubjectId,
};
use sqlx::Error;

use super::error::StoreError;
use super::upgrade::{MovedFact, OldFact};

/// Value of a name: [`CityPseudonym::value`].
pub(crate) type NameValue = [u8; 32];

/// Set of names as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetRow {
    /// Id of the set.
    pub id: NameSetId,
    /// Number of stored records that state exactly this set.
    pub records: i64,
    /// Values of the names, strongest first.
    pub names: Vec<NameValue>,
}

/// Name as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameRow {
    /// Pseudonym under the second layer.
    pub name: CityPseudonym,
    /// Person that the name belongs to.
    pub subject: SubjectId,
    /// True where one more record may change whose name it is.
    pub apart: bool,
}

/// Statements of one writing transaction, each over a whole set.
#[async_trait]
pub(super) trait StoreTransaction: Send {
    /// Joins the writers until the transaction ends: as one of many, or alone. Alone it cannot lose
    /// a race.
    async fn lock_writers(&mut self, exclusive: bool) -> Result<(), Error>;

    /// Versions of those records that are stored, kept from others' changes until the transaction
    /// ends. `records` is sorted.
    async fn lock_stored(
        &mut self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, Error>;

    /// Sets among these that are stored, kept from others' changes until the transaction ends.
    /// `ids` is sorted.
    async fn lock_sets(&mut self, ids: &[NameSetId]) -> Result<Vec<SetRow>, Error>;

    /// Adds to the numbers of records of sets that are stored.
    async fn change_sets(&mut self, changes: &[(NameSetId, i64)]) -> Result<(), Error>;

    /// Writes sets and their links, and returns the number of sets written. One that exists is left
    /// out, or fails as a lost race. `sets` is sorted by id.
    async fn add_sets(&mut self, sets: &[SetRow]) -> Result<u64, Error>;

    /// Removes sets and their links.
    async fn remove_sets(&mut self, sets: &[SetRow]) -> Result<(), Error>;

    /// Names among these that are stored.
    async fn names(&mut self, values: &[NameValue]) -> Result<Vec<NameRow>, Error>;

    /// Sets that these names are in, at most `limit` for each name.
    async fn links(
        &mut self,
        values: &[NameValue],
        limit: usize,
    ) -> Result<Vec<(NameValue, NameSetId)>, Error>;

    /// Returns whether an operator has decided anything.
    async fn has_decisions(&mut self) -> Result<bool, Error>;

    /// Decisions of operators about these names.
    async fn decisions(&mut self, values: &[NameValue]) -> Result<Vec<Decision>, Error>;

    /// Writes a decision, or takes it back, and returns whether that changed anything.
    async fn decide(
        &mut self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, Error>;

    /// Writes down what an operator did, and when.
    async fn add_action(
        &mut self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Error>;

    /// Keeps others, until the transaction ends, from changing who these subjects are. `ids` is
    /// sorted.
    async fn lock_subjects(&mut self, ids: &[SubjectId]) -> Result<(), Error>;

    /// Makes these subjects, and returns the number made. One that exists is left out, or fails as
    /// a lost race.
    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error>;

    /// Adds names, and returns the number added. One that exists is left out, or fails as a lost
    /// race. `rows` is sorted by value.
    async fn add_names(&mut self, rows: &[NameRow]) -> Result<u64, Error>;

    /// Writes subject and `apart` of names that are stored.
    async fn change_names(&mut self, rows: &[NameRow]) -> Result<(), Error>;

    /// Removes names, with what is to be looked at about them.
    async fn remove_names(&mut self, values: &[NameValue]) -> Result<(), Error>;

    /// Removes those of the subjects that have no name, and returns their number.
    async fn remove_empty_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error>;

    /// Replaces what is to be looked at about these names by `contests`, and returns the number of
    /// new ones.
    async fn put_contests(
        &mut self,
        about: &[NameValue],
        contests: &[Contest],
        now: DateTime<Utc>,
    ) -> Result<u64, Error>;

    /// Writes facts of records that were not stored a moment ago, and returns the number written. A
    /// record that is stored by now is left out, or fails as a lost race.
    async fn add_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error>;

    /// Writes facts of records that are stored and locked, where they are of the same kind and owner
    /// and of a higher version. Returns the number written.
    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error>;

    /// Returns whether the table of the facts from before links is there.
    async fn has_old_facts(&mut self) -> Result<bool, Error>;

    /// Facts from before links, at most `limit`, the first by record.
    async fn old_facts(&mut self, limit: usize) -> Result<Vec<OldFact>, Error>;

    /// Names of these subjects.
    async fn names_of_subjects(&mut self, ids: &[SubjectId]) -> Result<Vec<NameRow>, Error>;

    /// Moves facts from before links to where facts are now.
    async fn move_old_facts(&mut self, facts: &[MovedFact]) -> Result<(), Error>;

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
#[derive(Debug, Clone)]
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
    /// Rolled back at its end.
    pub is_rehearsal: bool,
    /// Given up where it would have to read too much of who is one person.
    pub is_bounded: bool,
}
