//! Generations in which feeds were last read from their beginning to their end.

use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::OutboxError;

/// Generation in which a feed counts as read whole that is entered now: the present one, for no
/// state that was lost knew it; none, if the outbox was made anew in a generation above the first,
/// for then every feed may have been known.
macro_rules! read_at_first {
    () => {
        "(SELECT iif(generation > 1 AND coalesce(raised_at_ms, created_at_ms) = created_at_ms, \
         0, generation) FROM meta WHERE id = 1)"
    };
}
pub(crate) use read_at_first;

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
) -> Result<bool, OutboxError> {
    if generation == 1 {
        return Ok(false);
    }
    let read: u32 = sqlx::query_scalar(concat!(
        "SELECT coalesce((SELECT read_generation FROM feed WHERE id = ?1), ",
        read_at_first!(),
        ")"
    ))
    .bind(feed_id)
    .fetch_one(pool)
    .await?;
    Ok(read < generation)
}
