//! Generations in which feeds were last read from their beginning to their end.
//!
//! A raise shows that a state was lost which may have known more than the present one: rows, and
//! feeds. For [`LOST_STATE_MS`] after it every row and every feed that is met for the first time
//! may have been sent by that state: a source may list a row late, and a copy of the state may be
//! older than a feed.

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::{OutboxError, to_ms};
use crate::limits::LOST_STATE_MS;

/// Time of the last raise, or of the making of an outbox that began above the first generation.
macro_rules! raised_at {
    () => {
        "coalesce(raised_at_ms, created_at_ms)"
    };
}

/// Generation in which a feed counts as read whole that is entered at the time `$now`: the present
/// one, for no state that was lost knew it. None within the time `$window` of a raise, and at any
/// time if the outbox was made anew in a generation above the first: every feed may have been known.
macro_rules! read_at_first {
    ($now:literal, $window:literal) => {
        concat!(
            "(SELECT iif(generation > 1 AND (",
            $crate::corrections::raised_at!(),
            " = created_at_ms OR abs(",
            $now,
            " - ",
            $crate::corrections::raised_at!(),
            ") < ",
            $window,
            "), 0, generation) FROM meta WHERE id = 1)"
        )
    };
}
pub(crate) use {raised_at, read_at_first};

/// Returns whether a reading of the feed from its beginning to its end in this generation is to be
/// noted: it is not noted yet, and the raise is [`LOST_STATE_MS`] ago. Asked before a transaction
/// begins, so that the runs of the time between do not each wait for the disk.
pub(crate) async fn is_whole_read_due(
    pool: &SqlitePool,
    feed_id: i64,
    generation: u32,
    now: DateTime<Utc>,
) -> Result<bool, OutboxError> {
    if generation == 1 {
        return Ok(false);
    }
    let is_due = sqlx::query_scalar(concat!(
        "SELECT EXISTS (SELECT 1 FROM feed CROSS JOIN meta ON meta.id = 1 \
         WHERE feed.id = ?1 AND read_generation < ?2 AND abs(?3 - ",
        raised_at!(),
        ") >= ?4)"
    ))
    .bind(feed_id)
    .bind(generation)
    .bind(to_ms(now))
    .bind(LOST_STATE_MS)
    .fetch_one(pool)
    .await?;
    Ok(is_due)
}

/// Notes that the feed was read from its beginning to its end in this generation.
pub(crate) async fn note_whole_read(
    connection: &mut SqliteConnection,
    feed_id: i64,
    generation: u32,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE feed SET read_generation = ?2 WHERE id = ?1 AND read_generation < ?2")
        .bind(feed_id)
        .bind(generation)
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns whether a state that was lost may have sent rows of the feed that the present one has
/// not met yet: the generation has risen since the feed was last read whole. A feed without a
/// number is one that is not entered yet.
pub(crate) async fn may_be_lost(
    pool: &SqlitePool,
    feed_id: Option<i64>,
    generation: u32,
    now: DateTime<Utc>,
) -> Result<bool, OutboxError> {
    if generation == 1 {
        return Ok(false);
    }
    let read: u32 = sqlx::query_scalar(concat!(
        "SELECT coalesce((SELECT read_generation FROM feed WHERE id = ?1), ",
        read_at_first!("?2", "?3"),
        ")"
    ))
    .bind(feed_id)
    .bind(to_ms(now))
    .bind(LOST_STATE_MS)
    .fetch_one(pool)
    .await?;
    Ok(read < generation)
}
