//! Counts of what became of a group of batches.

/// Counts of what became of a group of batches' events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupOutcome {
    /// Events that became the stored version of their record.
    pub applied: usize,
    /// Events whose very version was stored before, or came twice.
    pub unchanged: usize,
    /// Events older than the version that is stored.
    pub superseded: usize,
    /// Events that were refused, `version_reused` included.
    pub refused: usize,
    /// Refused events whose version says something else than the stored one of the same number.
    pub version_reused: usize,
    /// Names that records newly disagree about.
    pub conflicts: usize,
    /// Subjects that were merged into another.
    pub merged: usize,
}

impl std::ops::AddAssign for GroupOutcome {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.unchanged += other.unchanged;
        self.superseded += other.superseded;
        self.refused += other.refused;
        self.version_reused += other.version_reused;
        self.conflicts += other.conflicts;
        self.merged += other.merged;
    }
}
