//! Generations that receipts raise: by one, and not again within a day without an operator's word.
//!
//! The registry's receipts show a restored state, and nothing else local can. But a raise sends
//! everything again, and no generation can be taken back: whatever stands behind a receipt must not
//! use them up. An operator raises to any generation, by `min_generation`.

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::{OutboxError, to_ms};
use crate::limits::RECEIPT_RAISE_PAUSE_MS;

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
    if is_permitted || needed.is_some() {
        sqlx::query(
            "UPDATE meta SET raise_needed = ?1, \
             receipt_raised_at_ms = iif(?2, ?3, receipt_raised_at_ms), \
             raise_asked_after = iif(?4, (SELECT max(id) FROM reconciliation), raise_asked_after)",
        )
        .bind(wanted)
        .bind(is_permitted)
        .bind(to_ms(now))
        .bind(needed.is_some())
        .execute(connection)
        .await?;
    }
    Ok(match (is_permitted, needed) {
        (true, _) => ReceiptRaise::To(generation.saturating_add(1)),
        (false, Some(_)) => ReceiptRaise::Waits,
        // Told already, when it was found.
        (false, None) => ReceiptRaise::NotNeeded,
    })
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
