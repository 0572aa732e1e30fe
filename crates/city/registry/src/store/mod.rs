//! Store of the registry: SQLite or PostgreSQL behind one interface.

mod apply;
mod asked;
mod attempts;
mod backend;
mod batch_escrow;
mod certificates;
mod columns;
mod error;
mod expire;
mod failures;
mod held_facts;
mod lookups;
mod marks;
mod migrations;
mod old_facts;
mod passes;
mod person_statements;
mod persons;
#[cfg(feature = "postgres")]
mod postgres;
mod purge;
mod refusals;
mod rehearsal;
mod rekey;
mod rows;
mod sql;
mod sqlite;
mod stats;
#[cfg(test)]
mod tests;
mod token_statements;
mod tokens;
mod transaction;
mod upgrade;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::Epoch;
use linking::{
    CityPseudonym, Decision, LinkRules, Rekeying, SecondLayerKey, StoredRecord, StoredVersion,
    SubjectId,
};
use parking_lot::Mutex;

use crate::config::StoreConfig;
pub(crate) use asked::AskedPerson;
pub(crate) use attempts::lacks_rekeying;
use backend::Backend;
pub(crate) use backend::MessageKey;
pub(crate) use batch_escrow::BatchEscrow;
pub(crate) use certificates::{CertificateCount, CertificateKey};
pub use error::StoreError;
use error::{is_race, unavailable};
pub use expire::Expired;
pub(crate) use passes::{PassCount, PassKey};
pub(crate) use person_statements::NameValue;
pub(crate) use persons::PersonsChanged;
pub use persons::{Around, PersonAround};
pub use purge::Purged;
use refusals::AddedRefusals;
pub use rekey::{RekeyProgress, Rekeyed};
pub(crate) use rows::FactRow;
pub use rows::{ActionRow, ContestRow};
pub use stats::Stats;
pub use tokens::AliveClinics;
use transaction::Abort;
pub(crate) use transaction::Applied;

/// Number of times that a transaction that lost a race is run again. From the third on it runs
/// alone and cannot lose.
const ATTEMPTS: usize = 8;
/// Code of a failure after all these.
const LOST_RACES: &str = "too many lost races";
/// Number of lost races after which the others are kept out.
const SHARED_ATTEMPTS: usize = 2;
/// Longest duration of a transaction, in seconds: a stalled server answers nothing, not even an
/// error.
const APPLY_TIMEOUT_SECONDS: u64 = 120;

/// Open store; its clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    backend: Arc<dyn Backend>,
    rules: LinkRules,
    /// Folder that what batches state is laid down in for the auditor, where there is one.
    escrow: Option<Arc<BatchEscrow>>,
    added_refusals: Arc<AddedRefusals>,
    /// Changes of names that this program knows the factors of, those of earlier epochs first.
    rekeyings: Arc<[Arc<Rekeying>]>,
    /// Epochs that batches were found to have changed names of.
    changed_epochs: Arc<Mutex<BTreeSet<Epoch>>>,
}

/// Warning of a connection whose content travels in clear to another machine, as the configuration
/// permits.
#[cfg(feature = "cli")]
pub(crate) fn plain_warning(config: &StoreConfig, base: &Path) -> Option<&'static str> {
    match config {
        #[cfg(feature = "postgres")]
        StoreConfig::Postgres(config) => postgres::plain_warning(config, base),
        _ => None,
    }
}

impl<B: Backend + 'static> From<B> for Store {
    fn from(backend: B) -> Self {
        Self {
            backend: Arc::new(backend),
            rules: LinkRules::default(),
            escrow: None,
            added_refusals: Arc::default(),
            rekeyings: Arc::new([]),
            changed_epochs: Arc::default(),
        }
    }
}

impl Store {
    /// Connects and brings the schema up to date. Relative paths start from `base`.
    pub(crate) async fn open(config: &StoreConfig, base: &Path) -> Result<Self, StoreError> {
        match config {
            StoreConfig::Sqlite(config) => {
                Ok(sqlite::SqliteStore::open(config, base).await?.into())
            }
            #[cfg(feature = "postgres")]
            StoreConfig::Postgres(config) => {
                Ok(postgres::PostgresStore::open(config, base).await?.into())
            }
            #[cfg(not(feature = "postgres"))]
            StoreConfig::Postgres(_) => Err(StoreError::Misconfigured {
                what: "this program was built without PostgreSQL".into(),
                help: "build it with the feature `postgres`, or use [store.sqlite]",
            }),
        }
    }

    /// Sets the rules by which records make persons.
    pub(crate) fn set_rules(&mut self, rules: LinkRules) {
        self.rules = rules;
    }

    /// Has what batches state laid down for the auditor.
    pub(crate) fn set_escrow(&mut self, escrow: Arc<BatchEscrow>) {
        self.escrow = Some(escrow);
    }

    /// True where what batches state is laid down for the auditor.
    pub(crate) const fn has_escrow(&self) -> bool {
        self.escrow.is_some()
    }

    /// Sets the changes of names that this program knows the factors of.
    pub(crate) fn set_rekeyings(&mut self, rekeyings: Arc<[Arc<Rekeying>]>) {
        self.rekeyings = rekeyings;
    }

