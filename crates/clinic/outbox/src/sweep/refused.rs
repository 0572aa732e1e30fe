//! Older versions of records whose correction is refused: withdrawn under the safety catch of
//! sweeps, held by it, or kept as configured.
//!
//! The catch looks at a day, not at a run: a mapping that breaks shows its rows a page at a time.
//! While it holds some, that day does not move on: no clock releases what waits for a person.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{FactKind, RecordDigest};
use parking_lot::Mutex;

use super::types::{CorrectionRule, SettledCorrections, SweepLimits};
use super::withdrawals::{MAX_TRANSACTION_RECORDS, Withdrawal, WithdrawalCause, Withdrawals};
use crate::batches::Capacity;
use crate::corrections::{self, Chosen, FeedCounts, HeldCorrections};
use crate::feeds::feed_id;
use crate::file::{Database, OutboxError};
use crate::records::{KnownRecord, LookedUp, Records, count_asserted};
use crate::versions::Versions;

/// Age up to which a count of a feed's asserted records is good enough to go on holding.
const COUNT_AGE: TimeDelta = TimeDelta::hours(1);

/// Refused corrections of all feeds.
#[derive(Debug)]
pub(crate) struct Corrections {
    database: Arc<Database>,
    records: Arc<Records>,
    versions: Arc<Versions>,
    capacity: Arc<Capacity>,
    withdrawals: Arc<Withdrawals>,
    /// Asserted records of feeds of which something is held, by the feed's number, and the time of
    /// the count: a count reads the whole index of records.
    counted: Mutex<HashMap<i64, (DateTime<Utc>, u64)>>,
}

