//! Retrying dead letters: what is remembered of their records is forgotten, so that reading them
//! again tells anew.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::RecordDigest;

use crate::outbox::Inner;
use crate::records::{self, LookedUp};
use crate::withdraw::CHUNK;
use crate::{DeadLetter, DeadLetterFilter, Origin, Outbox, OutboxError, letters};

/// How the rows of dead letters come to be read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryPlan {
    /// Source, feed and the clinic's record id of rows to read at once.
    pub by_id: Vec<(String, String, String)>,
    /// Sources and feeds to sweep, for records whose own id is unknown here.
    pub by_sweep: Vec<(String, String)>,
}

impl Outbox {
    /// Forgets what is remembered of the letters' records: their stamps, and of those the registry
    /// refused the content too, so that they are sent again even as they are. The letters stay
    /// until something better is known. A refused withdrawal is sent again here: no row may be left
    /// to read.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub async fn mark_for_retry(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let inner = Arc::clone(&self.inner);
        let filter = filter.clone();
        let marking = async move { inner.mark_for_retry(&filter, now).await };
        tokio::spawn(marking)
            .await
            .map_err(OutboxError::unfinished)?
    }
}

impl Inner {
    async fn mark_for_retry(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let _turn = self.gate.lock().await;
        let letters = letters::select(self.reader.pool(), filter)
            .await
            .map_err(OutboxError::database)?;
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let records = letters::records(self.reader.pool(), &ids).await?;
        let of_registry = letters
            .iter()
            .filter(|letter| letter.origin == Origin::Registry);
        let of_registry: BTreeSet<RecordDigest> = of_registry
            .filter_map(|letter| records.get(&letter.id))
            .copied()
            .collect();
        let resent = self.resend_withdrawals_of(&of_registry, now).await?;

        let mended = |letter: &DeadLetter| {
            letter.origin == Origin::Registry
                && records
                    .get(&letter.id)
                    .is_some_and(|one| resent.contains(one))
        };
        let letters: Vec<_> = letters
            .into_iter()
            .filter(|letter| !mended(letter))
            .collect();
        let named: Vec<RecordDigest> = letters
            .iter()
            .filter_map(|letter| records.get(&letter.id))
            .copied()
            .collect();
        let LookedUp { known, .. } = self.look_up(&named).await?;
        let stamps: Vec<i64> = known.values().map(|known| known.record_no).collect();
        let contents = letters
            .iter()
            .filter(|letter| letter.origin == Origin::Registry);
        let contents = contents.filter_map(|letter| known.get(records.get(&letter.id)?));
        let contents: Vec<i64> = contents.map(|known| known.record_no).collect();
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        records::forget(connection, &stamps, |known| known.stamp = None).await?;
        records::forget(connection, &contents, |known| known.content = None).await?;
        transaction.commit().await?;
        Ok(plan(letters))
    }

    /// Sends those again that are withdrawals; which.
    async fn resend_withdrawals_of(
        &self,
        refused: &BTreeSet<RecordDigest>,
        now: DateTime<Utc>,
    ) -> Result<HashSet<RecordDigest>, OutboxError> {
        let refused: Vec<(RecordDigest, i64)> = refused.iter().map(|record| (*record, 0)).collect();
        let mut resent = HashSet::new();
        for (what, records) in self.withdrawals_again(&refused, now).await? {
            for chunk in records.chunks(CHUNK) {
                self.refuse_if_full().await?;
                self.give_out_again(&what, chunk).await?;
            }
            resent.extend(records.iter().map(|(record, _)| *record));
        }
        Ok(resent)
    }
}

fn plan(letters: Vec<DeadLetter>) -> RetryPlan {
    let mut plan = RetryPlan::default();
    let mut by_sweep = BTreeSet::new();
    for DeadLetter {
        source,
        feed,
        record_id,
        ..
    } in letters
    {
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
