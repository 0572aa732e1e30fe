//! Reader of the store: facts, subjects and counts.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{Epoch, Pseudonym, RecordDigest, Suite};
use escrow::RecordList;
use linking::{CityPseudonym, Decision, StoredRecord};

use crate::config::{EscrowConfig, StoreConfig};
use crate::escrow_folder::{EscrowFolderError, open_folder};
use crate::keys::Keys;
use crate::retention::Retention;
use crate::store::{
    ActionRow, AliveClinics, Around, ContestRow, Expired, Purged, RekeyProgress, Rekeyed, Stats,
    Store, StoreError, lacks_rekeying,
};
use crate::tokens::TokenKeys;
use crate::view::{StoredFact, SubjectView, all_facts, find_subjects};

/// Open store with the second-layer key: enough to look things up.
#[derive(Clone)]
pub struct Reader {
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
    /// Rules by which facts are kept; absent where they are kept for ever.
    pub(crate) retention: Option<Arc<Retention>>,
    /// Keys that batches' tokens are verified by; absent where none are looked at.
    pub(crate) tokens: Option<Arc<TokenKeys>>,
}

impl Reader {
    /// Opens the store, making its tables where missing. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`StoreError`], saying whether to wait or what to change; also when the store was filled
    /// under another second-layer key.
    pub async fn open(store: &StoreConfig, keys: Keys, base: &Path) -> Result<Self, StoreError> {
        let mut store = Store::open(store, base).await?;
        store.claim(&keys.second_layer.check_value()).await?;
        store.upgrade(&keys.second_layer).await?;
        store.check_rekeyings(&keys.rekeyings).await?;
        store.set_rekeyings(Arc::clone(&keys.rekeyings));
        Ok(Self {
            store,
            keys: Arc::new(keys),
            retention: None,
            tokens: None,
        })
    }

    /// Has facts expire by these rules: those that are stored by [`Reader::expire`], and newer
    /// versions of theirs by registries that are made of this reader.
    pub fn keep_by(&mut self, retention: Retention) {
        self.retention = Some(Arc::new(retention));
    }

    /// Has registries that are made of this reader verify the tokens of batches by these keys.
    pub fn verify_by(&mut self, tokens: TokenKeys) {
        self.tokens = Some(Arc::new(tokens));
    }

