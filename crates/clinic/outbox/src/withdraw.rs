//! Withdrawals the outbox gives out by itself: of records a sweep misses, of a removed source, and
//! once more for a repair.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{Body, ContentDigest, Event, FactKind, RecordDigest, Version};
use sqlx::sqlite::SqliteConnection;

use crate::bitmap::{self, Bits};
use crate::blocks;
use crate::commit::store_batches;
use crate::outbox::Inner;
use crate::plan::{Known, Row, next_version};
use crate::records::{self, LookedUp};
use crate::sweep::{end_sweep, enter_feed};
use crate::time::to_ms;
use crate::{Outbox, OutboxError, SweepEnd, letters, sealing};

/// Most records withdrawn in one transaction.
pub(crate) const CHUNK: usize = 5000;

/// A feed whose source, or which at its source, is no longer configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedFeed {
    /// Name of the feed.
    pub feed: String,
    /// The kind of fact it held.
    pub kind: FactKind,
    /// What every withdrawal of the feed says.
    pub content: ContentDigest,
}

/// What is withdrawn, and as what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withdrawal {
    pub(crate) feed_id: i64,
    pub(crate) kind: FactKind,
    pub(crate) content: ContentDigest,
    /// No record above this number.
    pub(crate) horizon: i64,
    /// Whether what the running sweep has seen is spared.
    pub(crate) swept: bool,
    pub(crate) now: DateTime<Utc>,
}

/// Which of a feed's records are missing.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Records of the feed that are asserted.
    pub(crate) known: u64,
    /// Blocks with missing records, and how many.
    missing: Vec<(i64, u64)>,
}

impl Scan {
    pub(crate) fn missing(&self) -> u64 {
        self.missing.iter().map(|(_, missing)| missing).sum()
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = i64> {
        self.missing.iter().map(|(block, _)| *block)
    }
}

impl Outbox {
    /// Withdraws everything that feeds of a removed source hold at the registry; only after
    /// [`Outbox::confirm_withdrawals`], until when it is [`SweepEnd::Held`]. Their cursors and dead
    /// letters are forgotten, so that a source that comes back is read from its beginning.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub async fn withdraw_removed_source(
        &self,
        source: &str,
        feeds: &[RemovedFeed],
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let inner = Arc::clone(&self.inner);
        let source = source.to_owned();
        let feeds = feeds.to_vec();
        let withdrawing = async move { inner.withdraw_removed(&source, &feeds, now).await };
        tokio::spawn(withdrawing)
            .await
            .map_err(OutboxError::unfinished)?
    }
}

impl Inner {
    async fn withdraw_removed(
        &self,
        source: &str,
        feeds: &[RemovedFeed],
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let mut scans = Vec::with_capacity(feeds.len());
        let mut missing = 0;
        let mut held = false;
        for RemovedFeed {
            feed,
            kind,
            content,
        } in feeds
        {
            let Some(feed_id) = self.reader.feed_id(source, feed).await? else {
                continue;
            };
            let (horizon, permit) = self.horizon_and_permit(feed_id).await?;
            let kind = *kind;
            let content = *content;
            let what = Withdrawal {
                feed_id,
                kind,
                content,
                horizon,
                swept: false,
                now,
            };
            let scan = self.scan(&what, &Bits::default()).await?;
            missing += scan.missing();
            held |= scan.missing() > permit;
            scans.push((what, scan, feed));
        }
        for (what, scan, feed) in &scans {
            if !held {
                for block in scan.blocks() {
                    self.withdraw_block(what, block).await?;
                }
            }
            let told = held.then(|| (scan.missing(), scan.known));
            self.close_removed(source, feed, what, told).await?;
        }
        if held {
            return Ok(SweepEnd::Held {
                missing,
                known: missing,
            });
        }
        Ok(SweepEnd::Done {
            seen: 0,
            withdrawn: missing,
            dead_letters_closed: 0,
        })
    }

    async fn horizon_and_permit(&self, feed_id: i64) -> Result<(i64, u64), OutboxError> {
        let horizon = blocks::last(self.reader.pool()).await?;
        let permit: Option<i64> = sqlx::query_scalar("SELECT permit FROM sweep WHERE feed_id = ?1")
            .bind(feed_id)
            .fetch_optional(self.reader.pool())
            .await
            .map_err(OutboxError::database)?;
        let permit = permit.unwrap_or(0);
        Ok((horizon, permit.unsigned_abs()))
    }

