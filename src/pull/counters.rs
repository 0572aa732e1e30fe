//! Counts of a run's records, by outcome.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a run so far, shared with whoever shows progress.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records fetched by pulls, some of which may not be durable yet.
    pub pulled: AtomicU64,
    /// Records read and made durable, by pulls, and by sweeps and retries that read a row again.
    /// The sum of `new`, `corrected`, `withdrawn`, `withdrawn_unsent`, `resent`, `unchanged`,
    /// `no_fact`, `refused`, `refused_again`, `parked` and `withheld`.
    pub read: AtomicU64,
    /// Records sent for the first time.
    pub new: AtomicU64,
    /// Records sent again because they changed.
    pub corrected: AtomicU64,
    /// Records that were sent, and whose row says that they are taken back.
    pub withdrawn: AtomicU64,
    /// Records whose row says that they are cancelled, and that were never sent from this state:
    /// withdrawn all the same, since a state that was lost may have sent them.
    pub withdrawn_unsent: AtomicU64,
    /// Records sent again as they were, as far as can be told: the generation rose, or a retry or a
    /// repair asked for it.
    pub resent: AtomicU64,
    /// Records that had been sent as they are.
    pub unchanged: AtomicU64,
    /// Records that are no facts: about something else than COVID-19, or not done, such as an
    /// appointment.
    pub no_fact: AtomicU64,
    /// Records newly refused.
    pub refused: AtomicU64,
    /// Records refused that were refused before.
    pub refused_again: AtomicU64,
    /// Records whose change cannot be sent, since no version is left: dead letters.
    pub parked: AtomicU64,
    /// Records that stay here as long as facts of too few persons leave alike.
    pub withheld: AtomicU64,
    /// Records withdrawn because a sweep found no row of theirs; none of `read`.
    pub swept: AtomicU64,
    /// Records about something else than COVID-19, counted elsewhere as well.
    pub out_of_scope: AtomicU64,
    /// Records sent although the check digit of their OMS number is wrong.
    pub oms_warnings: AtomicU64,
    /// Numbers of doses that cannot be read, so that records were sent without them.
    pub doses_dropped: AtomicU64,
}

impl Counters {
    /// Number of records put into batches: new, corrected, taken back, or sent again.
    #[must_use]
    pub fn sent(&self) -> u64 {
        [
            &self.new,
            &self.corrected,
            &self.withdrawn,
            &self.withdrawn_unsent,
            &self.resent,
            &self.swept,
        ]
        .map(|count| count.load(Ordering::Relaxed))
        .iter()
        .sum()
    }
}
