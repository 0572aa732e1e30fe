//! The row of a running sweep: begun, advanced by pages, ended.

use std::collections::BTreeSet;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::RecordDigest;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};

use super::bitmap;
use super::contents::NamesLacking;
use super::shown::ShownMissing;
use super::types::{Sweep, SweepKind, SweepStep};
use crate::classes::{self, LostWithheld};
use crate::corrections::{self, Noticed};
use crate::dead_letters::{self, Origin};
use crate::feeds::{enter_feed, mend_surprises_before};
use crate::file::{OutboxError, json, time_in, to_ms};
use crate::records::{forget_stamps, last_record_no};

/// A running sweep as its row has it.
pub(super) struct RunningSweep {
    pub(super) feed_id: i64,
    pub(super) sweep: Sweep,
    /// Last record number when the sweep began: later records are none of its business.
    pub(super) horizon: i64,
    /// Number of withdrawals that an operator has permitted.
    pub(super) permit: u64,
}

/// Reads the feed's running sweep, if there is one.
pub(super) async fn read_running(
    pool: &SqlitePool,
    source: &str,
    feed: &str,
) -> Result<Option<RunningSweep>, OutboxError> {
    let row = sqlx::query(
        "SELECT s.* FROM feed AS f JOIN sweep AS s ON s.feed_id = f.id \
         WHERE f.source = ?1 AND f.feed = ?2 AND s.pass IS NOT NULL",
    )
    .bind(source)
    .bind(feed)
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(running).transpose()
}

fn running(row: &SqliteRow) -> Result<RunningSweep, OutboxError> {
    let count = |column| row.try_get(column).map(i64::unsigned_abs);
    Ok(RunningSweep {
        feed_id: row.try_get("feed_id")?,
        sweep: Sweep {
            kind: if row.try_get("contents")? {
                SweepKind::Contents
            } else {
                SweepKind::Keys
            },
            is_new: false,
            pass: row.try_get("pass")?,
            cursor: row.try_get("cursor")?,
            all_read: row.try_get("all_read")?,
            seen: count("seen")?,
            changed: count("changed")?,
            withdrawn: count("withdrawn")?,
            begun_at: time_in(row, "begun_at_ms")?,
        },
        horizon: row.try_get("horizon")?,
        permit: count("permit")?,
    })
}

/// Begins a sweep of the feed over the records there are.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    source: &str,
    feed: &str,
    kind: SweepKind,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let horizon = last_record_no(&mut *connection).await?;
    let feed_id = enter_feed(connection, source, feed, None, now).await?;
    bitmap::forget(connection, feed_id).await?;
    sqlx::query(
        "INSERT INTO sweep (feed_id, pass, horizon, begun_at_ms, contents) \
         VALUES (?1, 1, ?3, ?2, ?4) \
         ON CONFLICT (feed_id) DO UPDATE SET pass = 1, cursor = NULL, all_read = 0, \
         horizon = excluded.horizon, begun_at_ms = excluded.begun_at_ms, seen = 0, withdrawn = 0, \
         contents = excluded.contents, rows_read = 0, changed = 0",
    )
    .bind(feed_id)
    .bind(to_ms(now))
    .bind(horizon)
    .bind(kind == SweepKind::Contents)
    .execute(&mut *connection)
    .await?;
    // What is forgotten from now on may lie behind this sweep.
    sqlx::query("UPDATE feed SET sweep_owed = 2 WHERE id = ?1 AND sweep_owed = 1")
        .bind(feed_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that these feeds, by source and feed, owe a sweep: what was forgotten of their records is
/// read by nothing else. The next run that reaches the source pays the debt.
pub(crate) async fn owe_sweeps(
    connection: &mut SqliteConnection,
    feeds: &[(String, String)],
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE feed SET sweep_owed = 1 WHERE (source, feed) IN \
         (SELECT value ->> 0, value ->> 1 FROM json_each(?1))",
    )
    .bind(json(feeds))
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns whether the feed owes a sweep.
pub(crate) async fn owes_sweep(
    pool: &SqlitePool,
    source: &str,
    feed: &str,
) -> Result<bool, OutboxError> {
    let owes = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM feed WHERE source = ?1 AND feed = ?2 AND sweep_owed > 0)",
    )
    .bind(source)
    .bind(feed)
    .fetch_one(pool)
    .await?;
    Ok(owes)
}

/// A page that is committed, for the sweep of its feed.
pub(crate) struct SeenPage<'a> {
    /// Step of the sweep that the page is, if it is one.
    pub(crate) step: Option<&'a SweepStep>,
    /// Numbers of the page's records that were known.
    pub(crate) record_nos: &'a [i64],
    /// Highest record number when they were looked up.
    pub(crate) upto: i64,
    /// Names that the page has for dead letters, beside those of the step.
    pub(crate) names: &'a NamesLacking,
    /// Rows that were read whole.
    pub(crate) rows_read: u64,
    /// Events that the source's pulls had missed.
    pub(crate) missed: u64,
}

