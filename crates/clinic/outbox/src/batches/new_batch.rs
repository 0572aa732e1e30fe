//! New batches, from the seal to the file.

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{AnswerKey, SealedBatch};
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteConnection;

use crate::file::{OutboxError, to_ms};
use crate::tokens::TokensInHand;

/// Most batches written by one statement, whose parameters are copies of their bytes.
const MAX_STATEMENT_BATCHES: usize = 8;

/// A sealed batch that is not in the file yet.
pub(crate) struct NewBatch {
    pub(crate) batch: SealedBatch,
    /// Key to the registry's answer.
    pub(crate) answer_key: AnswerKey,
    /// Number of events; 0 for a probe or a beacon.
    pub(crate) event_count: u32,
    /// Number of events, or of records of a probe, that its receipt has to account for.
    pub(crate) answers: u32,
    /// Reconciliation that a probe belongs to.
    pub(crate) reconciliation_id: Option<i64>,
    /// True if it holds the beacon, and no fact.
    pub(crate) is_beacon: bool,
    /// Tokens that are sealed into it; they go back if it is dropped before it is written.
    pub(crate) tokens: TokensInHand,
}

impl NewBatch {
    fn kind(&self) -> &'static str {
        if self.reconciliation_id.is_none() {
            "events"
        } else {
            "probe"
        }
    }
}

/// Writes batches in their order, in few statements: each is a wait for SQLite's thread, most of it
/// for its turn on a processor.
pub(crate) async fn store_batches(
    connection: &mut SqliteConnection,
    batches: &[NewBatch],
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let now_ms = to_ms(now);
    for new in batches {
        new.tokens.note_leaves();
    }
    for batches in batches.chunks(MAX_STATEMENT_BATCHES) {
        let mut rows = QueryBuilder::new(
            "INSERT INTO batch \
             (batch_id, sealed_bytes, event_count, created_at_ms, answer_key, kind, \
             reconciliation_id, answers, beacon) ",
        );
        rows.push_values(batches, |mut row, new| {
            row.push_bind(new.batch.id.0.as_slice())
                .push_bind(new.batch.bytes.len().saturating_as::<i64>())
                .push_bind(new.event_count)
                .push_bind(now_ms)
                .push_bind(new.answer_key.expose().as_slice())
                .push_bind(new.kind())
                .push_bind(new.reconciliation_id)
                .push_bind(new.answers)
                .push_bind(new.is_beacon);
        });
        rows.build().execute(&mut *connection).await?;
        let mut bytes = QueryBuilder::new("INSERT INTO sealed (seq, bytes) ");
        bytes.push_values(batches, |mut row, new| {
            row.push("(SELECT seq FROM batch WHERE batch_id = ")
                .push_bind_unseparated(new.batch.id.0.as_slice())
                .push_unseparated(")")
                .push_bind(new.batch.bytes.as_slice());
        });
        bytes.build().execute(&mut *connection).await?;
    }
    Ok(())
}
