//! Retrying dead letters: what is remembered of their records is forgotten, so that reading them again tells anew.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use crate::records::json;
use crate::{DeadLetter, DeadLetterFilter, Outbox, OutboxError, letters};

/// How the rows of dead letters come to be read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryPlan {
    /// Source, feed and the clinic's record id of rows to read at once.
    pub by_id: Vec<(String, String, String)>,
    /// Sources and feeds to sweep, for records whose own id is unknown here.
    pub by_sweep: Vec<(String, String)>,
}

impl Outbox {
    /// Forgets what is remembered of the letters' records: their stamps, and of those the registry refused the content
    /// too, so that they are sent again even as they are. The letters stay until something better is known.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn mark_for_retry(&self, filter: &DeadLetterFilter) -> Result<RetryPlan, OutboxError> {
        let mut transaction = self.inner.writer.begin().await?;
        let connection = transaction.connection();
        let letters = letters::select(&mut *connection, filter).await.map_err(OutboxError::database)?;
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        forget(connection, &ids).await.map_err(OutboxError::database)?;
        transaction.commit().await?;
        Ok(plan(letters))
    }
}

async fn forget(connection: &mut SqliteConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    for statement in [
        "UPDATE record SET stamp = NULL WHERE record IN (SELECT record FROM dead_letter \
         WHERE id IN (SELECT value FROM json_each(?1)))",
        "UPDATE record SET content = NULL WHERE record IN (SELECT record FROM dead_letter \
         WHERE origin = 'registry' AND id IN (SELECT value FROM json_each(?1)))",
    ] {
        sqlx::query(statement).bind(json(ids)).execute(&mut *connection).await?;
    }
    Ok(())
}

fn plan(letters: Vec<DeadLetter>) -> RetryPlan {
    let mut plan = RetryPlan::default();
    let mut by_sweep = BTreeSet::new();
    for DeadLetter { source, feed, record_id, .. } in letters {
        match record_id {
            Some(record_id) => plan.by_id.push((source, feed, record_id)),
            // A record from before feeds were remembered is read with the feed's next pull.
            None if source.is_empty() => {}
            None => drop(by_sweep.insert((source, feed))),
        }
    }
    plan.by_sweep = by_sweep.into_iter().collect();
    plan
}