/// Notes the records of a page as seen if the feed is being swept: those that the step's keys name,
/// and those of the page that were known. A usual page counts too: a record that it brought is
/// there.
///
/// # Errors
/// [`OutboxError::NoSweep`] for a step without a sweep, and the disk's failures.
pub(crate) async fn note_page(
    connection: &mut SqliteConnection,
    feed_id: i64,
    page: &SeenPage<'_>,
) -> Result<(), OutboxError> {
    let step = page.step;
    let horizon: Option<i64> =
        sqlx::query_scalar("SELECT horizon FROM sweep WHERE feed_id = ?1 AND pass IS NOT NULL")
            .bind(feed_id)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(horizon) = horizon else {
        return if step.is_some() {
            Err(OutboxError::NoSweep)
        } else {
            Ok(())
        };
    };
    // Keys or rows that were looked up before this sweep began may be of records below its horizon
    // that were unknown then.
    let upto = |step: &SweepStep| match step.contents {
        Some(_) => page.upto,
        None => step.seen.upto,
    };
    if step.is_some_and(|step| upto(step) < horizon) {
        return Err(OutboxError::NoSweep);
    }
    let named = step.map_or(&[][..], |step| &step.seen.record_nos);
    let seen: Vec<i64> = page
        .record_nos
        .iter()
        .chain(named)
        .copied()
        .filter(|record_no| *record_no <= horizon)
        .collect();
    bitmap::mark(connection, feed_id, &seen).await?;
    match step {
        Some(step) => advance(connection, feed_id, step, page).await,
        None => Ok(()),
    }
}

async fn advance(
    connection: &mut SqliteConnection,
    feed_id: i64,
    step: &SweepStep,
    page: &SeenPage<'_>,
) -> Result<(), OutboxError> {
    dead_letters::name(connection, &step.letter_names).await?;
    dead_letters::name(connection, &page.names.of_letters).await?;
    sqlx::query(
        "UPDATE sweep SET cursor = ?2, all_read = ?2 IS NULL, seen = seen + ?3, \
         changed = changed + ?4, missed_total = missed_total + ?4, rows_read = rows_read + ?5 \
         WHERE feed_id = ?1",
    )
    .bind(feed_id)
    .bind(&step.cursor)
    .bind(step.rows().saturating_as::<i64>())
    .bind(page.missed.saturating_as::<i64>())
    .bind(page.rows_read.saturating_as::<i64>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Turns a sweep to its second pass.
pub(super) async fn begin_second_pass(
    connection: &mut SqliteConnection,
    feed_id: i64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE sweep SET pass = 2, cursor = NULL, all_read = 0, seen = 0 WHERE feed_id = ?1",
    )
    .bind(feed_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Withdrawals that the safety catch holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldWithdrawals {
    /// Records that would have been withdrawn.
    pub(super) missing: u64,
    /// Records of the feed that are asserted.
    pub(super) known: u64,
}

/// A dead letter whose row is gone.
pub(super) struct LostLetter {
    pub(super) place: LetterPlace,
    pub(super) record_no: i64,
}

/// Place of a dead letter.
pub(super) enum LetterPlace {
    /// Number of a listed letter.
    Listed(i64),
    /// Record of a refusal that is only counted.
    Unlisted(RecordDigest),
}

/// A refused correction whose row is gone.
pub(super) struct LostCorrection {
    pub(super) record: RecordDigest,
    pub(super) record_no: i64,
}

/// Dead letters, refused corrections and withheld records whose rows are gone.
#[derive(Default)]
pub(super) struct LostRows {
    pub(super) letters: Vec<LostLetter>,
    pub(super) corrections: Vec<LostCorrection>,
    pub(super) withheld: Vec<LostWithheld>,
    /// Records among those of letters and withheld ones that this state never sent.
    pub(super) never_sent: Vec<RecordDigest>,
}

impl LostRows {
    /// Numbers of the records, each once.
    fn record_nos(&self) -> BTreeSet<i64> {
        let of_letters = self.letters.iter().map(|letter| letter.record_no);
        let of_corrections = self.corrections.iter().map(|lost| lost.record_no);
        let of_withheld = self.withheld.iter().map(|lost| lost.record_no);
        of_letters
            .chain(of_corrections)
            .chain(of_withheld)
            .collect()
    }
}

/// Ends the sweep, and closes the letters and notes of rows that are gone; `may_be_lost` says that a
/// state that was lost may have sent those that this one never sent, which are noted then as refused
/// corrections are. Returns the number of records that the sweep has withdrawn in all.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    feed_id: i64,
    held: Option<HeldWithdrawals>,
    lost: &LostRows,
    may_be_lost: bool,
    now: DateTime<Utc>,
) -> Result<u64, OutboxError> {
    // Should a row come back as it was, it has to be read again.
    let record_nos: Vec<i64> = lost.record_nos().into_iter().collect();
    forget_stamps(connection, &record_nos).await?;
    bitmap::forget(connection, feed_id).await?;
    let records = lost.corrections.iter().map(|lost| &lost.record);
    let forgotten = corrections::forget(connection, records).await?;
    dead_letters::close_of_registry(connection, forgotten.iter()).await?;
    close_lost(&mut *connection, &lost.letters).await?;
    classes::close_lost(&mut *connection, &lost.withheld).await?;
    if may_be_lost {
        let possible = lost.never_sent.iter().map(|record| Noticed {
            record: *record,
            feed_id,
            possible: true,
            by_registry: false,
            content: None,
        });
        let possible: Vec<Noticed> = possible.collect();
        corrections::notice(&mut *connection, &possible, now).await?;
    }
    if held.is_none() {
        let begun: Option<i64> =
            sqlx::query_scalar("SELECT begun_at_ms FROM sweep WHERE feed_id = ?1")
                .bind(feed_id)
                .fetch_one(&mut *connection)
                .await?;
        mend_surprises_before(&mut *connection, feed_id, begun, to_ms(now)).await?;
    }
    keep_result(&mut *connection, feed_id).await?;
    let withdrawn: i64 = sqlx::query_scalar(
        "UPDATE sweep SET pass = NULL, cursor = NULL, all_read = 0, finished_at_ms = ?2, \
         held_missing = ?3, held_known = ?4, permit = 0 WHERE feed_id = ?1 RETURNING withdrawn",
    )
    .bind(feed_id)
    .bind(to_ms(now))
    .bind(held.map(|held| held.missing.saturating_as::<i64>()))
    .bind(held.map(|held| held.known.saturating_as::<i64>()))
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("UPDATE feed SET sweep_owed = 0 WHERE id = ?1 AND sweep_owed = 2")
        .bind(feed_id)
        .execute(connection)
        .await?;
    Ok(withdrawn.unsigned_abs())
}

/// Keeps what the sweep has come to, if one has read everything: the feed may be ended without.
async fn keep_result(connection: &mut SqliteConnection, feed_id: i64) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE sweep SET last_contents = contents, last_begun_at_ms = begun_at_ms, \
         last_seen = seen, last_rows_read = rows_read, last_changed = changed, \
         last_withdrawn = withdrawn WHERE feed_id = ?1 AND all_read = 1",
    )
    .bind(feed_id)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE feed SET whole_as_of_ms = max(coalesce(whole_as_of_ms, begun), begun) \
         FROM (SELECT begun_at_ms AS begun FROM sweep \
         WHERE feed_id = ?1 AND all_read = 1 AND contents = 1) WHERE id = ?1",
    )
    .bind(feed_id)
    .execute(connection)
    .await?;
    Ok(())
}