    async fn close_removed(
        &self,
        source: &str,
        feed: &str,
        what: &Withdrawal,
        held: Option<(u64, u64)>,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.writer.begin().await?;
        let closed = close_removed(transaction.connection(), source, feed, what, held).await;
        closed.map_err(OutboxError::database)?;
        transaction.commit().await
    }

    /// Finds the feed's asserted records up to the horizon that were not seen.
    pub(crate) async fn scan(&self, what: &Withdrawal, seen: &Bits) -> Result<Scan, OutboxError> {
        let mut scan = Scan::default();
        for block in 0..=bitmap::block_of(what.horizon) {
            let asserted = self.asserted(what, block).await?;
            scan.known += asserted.len() as u64;
            let missing = asserted
                .into_iter()
                .filter(|record_no| !seen.has(*record_no))
                .count();
            if missing > 0 {
                scan.missing.push((block, missing as u64));
            }
        }
        Ok(scan)
    }

    /// The numbers of the feed's asserted records in one block.
    async fn asserted(&self, what: &Withdrawal, block: i64) -> Result<Vec<i64>, OutboxError> {
        let (first, last) = bitmap::range_of(block);
        let mut asserted = Vec::new();
        blocks::visit(
            self.reader.pool(),
            first - 1,
            last.min(what.horizon),
            |_, known| {
                if known.feed_id == Some(what.feed_id) && !known.withdrawn && known.was_sent() {
                    asserted.push(known.record_no);
                }
                false
            },
        )
        .await?;
        Ok(asserted)
    }

    /// Withdraws what is missing in one block, chunk by chunk, looking again before each.
    pub(crate) async fn withdraw_block(
        &self,
        what: &Withdrawal,
        block: i64,
    ) -> Result<(), OutboxError> {
        loop {
            let _turn = self.gate.lock().await;
            self.refuse_if_full().await?;
            let seen = match what.swept {
                true => Bits::load(self.reader.pool(), what.feed_id, Some(&[block])).await?,
                false => Bits::default(),
            };
            let mut missing = self.asserted(what, block).await?;
            missing.retain(|record_no| !seen.has(*record_no));
            missing.truncate(CHUNK);
            if missing.is_empty() {
                return Ok(());
            }
            let known = blocks::look_up_numbers(self.reader.pool(), &missing).await?;
            self.give_out(&known, what).await?;
            fault::check::<OutboxError>(fault::Point::OutboxSweepWithdrawing)?;
        }
    }

    /// Of the records, each with a version to go above, those that stand withdrawn; those that say
    /// the same together.
    pub(crate) async fn withdrawals_again(
        &self,
        records: &[(RecordDigest, i64)],
        now: DateTime<Utc>,
    ) -> Result<Vec<Alike>, OutboxError> {
        let kinds: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, kind FROM feed WHERE kind IS NOT NULL")
                .fetch_all(self.reader.pool())
                .await
                .map_err(OutboxError::database)?;
        let kinds = kinds.into_iter().filter_map(|(feed_id, kind)| {
            Some((
                feed_id,
                FactKind::ALL
                    .into_iter()
                    .find(|known| known.as_str() == kind)?,
            ))
        });
        let kinds: HashMap<i64, FactKind> = kinds.collect();
        let digests: Vec<RecordDigest> = records.iter().map(|(record, _)| *record).collect();
        let LookedUp { known, .. } = self.look_up(&digests).await?;
        let mut alike = BTreeMap::<_, Vec<_>>::new();
        for (record, above) in records {
            let known = known
                .get(record)
                .filter(|known| known.withdrawn && known.was_sent());
            let said = known.and_then(|known| known.feed_id.zip(known.content));
            if let Some((feed_id, content)) =
                said.filter(|(feed_id, _)| kinds.contains_key(feed_id))
            {
                let above = Version::from_u64(above.unsigned_abs());
                alike
                    .entry((feed_id, content.0))
                    .or_default()
                    .push((*record, above));
            }
        }
        let withdrawal = |(feed_id, content)| {
            let kind = kinds[&feed_id];
            let content = ContentDigest(content);
            Withdrawal {
                feed_id,
                kind,
                content,
                horizon: 0,
                swept: false,
                now,
            }
        };
        Ok(alike
            .into_iter()
            .map(|(of, records)| (withdrawal(of), records))
            .collect())
    }

