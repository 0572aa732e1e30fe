//! Key sweeps: what the source no longer names is withdrawn, after a second look and under a safety
//! catch.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{ContentDigest, FactKind, RecordDigest};
use sqlx::sqlite::SqliteConnection;

use crate::bitmap::{self, Bits};
use crate::blocks;
use crate::outbox::{Inner, check_name};
use crate::plan::Known;
use crate::records::{self, LookedUp, json, side_by_side};
use crate::time::{from_ms, to_ms};
use crate::withdraw::Withdrawal;
use crate::{MAX_PAGE_DRAFTS, Outbox, OutboxError, SeenKeys, SourceStamp, SweepStep, letters};

/// A running sweep of one feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// 1, or 2 for the second look.
    pub pass: u8,
    /// Where the keys go on; `None` at the beginning of a pass.
    pub cursor: Option<String>,
    /// Whether all keys of this pass are read, so that [`Outbox::finish_sweep_pass`] is due.
    pub all_read: bool,
    /// Keys seen in this pass.
    pub seen: u64,
    /// When the sweep began.
    pub begun_at: Option<DateTime<Utc>>,
}

/// What the outbox makes of a page of keys. Numbers in lists are places in the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepLookUp {
    /// Rows to read by id: unknown here, changed since they were read, or without a stamp.
    pub reread: Vec<usize>,
    /// Rows whose own id a dead letter of the registry lacks: to be told in [`SweepStep::names`].
    pub unnamed: Vec<usize>,
    /// Rows whose stamp lies before the one remembered.
    pub went_back: u64,
    /// Rows unknown here.
    pub unknown: u64,
    /// To be given back with [`SweepStep::seen`].
    pub seen: SeenKeys,
}

/// From when on a sweep's withdrawals wait for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepLimits {
    /// This share of the feed's records, in percent, is still withdrawn without asking.
    pub percent: u8,
    /// So many are withdrawn without asking, whatever the share.
    pub always: u32,
}

/// How a pass of a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepEnd {
    /// Something was not named: all keys are to be read once more, in pass 2.
    LookAgain {
        /// Records and dead letters no key has named.
        missing: u64,
    },
    /// The sweep is finished.
    Done {
        /// Keys seen in the last pass.
        seen: u64,
        /// Records withdrawn.
        withdrawn: u64,
        /// Dead letters closed because their row is gone.
        dead_letters_closed: u64,
    },
    /// The safety catch holds: nothing was withdrawn; see [`Outbox::confirm_withdrawals`].
    Held {
        /// Records that would have been withdrawn.
        missing: u64,
        /// Of that many.
        known: u64,
    },
}

