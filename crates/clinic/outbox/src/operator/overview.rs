//! Statements of the status.

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Connection as _, Row as _};

use super::status::{
    DeadLetterCount, FeedStatus, PublisherStatus, RaiseWaits, Status, Surprise, SweepStatus,
};
use crate::batches::count_backlog;
use crate::dead_letters::Origin;
use crate::file::{OutboxError, from_ms, time_in};
use crate::limits::RECEIPT_RAISE_PAUSE_MS;

/// Reads the status of the whole outbox, of one moment.
pub(super) async fn read_status(pool: &SqlitePool) -> Result<Status, OutboxError> {
    let mut connection = pool.acquire().await?;
    // One snapshot for all of it.
    let mut transaction = connection.begin().await?;
    type Meta = (u32, Option<i64>, Option<String>, Option<i64>, i64);
    let (generation, raised_at_ms, generation_raised_why, other_at_ms, unplaced): Meta =
        sqlx::query_as(
            "SELECT generation, raised_at_ms, raised_why, (SELECT other_at_ms FROM beacon), \
         (SELECT coalesce(sum(unplaced), 0) FROM record_block WHERE unplaced > 0) \
         FROM meta WHERE id = 1",
        )
        .fetch_one(&mut *transaction)
        .await?;
    Ok(Status {
        generation,
        generation_raised_at: raised_at_ms.and_then(from_ms),
        generation_raised_why,
        other_gateway_at: other_at_ms.and_then(from_ms),
        raise_waits: raise_waits(&mut transaction, generation).await?,
        feeds: feeds(&mut transaction).await?,
        backlog: count_backlog(&mut transaction).await?,
        publisher: publisher(&mut transaction).await?,
        dead_letters: dead_letter_counts(&mut transaction).await?,
        surprises: surprises(&mut transaction).await?,
        unplaced_records: unsigned(unplaced),
    })
}

async fn raise_waits(
    connection: &mut SqliteConnection,
    generation: u32,
) -> Result<Option<RaiseWaits>, OutboxError> {
    let (needed, raised_at_ms): (Option<u32>, Option<i64>) =
        sqlx::query_as("SELECT raise_needed, receipt_raised_at_ms FROM meta WHERE id = 1")
            .fetch_one(connection)
            .await?;
    let needed = needed.filter(|needed| *needed > generation);
    Ok(needed.map(|needed| RaiseWaits {
        needed,
        permitted_at: raised_at_ms
            .and_then(|at| from_ms(at.saturating_add(RECEIPT_RAISE_PAUSE_MS))),
    }))
}