    /// Gives out a withdrawal of each record once more, above what was sent and the versions named.
    /// Only under the gate.
    pub(crate) async fn give_out_again(
        &self,
        what: &Withdrawal,
        records: &[(RecordDigest, Version)],
    ) -> Result<(), OutboxError> {
        let digests: Vec<RecordDigest> = records.iter().map(|(record, _)| *record).collect();
        let LookedUp { mut known, .. } = self.look_up(&digests).await?;
        let adopted = records.iter().filter_map(|(record, above)| {
            let known = known.remove(record)?;
            Some((
                *record,
                Known {
                    version: known.version.max(*above),
                    ..known
                },
            ))
        });
        let adopted: Vec<(RecordDigest, Known)> = adopted.collect();
        self.give_out(&adopted, what).await
    }

    /// Gives out a withdrawal of each record, in one transaction. Only under the gate.
    pub(crate) async fn give_out(
        &self,
        known: &[(RecordDigest, Known)],
        what: &Withdrawal,
    ) -> Result<(), OutboxError> {
        let Withdrawal { kind, content, .. } = *what;
        let mut rows = Vec::with_capacity(known.len());
        let mut events = Vec::with_capacity(known.len());
        for (record, known) in known {
            let version = next_version(Some(known), self.generation())?;
            let content = Some(content);
            // Without a stamp, so that a row that comes back is read again.
            let record_no = Some(known.record_no);
            rows.push(Row {
                record: *record,
                record_no,
                content,
                version,
                withdrawn: true,
                stamp: None,
            });
            events.push(Event {
                record: *record,
                version,
                content,
                body: Body::Withdrawn { kind },
            });
        }
        let sealed = sealing::seal(events, &self.sealing, &self.options).await?;
        fault::check::<OutboxError>(fault::Point::OutboxSealed)?;
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        store_batches(connection, &sealed, to_ms(what.now))
            .await
            .map_err(OutboxError::database)?;
        // All of them are known: nothing is numbered.
        records::store(connection, &rows, Some(what.feed_id), i64::MAX, &self.index).await?;
        letters::close_of_registry(connection, rows.iter().map(|row| &row.record))
            .await
            .map_err(OutboxError::database)?;
        count(connection, what, rows.len())
            .await
            .map_err(OutboxError::database)?;
        self.commit_versions(transaction, true).await
    }
}

/// What [`Inner::give_out_again`] takes at once: withdrawals of one feed that say the same.
pub(crate) type Alike = (Withdrawal, Vec<(RecordDigest, Version)>);

async fn count(
    connection: &mut SqliteConnection,
    what: &Withdrawal,
    records: usize,
) -> Result<(), sqlx::Error> {
    let records = i64::try_from(records).unwrap_or(i64::MAX);
    let feed = sqlx::query("UPDATE feed SET withdrawn_total = withdrawn_total + ?2 WHERE id = ?1");
    feed.bind(what.feed_id)
        .bind(records)
        .execute(&mut *connection)
        .await?;
    if !what.swept {
        return Ok(());
    }
    let sweep = sqlx::query(
        "UPDATE sweep SET withdrawn = withdrawn + ?2, withdrawn_total = withdrawn_total + ?2 \
         WHERE feed_id = ?1",
    );
    sweep
        .bind(what.feed_id)
        .bind(records)
        .execute(connection)
        .await
        .map(drop)
}

async fn close_removed(
    connection: &mut SqliteConnection,
    source: &str,
    feed: &str,
    what: &Withdrawal,
    held: Option<(u64, u64)>,
) -> Result<(), sqlx::Error> {
    let feed_id = enter_feed(connection, source, feed).await?;
    sqlx::query("INSERT INTO sweep (feed_id) VALUES (?1) ON CONFLICT DO NOTHING")
        .bind(feed_id)
        .execute(&mut *connection)
        .await?;
    // A feed with nothing left is not worth an operator's word.
    end_sweep(
        connection,
        what,
        held.filter(|(missing, _)| *missing > 0),
        &[],
    )
    .await?;
    if held.is_some() {
        return Ok(());
    }
    for statement in [
        "DELETE FROM dead_letter WHERE feed_id = ?1",
        "UPDATE feed SET cursor = NULL WHERE id = ?1",
    ] {
        sqlx::query(statement)
            .bind(feed_id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
