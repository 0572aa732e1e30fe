//! Counts of a run's records, by outcome.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a run so far, shared with whoever shows progress.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records fetched.
    pub pulled: AtomicU64,
    /// Records sent for the first time.
    pub new: AtomicU64,
    /// Records sent again because they changed.
    pub corrected: AtomicU64,
    /// Records taken back.
    pub withdrawn: AtomicU64,
    /// Records that had been sent as they are, or need not be sent.
    pub unchanged: AtomicU64,
    /// Records newly refused; those in the dead letters already do not count again.
    pub refused: AtomicU64,
    /// Records whose change cannot be sent, since no version is left: dead letters.
    pub parked: AtomicU64,
    /// Records about something else than COVID-19, counted among the unchanged as well.
    pub out_of_scope: AtomicU64,
    /// Records sent although the check digit of their OMS number is wrong.
    pub oms_warnings: AtomicU64,
}

impl Counters {
    /// Number of records put into batches: new, corrected or taken back.
    #[must_use]
    pub fn sent(&self) -> u64 {
        [&self.new, &self.corrected, &self.withdrawn]
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }
}
