//! Generations that receipts raise: by one, and not again within a day without an operator's word.
//!
//! The registry's receipts show a restored state, and nothing else local can. But a raise sends
//! everything again, and no generation can be taken back: whatever stands behind a receipt must not
//! use them up. An operator raises to any generation, by `min_generation`. What answers to the
//! gateway's own beacon may raise is bounded too, less narrowly.

use chrono::{DateTime, Utc};
use record_secrets::MAX_GENERATION;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::{OutboxError, to_ms};
use crate::limits::{MAX_BEACON_RAISES, MAX_BEACON_STEP, RECEIPT_RAISE_PAUSE_MS};

const READ: &str = "SELECT receipt_raised_at_ms, raise_needed FROM meta WHERE id = 1";

/// Decision on a raise that receipts ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptRaise {
    /// No raise is needed.
    NotNeeded,
    /// Raise to this generation, the next one.
    To(u32),
    /// Raise that has to wait: receipts have raised the generation within the day.
    Waits,
}

/// Returns whether a raise that had to wait is due, so that [`decide_receipt_raise`] would raise.
pub(crate) async fn is_raise_due(
    pool: &SqlitePool,
    generation: u32,
    now: DateTime<Utc>,
) -> Result<bool, OutboxError> {
    let (raised_at_ms, needed): (Option<i64>, Option<u32>) =
        sqlx::query_as(READ).fetch_one(pool).await?;
    Ok(needed > Some(generation) && may_raise(raised_at_ms, to_ms(now)))
}

/// Decides whether the generation rises now, and writes down what is still needed. `needed` is the
/// generation that receipts ask for, if they do; what earlier ones asked for counts too.
pub(crate) async fn decide_receipt_raise(
    connection: &mut SqliteConnection,
    needed: Option<u32>,
    generation: u32,
    now: DateTime<Utc>,
) -> Result<ReceiptRaise, OutboxError> {
    let (raised_at_ms, still_needed): (Option<i64>, Option<u32>) =
        sqlx::query_as(READ).fetch_one(&mut *connection).await?;
    let Some(wanted) = needed
        .max(still_needed)
        .filter(|wanted| *wanted > generation)
    else {
        return Ok(ReceiptRaise::NotNeeded);
    };
    let is_permitted = may_raise(raised_at_ms, to_ms(now));
    let to = generation.saturating_add(1);
    if is_permitted || needed.is_some() {
        let raised_to = is_permitted.then_some(to);
        note_raise(connection, wanted, raised_to, needed.is_some(), now).await?;
    }
    Ok(match (is_permitted, needed) {
        (true, _) => ReceiptRaise::To(to),
        (false, Some(_)) => ReceiptRaise::Waits,
        // Told already, when it was found.
        (false, None) => ReceiptRaise::NotNeeded,
    })
}

/// Decides on a raise for the beacon, which shows without a doubt that another state of this
/// gateway is ahead. So it need not be by one: the raise goes above all that is held, `wanted`, by
/// at most [`MAX_BEACON_STEP`]. It need not wait for a day either, but is made
/// [`MAX_BEACON_RAISES`] times a day at most: a registry that answers falsely could have everything
/// sent again for ever.
pub(crate) async fn decide_beacon_raise(
    connection: &mut SqliteConnection,
    wanted: Option<u32>,
    generation: u32,
    now: DateTime<Utc>,
) -> Result<ReceiptRaise, OutboxError> {
    let Some(wanted) = wanted.filter(|wanted| (generation + 1..=MAX_GENERATION).contains(wanted))
    else {
        tracing::error!("the registry holds a beacon of the last generation there can be");
        return Ok(ReceiptRaise::NotNeeded);
    };
    let (raises, since_ms): (u32, Option<i64>) =
        sqlx::query_as("SELECT raises, raises_since_ms FROM beacon")
            .fetch_one(&mut *connection)
            .await?;
    let begins_anew = may_raise(since_ms, to_ms(now));
    let raises = if begins_anew { 0 } else { raises };
    if raises >= MAX_BEACON_RAISES {
        note_raise(connection, wanted, None, true, now).await?;
        return Ok(ReceiptRaise::Waits);
    }
    let to = wanted.min(generation.saturating_add(MAX_BEACON_STEP));
    sqlx::query("UPDATE beacon SET raises = ?1, raises_since_ms = iif(?2, ?3, raises_since_ms)")
        .bind(raises + 1)
        .bind(begins_anew)
        .bind(to_ms(now))
        .execute(&mut *connection)
        .await?;
    note_raise(connection, wanted, Some(to), true, now).await?;
    Ok(ReceiptRaise::To(to))
}

/// Writes down the generation that is wanted, and the one that it is raised to now, if it is.
/// `is_asked` is true if a receipt asks for it now.
async fn note_raise(
    connection: &mut SqliteConnection,
    wanted: u32,
    raised_to: Option<u32>,
    is_asked: bool,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE meta SET raise_needed = max(?1, coalesce(raise_needed, 0)), \
         receipt_raised_at_ms = iif(?2, ?3, receipt_raised_at_ms), \
         raise_asked_after = iif(?4, (SELECT max(id) FROM reconciliation), raise_asked_after)",
    )
    .bind(wanted)
    .bind(raised_to.is_some())
    .bind(to_ms(now))
    .bind(is_asked)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE beacon SET risen_at_ms = ?2 WHERE ?1 >= (SELECT raise_needed FROM meta)")
        .bind(raised_to)
        .bind(to_ms(now))
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns whether a day has passed since receipts last raised the generation. A raise more than a
/// day ahead of now can only mean that the clock was set back.
const fn may_raise(raised_at_ms: Option<i64>, now_ms: i64) -> bool {
    match raised_at_ms {
        None => true,
        Some(raised_at_ms) => {
            now_ms.saturating_sub(raised_at_ms).saturating_abs() >= RECEIPT_RAISE_PAUSE_MS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_raise_waits_for_a_whole_day() {
        let at = |now_ms| may_raise(Some(1_000), now_ms);
        assert!(may_raise(None, 0));
        assert!(!at(1_000) && !at(1_000 + RECEIPT_RAISE_PAUSE_MS - 1));
        assert!(at(1_000 + RECEIPT_RAISE_PAUSE_MS));
        assert!(!at(0), "a clock set back a little");
        assert!(
            at(1_000 - RECEIPT_RAISE_PAUSE_MS),
            "a clock set back by a day"
        );
        assert!(may_raise(Some(i64::MIN), i64::MAX));
    }
}
