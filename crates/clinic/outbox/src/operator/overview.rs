//! Statements of the status.

use std::collections::HashMap;

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Connection as _, Row as _};

use super::status::{
    DeadLetterCount, FeedStatus, LastSweep, Link, PublisherStatus, RaiseWaits, RejectedReceipts,
    RowCounts, ServiceWait, Status, Surprise, SweepStatus, UnfinishedLoad,
};
use crate::batches::count_backlog;
use crate::classes::{self, WithheldCount};
use crate::corrections::{RefusedCorrections, state_word};
use crate::dead_letters::Origin;
use crate::feeds::ChangeNotice;
use crate::file::{OutboxError, from_ms, time_in};
use crate::limits::RECEIPT_RAISE_PAUSE_MS;
use crate::values;

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
        unknown_values: values::count(&mut transaction).await?,
        surprises: surprises(&mut transaction).await?,
        links: links(&mut transaction).await?,
        waits: waits(&mut transaction).await?,
        rejected_receipts: rejected_receipts(&mut transaction).await?,
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
    let rows = sqlx::query(concat!(
        "SELECT feed.id AS feed_id, source, feed, feed.cursor IS NOT NULL AS has_cursor, pulled_at_ms, \
         last_run_at_ms, last_ok_at_ms, last_error, last_error_why, consecutive_failures, \
         load_rows, feed.rows_read, rows_sent, rows_unchanged, rows_no_fact, rows_refused, \
         rows_parked, rows_withheld, new_total, \
         corrected_total, feed.withdrawn_total, resent_total, unchanged_total, refused_total, \
         sweep_owed, notices, whole_as_of_ms, \
         sweep.feed_id IS NOT NULL AS swept, pass, seen, contents, begun_at_ms, \
         sweep.rows_read AS swept_rows, last_contents, last_begun_at_ms, last_seen, \
         last_rows_read, last_changed, last_withdrawn, finished_at_ms, held_missing, held_known, \
         permit, sweep.withdrawn_total AS swept_total, missed_total, \
         corrections_of, coalesce(noted.waiting, 0) AS waiting, coalesce(noted.held, 0) AS held, \
         coalesce(noted.kept, 0) AS kept, coalesce(noted.withdrawn, 0) AS noted_withdrawn, \
         coalesce(noted.possible, 0) AS possible, coalesce(noted.parked, 0) AS parked, \
         coalesce(noted.held_upto, 0) AS held_upto \
         FROM feed LEFT JOIN sweep ON sweep.feed_id = feed.id LEFT JOIN (\
         SELECT feed_id, count(*) FILTER (WHERE word = 'waiting') AS waiting, \
         count(*) FILTER (WHERE word = 'held') AS held, \
         count(*) FILTER (WHERE word = 'kept') AS kept, \
         count(*) FILTER (WHERE word = 'withdrawn') AS withdrawn, \
         count(*) FILTER (WHERE word = 'possible') AS possible, \
         count(*) FILTER (WHERE word = 'parked') AS parked, \
         max(id) FILTER (WHERE word IN ('held', 'possible')) AS held_upto \
         FROM (SELECT feed_id, id, ",
        state_word!(),
        " AS word FROM refused_correction AS c) GROUP BY feed_id) AS noted \
         ON noted.feed_id = feed.id \
         ORDER BY source, feed"
    ))
    .fetch_all(&mut *connection)
    .await?;
    let withheld = classes::count(connection).await?;
    rows.iter().map(|row| feed(row, &withheld)).collect()
}

fn feed(
    row: &SqliteRow,
    withheld: &HashMap<i64, WithheldCount>,
) -> Result<FeedStatus, OutboxError> {
    let total = |column| row.try_get::<i64, _>(column).map(unsigned);
    let last_ok_at = time_in(row, "last_ok_at_ms")?;
    let load_rows: Option<i64> = row.try_get("load_rows")?;
    let notices: Option<String> = row.try_get("notices")?;
    let notices = notices.as_deref().and_then(ChangeNotice::from_column);
    let whole_as_of = time_in(row, "whole_as_of_ms")?;
    Ok(FeedStatus {
        source: row.try_get("source")?,
        feed: row.try_get("feed")?,
        has_cursor: row.try_get("has_cursor")?,
        pulled_at: time_in(row, "pulled_at_ms")?,
        last_run_at: time_in(row, "last_run_at_ms")?,
        last_ok_at,
        last_error: row.try_get("last_error")?,
        last_error_why: row.try_get("last_error_why")?,
        consecutive_failures: row.try_get("consecutive_failures")?,
        load: load_rows.map(|rows| UnfinishedLoad {
            first: last_ok_at.is_none(),
            rows: unsigned(rows),
        }),
        rows: row_counts(row)?,
        new_total: total("new_total")?,
        corrected_total: total("corrected_total")?,
        withdrawn_total: total("withdrawn_total")?,
        resent_total: total("resent_total")?,
        unchanged_total: total("unchanged_total")?,
        refused_total: total("refused_total")?,
        refused_corrections: RefusedCorrections {
            waiting: total("waiting")?,
            held: total("held")?,
            held_of: row
                .try_get::<Option<i64>, _>("corrections_of")?
                .map(unsigned),
            kept: total("kept")?,
            withdrawn: total("noted_withdrawn")?,
            possible: total("possible")?,
            parked: total("parked")?,
            held_upto: row.try_get("held_upto")?,
        },
        withheld: withheld
            .get(&row.try_get("feed_id")?)
            .copied()
            .unwrap_or_default(),
        notices,
        whole_as_of,
        in_sync_at: match notices {
            Some(ChangeNotice::Contents) => whole_as_of,
            _ => last_ok_at,
        },
        sweep_owed: row.try_get::<i64, _>("sweep_owed")? > 0,
        sweep: sweep(row)?,
    })
}

