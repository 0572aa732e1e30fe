//! Attempts to apply batches: again after a lost race, and under the names that hold.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};
use contract::Epoch;
use linking::OpenBatch;

use super::apply::epochs_of_elements;
use super::error::{StoreError, is_race, unavailable};
use super::transaction::{Abort, Applied, Attempt};
use super::{APPLY_TIMEOUT_SECONDS, ATTEMPTS, LOST_RACES, SHARED_ATTEMPTS, Store};

impl Store {
    /// Applies batches in one transaction, under the names that hold. A lost race runs again; the
    /// caller judges every other failure.
    pub(crate) async fn apply(
        &self,
        batches: &[&OpenBatch],
        now: DateTime<Utc>,
    ) -> Result<Applied, StoreError> {
        let stated = epochs_of_elements(batches);
        if self.changed_epochs.lock().is_disjoint(&stated) {
            match self.apply_as_stated(batches, now).await {
                Err(ApplyError::Rekeyed) => {}
                Err(ApplyError::Store(error)) => return Err(error),
                Ok(applied) => return Ok(applied),
            }
        }
        let changed = self.rekeyed_epochs().await?;
        let renamed = self.renamed(batches, &changed).await?;
        self.changed_epochs.lock().extend(changed);
        let renamed: Vec<&OpenBatch> = renamed.iter().collect();
        match self.apply_as_stated(&renamed, now).await {
            Ok(applied) => Ok(applied),
            Err(ApplyError::Store(error)) => Err(error),
            // Another change came to its end meanwhile; the next try knows of it.
            Err(ApplyError::Rekeyed) => Err(unavailable(LOST_RACES)),
        }
    }

    /// Batches with the names that hold, where those of these epochs have changed.
    async fn renamed(
        &self,
        batches: &[&OpenBatch],
        changed: &[Epoch],
    ) -> Result<Vec<OpenBatch>, StoreError> {
        let mut renamed: Vec<OpenBatch> = batches.iter().map(|batch| (*batch).clone()).collect();
        for rekeying in self.rekeyings.iter() {
            let all: Vec<&OpenBatch> = renamed.iter().collect();
            let concerns = changed.contains(&rekeying.from())
                && epochs_of_elements(&all).contains(&rekeying.from());
            if concerns {
                let rekeying = Arc::clone(rekeying);
                let work = move || renamed.iter().map(|batch| rekeying.batch(batch)).collect();
                renamed = match tokio::task::spawn_blocking(work).await {
                    Ok(renamed) => renamed,
                    Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
                };
            }
        }
        let all: Vec<&OpenBatch> = renamed.iter().collect();
        let left = epochs_of_elements(&all);
        match changed.iter().find(|epoch| left.contains(epoch)) {
            Some(epoch) => Err(lacks_rekeying(*epoch)),
            None => Ok(renamed),
        }
    }

    async fn apply_as_stated(
        &self,
        batches: &[&OpenBatch],
        now: DateTime<Utc>,
    ) -> Result<Applied, ApplyError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(Duration::from_millis(500))
            .with_jitter()
            .with_max_times(ATTEMPTS)
            .build();
        let events: usize = batches.iter().map(|batch| batch.events.len()).sum();
        let mut attempt = Attempt {
            exclusive: false,
            blind: self.backend.expects_new(events),
            is_rehearsal: false,
            drops_refusals: self.added_refusals.are_too_many(),
            // A single event goes whole: what it can make be read is bounded.
            is_bounded: events > 1,
        };
        let mut lost = 0;
        loop {
            match self.apply_in_time(batches, attempt, now).await {
                Ok(applied) => {
                    self.backend.note_all_new(applied.outcome.applied == events);
                    self.bound_refusals(applied.outcome.refused, attempt).await;
                    return Ok(applied);
                }
                Err(Abort::Raced) => {}
                Err(Abort::Sql(error)) if is_race(&error) => {}
                Err(Abort::Sql(error)) => return Err(StoreError::from(error).into()),
                Err(Abort::TooSlow) => {
                    let code = format!("{APPLY_TIMEOUT_SECONDS} s");
                    return Err(StoreError::TooSlow { code }.into());
                }
                Err(Abort::TooMuch) => return Err(StoreError::TooMuch.into()),
                Err(Abort::Rekeyed) => return Err(ApplyError::Rekeyed),
                Err(Abort::Failed(error)) => return Err(error.into()),
            }
            // A blind attempt that lost is repeated with a look at once, and counts as no race.
            if std::mem::take(&mut attempt.blind) {
                continue;
            }
            lost += 1;
            attempt.exclusive |= lost >= SHARED_ATTEMPTS;
            metrics::counter!("registry_store_races_total").increment(1);
            let Some(pause) = pauses.next() else {
                return Err(unavailable(LOST_RACES).into());
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn apply_in_time(
        &self,
        batches: &[&OpenBatch],
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<Applied, Abort> {
        let limit = Duration::from_secs(APPLY_TIMEOUT_SECONDS);
        let applied = tokio::time::timeout(
            limit,
            self.backend
                .apply(batches, &self.rules, self.escrow.as_deref(), attempt, now),
        )
        .await;
        applied.unwrap_or(Err(Abort::TooSlow))
    }
}

/// Reason for which batches were not applied.
enum ApplyError {
    Store(StoreError),
    /// They state names of an epoch whose names have changed.
    Rekeyed,
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Names of an epoch have come that have changed by a factor that this program was not given.
pub(crate) fn lacks_rekeying(epoch: Epoch) -> StoreError {
    StoreError::Misconfigured {
        what: format!(
            "the names of key epoch {epoch} follow a new key, and keys.rekeyed does not say how"
        ),
        help: "write the [[keys.rekeyed]] of that change again, or close the epoch in \
               keys.pseudonym_epochs",
    }
}
