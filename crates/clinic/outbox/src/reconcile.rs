//! Reconciliation: sealed probes ask the registry what it holds of every record; the repair sends
//! what differs again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::wire::Probed;
use contract::{DifferenceKind, ProbeAnswer, RecordDigest, Version, wire};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::blocks;
use crate::commit::store_batches;
use crate::index::ByDigest;
use crate::outbox::Inner;
use crate::plan::Known;
use crate::records::{self, LookedUp, json, side_by_side};
use crate::time::{from_ms, to_ms};
use crate::withdraw::{CHUNK, Withdrawal};
use crate::{Outbox, OutboxError, OutboxReader, letters, sealing};

/// Records put into probes by one call.
const CHUNK_RECORDS: usize = 4 * wire::MAX_PROBED;

/// Most differences remembered for a repair; later ones are only counted, and found by the next
/// reconciliation.
const MAX_DIFFERENCES: i64 = 1_000_000;

/// Reports kept.
const MAX_REPORTS: i64 = 100;

/// What a probe of this reconciliation was answered.
pub(crate) type Answered = (i64, ProbeAnswer);

/// How what the registry holds compares with what this outbox has sent. Counts are of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Which reconciliation.
    pub id: i64,
    /// Of which source; `None`: of all.
    pub source: Option<String>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When the last answer came.
    pub finished_at: Option<DateTime<Utc>>,
    /// Asked about.
    pub probes: u64,
    /// Answered.
    pub answered: u64,
    /// The same on both sides.
    pub equal: u64,
    /// Unknown to the registry.
    pub missing: u64,
    /// Older at the registry.
    pub stale: u64,
    /// Newer at the registry than what was ever sent from here.
    pub extra: u64,
    /// Of the same version, but saying something else.
    pub conflicting: u64,
}

/// What is left to do for a repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairPlan {
    /// Withdrawals that were sent again.
    pub resent_withdrawals: u64,
    /// Sources and feeds to sweep: their differing records are read and sent again on the way.
    pub by_sweep: Vec<(String, String)>,
}

impl Outbox {
    /// Begins to compare one source's records, or all, with the registry's; an older unfinished one
    /// of the same source ends. Its probes are added by [`Outbox::add_probes`].
    ///
    /// # Errors
    /// [`OutboxError::ReceiptsOff`] and the disk's failures.
    pub async fn begin_reconciliation(
        &self,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<i64, OutboxError> {
        if !self.inner.options.receipts {
            return Err(OutboxError::ReceiptsOff);
        }
        let mut transaction = self.inner.writer.begin().await?;
        let connection = transaction.connection();
        let horizon = blocks::last(&mut *connection).await?;
        let id = begin(connection, source, horizon, now)
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Puts the next records into sealed probes; true when all are. Records with a dead letter of
    /// the registry are left out, as are those about to be read again. Once begun it runs to its
    /// end, even if the caller stops waiting.
    ///
    /// # Errors
    /// [`OutboxError::NoReconciliation`], [`OutboxError::Full`] and the disk's failures.
    pub async fn add_probes(&self, id: i64, now: DateTime<Utc>) -> Result<bool, OutboxError> {
        let inner = Arc::clone(&self.inner);
        let adding = async move { inner.add_probes(id, now).await };
        tokio::spawn(adding)
            .await
            .map_err(OutboxError::unfinished)?
    }

    /// Makes what differed be sent again, above whatever version the registry holds: withdrawals at
    /// once, the rest when a sweep reads it. What is prepared is forgotten as a difference, so that
    /// a second call does nothing. Older batches the registry could not read are let go, if it was
    /// asked about every source and answered.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub async fn prepare_repair(
        &self,
        id: i64,
        now: DateTime<Utc>,
    ) -> Result<RepairPlan, OutboxError> {
        let inner = Arc::clone(&self.inner);
        let preparing = async move { inner.prepare_repair(id, now).await };
        tokio::spawn(preparing)
            .await
            .map_err(OutboxError::unfinished)?
    }
}

impl OutboxReader {
    /// One reconciliation, as long as it is remembered.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn reconciliation(&self, id: i64) -> Result<Option<Report>, OutboxError> {
        report(
            self,
            "SELECT * FROM reconciliation WHERE id = ?1 AND ?2 IS NULL",
            Some(id),
            None,
        )
        .await
    }

