//! Reader of the store: facts, subjects and counts.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{Pseudonym, RecordDigest};
use linking::{CityPseudonym, Decision, StoredRecord};

use crate::config::StoreConfig;
use crate::keys::Keys;
use crate::store::{ActionRow, Around, ContestRow, Stats, Store, StoreError};
use crate::view::{StoredFact, SubjectView, all_facts, find_subjects};

/// Open store with the second-layer key: enough to look things up.
#[derive(Clone)]
pub struct Reader {
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
}

impl Reader {
    /// Opens the store, making its tables where missing. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`StoreError`], saying whether to wait or what to change; also when the store was filled
    /// under another second-layer key.
    pub async fn open(store: &StoreConfig, keys: Keys, base: &Path) -> Result<Self, StoreError> {
        let store = Store::open(store, base).await?;
        store.claim(&keys.second_layer.check_value()).await?;
        store.upgrade(&keys.second_layer).await?;
        Ok(Self {
            store,
            keys: Arc::new(keys),
        })
    }

    /// Facts, all of them, sorted by record. Reads the whole store into memory.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts(&self) -> Result<Vec<StoredFact>, StoreError> {
        all_facts(&self.store).await
    }

    /// Subjects behind a person's pseudonyms as a clinic or portal computes them: none, one, or
    /// several when the registry keeps them apart; the strongest pseudonym's comes first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subjects_by(
        &self,
        pseudonyms: &[Pseudonym],
    ) -> Result<Vec<SubjectView>, StoreError> {
        let values: Vec<CityPseudonym> = pseudonyms
            .iter()
            .map(|pseudonym| self.second_layer(pseudonym))
            .collect();
        find_subjects(&self.store, &values).await
    }

    /// Pseudonym as the registry keeps it.
    #[must_use]
    pub fn second_layer(&self, pseudonym: &Pseudonym) -> CityPseudonym {
        self.keys.second_layer.apply(pseudonym)
    }

    /// Digest of a record as the registry keeps it.
    #[must_use]
    pub fn stored_record(&self, record: &RecordDigest) -> StoredRecord {
        self.keys.second_layer.record(record)
    }

    /// Names that records disagree about, or that a limit weighs on, at most `limit`, the newest
    /// first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contests(&self, limit: u32) -> Result<Vec<ContestRow>, StoreError> {
        self.store.contests(limit).await
    }

    /// Names, sets and persons that are connected with a name of this second-layer value; `None`
    /// where it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn around(&self, name: &[u8; 32]) -> Result<Option<Around>, StoreError> {
        self.store.around(name).await
    }

    /// Writes an operator's decision about persons, or takes it back, and returns whether that
    /// changed anything.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn decide(
        &self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let changed = self.store.decide(decision, holds, now).await?;
        Ok(changed.is_some())
    }

    /// Actions of operators about persons, at most `limit`, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn actions(&self, limit: u32) -> Result<Vec<ActionRow>, StoreError> {
        self.store.actions(limit).await
    }

    /// Counts over the whole store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats().await
    }

    /// Removes all but the newest refusals, so that they stay bounded, and returns the number
    /// removed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_refusals(&self) -> Result<u64, StoreError> {
        self.store.prune().await
    }

    /// Removes what was noted long ago of batches that failed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_failures(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.store.prune_failures(now).await
    }

    /// Removes marks of changed persons that nobody has looked at for a day.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_marks(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.store.prune_marks(now).await
    }

    /// Asks whether the store answers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Name of the kind of database.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        self.store.describe()
    }

    /// Closes every connection to the store.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
