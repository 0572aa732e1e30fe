//! Statements about persons within a writing transaction: name sets, names, subjects, contests,
//! decisions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use linking::{CityPseudonym, Contest, Decision, NameSetId, SubjectId};
use sqlx::Error;

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

/// Statements about persons within a writing transaction, each over a whole set.
#[async_trait]
pub(super) trait PersonStatements: Send {
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

    /// Names of these subjects, at most `limit` for each, those with a SNILS first.
    async fn names_of_subjects(
        &mut self,
        ids: &[SubjectId],
        limit: usize,
    ) -> Result<Vec<NameRow>, Error>;
}