impl Outbox {
    /// The feed's running sweep; begins one if there is none.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn begin_or_resume_sweep(
        &self,
        source: &str,
        feed: &str,
        now: DateTime<Utc>,
    ) -> Result<Sweep, OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        if let Some((_, running)) = self.inner.running_sweep(source, feed).await? {
            return Ok(running.sweep);
        }
        let mut transaction = self.inner.writer.begin().await?;
        let connection = transaction.connection();
        let horizon = blocks::last(&mut *connection).await?;
        begin(connection, source, feed, horizon, now)
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await?;
        let begun = self.inner.running_sweep(source, feed).await?;
        begun
            .map(|(_, running)| running.sweep)
            .ok_or(OutboxError::NoSweep)
    }

    /// Compares a page of keys with what is remembered, once the sweep has begun; changes nothing.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`] and the disk's failures.
    pub async fn sweep_look_up(
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
        let reader = &self.inner.reader;
        let digests: Vec<RecordDigest> = keys.iter().map(|(record, _)| *record).collect();
        let feed_id = reader.feed_id(source, feed).await?;
        let LookedUp { known, upto } = self.inner.look_up(&digests).await?;
        let unnamed = letters::unnamed(reader.pool(), side_by_side(&digests)).await?;
        let record_nos = known.values().map(|known| known.record_no).collect();
        let seen = SeenKeys {
            keys: keys.len(),
            record_nos,
            upto,
        };
        let mut found = SweepLookUp {
            seen,
            ..SweepLookUp::default()
        };
        for (place, (record, stamp)) in keys.iter().enumerate() {
            if unnamed.contains(record) {
                found.unnamed.push(place);
            }
            let known = known.get(record);
            let unchanged = known.is_some_and(|known| {
                stamp.is_some() && known.stamp == *stamp && known.feed_id == feed_id
            });
            if !unchanged {
                found.reread.push(place);
            }
            found.unknown += u64::from(known.is_none());
            let remembered = known.and_then(|known| known.stamp);
            found.went_back += u64::from(
                remembered
                    .zip(*stamp)
                    .is_some_and(|(before, now)| now < before),
            );
        }
        Ok(found)
    }

    /// Ends a pass whose keys were all read. A record that no key has named in either pass is
    /// withdrawn: in chunks, each a transaction, so that a call after a crash or after
    /// [`OutboxError::Full`] goes on where it was. Once begun it runs to its end, even if the
    /// caller stops waiting. `content` is what every withdrawal of the feed says.
    ///
    /// # Errors
    /// [`OutboxError::NoSweep`] if none runs or its keys are not all read, [`OutboxError::Full`],
    /// and the disk's failures.
    pub async fn finish_sweep_pass(
        &self,
        source: &str,
        feed: &str,
        content: ContentDigest,
        kind: FactKind,
        limits: SweepLimits,
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let inner = Arc::clone(&self.inner);
        let source = source.to_owned();
        let feed = feed.to_owned();
        let finishing = async move {
            let running = inner.running_sweep(&source, &feed).await?;
            let Some((feed_id, running)) = running.filter(|(_, running)| running.sweep.all_read)
            else {
                return Err(OutboxError::NoSweep);
            };
            let what = Withdrawal {
                feed_id,
                kind,
                content,
                horizon: running.horizon,
                swept: true,
                now,
            };
            inner.finish_pass(&what, &running, limits).await
        };
        tokio::spawn(finishing)
            .await
            .map_err(OutboxError::unfinished)?
    }

    /// Permits what the safety catch holds at this source; says how many records the next sweep may
    /// withdraw.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn confirm_withdrawals(&self, source: &str) -> Result<u64, OutboxError> {
        let mut transaction = self.inner.writer.begin().await?;
        let permitted: Vec<(i64,)> = sqlx::query_as(
            "UPDATE sweep SET permit = held_missing WHERE held_missing IS NOT NULL \
             AND feed_id IN (SELECT id FROM feed WHERE source = ?1) RETURNING permit",
        )
        .bind(source)
        .fetch_all(transaction.connection())
        .await
        .map_err(OutboxError::database)?;
        transaction.commit().await?;
        Ok(permitted
            .iter()
            .map(|(permit,)| permit.unsigned_abs())
            .sum())
    }

    /// Notes that a source did what it should not, `count` times.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn note_surprise(
        &self,
        source: &str,
        feed: &str,
        code: &str,
        count: u64,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let mut transaction = self.inner.writer.begin().await?;
        let feed_id = enter_feed(transaction.connection(), source, feed)
            .await
            .map_err(OutboxError::database)?;
        sqlx::query(
            "INSERT INTO surprise (feed_id, code, count, first_seen_at_ms, last_seen_at_ms) \
             VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT (feed_id, code) DO UPDATE SET count = count + ?3, last_seen_at_ms = ?4",
        )
        .bind(feed_id)
        .bind(crate::outbox::short_code(code))
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(to_ms(now))
        .execute(transaction.connection())
        .await
        .map_err(OutboxError::database)?;
        transaction.commit().await
    }
}

/// A dead letter whose row is gone, and the number of its record.
pub(crate) type LostLetter = (i64, i64);

/// A running sweep as its row has it.
pub(crate) struct Running {
    pub(crate) sweep: Sweep,
    pub(crate) horizon: i64,
    /// How many withdrawals an operator has permitted.
    pub(crate) permit: u64,
}

