//! Retries of dead letters: the state of their records is forgotten, so that they are sent anew
//! when they are read again.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::RecordDigest;

use crate::corrections;
use crate::dead_letters::{self, DeadLetter, DeadLetterFilter, Origin};
use crate::file::{Database, OutboxError};
use crate::records::{LookedUp, Records, forget_contents, forget_stamps};
use crate::sweep::{Withdrawals, owe_sweeps};
use crate::versions::Versions;

/// Ways in which the rows of dead letters come to be read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryPlan {
    /// Source, feed and the clinic's record id of rows to read at once.
    pub by_id: Vec<(String, String, String)>,
    /// Sources and feeds to sweep, for records whose own id is unknown here.
    pub by_sweep: Vec<(String, String)>,
}

impl RetryPlan {
    fn new(letters: Vec<LetterOfRecord>) -> Self {
        let mut plan = Self::default();
        let mut by_sweep = BTreeSet::new();
        for LetterOfRecord { letter, .. } in letters {
            match letter.record_id {
                Some(record_id) => plan.by_id.push((letter.source, letter.feed, record_id)),
                // A record from before feeds were remembered is read with the feed's next pull.
                None if letter.source.is_empty() => {}
                None => drop(by_sweep.insert((letter.source, letter.feed))),
            }
        }
        plan.by_sweep = by_sweep.into_iter().collect();
        plan
    }
}

/// A dead letter, and its record if it has a digest.
struct LetterOfRecord {
    letter: DeadLetter,
    record: Option<RecordDigest>,
}

impl LetterOfRecord {
    /// Record that the registry refused.
    fn refused_by_registry(&self) -> Option<RecordDigest> {
        self.record
            .filter(|_| self.letter.origin == Origin::Registry)
    }
}

/// Retries of dead letters.
#[derive(Debug)]
pub(crate) struct Retries {
    database: Arc<Database>,
    records: Arc<Records>,
    versions: Arc<Versions>,
    withdrawals: Arc<Withdrawals>,
}

impl Retries {
    pub(crate) const fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        versions: Arc<Versions>,
        withdrawals: Arc<Withdrawals>,
    ) -> Self {
        Self {
            database,
            records,
            versions,
            withdrawals,
        }
    }

    /// Forgets the state of the letters' records, and sends refused withdrawals again.
    pub(crate) async fn prepare(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let _guard = self.versions.gate().lock().await;
        let mut letters = self.letters(filter).await?;
        let mut refused: BTreeSet<RecordDigest> = letters
            .iter()
            .filter_map(LetterOfRecord::refused_by_registry)
            .collect();
        // A record that is withdrawn because the registry refused its row is read again.
        let pool = self.database.readers();
        for record in corrections::withdrawn_by_registry(pool, &refused).await? {
            refused.remove(&record);
        }
        let resent = self.resend_withdrawals(refused, now).await?;
        let is_resent = |record: &RecordDigest| resent.contains(record);
        letters.retain(|letter| !letter.refused_by_registry().as_ref().is_some_and(is_resent));
        self.forget(&letters).await?;
        let plan = RetryPlan::new(letters);
        let mut transaction = self.database.begin().await?;
        owe_sweeps(transaction.connection(), &plan.by_sweep).await?;
        transaction.commit().await?;
        Ok(plan)
    }

    async fn letters(&self, filter: &DeadLetterFilter) -> Result<Vec<LetterOfRecord>, OutboxError> {
        let pool = self.database.readers();
        let letters = dead_letters::select(pool, filter).await?;
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let records = dead_letters::records_of(pool, &ids).await?;
        let letters = letters.into_iter().map(|letter| LetterOfRecord {
            record: records.get(&letter.id).copied(),
            letter,
        });
        Ok(letters.collect())
    }

    /// Sends those of the records again that are withdrawals; returns them.
    async fn resend_withdrawals(
        &self,
        refused: BTreeSet<RecordDigest>,
        now: DateTime<Utc>,
    ) -> Result<HashSet<RecordDigest>, OutboxError> {
        let refused: Vec<_> = refused.into_iter().map(|record| (record, None)).collect();
        let mut resent = HashSet::new();
        for alike in self.withdrawals.select_withdrawn(&refused, now).await? {
            for chunk in alike.chunks() {
                let withdrawals = &self.withdrawals;
                let given_out = withdrawals.give_out_again(&alike.withdrawal, chunk).await?;
                resent.extend(given_out.sent);
            }
        }
        Ok(resent)
    }

    /// Forgets the stamps of the letters' records, and the contents of those the registry refused.
    async fn forget(&self, letters: &[LetterOfRecord]) -> Result<(), OutboxError> {
        let digests: Vec<RecordDigest> =
            letters.iter().filter_map(|letter| letter.record).collect();
        let LookedUp { known, .. } = self.records.look_up(&digests).await?;
        let stamps: Vec<i64> = known.values().map(|known| known.record_no).collect();
        let contents: Vec<i64> = letters
            .iter()
            .filter_map(LetterOfRecord::refused_by_registry)
            .filter_map(|record| known.get(&record))
            .map(|known| known.record_no)
            .collect();
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        forget_stamps(connection, &stamps).await?;
        forget_contents(connection, &contents).await?;
        corrections::forget_contents_refused(connection, digests.iter()).await?;
        transaction.commit().await
    }
}
