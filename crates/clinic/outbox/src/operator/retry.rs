//! Retries of dead letters, and of refusals beyond their list: the state of their records is
//! forgotten, so that they are sent anew when they are read again.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::RecordDigest;
use sqlx::sqlite::SqliteConnection;

use crate::corrections;
use crate::dead_letters::{self, DeadLetter, DeadLetterFilter, Origin, UnlistedRefusal};
use crate::file::{Database, OutboxError};
use crate::records::{LookedUp, Records, forget_contents, forget_stamps};
use crate::sweep::{Withdrawals, owe_sweeps};
use crate::versions::Versions;

/// Most refusals beyond the list that are prepared in one transaction.
const UNLISTED_PART: u32 = 1000;

/// Ways in which the rows of dead letters come to be read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryPlan {
    /// Source, feed and the clinic's record id of rows to read at once.
    pub by_id: Vec<(String, String, String)>,
    /// Sources and feeds to sweep, for records whose own id is unknown here.
    pub by_sweep: Vec<(String, String)>,
    /// Number of refusals that the list has no room for and that are tried again too.
    pub unlisted: u64,
}

impl RetryPlan {
    fn new(refusals: Vec<Refusal>) -> Self {
        let mut plan = Self::default();
        let mut by_sweep = BTreeSet::new();
        for refusal in refusals {
            match refusal.record_id {
                Some(record_id) => plan.by_id.push((refusal.source, refusal.feed, record_id)),
                // A record from before feeds were remembered is read with the feed's next pull.
                None if refusal.source.is_empty() => {}
                None => drop(by_sweep.insert((refusal.source, refusal.feed))),
            }
        }
        plan.by_sweep = by_sweep.into_iter().collect();
        plan
    }

    /// Adds the plan of unlisted refusals, whose rows only sweeps read.
    fn add_unlisted(&mut self, part: Self, refusals: usize) {
        self.unlisted += refusals as u64;
        self.by_sweep.extend(part.by_sweep);
        self.by_sweep.sort_unstable();
        self.by_sweep.dedup();
    }
}

/// A refusal to try again, listed or not.
struct Refusal {
    origin: Origin,
    /// Name of the source; empty for a record from before feeds were remembered.
    source: String,
    /// Name of the feed; empty as `source`.
    feed: String,
    /// Record id of the clinic, where it is known.
    record_id: Option<String>,
    /// Digest of the record; `None` for letters from before digests were kept.
    record: Option<RecordDigest>,
}

impl Refusal {
    fn of_letter(letter: DeadLetter, record: Option<RecordDigest>) -> Self {
        Self {
            origin: letter.origin,
            source: letter.source,
            feed: letter.feed,
            record_id: letter.record_id,
            record,
        }
    }

    fn of_unlisted(unlisted: &UnlistedRefusal) -> Self {
        Self {
            origin: unlisted.origin,
            source: unlisted.source.clone(),
            feed: unlisted.feed.clone(),
            record_id: None,
            record: Some(unlisted.record),
        }
    }

    /// Record that the registry refused.
    fn refused_by_registry(&self) -> Option<RecordDigest> {
        self.record.filter(|_| self.origin == Origin::Registry)
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

    /// Forgets the state of the records that the filter means, and sends refused withdrawals again:
    /// first of the letters, then of the refusals that are not listed, part by part.
    pub(crate) async fn prepare(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let mut plan = self.prepare_letters(filter, now).await?;
        let mut after = None;
        loop {
            // Between the parts, pages may be committed.
            let _guard = self.versions.gate().lock().await;
            let pool = self.database.readers();
            let part =
                dead_letters::next_unlisted(pool, filter, after.as_ref(), UNLISTED_PART).await?;
            let refusals: Vec<Refusal> = part.iter().map(Refusal::of_unlisted).collect();
            let count = refusals.len();
            after = part.into_iter().next_back();
            if after.is_none() {
                return Ok(plan);
            }
            plan.add_unlisted(self.prepare_part(refusals, now).await?, count);
        }
    }

    async fn prepare_letters(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let _guard = self.versions.gate().lock().await;
        let letters = self.letters(filter).await?;
        self.prepare_part(letters, now).await
    }

    /// Forgets the state of the records of some refusals, and sends refused withdrawals again. Only
    /// under the gate.
    async fn prepare_part(
        &self,
        mut refusals: Vec<Refusal>,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let mut refused: BTreeSet<RecordDigest> = refusals
            .iter()
            .filter_map(Refusal::refused_by_registry)
            .collect();
        // A record that is withdrawn because the registry refused its row is read again.
        let pool = self.database.readers();
        for record in corrections::withdrawn_by_registry(pool, &refused).await? {
            refused.remove(&record);
        }
        let resent = self.resend_withdrawals(refused, now).await?;
        let is_resent = |record: &RecordDigest| resent.contains(record);
        refusals.retain(|refusal| {
            let by_registry = refusal.refused_by_registry();
            !by_registry.as_ref().is_some_and(is_resent)
        });
        let forgetting = self.look_up(&refusals).await?;
        let plan = RetryPlan::new(refusals);
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        forget(connection, &forgetting).await?;
        owe_sweeps(connection, &plan.by_sweep).await?;
        transaction.commit().await?;
        Ok(plan)
    }

    async fn letters(&self, filter: &DeadLetterFilter) -> Result<Vec<Refusal>, OutboxError> {
        let pool = self.database.readers();
        let letters = dead_letters::select(pool, filter).await?;
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let records = dead_letters::records_of(pool, &ids).await?;
        let letters = letters.into_iter().map(|letter| {
            let record = records.get(&letter.id).copied();
            Refusal::of_letter(letter, record)
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

    /// Looks up what is to be forgotten of the records of these refusals.
    async fn look_up(&self, refusals: &[Refusal]) -> Result<Forgetting, OutboxError> {
        let records = refusals.iter().filter_map(|refusal| refusal.record);
        let records: Vec<RecordDigest> = records.collect();
        let LookedUp { known, .. } = self.records.look_up(&records).await?;
        let stamps = known.values().map(|known| known.record_no).collect();
        let contents = refusals
            .iter()
            .filter_map(Refusal::refused_by_registry)
            .filter_map(|record| known.get(&record))
            .map(|known| known.record_no)
            .collect();
        Ok(Forgetting {
            records,
            stamps,
            contents,
        })
    }
}

/// State of records that is to be forgotten, so that they are read again and sent even as they are.
struct Forgetting {
    /// Records whose refused contents are forgotten.
    records: Vec<RecordDigest>,
    /// Numbers of the records whose stamps are forgotten.
    stamps: Vec<i64>,
    /// Numbers of the records that the registry refused, whose contents are forgotten.
    contents: Vec<i64>,
}

async fn forget(
    connection: &mut SqliteConnection,
    forgetting: &Forgetting,
) -> Result<(), OutboxError> {
    forget_stamps(connection, &forgetting.stamps).await?;
    forget_contents(connection, &forgetting.contents).await?;
    corrections::forget_contents_refused(connection, forgetting.records.iter()).await
}
