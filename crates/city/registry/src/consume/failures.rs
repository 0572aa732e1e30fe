//! Failures of transactions: whether the store is to blame or a batch, and what becomes of the
//! latter.
//!
//! A batch is to blame where it fails by itself while a rehearsal, directly before or after, goes
//! well. So an outage, in which everything fails, condemns nobody. At the third such failure the
//! batch is given up. The second try goes in parts, the third event by event: what is only too much
//! at once gets through. Failures that rows do not cause, such as another's lock, are not counted;
//! the batch lets the others pass, and is tried again until it gets through.

use chrono::{DateTime, TimeDelta, Utc};

use super::BatchConsumer;
use super::metrics::count_store_error;
use super::step::ConsumeError;
use super::suspects::message_key;
use crate::open::{DeadLetterReason, GIVEN_UP, STORE_REFUSES};
use crate::store::StoreError;

/// Number of failures at a batch by itself after which it is given up.
pub(super) const GIVE_UP_AFTER: u32 = 3;
/// Pause before the last try, in seconds: a store may have a bad moment.
const LAST_TRY_SECONDS: i64 = 30;
/// Pause before another try of a batch that others are in the way of, in seconds. Each try may wait
/// for their locks for half of it.
const OTHERS_SECONDS: i64 = 60;

/// Failure of a transaction, or of a look-up.
pub(super) struct Failure {
    pub error: StoreError,
    /// Number of the batches that it was over.
    pub count: usize,
    /// True where a rehearsal went well directly before.
    pub is_store_well: bool,
}

impl BatchConsumer {
    /// Prepares a try to store the first `count`, and returns whether a rehearsal went well. Notes
    /// that a batch which is suspected, or has failed before, is tried once more: the program may
    /// not live to note it afterwards.
    pub(super) async fn prepare_try(
        &mut self,
        count: usize,
        now: DateTime<Utc>,
    ) -> Result<bool, ConsumeError> {
        let failures = self.failures_of_first();
        let rehearse = self.is_in_doubt || failures > 0;
        if rehearse {
            self.store.rehearse(now).await?;
        }
        if count == 1 && self.is_first_noted() {
            self.note_failures(failures + 1, now).await?;
        }
        Ok(rehearse)
    }

    /// Handles a failure of the store to take the first so many batches.
    pub(super) async fn handle_failure(
        &mut self,
        failure: Failure,
        now: DateTime<Utc>,
    ) -> Result<(), ConsumeError> {
        let count = failure.count;
        match failure.error {
            // Too many at once, or one of them: each by itself.
            StoreError::Refused { .. }
            | StoreError::TooSlow { .. }
            | StoreError::TooMuch
            | StoreError::Panicked
                if count > 1 =>
            {
                self.pending.split(count);
                Ok(())
            }
            StoreError::Refused { code } => {
                self.store.report_works();
                tracing::error!(
                    event = "batch-refused-by-store",
                    code,
                    "a batch goes to the dead letters"
                );
                self.dead_letter_first(STORE_REFUSES, now).await
            }
            error if !self.is_of_the_rows(&error, &failure, now).await => {
                self.is_in_doubt = error.may_be_of_the_rows();
                self.store.report(&Err::<(), _>(error.clone()));
                self.unnote(now).await;
                Err(error.into())
            }
            _ if count > 1 => {
                self.store.report_works();
                self.pending.split(count);
                Ok(())
            }
            error => {
                self.store.report_works();
                if error.counts_against_a_batch() {
                    return self.count_failure(&error, now).await;
                }
                self.wait_for_others(&error, now).await;
                Ok(())
            }
        }
    }

    /// Postpones the first batch, which is not to blame.
    async fn wait_for_others(&mut self, error: &StoreError, now: DateTime<Utc>) {
        tracing::warn!(
            event = "batch-postponed",
            %error,
            "the store works, and others are in the way of one batch"
        );
        self.unnote(now).await;
        let due = now + TimeDelta::seconds(OTHERS_SECONDS);
        self.pending.postpone_first(due);
    }

    /// Returns whether the store works and only these rows fail.
    async fn is_of_the_rows(
        &mut self,
        error: &StoreError,
        failure: &Failure,
        now: DateTime<Utc>,
    ) -> bool {
        match error {
            // A connection that breaks says nothing about what the store does directly after.
            StoreError::Unavailable {
                is_breakdown: true, ..
            } => failure.is_store_well,
            StoreError::Unavailable { .. } if !error.may_be_of_the_rows() => false,
            StoreError::Unavailable { .. } | StoreError::TooSlow { .. } | StoreError::Panicked => {
                failure.is_store_well || self.store.rehearse(now).await.is_ok()
            }
            _ => false,
        }
    }

