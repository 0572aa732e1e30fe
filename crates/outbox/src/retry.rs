//! Retrying dead letters: what is remembered of their records is forgotten, so that reading them again tells anew.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteConnection;

use crate::outbox::Inner;
use crate::records::json;
use crate::withdraw::{CHUNK, alike};
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
    /// too, so that they are sent again even as they are. The letters stay until something better is known. A refused
    /// withdrawal is sent again here: no row may be left to read.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub async fn mark_for_retry(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let (inner, filter) = (Arc::clone(&self.inner), filter.clone());
        let marking = async move { inner.mark_for_retry(&filter, now).await };
        tokio::spawn(marking).await.map_err(OutboxError::unfinished)?
    }
}

impl Inner {
    async fn mark_for_retry(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let _turn = self.gate.lock().await;
        let letters = letters::select(self.reader.pool(), filter).await.map_err(OutboxError::database)?;
        let withdrawn = self.refused_withdrawals(&letters).await?;
        let resent: HashSet<i64> = withdrawn.iter().map(|(id, ..)| *id).collect();
        let rows =
            withdrawn.into_iter().map(|(_, record, content, feed, kind)| (record, 0, content, feed, kind));
        for (what, records) in alike(rows.collect(), now)? {
            for chunk in records.chunks(CHUNK) {
                self.refuse_if_full().await?;
                self.give_out_again(&what, chunk).await?;
            }
        }
        let letters: Vec<_> = letters.into_iter().filter(|letter| !resent.contains(&letter.id)).collect();
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let mut transaction = self.writer.begin().await?;
        forget(transaction.connection(), &ids).await.map_err(OutboxError::database)?;
        transaction.commit().await?;
        Ok(plan(letters))
    }

    /// Of the letters, those of withdrawals the registry refused.
    async fn refused_withdrawals(&self, letters: &[DeadLetter]) -> Result<Vec<WithdrawalRow>, OutboxError> {
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        sqlx::query_as(
            "SELECT d.id, r.record, r.content, r.feed_id, f.kind FROM json_each(?1) AS j \
             CROSS JOIN dead_letter AS d ON d.id = j.value JOIN record AS r ON r.record = d.record \
             JOIN feed AS f ON f.id = r.feed_id WHERE d.origin = 'registry' AND r.withdrawn = 1 AND r.count > 0 \
             AND r.content IS NOT NULL AND f.kind IS NOT NULL",
        )
        .bind(json(&ids))
        .fetch_all(self.reader.pool())
        .await
        .map_err(OutboxError::database)
    }
}

/// A refused withdrawal: its letter, record, content, feed, kind.
type WithdrawalRow = (i64, Vec<u8>, Vec<u8>, i64, String);

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