    /// Brings the facts of a store from before links to where facts are now. Returns after the last
    /// one; a stop in between loses nothing.
    pub(crate) async fn upgrade(&self, key: &SecondLayerKey) -> Result<(), StoreError> {
        let mut moved = 0;
        while let Some(facts) = self.alone(|| self.backend.move_old_facts(key)).await? {
            moved += facts;
            tracing::info!(
                event = "store-upgrade",
                facts = moved,
                "facts of an older store are brought under the second layer and linked anew"
            );
        }
        Ok(())
    }

    /// Writes an operator's decision, or takes it back, and returns what changed by it; `None`
    /// where it changed nothing.
    pub(crate) async fn decide(
        &self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<PersonsChanged>, StoreError> {
        self.alone(|| self.backend.decide(decision, holds, &self.rules, now))
            .await
    }

    /// Reads what is connected with a name; `None` where it is not stored.
    pub(crate) async fn around(&self, name: &NameValue) -> Result<Option<Around>, StoreError> {
        self.alone(|| self.backend.around(name)).await
    }

    /// Names about which records disagree, at most `limit`, the newest first.
    pub(crate) async fn contests(&self, limit: u32) -> Result<Vec<ContestRow>, StoreError> {
        in_time(self.backend.contests(limit.into())).await
    }

    /// Actions of operators, at most `limit`, the newest first.
    pub(crate) async fn actions(&self, limit: u32) -> Result<Vec<ActionRow>, StoreError> {
        in_time(self.backend.actions(limit.into())).await
    }

    /// Runs a transaction that keeps the other writers out, and again where it lost a race against
    /// one that was there before.
    async fn alone<T, F: Future<Output = Result<T, Abort>>>(
        &self,
        run: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        for _ in 0..ATTEMPTS {
            match run().await {
                Ok(done) => return Ok(done),
                Err(Abort::Raced) => {}
                Err(Abort::Sql(error)) if is_race(&error) => {}
                Err(Abort::Sql(error)) => return Err(error.into()),
                Err(Abort::TooSlow) => {
                    return Err(StoreError::TooSlow {
                        code: "transaction".into(),
                    });
                }
                Err(Abort::TooMuch) => return Err(StoreError::TooMuch),
                Err(Abort::Failed(error)) => return Err(error),
                // Only batches state names.
                Err(Abort::Rekeyed) => break,
            }
        }
        Err(unavailable(LOST_RACES))
    }

    /// Refuses a second-layer key other than the one the store was filled with.
    pub(crate) async fn claim(&self, check: &[u8; 32]) -> Result<(), StoreError> {
        if in_time(self.backend.claim(check)).await? == check {
            return Ok(());
        }
        Err(StoreError::Misconfigured {
            what: "it was filled under another second-layer key".into(),
            help: "put that key back into keys.second_layer, or use an empty database",
        })
    }

    /// Asks whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        in_time(self.backend.ping()).await
    }

    /// Asks whether the store takes writes: one that answers may have a full disk, or be a
    /// read-only standby.
    pub(crate) async fn ping_writing(&self) -> Result<(), StoreError> {
        in_time(self.backend.ping_writing()).await
    }

    /// Counts more passes of these windows, each once, and marks their names; returns how many each
    /// had before, in their order. Either all are counted or none.
    pub(crate) async fn count_passes(
        &self,
        keys: &[PassKey],
        more: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<u32>, StoreError> {
        in_time(self.backend.count_passes(keys, more, now)).await
    }

    /// Ends so many of the first passes of each key.
    pub(crate) async fn end_passes(&self, ended: &[PassCount]) -> Result<(), StoreError> {
        in_time(self.backend.end_passes(ended)).await
    }

    /// Removes the counts of passes whose window ended before a time.
    pub(crate) async fn prune_passes(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        in_time(self.backend.prune_passes(before)).await
    }

    /// Next sequence of a publication: above the last one, and not below `least`.
    pub(crate) async fn next_publication(&self, least: i64) -> Result<i64, StoreError> {
        in_time(self.backend.next_publication(least)).await
    }

    /// Person behind the names given, strongest first, with at most so many facts.
    pub(crate) async fn asked_person(
        &self,
        names: &[NameValue],
        most_facts: usize,
    ) -> Result<AskedPerson, StoreError> {
        let most = i64::try_from(most_facts).unwrap_or(i64::MAX);
        in_time(self.backend.asked_person(names, most)).await
    }

    /// Facts of `subjects`, or all, sorted by record.
    pub(crate) async fn facts(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<FactRow>, StoreError> {
        in_time(self.backend.facts(subjects)).await
    }

    /// Pseudonyms of `subjects`, or all, each with its subject.
    pub(crate) async fn pseudonyms(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, StoreError> {
        in_time(self.backend.pseudonyms(subjects)).await
    }

    /// Subjects of those pseudonyms that are stored.
    pub(crate) async fn subjects_of(
        &self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, StoreError> {
        in_time(self.backend.subjects_of(values)).await
    }

    /// Versions of those records that are stored, as of the last commit.
    pub(crate) async fn stored(
        &self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, StoreError> {
        in_time(self.backend.stored(records)).await
    }

    /// Counts over the whole store.
    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        Ok(in_time(self.backend.counts()).await?.into())
    }

    /// Name of the kind of database, for the operator.
    pub(crate) fn describe(&self) -> &'static str {
        self.backend.name()
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        self.backend.close().await;
    }
}

/// Waits for a request, but no longer than for a transaction.
async fn in_time<T>(
    request: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let limit = Duration::from_secs(APPLY_TIMEOUT_SECONDS);
    let done = tokio::time::timeout(limit, request).await;
    Ok(done.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
}