impl Corrections {
    pub(crate) fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        versions: Arc<Versions>,
        capacity: Arc<Capacity>,
        withdrawals: Arc<Withdrawals>,
    ) -> Self {
        Self {
            database,
            records,
            versions,
            capacity,
            withdrawals,
            counted: Mutex::default(),
        }
    }

    /// Withdraws, holds or keeps the older versions of the feed's refused corrections. Those that
    /// only a state that was lost can have sent are judged by themselves. Costs a few reads where
    /// there are none. `read_whole` is the generation in which the feed was just read to its end,
    /// if it was.
    pub(crate) async fn settle(
        &self,
        source: &str,
        feed: &str,
        kind: FactKind,
        rule: CorrectionRule,
        read_whole: Option<u32>,
        now: DateTime<Utc>,
    ) -> Result<SettledCorrections, OutboxError> {
        let Some(feed_id) = feed_id(self.database.readers(), source, feed).await? else {
            return Ok(SettledCorrections::default());
        };
        self.note_whole_read(feed_id, read_whole, now).await?;
        let withdrawal = Withdrawal {
            feed_id,
            kind,
            horizon: i64::MAX,
            cause: WithdrawalCause::RefusedCorrection,
            now,
        };
        let certain = self.settle_alike(&withdrawal, false, rule).await?;
        let possible = self.settle_alike(&withdrawal, true, rule).await?;
        Ok(certain.plus(possible))
    }

    /// Settles those that are certain, or those that are not.
    async fn settle_alike(
        &self,
        withdrawal: &Withdrawal,
        possible: bool,
        rule: CorrectionRule,
    ) -> Result<SettledCorrections, OutboxError> {
        let pool = self.database.readers();
        let feed_id = withdrawal.feed_id;
        let count = || corrections::count_feed(pool, feed_id, possible, withdrawal.now);
        let mut counts = count().await?;
        if counts.unchecked > 0 {
            self.check_upgraded(feed_id).await?;
            counts = count().await?;
        }
        let limits = match rule {
            CorrectionRule::Keep => {
                self.keep(feed_id, counts).await?;
                return Ok(SettledCorrections::default());
            }
            CorrectionRule::Withdraw(limits) => limits,
        };
        let held_of = self.held_of(withdrawal, possible, counts, limits).await?;
        let mut settled = SettledCorrections::default();
        if let Some(of) = held_of {
            settled.held = counts.standing;
            settled.newly_held = counts.standing - counts.held;
            settled.held_of = of;
        }
        self.note_held(feed_id, possible, counts, held_of).await?;
        let chosen = Chosen {
            feed_id,
            possible,
            last_id: counts.last_id,
            only_permitted: held_of.is_some(),
        };
        if counts.permitted > 0 || (held_of.is_none() && counts.standing > 0) {
            settled.withdrawn = self.withdraw(withdrawal, chosen).await?;
        }
        Ok(settled)
    }

    async fn note_whole_read(
        &self,
        feed_id: i64,
        generation: Option<u32>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let pool = self.database.readers();
        let Some(generation) = generation else {
            return Ok(());
        };
        if !corrections::is_whole_read_due(pool, feed_id, generation, now).await? {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        corrections::note_whole_read(transaction.connection(), feed_id, generation).await?;
        transaction.commit().await
    }

    /// Number of the feed's records, if the safety catch holds what stands; `None` if it does not.
    /// What is held stays so while as many stand, however the feed grows.
    async fn held_of(
        &self,
        withdrawal: &Withdrawal,
        possible: bool,
        counts: FeedCounts,
        limits: SweepLimits,
    ) -> Result<Option<u64>, OutboxError> {
        let Withdrawal { feed_id, now, .. } = *withdrawal;
        let withdrawals = counts.standing + counts.recent;
        if counts.standing == 0 || withdrawals <= u64::from(limits.always) {
            return Ok(None);
        }
        let holds = counts.held > 0;
        let before = counts.held_of.filter(|_| holds && !possible);
        // Those that are possible are not among the asserted ones.
        let beside = if possible { counts.standing } else { 0 };
        let exceeded_of = |asserted: u64| {
            let of = asserted + counts.recent + beside;
            let of = before.map_or(of, |before| before.min(of));
            limits.are_exceeded(withdrawals, of).then_some(of)
        };
        // A count of before may go on holding, and never releases.
        let counted = self.counted_lately(feed_id, now).filter(|_| holds);
        if let Some(of) = counted.and_then(exceeded_of) {
            return Ok(Some(of));
        }
        let asserted = self.count_asserted(feed_id).await?;
        self.counted.lock().insert(feed_id, (now, asserted));
        Ok(exceeded_of(asserted))
    }

    fn counted_lately(&self, feed_id: i64, now: DateTime<Utc>) -> Option<u64> {
        let (at, asserted) = self.counted.lock().get(&feed_id).copied()?;
        (at <= now && now - at < COUNT_AGE).then_some(asserted)
    }

    async fn count_asserted(&self, feed_id: i64) -> Result<u64, OutboxError> {
        let counts = count_asserted(self.database.readers(), [feed_id]).await?;
        Ok(counts[&feed_id])
    }

    async fn note_held(
        &self,
        feed_id: i64,
        possible: bool,
        counts: FeedCounts,
        held_of: Option<u64>,
    ) -> Result<(), OutboxError> {
        let is_noted = possible || held_of == counts.held_of;
        if is_noted && (held_of.is_none() || counts.held == counts.standing) {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        match held_of {
            Some(of) => corrections::hold(connection, feed_id, possible, of).await?,
            None => corrections::forget_held_of(connection, feed_id).await?,
        }
        transaction.commit().await
    }

    async fn keep(&self, feed_id: i64, counts: FeedCounts) -> Result<(), OutboxError> {
        if counts.standing + counts.permitted == 0 {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        corrections::keep(transaction.connection(), feed_id).await?;
        transaction.commit().await
    }

    /// Permits the withdrawals that the safety catch holds at the source, of those that were held
    /// when they were shown; returns their number.
    pub(crate) async fn permit(
        &self,
        source: &str,
        shown: &HeldCorrections,
    ) -> Result<u64, OutboxError> {
        let mut transaction = self.database.begin().await?;
        let permitted = corrections::permit_held(transaction.connection(), source, shown).await?;
        transaction.commit().await?;
        Ok(permitted)
    }

    /// Sorts the notes that were made of dead letters from before notes were taken: those of
    /// records that were never sent, or stand withdrawn, go.
    async fn check_upgraded(&self, feed_id: i64) -> Result<(), OutboxError> {
        loop {
            let _guard = self.versions.gate().lock().await;
            let pool = self.database.readers();
            let records = corrections::unchecked(pool, feed_id, MAX_TRANSACTION_RECORDS).await?;
            if records.is_empty() {
                return Ok(());
            }
            let sorted = self.sort(records, false).await?;
            let mut transaction = self.database.begin().await?;
            let connection = transaction.connection();
            let standing = sorted.standing.iter().map(|(record, _)| record);
            corrections::check_upgraded(connection, standing).await?;
            corrections::forget(connection, sorted.others.iter()).await?;
            transaction.commit().await?;
        }
    }

    /// Withdraws the chosen older versions, chunk by chunk; returns their number. Those that no
    /// version is left for stay as they are.
    async fn withdraw(&self, withdrawal: &Withdrawal, chosen: Chosen) -> Result<u64, OutboxError> {
        let mut withdrawn = 0;
        let mut after = 0;
        loop {
            let _guard = self.versions.gate().lock().await;
            self.capacity.check().await?;
            let notes = corrections::standing(
                self.database.readers(),
                chosen,
                after,
                MAX_TRANSACTION_RECORDS,
            )
            .await?;
            let Some(last) = notes.last() else {
                return Ok(withdrawn);
            };
            after = last.id;
            let records = notes.into_iter().map(|note| note.record).collect();
            let sorted = self.sort(records, chosen.possible).await?;
            if !sorted.standing.is_empty() {
                let given_out = self
                    .withdrawals
                    .give_out(&sorted.standing, withdrawal)
                    .await?;
                withdrawn += given_out.sent.len() as u64;
            }
            if !sorted.others.is_empty() {
                let mut transaction = self.database.begin().await?;
                corrections::forget(transaction.connection(), sorted.others.iter()).await?;
                transaction.commit().await?;
            }
            fault::check::<OutboxError>(fault::Point::OutboxCorrectionsWithdrawing)?;
        }
    }

    /// Sorts records by whether something of them stands at the registry, or may stand there where
    /// only a state that was lost can have sent it.
    async fn sort(
        &self,
        records: Vec<RecordDigest>,
        possible: bool,
    ) -> Result<Sorted, OutboxError> {
        let LookedUp { known, .. } = self.records.look_up(&records).await?;
        let mut sorted = Sorted::default();
        for record in records {
            match known.get(&record) {
                Some(known) if (known.state.was_sent() || possible) && !known.state.withdrawn => {
                    sorted.standing.push((record, *known));
                }
                _ => sorted.others.push(record),
            }
        }
        Ok(sorted)
    }
}

/// Records of notes, by whether an older version of them stands at the registry.
#[derive(Default)]
struct Sorted {
    standing: Vec<(RecordDigest, KnownRecord)>,
    others: Vec<RecordDigest>,
}