async fn close_lost(
    connection: &mut SqliteConnection,
    letters: &[LostLetter],
) -> Result<(), OutboxError> {
    let mut ids = Vec::new();
    let mut unlisted = Vec::new();
    for letter in letters {
        match letter.place {
            LetterPlace::Listed(id) => ids.push(id),
            LetterPlace::Unlisted(record) => unlisted.push(record),
        }
    }
    sqlx::query("DELETE FROM dead_letter WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(json(&ids))
        .execute(&mut *connection)
        .await?;
    dead_letters::forget_unlisted(connection, unlisted.iter(), Origin::Clinic).await?;
    Ok(())
}

/// Permits the withdrawals that the safety catch holds at the source, of each feed at most as many
/// as were `shown`, or without it all of them; returns their number.
pub(super) async fn permit_held(
    connection: &mut SqliteConnection,
    source: &str,
    shown: Option<&ShownMissing>,
) -> Result<u64, OutboxError> {
    let permitted: Vec<i64> = sqlx::query_scalar(
        "UPDATE sweep SET permit = min(held_missing, iif(?2 IS NULL, held_missing, \
         coalesce((SELECT shown.value FROM feed JOIN json_each(?2) AS shown \
         ON shown.key = feed.feed WHERE feed.id = sweep.feed_id), 0))) \
         WHERE held_missing IS NOT NULL \
         AND feed_id IN (SELECT id FROM feed WHERE source = ?1) RETURNING permit",
    )
    .bind(source)
    .bind(shown.map(json))
    .fetch_all(connection)
    .await?;
    Ok(permitted.into_iter().map(i64::unsigned_abs).sum())
}

/// Number of withdrawals that an operator has permitted at the feed.
pub(super) async fn read_permit(pool: &SqlitePool, feed_id: i64) -> Result<u64, OutboxError> {
    let permit: Option<i64> = sqlx::query_scalar("SELECT permit FROM sweep WHERE feed_id = ?1")
        .bind(feed_id)
        .fetch_optional(pool)
        .await?;
    Ok(permit.unwrap_or(0).unsigned_abs())
}