    /// The last reconciliation of one source; of `None`, the last one of all sources.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn last_reconciliation(
        &self,
        source: Option<&str>,
    ) -> Result<Option<Report>, OutboxError> {
        let last = "SELECT * FROM reconciliation WHERE ?1 IS NULL AND source IS ?2 ORDER BY id \
            DESC LIMIT 1";
        report(self, last, None, source).await
    }
}

async fn report(
    reader: &OutboxReader,
    statement: &'static str,
    id: Option<i64>,
    source: Option<&str>,
) -> Result<Option<Report>, OutboxError> {
    let row = sqlx::query(statement)
        .bind(id)
        .bind(source)
        .fetch_optional(reader.pool())
        .await
        .map_err(OutboxError::database)?;
    row.as_ref()
        .map(read_report)
        .transpose()
        .map_err(OutboxError::database)
}

fn read_report(row: &SqliteRow) -> Result<Report, sqlx::Error> {
    let moment = |column| {
        row.try_get::<Option<i64>, _>(column)
            .map(|ms| ms.and_then(from_ms))
    };
    let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(Report {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        started_at: moment("started_at_ms")?,
        finished_at: moment("finished_at_ms")?,
        probes: count("probes")?,
        answered: count("answered")?,
        equal: count("equal")?,
        missing: count("missing")?,
        stale: count("stale")?,
        extra: count("extra")?,
        conflicting: count("conflicting")?,
    })
}