impl Inner {
    async fn running_sweep(
        &self,
        source: &str,
        feed: &str,
    ) -> Result<Option<(i64, Running)>, OutboxError> {
        type Row = (i64, u8, Option<String>, bool, i64, i64, i64, Option<i64>);
        let row: Option<Row> = sqlx::query_as(
            "SELECT s.feed_id, s.pass, s.cursor, s.all_read, s.horizon, s.seen, s.permit, \
             s.begun_at_ms \
             FROM feed AS f JOIN sweep AS s ON s.feed_id = f.id \
             WHERE f.source = ?1 AND f.feed = ?2 AND s.pass IS NOT NULL",
        )
        .bind(source)
        .bind(feed)
        .fetch_optional(self.reader.pool())
        .await
        .map_err(OutboxError::database)?;
        Ok(row.map(
            |(feed_id, pass, cursor, all_read, horizon, seen, permit, begun_at_ms)| {
                let begun_at = begun_at_ms.and_then(from_ms);
                let sweep = Sweep {
                    pass,
                    cursor,
                    all_read,
                    seen: seen.unsigned_abs(),
                    begun_at,
                };
                (
                    feed_id,
                    Running {
                        sweep,
                        horizon,
                        permit: permit.unsigned_abs(),
                    },
                )
            },
        ))
    }

    async fn finish_pass(
        &self,
        what: &Withdrawal,
        running: &Running,
        limits: SweepLimits,
    ) -> Result<SweepEnd, OutboxError> {
        let seen = Bits::load(self.reader.pool(), what.feed_id, None).await?;
        let scan = self.scan(what, &seen).await?;
        let letters = self.letters_of_missing(what, &seen).await?;
        let missing = scan.missing();
        if running.sweep.pass == 1 && missing + letters.len() as u64 > 0 {
            self.look_again(what.feed_id).await?;
            return Ok(SweepEnd::LookAgain {
                missing: missing + letters.len() as u64,
            });
        }
        let share = missing * 100 > u64::from(limits.percent) * scan.known;
        let emptied = running.sweep.seen == 0 && missing > 0;
        let too_many = emptied || (missing > u64::from(limits.always) && share);
        if too_many && missing > running.permit {
            self.end_sweep(what, Some((missing, scan.known)), &[])
                .await?;
            return Ok(SweepEnd::Held {
                missing,
                known: scan.known,
            });
        }
        for block in scan.blocks() {
            self.withdraw_block(what, block).await?;
        }
        let withdrawn = self.end_sweep(what, None, &letters).await?;
        let dead_letters_closed = letters.len() as u64;
        Ok(SweepEnd::Done {
            seen: running.sweep.seen,
            withdrawn,
            dead_letters_closed,
        })
    }

    /// Dead letters of rows that no key has named.
    async fn letters_of_missing(
        &self,
        what: &Withdrawal,
        seen: &Bits,
    ) -> Result<Vec<LostLetter>, OutboxError> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM dead_letter WHERE feed_id = ?1 AND origin = 'clinic'",
        )
        .bind(what.feed_id)
        .fetch_all(self.reader.pool())
        .await
        .map_err(OutboxError::database)?;
        let letters = letters::records(self.reader.pool(), &ids).await?;
        let records: Vec<RecordDigest> = letters.values().copied().collect();
        let LookedUp { known, .. } = self.look_up(&records).await?;
        let lost = |known: &&Known| {
            let record_no = known.record_no;
            known.feed_id == Some(what.feed_id) && record_no <= what.horizon && !seen.has(record_no)
        };
        let lost = letters
            .into_iter()
            .filter_map(|(id, record)| Some((id, known.get(&record).filter(lost)?.record_no)));
        Ok(lost.collect())
    }

    async fn look_again(&self, feed_id: i64) -> Result<(), OutboxError> {
        let mut transaction = self.writer.begin().await?;
        sqlx::query(
            "UPDATE sweep SET pass = 2, cursor = NULL, all_read = 0, seen = 0 WHERE feed_id = ?1",
        )
        .bind(feed_id)
        .execute(transaction.connection())
        .await
        .map_err(OutboxError::database)?;
        transaction.commit().await
    }

    /// Closes the sweep, and the letters of rows that are gone; how many records the sweep has
    /// withdrawn in all.
    async fn end_sweep(
        &self,
        what: &Withdrawal,
        held: Option<(u64, u64)>,
        letters: &[LostLetter],
    ) -> Result<u64, OutboxError> {
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        // Should a row come back as it was, it has to be read again.
        let record_nos: Vec<i64> = letters.iter().map(|(_, record_no)| *record_no).collect();
        records::forget(connection, &record_nos, |known| known.stamp = None).await?;
        let withdrawn = end_sweep(connection, what, held, letters)
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await?;
        Ok(withdrawn.unsigned_abs())
    }
}

