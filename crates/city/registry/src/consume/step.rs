//! Results of a step.

use broker::BrokerError;
use linking::GroupOutcome;

use crate::store::StoreError;

/// Result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumeStep {
    /// Queue in which nothing was waiting.
    Idle,
    /// Batches that were taken from the queue for good.
    Done {
        /// Number of batches stored and acknowledged.
        batches: usize,
        /// Number of probes answered, or acknowledged without an answer; they store nothing.
        probes: usize,
        /// Number of batches moved to the dead letters.
        dead: usize,
        /// Counts of the stored batches' events.
        outcome: GroupOutcome,
    },
}

/// Reason for which a step could not be finished. Nothing is lost: what is not stored is not
/// acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// Failure of the queue; its consumer paces itself, so call again.
    #[error("queue: {0}")]
    Queue(#[from] BrokerError),
    /// Failure of the store; ask [`crate::Registry::store_pause`] when to call again.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Counts for the next [`ConsumeStep::Done`].
#[derive(Debug, Default)]
pub(super) struct StepTotals {
    pub batches: usize,
    pub probes: usize,
    pub dead: usize,
    pub outcome: GroupOutcome,
}

impl StepTotals {
    /// True where nothing was taken from the queue for good.
    pub(super) const fn is_idle(&self) -> bool {
        self.batches + self.probes + self.dead == 0
    }
}

impl std::ops::AddAssign for StepTotals {
    fn add_assign(&mut self, other: Self) {
        self.batches += other.batches;
        self.probes += other.probes;
        self.dead += other.dead;
        self.outcome += other.outcome;
    }
}

impl From<StepTotals> for ConsumeStep {
    fn from(totals: StepTotals) -> Self {
        Self::Done {
            batches: totals.batches,
            probes: totals.probes,
            dead: totals.dead,
            outcome: totals.outcome,
        }
    }
}