    /// Counts a failure at the first batch by itself: it is postponed, and given up at last.
    async fn count_failure(
        &mut self,
        error: &StoreError,
        now: DateTime<Utc>,
    ) -> Result<(), ConsumeError> {
        let failures = self.pending.count_failure();
        tracing::warn!(
            event = "batch-failed",
            failures,
            %error,
            "the store works, and one batch fails by itself"
        );
        if failures >= GIVE_UP_AFTER {
            return self.dead_letter_first(GIVEN_UP, now).await;
        }
        // What cannot be noted now is known here, and counts until the program ends.
        if let Err(error) = self.note_failures(failures, now).await {
            tracing::warn!(event = "failure-unnoted", %error);
        }
        let pause = if failures + 1 < GIVE_UP_AFTER {
            TimeDelta::zero()
        } else {
            TimeDelta::seconds(LAST_TRY_SECONDS)
        };
        self.pending.postpone_first(now + pause);
        Ok(())
    }

    async fn dead_letter_first(
        &mut self,
        reason: DeadLetterReason,
        now: DateTime<Utc>,
    ) -> Result<(), ConsumeError> {
        self.forget_failures(now).await;
        let first = self.pending.take_first(1).into_iter();
        let first = first.map(|delivery| (delivery, reason));
        Ok(self.session.dead_letter_all(first.collect()).await?)
    }

    /// Opens one of the batches that were handed out before, by itself. One at which the registry
    /// has failed too often already, and perhaps ended, is not opened any more.
    pub(super) async fn take_up_suspect(&mut self, now: DateTime<Utc>) -> Result<(), ConsumeError> {
        if self.session.suspects.is_empty() {
            return Ok(());
        }
        self.session.totals.outcome += self.store.ensure_writable(now).await?;
        let taken = self.session.suspects.take(&self.store.store).await;
        let taken = taken.inspect_err(|error| {
            count_store_error(error);
            self.store.report(&Err::<(), _>(error.clone()));
        })?;
        let Some(suspect) = taken else {
            return Ok(());
        };
        let failures = suspect.failures();
        let message = message_key(&suspect.delivery.bytes);
        if failures >= GIVE_UP_AFTER {
            tracing::error!(
                event = "batch-given-up",
                failures,
                "the registry failed at a batch again and again"
            );
            let given_up = vec![(suspect.delivery, GIVEN_UP)];
            self.session.dead_letter_all(given_up).await?;
            return Ok(self.store.store.put_failures(&message, 0, now).await?);
        }
        let noted = self.store.store.put_failures(&message, failures + 1, now);
        if let Err(error) = noted.await {
            count_store_error(&error);
            self.store.report(&Err::<(), _>(error.clone()));
            self.session.suspects.extend(vec![suspect.delivery]);
            return Err(error.into());
        }
        self.session.open(vec![suspect.delivery], now);
        self.collect_opened(now).await?;
        match self.pending.take_newest() {
            Some(mut batch) => {
                batch.failures = failures;
                self.pending.push_first_alone(batch);
            }
            // A dead letter already.
            None => self.store.store.put_failures(&message, 0, now).await?,
        }
        Ok(())
    }

    fn failures_of_first(&self) -> u32 {
        self.pending.first().map_or(0, |first| first.failures)
    }

    /// Returns whether something is noted in the store about the first batch.
    fn is_first_noted(&self) -> bool {
        let first = self.pending.first();
        first.is_some_and(|first| first.failures > 0 || first.delivery.redelivered)
    }

    async fn note_failures(&mut self, failures: u32, now: DateTime<Utc>) -> Result<(), StoreError> {
        let Some(first) = self.pending.first() else {
            return Ok(());
        };
        let message = message_key(&first.delivery.bytes);
        let noted = self.store.store.put_failures(&message, failures, now).await;
        noted.inspect_err(|error| {
            count_store_error(error);
            self.store.report(&Err::<(), _>(error.clone()));
        })
    }

    /// Takes back that the first batch was tried: the store failed, not the batch, or the program
    /// is asked to stop.
    pub(super) async fn unnote(&mut self, now: DateTime<Utc>) {
        if self.is_first_noted() {
            // In an outage that cannot be written; the note then counts if the program ends.
            let failures = self.failures_of_first();
            drop(self.note_failures(failures, now).await);
        }
    }

    /// Removes what is noted about the first batch, which was settled.
    pub(super) async fn forget_failures(&mut self, now: DateTime<Utc>) {
        if self.is_first_noted()
            && let Err(error) = self.note_failures(0, now).await
        {
            tracing::warn!(event = "failure-unnoted", %error);
            let message = self
                .pending
                .first()
                .map(|first| message_key(&first.delivery.bytes));
            self.noted_and_settled.extend(message);
        }
    }

    /// Removes notes that the store could not remove when their messages were settled: a dead
    /// letter that somebody puts back is not to be given up at once.
    pub(super) async fn forget_settled(&mut self, now: DateTime<Utc>) {
        while let Some(message) = self.noted_and_settled.last() {
            if self
                .store
                .store
                .put_failures(message, 0, now)
                .await
                .is_err()
            {
                return;
            }
            self.noted_and_settled.pop();
        }
    }
}