pub(crate) async fn end_sweep(
    connection: &mut SqliteConnection,
    what: &Withdrawal,
    held: Option<(u64, u64)>,
    letters: &[LostLetter],
) -> Result<i64, sqlx::Error> {
    bitmap::forget(connection, what.feed_id).await?;
    let ids: Vec<i64> = letters.iter().map(|(id, _)| *id).collect();
    sqlx::query("DELETE FROM dead_letter WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(json(&ids))
        .execute(&mut *connection)
        .await?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query_scalar(
        "UPDATE sweep SET pass = NULL, cursor = NULL, all_read = 0, finished_at_ms = ?2, \
         held_missing = ?3, \
         held_known = ?4, permit = 0 WHERE feed_id = ?1 RETURNING withdrawn",
    )
    .bind(what.feed_id)
    .bind(to_ms(what.now))
    .bind(held.map(|(missing, _)| number(missing)))
    .bind(held.map(|(_, known)| number(known)))
    .fetch_one(connection)
    .await
}

pub(crate) async fn enter_feed(
    connection: &mut SqliteConnection,
    source: &str,
    feed: &str,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO feed (source, feed) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET feed = ?2 \
         RETURNING id",
    )
    .bind(source)
    .bind(feed)
    .fetch_one(connection)
    .await
}

async fn begin(
    connection: &mut SqliteConnection,
    source: &str,
    feed: &str,
    horizon: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let feed_id = enter_feed(connection, source, feed).await?;
    bitmap::forget(connection, feed_id).await?;
    sqlx::query(
        "INSERT INTO sweep (feed_id, pass, horizon, begun_at_ms) \
         VALUES (?1, 1, ?3, ?2) \
         ON CONFLICT (feed_id) DO UPDATE SET pass = 1, cursor = NULL, all_read = 0, horizon = \
         excluded.horizon, \
         begun_at_ms = excluded.begun_at_ms, seen = 0, withdrawn = 0",
    )
    .bind(feed_id)
    .bind(to_ms(now))
    .bind(horizon)
    .execute(connection)
    .await
    .map(drop)
}

/// Notes what a page has seen if the feed is being swept: the keys of its step, and by their
/// numbers those of its records that were known. A usual page counts too: what it brought is there.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    feed_id: i64,
    step: Option<&SweepStep>,
    seen: &[i64],
    missed: u64,
) -> Result<(), OutboxError> {
    let horizon: Option<i64> =
        sqlx::query_scalar("SELECT horizon FROM sweep WHERE feed_id = ?1 AND pass IS NOT NULL")
            .bind(feed_id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(OutboxError::database)?;
    let Some(horizon) = horizon else {
        return if step.is_some() {
            Err(OutboxError::NoSweep)
        } else {
            Ok(())
        };
    };
    // Keys that were looked up before this sweep began may name records below its horizon that were
    // unknown then.
    if step.is_some_and(|step| step.seen.upto < horizon) {
        return Err(OutboxError::NoSweep);
    }
    let named = step.map_or(&[][..], |step| &step.seen.record_nos);
    let seen = seen
        .iter()
        .chain(named)
        .copied()
        .filter(|record_no| *record_no <= horizon);
    let seen: Vec<i64> = seen.collect();
    bitmap::mark(connection, feed_id, &seen).await?;
    match step {
        Some(step) => advance(connection, feed_id, step, missed)
            .await
            .map_err(OutboxError::database),
        None => Ok(()),
    }
}

async fn advance(
    connection: &mut SqliteConnection,
    feed_id: i64,
    step: &SweepStep,
    missed: u64,
) -> Result<(), sqlx::Error> {
    letters::name(connection, &step.names).await?;
    sqlx::query(
        "UPDATE sweep SET cursor = ?2, all_read = ?2 IS NULL, seen = seen + ?3, missed_total = \
         missed_total + ?4 \
         WHERE feed_id = ?1",
    )
    .bind(feed_id)
    .bind(&step.cursor)
    .bind(i64::try_from(step.seen.keys).unwrap_or(i64::MAX))
    .bind(i64::try_from(missed).unwrap_or(i64::MAX))
    .execute(connection)
    .await
    .map(drop)
}