async fn begin(
    connection: &mut SqliteConnection,
    source: Option<&str>,
    horizon: i64,
    now: DateTime<Utc>,
) -> Result<i64, sqlx::Error> {
    for statement in [
        "DELETE FROM batch WHERE reconciliation_id IN (SELECT id FROM reconciliation WHERE source \
         IS ?1)",
        "DELETE FROM difference WHERE reconciliation_id IN (SELECT id FROM reconciliation WHERE \
         source IS ?1)",
    ] {
        sqlx::query(statement)
            .bind(source)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("DELETE FROM reconciliation WHERE id <= (SELECT max(id) FROM reconciliation) - ?1")
        .bind(MAX_REPORTS)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar(
        "INSERT INTO reconciliation (source, started_at_ms, horizon) VALUES (?1, ?2, ?3) \
         RETURNING id",
    )
    .bind(source)
    .bind(to_ms(now))
    .bind(horizon)
    .fetch_one(connection)
    .await
}

/// Records to be asked about, with their numbers.
type ToBeProbed = Vec<(i64, Probed)>;

impl Inner {
    async fn add_probes(&self, id: i64, now: DateTime<Utc>) -> Result<bool, OutboxError> {
        let _turn = self.gate.lock().await;
        self.refuse_if_full().await?;
        let open: Option<(i64, i64, bool, Option<String>)> = sqlx::query_as(
            "SELECT probed_to, horizon, all_sent, source FROM reconciliation WHERE id = ?1",
        )
        .bind(id)
        .fetch_optional(self.reader.pool())
        .await
        .map_err(OutboxError::database)?;
        let (probed_to, horizon, all_sent, source) = open.ok_or(OutboxError::NoReconciliation)?;
        if all_sent {
            return Ok(true);
        }
        let next = self
            .to_be_probed(probed_to, horizon, source.as_deref())
            .await?;
        let all_sent = next.len() < CHUNK_RECORDS;
        let probed_to = next.last().map_or(horizon, |(record_no, _)| *record_no);
        let refused = side_by_side(next.iter().map(|(_, probed)| &probed.record));
        let refused = letters::of_registry(self.reader.pool(), refused).await?;
        let probed = next.into_iter().map(|(_, probed)| probed);
        let probed: Vec<Probed> = probed
            .filter(|probed| !refused.contains(&probed.record))
            .collect();
        let probes = i64::try_from(probed.len()).unwrap_or(i64::MAX);
        let sealed = sealing::seal_probes(probed, id, &self.options).await?;
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        store_batches(connection, &sealed, to_ms(now))
            .await
            .map_err(OutboxError::database)?;
        sqlx::query(
            "UPDATE reconciliation SET probed_to = ?2, probes = probes + ?3, all_sent = ?4, \
             finished_at_ms = iif(?4 AND answered >= probes + ?3, ?5, NULL) WHERE id = ?1",
        )
        .bind(id)
        .bind(probed_to)
        .bind(probes)
        .bind(all_sent)
        .bind(to_ms(now))
        .execute(connection)
        .await
        .map_err(OutboxError::database)?;
        self.commit_versions(transaction, false).await?;
        Ok(all_sent)
    }

    async fn to_be_probed(
        &self,
        probed_to: i64,
        horizon: i64,
        source: Option<&str>,
    ) -> Result<ToBeProbed, OutboxError> {
        let pool = self.reader.pool();
        let feeds: Vec<i64> = sqlx::query_scalar("SELECT id FROM feed WHERE source = ?1")
            .bind(source)
            .fetch_all(pool)
            .await
            .map_err(OutboxError::database)?;
        let mut next = Vec::new();
        blocks::visit(pool, probed_to, horizon, |record, known| {
            let of_source = source.is_none()
                || known
                    .feed_id
                    .is_some_and(|feed_id| feeds.contains(&feed_id));
            if let Some(content) = known.content.filter(|_| of_source && known.was_sent()) {
                let record = *record;
                let withdrawn = known.withdrawn;
                let version = known.version;
                next.push((
                    known.record_no,
                    Probed {
                        record,
                        version,
                        content,
                        withdrawn,
                    },
                ));
            }
            next.len() == CHUNK_RECORDS
        })
        .await?;
        Ok(next)
    }

    async fn prepare_repair(&self, id: i64, now: DateTime<Utc>) -> Result<RepairPlan, OutboxError> {
        let _turn = self.gate.lock().await;
        let resent_withdrawals = self.resend_withdrawals(id, now).await?;
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        let feeds = self.forget_differing(connection, id).await?;
        let by_sweep = forget_differences(connection, id, &feeds)
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await?;
        Ok(RepairPlan {
            resent_withdrawals,
            by_sweep,
        })
    }

    /// Sends again, above what the registry holds, the withdrawals that differ. They need no
    /// source: they say nothing else.
    async fn resend_withdrawals(&self, id: i64, now: DateTime<Utc>) -> Result<u64, OutboxError> {
        let mut resent = 0;
        let mut after = None;
        loop {
            let chunk = self.differences(id, after).await?;
            let Some((last, _)) = chunk.last() else {
                return Ok(resent);
            };
            after = Some(*last);
            let above = |(record, held): &(_, Option<i64>)| (*record, held.unwrap_or(0));
            let records: Vec<(RecordDigest, i64)> = chunk.iter().map(above).collect();
            for (what, records) in self.withdrawals_again(&records, now).await? {
                self.resend_chunk(id, &what, &records).await?;
                resent += records.len() as u64;
            }
        }
    }

    /// The next records that differ, at most a chunk, and the registry's versions.
    async fn differences(
        &self,
        id: i64,
        after: Option<RecordDigest>,
    ) -> Result<Vec<(RecordDigest, Option<i64>)>, OutboxError> {
        let rows: Vec<(Vec<u8>, Option<i64>)> = sqlx::query_as(
            "SELECT record, held FROM difference WHERE reconciliation_id = ?1 AND record > ?2 \
             ORDER BY record LIMIT ?3",
        )
        .bind(id)
        .bind(after.map_or_else(Vec::new, |record| record.0.to_vec()))
        .bind(i64::try_from(CHUNK).unwrap_or(i64::MAX))
        .fetch_all(self.reader.pool())
        .await
        .map_err(OutboxError::database)?;
        let rows = rows
            .into_iter()
            .map(|(record, held)| Some((RecordDigest(record.try_into().ok()?), held)));
        rows.collect::<Option<_>>()
            .ok_or(OutboxError::Damaged { what: "a digest" })
    }

    /// Forgets what is remembered of all records that differ; of which feeds they are.
    async fn forget_differing(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
    ) -> Result<BTreeSet<i64>, OutboxError> {
        let mut feeds = BTreeSet::new();
        let mut after = None;
        loop {
            let chunk = self.differences(id, after).await?;
            let Some((last, _)) = chunk.last() else {
                return Ok(feeds);
            };
            after = Some(*last);
            let records: Vec<RecordDigest> = chunk.iter().map(|(record, _)| *record).collect();
            let LookedUp { known, .. } = self.look_up(&records).await?;
            let known = chunk
                .iter()
                .filter_map(|(record, held)| Some((known.get(record)?, held)));
            let sent: Vec<_> = known.filter(|(known, _)| known.was_sent()).collect();
            feeds.extend(sent.iter().filter_map(|(known, _)| known.feed_id));
            let held = |held: &Option<i64>| held.map(|held| Version::from_u64(held.unsigned_abs()));
            records::adopt(
                connection,
                sent.iter()
                    .map(|(known, version)| (known.record_no, held(version))),
            )
            .await?;
        }
    }

    async fn resend_chunk(
        &self,
        id: i64,
        what: &Withdrawal,
        chunk: &[(RecordDigest, Version)],
    ) -> Result<(), OutboxError> {
        self.refuse_if_full().await?;
        self.give_out_again(what, chunk).await?;
        let mut transaction = self.writer.begin().await?;
        let records: Vec<String> = chunk.iter().map(|(record, _)| record.to_hex()).collect();
        sqlx::query(
            "DELETE FROM difference WHERE reconciliation_id = ?1 \
             AND record IN (SELECT unhex(value) FROM json_each(?2))",
        )
        .bind(id)
        .bind(json(&records))
        .execute(transaction.connection())
        .await
        .map_err(OutboxError::database)?;
        transaction.commit().await
    }
}

/// Nothing differs any more; which feeds are to be swept for that.
async fn forget_differences(
    connection: &mut SqliteConnection,
    id: i64,
    feeds: &BTreeSet<i64>,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let feeds = sqlx::query_as(
        "SELECT source, feed FROM feed WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY \
         source, feed",
    )
    .bind(json(feeds))
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM difference WHERE reconciliation_id = ?1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    drop_unreadable(connection, id).await?;
    Ok(feeds)
}

/// Lets go of batches the registry could not read, once it was asked about all that is in them:
/// what it lacks of that has been prepared to be sent anew. A batch sealed to a wrong key would be
/// sent in vain for ever, and fill the outbox.
async fn drop_unreadable(connection: &mut SqliteConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM batch WHERE kind = 'events' AND state = 'sent' AND unreadable IS NOT NULL \
         AND created_at_ms < \
         (SELECT started_at_ms FROM reconciliation WHERE id = ?1 AND source IS NULL AND \
         finished_at_ms IS NOT NULL \
         AND missing + stale + extra + conflicting <= ?2)",
    )
    .bind(id)
    .bind(MAX_DIFFERENCES)
    .execute(connection)
    .await
    .map(drop)
}