    /// Number of clinics that are alive, by the tokens of days.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alive_clinics(&self, now: DateTime<Utc>) -> Result<AliveClinics, StoreError> {
        self.store.alive_clinics(now).await
    }

    /// Removes what is known of the tokens of keys that are not configured any more, some days
    /// after they were spent; returns their number. Nothing where no tokens are looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_tokens(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        match &self.tokens {
            Some(keys) => self.store.prune_tokens(&keys.ids(), now).await,
            None => Ok(0),
        }
    }

    /// Has every fact expire that no pass can rest on any more; none where no retention is set.
    /// What was done before it is broken off stays done. `is_dry_run` counts, and changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire(
        &self,
        is_dry_run: bool,
        now: DateTime<Utc>,
    ) -> Result<Expired, StoreError> {
        match &self.retention {
            Some(retention) => self.store.expire(retention, is_dry_run, now).await,
            None => Ok(Expired::default()),
        }
    }

    /// Has what batches state laid down for the auditor, by registries that are made of this
    /// reader. `store` is where the database lies; relative paths start from `base`.
    ///
    /// # Errors
    /// [`EscrowFolderError`].
    pub fn lay_down(
        &mut self,
        config: &EscrowConfig,
        store: &StoreConfig,
        base: &Path,
    ) -> Result<(), EscrowFolderError> {
        let escrow = open_folder(config, store, base)?;
        self.store.set_escrow(Arc::new(escrow));
        Ok(())
    }

    /// Facts, all of them, sorted by record. Reads the whole store into memory.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn facts(&self) -> Result<Vec<StoredFact>, StoreError> {
        all_facts(&self.store).await
    }

    /// Subjects behind a person's pseudonyms as a clinic or portal computes them: none, one, or
    /// several when the registry keeps them apart; the strongest pseudonym's comes first. A value
    /// that its suite cannot have names nobody.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subjects_by(
        &self,
        pseudonyms: &[Pseudonym],
    ) -> Result<Vec<SubjectView>, StoreError> {
        let names = self.stored_names(pseudonyms).await?;
        let values: Vec<_> = names.iter().map(|name| name.value).collect();
        find_subjects(&self.store, &values).await
    }

    /// Pseudonym as the registry keeps it; `None` where its value is one that the suite cannot
    /// have.
    #[must_use]
    pub fn second_layer(&self, pseudonym: &Pseudonym) -> Option<CityPseudonym> {
        self.keys.second_layer.apply(pseudonym)
    }

    /// Names that pseudonyms may be stored under, strongest first: as they came, and as they are
    /// called once their epoch follows a new key.
    ///
    /// # Errors
    /// [`StoreError`]; also where names of an epoch have changed and it is not known how.
    pub(crate) async fn stored_names(
        &self,
        pseudonyms: &[Pseudonym],
    ) -> Result<Vec<CityPseudonym>, StoreError> {
        let given = pseudonyms.iter().filter_map(|one| self.second_layer(one));
        let mut names: Vec<CityPseudonym> = given.collect();
        let known = |name: &CityPseudonym| {
            let mut rekeyings = self.keys.rekeyings.iter();
            rekeyings.any(|rekeying| rekeying.concerns(name))
        };
        let unknown = names
            .iter()
            .filter(|name| name.suite == Suite::Voprf && !known(name));
        let unknown: Vec<Epoch> = unknown.map(|name| name.epoch).collect();
        if !unknown.is_empty() {
            let changed = self.store.rekeyed_epochs().await?;
            if let Some(epoch) = changed.iter().find(|epoch| unknown.contains(epoch)) {
                return Err(lacks_rekeying(*epoch));
            }
        }
        let later: Vec<CityPseudonym> = names
            .iter()
            .flat_map(|name| self.later_names(name))
            .collect();
        names.extend(later);
        names.sort_unstable_by_key(CityPseudonym::strength);
        names.dedup();
        Ok(names)
    }

    /// What a stored name is, or will be, called after each change of the key services' keys.
    pub(crate) fn later_names(&self, name: &CityPseudonym) -> Vec<CityPseudonym> {
        let mut later = vec![*name];
        for rekeying in self.keys.rekeyings.iter() {
            let last = later[later.len() - 1];
            if rekeying.concerns(&last) {
                later.push(rekeying.name(&last));
            }
        }
        later.split_off(1)
    }

    /// Brings the stored names of suite `voprf` of an epoch under another one, by the factors of
    /// [`Keys`]; goes on where it was stopped. Registries may work on the store meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; also where the keys do not have this change.
    pub async fn rekey(
        &self,
        from: Epoch,
        to: Epoch,
        now: DateTime<Utc>,
        progress: impl FnMut(RekeyProgress),
    ) -> Result<Rekeyed, StoreError> {
        let mut rekeyings = self.keys.rekeyings.iter();
        let rekeying = rekeyings.find(|one| (one.from(), one.to()) == (from, to));
        let rekeying = rekeying.ok_or_else(|| StoreError::Misconfigured {
            what: format!("keys.rekeyed has no change from key epoch {from} to {to}"),
            help: "write its factors and public keys as [[keys.rekeyed]]",
        })?;
        self.store.rekey(rekeying, now, progress).await
    }

    /// Withdraws the records of an auditor's list, with the links that they made, and has newer
    /// versions of them refused. What was done before it is broken off stays done, and calling it
    /// again does the rest. `is_dry_run` counts, and changes nothing; `progress` is told the number
    /// of records looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purge(
        &self,
        list: &RecordList,
        is_dry_run: bool,
        now: DateTime<Utc>,
        progress: impl FnMut(usize),
    ) -> Result<Purged, StoreError> {
        self.store
            .purge(list.records(), is_dry_run, now, progress)
            .await
    }

    /// Has newer versions of the purged records of a list taken again; returns the number of
    /// records.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn permit(&self, list: &RecordList) -> Result<u64, StoreError> {
        self.store.permit(list.records()).await
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
