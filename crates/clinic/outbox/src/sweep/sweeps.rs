//! Sweeps, from the first page of keys to the withdrawals.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{FactKind, RecordDigest};

use super::bitmap::{self, Bits};
use super::missing::{MissingRecords, Scope, lost_rows, next_missing};
use super::running::{self, HeldWithdrawals, LetterPlace, LostRows, RunningSweep};
use super::shown::ShownMissing;
use super::types::{MissingRecord, SeenKeys, Sweep, SweepEnd, SweepKind, SweepLimits, SweepLookUp};
use super::withdrawals::{Withdrawal, WithdrawalCause, Withdrawals};
use crate::corrections;
use crate::dead_letters::{self, DATE_FUTURE};
use crate::feeds::feed_id;
use crate::file::{Database, OutboxError, check_name, side_by_side};
use crate::limits::MAX_PAGE_DRAFTS;
use crate::records::{LookedUp, Records, SourceStamp, forget_stamps, read_names, without_names};

/// Sweeps of feeds.
#[derive(Debug)]
pub(crate) struct Sweeps {
    database: Arc<Database>,
    records: Arc<Records>,
    withdrawals: Arc<Withdrawals>,
}

impl Sweeps {
    pub(crate) const fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        withdrawals: Arc<Withdrawals>,
    ) -> Self {
        Self {
            database,
            records,
            withdrawals,
        }
    }

    /// Returns the feed's running sweep, if it reads at least what this kind reads; begins one if
    /// there is none.
    pub(crate) async fn begin_or_resume(
        &self,
        source: &str,
        feed: &str,
        kind: SweepKind,
        now: DateTime<Utc>,
    ) -> Result<Sweep, OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let running = self.running(source, feed).await?;
        if let Some(running) = running.filter(|running| running.sweep.kind >= kind) {
            return Ok(running.sweep);
        }
        let waiting = self.waiting_for_their_day(source, feed).await?;
        let mut transaction = self.database.begin().await?;
        running::begin(transaction.connection(), source, feed, kind, now).await?;
        // Read again by this sweep, although their rows have not changed.
        forget_stamps(transaction.connection(), &waiting).await?;
        transaction.commit().await?;
        let begun = self.running(source, feed).await?;
        let begun = begun.map(|running| Sweep {
            is_new: true,
            ..running.sweep
        });
        begun.ok_or(OutboxError::NoSweep)
    }

    /// Numbers of the records that are refused because their day has not come.
    async fn waiting_for_their_day(
        &self,
        source: &str,
        feed: &str,
    ) -> Result<Vec<i64>, OutboxError> {
        let pool = self.database.readers();
        let Some(feed_id) = feed_id(pool, source, feed).await? else {
            return Ok(Vec::new());
        };
        let refused = dead_letters::records_refused_for(pool, feed_id, DATE_FUTURE).await?;
        let LookedUp { known, .. } = self.records.look_up(&refused).await?;
        Ok(known.values().map(|known| known.record_no).collect())
    }

    async fn running(&self, source: &str, feed: &str) -> Result<Option<RunningSweep>, OutboxError> {
        running::read_running(self.database.readers(), source, feed).await
    }

    /// Compares a page of keys with the records; changes nothing.
    pub(crate) async fn look_up(
        &self,
        source: &str,
        feed: &str,
        keys: &[(RecordDigest, SourceStamp)],
    ) -> Result<SweepLookUp, OutboxError> {
        if keys.len() > MAX_PAGE_DRAFTS {
            return Err(OutboxError::TooLarge {
                what: "a page of keys",
            });
        }
        let pool = self.database.readers();
        let digests: Vec<RecordDigest> = keys.iter().map(|(record, _)| *record).collect();
        let feed_id = feed_id(pool, source, feed).await?;
        let LookedUp { known, upto } = self.records.look_up(&digests).await?;
        let unnamed_letters = dead_letters::unnamed(pool, side_by_side(&digests)).await?;
        let asserted = known.values().filter(|known| known.is_asserted());
        let asserted: Vec<i64> = asserted.map(|known| known.record_no).collect();
        let without_names = without_names(pool, &asserted).await?;
        let unnamed_records = known
            .iter()
            .filter(|(_, known)| without_names.contains(&known.record_no))
            .map(|(record, known)| (*record, known.record_no));
        let seen = SeenKeys {
            keys: keys.len(),
            record_nos: known.values().map(|known| known.record_no).collect(),
            unnamed: unnamed_records.collect(),
            upto,
        };
        let mut found = SweepLookUp {
            seen,
            ..SweepLookUp::default()
        };
        for (place, (record, stamp)) in keys.iter().enumerate() {
            if unnamed_letters.contains(record) {
                found.unnamed_letters.push(place);
            }
            if found.seen.unnamed.contains_key(record) {
                found.unnamed_records.push(place);
            }
            let known = known.get(record);
            let is_alike = known
                .is_some_and(|known| known.state.stamp == *stamp && known.state.feed_id == feed_id);
            if !is_alike {
                found.reread.push(place);
            } else if stamp.is_none() {
                found.unstamped.push(place);
            }
            found.unknown += u64::from(known.is_none());
            let stamps = known.and_then(|known| known.state.stamp).zip(*stamp);
            found.went_back += u64::from(stamps.is_some_and(|(before, now)| now < before));
        }
        Ok(found)
    }

    /// Ends a pass whose keys were all read.
    pub(crate) async fn finish_pass(
        &self,
        source: &str,
        feed: &str,
        limits: SweepLimits,
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let running = self.all_read(source, feed).await?;
        let pool = self.database.readers();
        let feed_id = running.feed_id;
        let horizon = running.horizon;
        let seen = Bits::load(pool, feed_id, None).await?;
        let unseen = MissingRecords::find(&self.records, feed_id, horizon, &seen).await?;
        let lost = lost_rows(pool, &self.records, feed_id, horizon, &seen).await?;
        let missing = unseen.count();
        let closed = (lost.letters.len() + lost.withheld.len()) as u64;
        if running.sweep.pass == 1 && missing + closed > 0 {
            self.begin_second_pass(feed_id).await?;
            return Ok(SweepEnd::LookAgain {
                missing: missing + closed,
            });
        }
        let known = unseen.known;
        let is_emptied = running.sweep.seen == 0 && missing > 0;
        let is_too_much = is_emptied || limits.are_exceeded(missing, known);
        if is_too_much && missing > running.permit {
            let held = HeldWithdrawals { missing, known };
            self.end_with(feed_id, Some(held), &LostRows::default(), now)
                .await?;
            return Ok(SweepEnd::Held { missing, known });
        }
        if missing + closed > 0 {
            return Ok(SweepEnd::Missing {
                missing: missing + closed,
            });
        }
        self.end_done(&running, &lost, now).await
    }

    /// The next missing records after `after`, at most so many.
    pub(crate) async fn missing(
        &self,
        source: &str,
        feed: &str,
        after: Option<&MissingRecord>,
        most: usize,
    ) -> Result<Vec<MissingRecord>, OutboxError> {
        let running = self.all_read(source, feed).await?;
        let pool = self.database.readers();
        let after = after.map_or(0, |after| after.record_no);
        let scope = Scope {
            feed_id: running.feed_id,
            horizon: running.horizon,
        };
        let unseen = next_missing(pool, &self.records, scope, after, most).await?;
        let mut names = read_names(pool, self.withdrawals.secrets(), &unseen).await?;
        let missing = unseen.into_iter().map(|(record_no, _)| MissingRecord {
            record_no,
            record_id: names.remove(&record_no),
        });
        Ok(missing.collect())
    }

    /// Rows of dead letters that no key has named, of those letters that are listed.
    pub(crate) async fn missing_letters(
        &self,
        source: &str,
        feed: &str,
    ) -> Result<Vec<MissingRecord>, OutboxError> {
        let running = self.all_read(source, feed).await?;
        let lost = self.lost_rows(&running).await?;
        let listed = lost.letters.iter().filter_map(|letter| match letter.place {
            LetterPlace::Listed(id) => Some((id, letter.record_no)),
            LetterPlace::Unlisted(_) => None,
        });
        let listed: HashMap<i64, i64> = listed.collect();
        let ids: Vec<i64> = listed.keys().copied().collect();
        let record_ids = dead_letters::record_ids_of(self.database.readers(), &ids).await?;
        let missing = record_ids.into_iter().filter_map(|(id, record_id)| {
            Some(MissingRecord {
                record_no: *listed.get(&id)?,
                record_id: Some(record_id),
            })
        });
        Ok(missing.collect())
    }

    /// Leaves missing records as they are: this sweep counts them as seen.
    pub(crate) async fn keep(
        &self,
        source: &str,
        feed: &str,
        missing: &[MissingRecord],
    ) -> Result<(), OutboxError> {
        let running = self.all_read(source, feed).await?;
        let record_nos: Vec<i64> = missing.iter().map(|missing| missing.record_no).collect();
        let mut transaction = self.database.begin().await?;
        bitmap::mark(transaction.connection(), running.feed_id, &record_nos).await?;
        transaction.commit().await
    }

    async fn lost_rows(&self, running: &RunningSweep) -> Result<LostRows, OutboxError> {
        let pool = self.database.readers();
        let RunningSweep {
            feed_id, horizon, ..
        } = *running;
        let seen = Bits::load(pool, feed_id, None).await?;
        lost_rows(pool, &self.records, feed_id, horizon, &seen).await
    }

    /// Withdraws those of the missing records that nobody has seen since.
    pub(crate) async fn withdraw(
        &self,
        source: &str,
        feed: &str,
        kind: FactKind,
        missing: &[MissingRecord],
        now: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        let running = self.all_read(source, feed).await?;
        let withdrawal = Withdrawal {
            feed_id: running.feed_id,
            kind,
            horizon: running.horizon,
            cause: WithdrawalCause::Sweep,
            now,
        };
        let record_nos: Vec<i64> = missing.iter().map(|missing| missing.record_no).collect();
        self.withdrawals.withdraw(&withdrawal, &record_nos).await
    }

    /// Ends the sweep after its withdrawals.
    pub(crate) async fn end(
        &self,
        source: &str,
        feed: &str,
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let running = self.all_read(source, feed).await?;
        let lost = self.lost_rows(&running).await?;
        self.end_done(&running, &lost, now).await
    }

    /// The feed's sweep, all keys of whose pass are read.
    async fn all_read(&self, source: &str, feed: &str) -> Result<RunningSweep, OutboxError> {
        let running = self.running(source, feed).await?;
        running
            .filter(|running| running.sweep.all_read)
            .ok_or(OutboxError::NoSweep)
    }

    async fn end_done(
        &self,
        running: &RunningSweep,
        lost: &LostRows,
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        Ok(SweepEnd::Done {
            seen: running.sweep.seen,
            withdrawn: self.end_with(running.feed_id, None, lost, now).await?,
            dead_letters_closed: lost.letters.len() as u64,
        })
    }

    async fn begin_second_pass(&self, feed_id: i64) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin().await?;
        running::begin_second_pass(transaction.connection(), feed_id).await?;
        transaction.commit().await
    }

    async fn end_with(
        &self,
        feed_id: i64,
        held: Option<HeldWithdrawals>,
        lost: &LostRows,
        now: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        let may_be_lost = !lost.never_sent.is_empty()
            && corrections::may_be_lost(
                self.database.readers(),
                Some(feed_id),
                self.withdrawals.generation(),
                now,
            )
            .await?;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let withdrawn = running::end(connection, feed_id, held, lost, may_be_lost, now).await?;
        transaction.commit().await?;
        Ok(withdrawn)
    }

    /// Permits the withdrawals that the safety catch holds at this source, of each feed at most as
    /// many as were `shown`; returns the number of records the next sweep may withdraw.
    pub(crate) async fn confirm_withdrawals(
        &self,
        source: &str,
        shown: Option<&ShownMissing>,
    ) -> Result<u64, OutboxError> {
        let mut transaction = self.database.begin().await?;
        let permitted = running::permit_held(transaction.connection(), source, shown).await?;
        transaction.commit().await?;
        Ok(permitted)
    }
}