fn row_counts(row: &SqliteRow) -> Result<RowCounts, OutboxError> {
    let total = |column| row.try_get::<i64, _>(column).map(unsigned);
    Ok(RowCounts {
        read: total("rows_read")?,
        sent: total("rows_sent")?,
        unchanged: total("rows_unchanged")?,
        no_fact: total("rows_no_fact")?,
        refused: total("rows_refused")?,
        parked: total("rows_parked")?,
        withheld: total("rows_withheld")?,
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
        contents: row.try_get("contents")?,
        begun_at: time_in(row, "begun_at_ms")?,
        seen: total("seen")?.unwrap_or(0),
        rows_read: total("swept_rows")?.unwrap_or(0),
        last: last_sweep(row)?,
        held: total("held_missing")?,
        held_of: total("held_known")?,
        permitted: total("permit")?.unwrap_or(0),
        withdrawn_total: total("swept_total")?.unwrap_or(0),
        missed_total: total("missed_total")?.unwrap_or(0),
    }))
}

fn last_sweep(row: &SqliteRow) -> Result<Option<LastSweep>, OutboxError> {
    let Some(contents) = row.try_get("last_contents")? else {
        return Ok(None);
    };
    let count = |column| row.try_get::<i64, _>(column).map(unsigned);
    Ok(Some(LastSweep {
        contents,
        begun_at: time_in(row, "last_begun_at_ms")?,
        seen: count("last_seen")?,
        rows_read: count("last_rows_read")?,
        changed: count("last_changed")?,
        withdrawn: count("last_withdrawn")?,
    }))
}

async fn surprises(connection: &mut SqliteConnection) -> Result<Vec<Surprise>, OutboxError> {
    let rows = sqlx::query(
        "SELECT source, feed, code, count, first_seen_at_ms, last_seen_at_ms, mended_at_ms \
         FROM surprise JOIN feed ON feed.id = feed_id ORDER BY source, feed, code",
    )
    .fetch_all(connection)
    .await?;
    let surprise = |row: &SqliteRow| -> Result<Surprise, OutboxError> {
        Ok(Surprise {
            source: row.try_get("source")?,
            feed: row.try_get("feed")?,
            code: row.try_get("code")?,
            count: unsigned(row.try_get("count")?),
            first_seen_at: time_in(row, "first_seen_at_ms")?,
            last_seen_at: time_in(row, "last_seen_at_ms")?,
            mended_at: time_in(row, "mended_at_ms")?,
        })
    };
    rows.iter().map(surprise).collect()
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
    let rows = sqlx::query(
        "SELECT coalesce(source, '') AS source, coalesce(feed, '') AS feed, origin, reason, \
         sum(listed + unlisted) AS refused, sum(unlisted) AS unlisted FROM (\
         SELECT feed_id, origin, reason, count(*) AS listed, 0 AS unlisted \
         FROM dead_letter WHERE discarded_at_ms IS NULL GROUP BY feed_id, origin, reason \
         UNION ALL SELECT feed_id, origin, reason, 0, count(*) \
         FROM unlisted_refusal GROUP BY feed_id, origin, reason) \
         LEFT JOIN feed ON feed.id = feed_id \
         GROUP BY feed_id, origin, reason ORDER BY source, feed, origin, reason",
    )
    .fetch_all(connection)
    .await?;
    let count = |row: &SqliteRow| -> Result<DeadLetterCount, OutboxError> {
        Ok(DeadLetterCount {
            source: row.try_get("source")?,
            feed: row.try_get("feed")?,
            origin: Origin::from_column(row.try_get("origin")?),
            reason: row.try_get("reason")?,
            count: unsigned(row.try_get("refused")?),
            unlisted: unsigned(row.try_get("unlisted")?),
        })
    };
    rows.iter().map(count).collect()
}

async fn links(connection: &mut SqliteConnection) -> Result<Vec<Link>, OutboxError> {
    let rows: Vec<(String, String, i64, Option<String>)> =
        sqlx::query_as("SELECT name, state, since_ms, why FROM link ORDER BY name")
            .fetch_all(connection)
            .await?;
    let link = |(name, state, since, why)| Link {
        name,
        state,
        since: from_ms(since),
        why,
    };
    Ok(rows.into_iter().map(link).collect())
}

async fn waits(connection: &mut SqliteConnection) -> Result<Vec<ServiceWait>, OutboxError> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT source, feed, service, since_ms FROM service_wait ORDER BY source, feed, service",
    )
    .fetch_all(connection)
    .await?;
    let wait = |(source, feed, service, since)| ServiceWait {
        source,
        feed,
        service,
        since: from_ms(since),
    };
    Ok(rows.into_iter().map(wait).collect())
}

async fn rejected_receipts(
    connection: &mut SqliteConnection,
) -> Result<Vec<RejectedReceipts>, OutboxError> {
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT reason, count, first_seen_at_ms, last_seen_at_ms FROM rejected_receipt \
         ORDER BY reason",
    )
    .fetch_all(connection)
    .await?;
    let rejected = |(reason, count, first, last)| RejectedReceipts {
        reason,
        count: unsigned(count),
        first_seen_at: from_ms(first),
        last_seen_at: from_ms(last),
    };
    Ok(rows.into_iter().map(rejected).collect())
}

/// Number of a column: SQLite counts in signed numbers, these never fall below zero.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
