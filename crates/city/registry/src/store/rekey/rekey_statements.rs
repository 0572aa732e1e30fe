//! Statements about names that follow a new key, within a writing transaction.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{Epoch, Scheme};
use linking::{CityPseudonym, Decision, NameSetId};
use sqlx::Error;

use crate::store::person_statements::{NameValue, SetRow};

/// Change of names, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct RekeyingRow {
    /// Epoch that the names change to.
    pub to: Epoch,
    /// Value that tells the factor from another.
    pub check: [u8; 32],
    /// True where it is done.
    pub is_finished: bool,
}

/// Statements about names that follow a new key.
#[async_trait]
pub(in crate::store) trait RekeyStatements: Send {
    /// Prepares the connection for statements over whole tables: they need time and memory that
    /// others may not have.
    async fn prepare_for_whole_tables(&mut self) -> Result<(), Error>;

    /// Change of the names of an epoch; `None` where there is none.
    async fn rekeying(&mut self, from: Epoch) -> Result<Option<RekeyingRow>, Error>;

    /// Epochs from which a change is under way.
    async fn unfinished_rekeyings(&mut self) -> Result<Vec<Epoch>, Error>;

    /// Epochs whose names have changed.
    async fn rekeyed_epochs(&mut self) -> Result<Vec<Epoch>, Error>;

    /// Notes that a change is under way.
    async fn begin_rekeying(
        &mut self,
        from: Epoch,
        to: Epoch,
        check: &[u8; 32],
    ) -> Result<(), Error>;

    /// Notes that a change is done.
    async fn finish_rekeying(&mut self, from: Epoch, now: DateTime<Utc>) -> Result<(), Error>;

    /// Names of suite `voprf` and an epoch of which it is not known what they are going to be,
    /// after a value, in the order of values, at most `limit`.
    async fn names_to_rekey(
        &mut self,
        from: Epoch,
        after: &[u8],
        limit: i64,
    ) -> Result<Vec<(NameValue, Scheme)>, Error>;

    /// Notes what names are going to be, leaving out those of which it is known.
    async fn add_rekeyed(&mut self, names: &[(NameValue, NameValue)]) -> Result<(), Error>;

    /// What names among these are going to be.
    async fn rekeyed(&mut self, values: &[NameValue])
    -> Result<Vec<(NameValue, NameValue)>, Error>;

    /// Name sets after an id, in the order of ids, at most `limit`.
    async fn sets_after(&mut self, id: &[u8], limit: i64) -> Result<Vec<SetRow>, Error>;

    /// Gives the facts of sets other sets.
    async fn move_facts(&mut self, moves: &[(NameSetId, NameSetId)]) -> Result<(), Error>;

    /// What those names are going to be of which it is not certain that they stay one person's with
    /// the same others: because that is open already, or because the name is stored already, or
    /// another name of the person's under the new epoch.
    async fn names_to_judge(&mut self, to: Epoch) -> Result<Vec<NameValue>, Error>;

    /// All decisions of operators.
    async fn all_decisions(&mut self) -> Result<Vec<Decision>, Error>;

    /// Makes a decision one about other names.
    async fn rename_decision(&mut self, old: Decision, new: Decision) -> Result<(), Error>;

    /// Notes the numberings of names that are decided about.
    async fn add_decided_names(&mut self, names: &[CityPseudonym]) -> Result<(), Error>;

    /// Renames everything but sets and decisions, and forgets what was noted for it.
    async fn rename_all(&mut self, to: Epoch, now: DateTime<Utc>) -> Result<(), Error>;
}
