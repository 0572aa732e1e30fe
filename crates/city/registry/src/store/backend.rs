//! Interface of one kind of database, as the store uses it.

use std::collections::HashMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use linking::{
    CityPseudonym, Decision, LinkRules, OpenBatch, SecondLayerKey, StoredRecord, StoredVersion,
    SubjectId,
};
use sqlx::Error;

use super::asked::AskedPerson;
use super::batch_escrow::BatchEscrow;
use super::certificates::IssueCounts;
use super::expire::ExpiryStore;
use super::marks::Mark;
use super::passes::{PassCount, PassKey};
use super::person_statements::NameValue;
use super::persons::{Around, PersonsChanged};
use super::purge::{ListedRecord, PurgeManner, PurgedPart};
use super::rekey::RekeyStore;
use super::rows::{ActionRow, ContestRow, FactRow};
use super::stats::CountRow;
use super::tokens::TokenStore;
use super::transaction::{Abort, Applied, Attempt};

/// Beginning of the SHA-256 of a message's bytes.
pub(crate) type MessageKey = [u8; 16];

/// Database that holds pseudonyms and facts. Errors are the driver's; the store makes
/// them its own.
#[async_trait]
pub(super) trait Backend:
    IssueCounts + RekeyStore + ExpiryStore + TokenStore + fmt::Debug + Send + Sync
{
    /// Name of the kind of database, for the operator.
    fn name(&self) -> &'static str;

    /// Applies the batches in one transaction and commits it. With `escrow`, what it writes is laid
    /// down for the auditor before the commit.
    async fn apply(
        &self,
        batches: &[&OpenBatch],
        rules: &LinkRules,
        escrow: Option<&BatchEscrow>,
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<Applied, Abort>;

    /// Moves some facts of a store from before links, in one transaction; returns their number, or
    /// `None` when none is left.
    async fn move_old_facts(&self, key: &SecondLayerKey) -> Result<Option<usize>, Abort>;

    /// Writes an operator's decision, or takes it back, and changes who is one person by it, in one
    /// transaction; `None` where it changed nothing.
    async fn decide(
        &self,
        decision: Decision,
        holds: bool,
        rules: &LinkRules,
        now: DateTime<Utc>,
    ) -> Result<Option<PersonsChanged>, Abort>;

    /// Withdraws listed records in one transaction.
    async fn purge(
        &self,
        records: &[ListedRecord],
        rules: &LinkRules,
        manner: PurgeManner,
        now: DateTime<Utc>,
    ) -> Result<PurgedPart, Abort>;

    /// Has newer versions of purged records taken again, in one transaction; returns their number.
    async fn permit(&self, records: &[StoredRecord]) -> Result<u64, Abort>;

    /// Reads what is connected with a name; `None` where it is not stored.
    async fn around(&self, name: &NameValue) -> Result<Option<Around>, Abort>;

    /// Names about which records disagree, at most `limit`, the newest first.
    async fn contests(&self, limit: i64) -> Result<Vec<ContestRow>, Error>;

    /// Actions of operators, at most `limit`, the newest first.
    async fn actions(&self, limit: i64) -> Result<Vec<ActionRow>, Error>;

    /// Returns whether so many events are likely all new, so that they may be written without a
    /// look for their records.
    fn expects_new(&self, _events: usize) -> bool {
        false
    }

    /// Notes whether the last group was all new.
    fn note_all_new(&self, _all_new: bool) {}

    /// Writes the second-layer key's check value where there is none yet, and returns the stored
    /// one.
    async fn claim(&self, check: &[u8; 32]) -> Result<Vec<u8>, Error>;

    /// Asks whether the database answers.
    async fn ping(&self) -> Result<(), Error>;

    /// Asks whether the database takes a write, by one that changes nothing.
    async fn ping_writing(&self) -> Result<(), Error>;

    /// Number of failures at a message by itself.
    async fn failures(&self, message: &MessageKey) -> Result<u32, Error>;

    /// Writes the number of failures at a message; 0 removes it.
    async fn put_failures(
        &self,
        message: &MessageKey,
        failures: u32,
        now: DateTime<Utc>,
    ) -> Result<(), Error>;

    /// Removes what was noted of messages before a time.
    async fn prune_failures(&self, before: DateTime<Utc>) -> Result<(), Error>;

    /// Counts more passes of these windows and marks their names, in one transaction; returns how
    /// many each had before.
    async fn count_passes(
        &self,
        keys: &[PassKey],
        more: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<u32>, Error>;

    /// Returns whether changes of evidence are marked.
    async fn is_watched(&self) -> Result<bool, Error>;

    /// Has changes of evidence marked, in a transaction that keeps the other writers out.
    async fn watch(&self) -> Result<(), Abort>;

    /// Marks, at most `limit`, the oldest ids first.
    async fn marks(&self, limit: i64) -> Result<Vec<Mark>, Error>;

    /// Removes marks by their ids.
    async fn remove_marks(&self, ids: &[i64]) -> Result<(), Error>;

    /// Removes marks that were made before a time.
    async fn prune_marks(&self, before: DateTime<Utc>) -> Result<(), Error>;

    /// Names among these, and of the persons of these names and subjects, for which passes were
    /// issued that have not ended and whose window ends after `now`; sorted.
    async fn marked_names(
        &self,
        names: &[NameValue],
        subjects: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, Error>;

    /// Names for which passes were issued that have not ended and whose window ends after `now`;
    /// sorted, after a name, at most `limit`.
    async fn open_names(
        &self,
        after: Option<NameValue>,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, Error>;

    /// Counts of passes of these names that have not all ended and whose window ends after `now`,
    /// sorted by key.
    async fn open_passes(
        &self,
        names: &[NameValue],
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, Error>;

    /// Counts of passes of which some have ended and whose window ends after `now`, sorted by key,
    /// after a key, at most `limit`.
    async fn ended_passes(
        &self,
        after: &PassKey,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, Error>;

    /// Ends so many of the first passes of each key, in one transaction.
    async fn end_passes(&self, ended: &[PassCount]) -> Result<(), Error>;

    /// Removes the counts of passes whose window ended before a time.
    async fn prune_passes(&self, before: DateTime<Utc>) -> Result<(), Error>;

    /// Next sequence of a publication: above the last one, and not below `least`.
    async fn next_publication(&self, least: i64) -> Result<i64, Error>;

    /// Person behind the names given, by one statement, with at most so many facts.
    async fn asked_person(
        &self,
        names: &[NameValue],
        most_facts: i64,
    ) -> Result<AskedPerson, Error>;

    /// Facts of `subjects`, or all, sorted by record.
    async fn facts(&self, subjects: Option<&[SubjectId]>) -> Result<Vec<FactRow>, Error>;

    /// Pseudonyms of `subjects`, or all.
    async fn pseudonyms(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error>;

    /// Subjects of those pseudonyms that are stored.
    async fn subjects_of(&self, values: &[[u8; 32]])
    -> Result<HashMap<[u8; 32], SubjectId>, Error>;

    /// Versions of those records that are stored.
    async fn stored(
        &self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, Error>;

    /// Counts over the whole database, as of one moment.
    async fn counts(&self) -> Result<Vec<CountRow>, Error>;

    /// Removes all but the newest `keep` refusals, and returns the number removed.
    async fn prune(&self, keep: i64) -> Result<u64, Error>;

    /// Closes every connection.
    async fn close(&self);
}
