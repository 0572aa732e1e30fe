//! Store behind its circuit breaker: when it may be asked, and whether it takes writes again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use circuit::Permit;
use linking::{GroupOutcome, OpenBatch};

use super::metrics::{count_events, count_store_error};
use super::store_batches::catch_panic;
use crate::breaker::Breaker;
use crate::store::{Store, StoreError};

/// Store behind its circuit breaker.
pub(super) struct GuardedStore {
    pub store: Store,
    breaker: Breaker,
    /// True from a permit to probe until its outcome is reported.
    probes: AtomicBool,
    /// Copy of a batch that went back to the queue because the store was away for long. Until the
    /// store has taken it, no batches are taken from the queue, so that none comes closer to the
    /// queue's delivery limit.
    trial: Option<OpenBatch>,
    /// Number of times that the store failed at the trial, though a rehearsal went well before.
    trial_failures: u32,
}

/// Number of failures after which a batch is no trial any more.
const MAX_TRIAL_FAILURES: u32 = 3;

impl GuardedStore {
    pub(super) const fn new(store: Store, breaker: Breaker) -> Self {
        Self {
            store,
            breaker,
            probes: AtomicBool::new(false),
            trial: None,
            trial_failures: 0,
        }
    }

    /// Time for which the store is to be left alone; `None` where it may be asked.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self.breaker.permit() {
            Permit::Open { wait } => Some(wait),
            Permit::Closed => None,
            Permit::Probe => {
                self.probes.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// Lets another step probe the store where this one ended without having asked it, as where the
    /// queue failed first.
    pub(super) fn end_step(&self) {
        if self.probes.swap(false, Ordering::Relaxed) {
            self.breaker.give_up_probe();
        }
    }

    /// True where nothing is known to be wrong with the store.
    pub(super) fn is_in_order(&self) -> bool {
        self.breaker.is_closed() && self.trial.is_none()
    }

    /// Tries `batch` first, before any batch is taken from the queue again.
    pub(super) fn set_trial(&mut self, batch: OpenBatch) {
        self.trial = Some(batch);
        self.trial_failures = 0;
    }

    /// Notes that the store works.
    pub(super) fn report_works(&self) {
        self.probes.store(false, Ordering::Relaxed);
        self.breaker.success();
    }

    fn report_failure(&self) {
        self.probes.store(false, Ordering::Relaxed);
        self.breaker.failure();
    }

    /// Writes an invented fact and takes it back: tells whether the store is to blame for a
    /// failure.
    pub(super) async fn rehearse(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let rehearsed = catch_panic(self.store.rehearse(now)).await;
        let rehearsed = rehearsed.inspect_err(count_store_error);
        self.report(&rehearsed);
        rehearsed
    }

    /// Tells the circuit how the store did. One that refuses rows works.
    pub(super) fn report<T>(&self, done: &Result<T, StoreError>) {
        match done {
            Ok(_) | Err(StoreError::Refused { .. } | StoreError::TooMuch) => self.report_works(),
            Err(_) => self.report_failure(),
        }
    }

    /// Asks whether the store answers, and reports only a failure to the circuit.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let answered = self.store.ping().await;
        answered.inspect_err(|error| {
            count_store_error(error);
            self.report_failure();
        })
    }

    /// Makes sure that the store takes writes, unless it is known to. An answer is not enough: a
    /// store with a full disk answers, and so does a standby. The batch that failed in a long
    /// outage is written once more; when the queue brings it again, it changes nothing. Returns
    /// what that write came to.
    pub(super) async fn ensure_writable(
        &mut self,
        now: DateTime<Utc>,
    ) -> Result<GroupOutcome, StoreError> {
        if self.is_in_order() {
            return Ok(GroupOutcome::default());
        }
        self.rehearse(now).await?;
        let Some(batch) = &self.trial else {
            return Ok(GroupOutcome::default());
        };
        let applied = catch_panic(self.store.apply(&[batch], now)).await;
        let applied = applied.inspect_err(count_store_error);
        self.report(&applied);
        let outcome = match applied {
            Ok(applied) => {
                count_events(&applied.outcome);
                applied.outcome
            }
            // The store works, and this batch is its own trouble: it must not hold up the others.
            Err(StoreError::Refused { .. } | StoreError::TooSlow { .. } | StoreError::Panicked) => {
                GroupOutcome::default()
            }
            Err(error) => {
                self.trial_failures += u32::from(error.may_be_of_the_rows());
                if self.trial_failures >= MAX_TRIAL_FAILURES {
                    self.trial = None;
                }
                return Err(error);
            }
        };
        self.trial = None;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clock::{Clock, ManualClock};

    use super::*;
    use crate::breaker::STORE;
    use crate::config::{SqliteConfig, StoreConfig};

    #[tokio::test]
    async fn a_step_that_does_not_reach_the_store_leaves_the_probe_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::Sqlite(SqliteConfig {
            path: "registry.sqlite".into(),
        });
        let store = Store::open(&config, folder.path()).await.unwrap();
        let clock = Arc::new(ManualClock::at(DateTime::UNIX_EPOCH));
        let breaker = Breaker::new("store", STORE, Arc::clone(&clock) as Arc<dyn Clock>);
        let first = GuardedStore::new(store.clone(), breaker.clone());
        let other = GuardedStore::new(store, breaker);
        first.report(&Err::<(), _>(StoreError::Panicked));
        clock.advance(2 * STORE.first_pause);
        assert_eq!(first.pause(), None, "its step may try the store");
        assert!(other.pause().is_some(), "nobody else meanwhile");
        first.end_step();
        assert_eq!(
            other.pause(),
            None,
            "the queue failed before the store was asked"
        );
        other.report_works();
        other.end_step();
        assert!(first.is_in_order());
    }
}