/// Counts an answered probe, and remembers its differences.
pub(crate) async fn take(
    connection: &mut SqliteConnection,
    (id, answer): &Answered,
    known: &HashMap<RecordDigest, Known, ByDigest>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let mut equal = i64::from(answer.equal);
    let mut counts = [0_i64; 4];
    let mut differing = BTreeMap::new();
    for difference in &answer.differences {
        let sent = known.get(&difference.record).map(|known| known.version);
        // A version that was sent after the probe is no surprise.
        if difference.what == DifferenceKind::Newer && difference.held <= sent {
            equal += 1;
            continue;
        }
        counts[difference.what as usize] += 1;
        differing.insert(
            difference.record.to_hex(),
            difference.held.map(Version::to_u64),
        );
    }
    let place = |kind: DifferenceKind| counts[kind as usize];
    sqlx::query(
        "UPDATE reconciliation SET answered = answered + ?2, equal = equal + ?3, missing = \
         missing + ?4, \
         stale = stale + ?5, extra = extra + ?6, conflicting = conflicting + ?7, \
         finished_at_ms = iif(all_sent AND answered + ?2 >= probes, ?8, NULL) WHERE id = ?1",
    )
    .bind(id)
    .bind(equal + counts.iter().sum::<i64>())
    .bind(equal)
    .bind(place(DifferenceKind::Missing))
    .bind(place(DifferenceKind::Stale))
    .bind(place(DifferenceKind::Newer))
    .bind(place(DifferenceKind::Conflicting))
    .bind(to_ms(now))
    .execute(&mut *connection)
    .await
    .map_err(OutboxError::database)?;
    store_differences(connection, *id, &differing)
        .await
        .map_err(OutboxError::database)
}

async fn store_differences(
    connection: &mut SqliteConnection,
    id: i64,
    differing: &BTreeMap<String, Option<u64>>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO difference (reconciliation_id, record, held) \
         SELECT ?1, unhex(j.key), j.value FROM json_each(?2) AS j \
         WHERE (SELECT missing + stale + extra + conflicting FROM reconciliation WHERE id = ?1) \
         <= ?3 \
         ON CONFLICT DO UPDATE SET held = excluded.held",
    )
    .bind(id)
    .bind(json(differing))
    .bind(MAX_DIFFERENCES)
    .execute(connection)
    .await
    .map(drop)
}