async fn feeds(connection: &mut SqliteConnection) -> Result<Vec<FeedStatus>, OutboxError> {
    let rows = sqlx::query(
        "SELECT source, feed, feed.cursor IS NOT NULL AS has_cursor, pulled_at_ms, \
         last_run_at_ms, last_ok_at_ms, last_error, consecutive_failures, new_total, \
         corrected_total, feed.withdrawn_total, resent_total, unchanged_total, refused_total, \
         sweep.feed_id IS NOT NULL AS swept, pass, seen, finished_at_ms, held_missing, \
         held_known, permit, sweep.withdrawn_total AS swept_total, missed_total \
         FROM feed LEFT JOIN sweep ON sweep.feed_id = feed.id ORDER BY source, feed",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(feed).collect()
}

fn feed(row: &SqliteRow) -> Result<FeedStatus, OutboxError> {
    let total = |column| row.try_get::<i64, _>(column).map(unsigned);
    Ok(FeedStatus {
        source: row.try_get("source")?,
        feed: row.try_get("feed")?,
        has_cursor: row.try_get("has_cursor")?,
        pulled_at: time_in(row, "pulled_at_ms")?,
        last_run_at: time_in(row, "last_run_at_ms")?,
        last_ok_at: time_in(row, "last_ok_at_ms")?,
        last_error: row.try_get("last_error")?,
        consecutive_failures: row.try_get("consecutive_failures")?,
        new_total: total("new_total")?,
        corrected_total: total("corrected_total")?,
        withdrawn_total: total("withdrawn_total")?,
        resent_total: total("resent_total")?,
        unchanged_total: total("unchanged_total")?,
        refused_total: total("refused_total")?,
        sweep: sweep(row)?,
    })
}

fn sweep(row: &SqliteRow) -> Result<Option<SweepStatus>, OutboxError> {
    if !row.try_get::<bool, _>("swept")? {
        return Ok(None);
    }
    let total = |column| {
        row.try_get::<Option<i64>, _>(column)
            .map(|number| number.map(unsigned))
    };
    Ok(Some(SweepStatus {
        finished_at: time_in(row, "finished_at_ms")?,
        pass: row.try_get("pass")?,
        seen: total("seen")?.unwrap_or(0),
        held: total("held_missing")?,
        held_of: total("held_known")?,
        permitted: total("permit")?.unwrap_or(0),
        withdrawn_total: total("swept_total")?.unwrap_or(0),
        missed_total: total("missed_total")?.unwrap_or(0),
    }))
}

async fn surprises(connection: &mut SqliteConnection) -> Result<Vec<Surprise>, OutboxError> {
    let rows: Vec<(String, String, String, i64, i64, i64)> = sqlx::query_as(
        "SELECT source, feed, code, count, first_seen_at_ms, last_seen_at_ms \
         FROM surprise JOIN feed ON feed.id = feed_id ORDER BY source, feed, code",
    )
    .fetch_all(connection)
    .await?;
    let surprise = |(source, feed, code, count, first, last)| Surprise {
        source,
        feed,
        code,
        count: unsigned(count),
        first_seen_at: from_ms(first),
        last_seen_at: from_ms(last),
    };
    Ok(rows.into_iter().map(surprise).collect())
}

async fn publisher(connection: &mut SqliteConnection) -> Result<PublisherStatus, OutboxError> {
    let row = sqlx::query(
        "SELECT *, (SELECT unreadable FROM batch WHERE unreadable IS NOT NULL \
         ORDER BY seq DESC LIMIT 1) AS unreadable FROM publisher WHERE id = 1",
    )
    .fetch_one(connection)
    .await?;
    let total = |column| row.try_get::<i64, _>(column).map(unsigned);
    Ok(PublisherStatus {
        delivered_batches: total("delivered_batches")?,
        delivered_events: total("delivered_events")?,
        last_delivered_at: time_in(&row, "last_delivered_at_ms")?,
        last_failed_at: time_in(&row, "last_failed_at_ms")?,
        last_error: row.try_get("last_error")?,
        consecutive_failures: total("consecutive_failures")?,
        accepted_events: total("accepted_events")?,
        refused_events: total("refused_events")?,
        last_receipt_at: time_in(&row, "last_receipt_at_ms")?,
        unreadable: row.try_get("unreadable")?,
    })
}

async fn dead_letter_counts(
    connection: &mut SqliteConnection,
) -> Result<Vec<DeadLetterCount>, OutboxError> {
    let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
        "SELECT coalesce(source, ''), coalesce(feed, ''), origin, reason, count(*) \
         FROM dead_letter LEFT JOIN feed ON feed.id = feed_id WHERE discarded_at_ms IS NULL \
         GROUP BY feed_id, origin, reason ORDER BY source, feed, origin, reason",
    )
    .fetch_all(connection)
    .await?;
    let count = |(source, feed, origin, reason, count): (_, _, String, _, _)| DeadLetterCount {
        source,
        feed,
        origin: Origin::from_column(&origin),
        reason,
        count: unsigned(count),
    };
    Ok(rows.into_iter().map(count).collect())
}

/// Number of a column: SQLite counts in signed numbers, these never fall below zero.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
