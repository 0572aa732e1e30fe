//! The commit gate: whoever gives out versions passes it alone, and learns whether a page was
//! prepared on records that have changed since.
//!
//! A page is prepared (looked up, planned, sealed) outside the gate, while another is being
//! written. Under the gate, where nothing changes any more, [`CommitGuard::may_have_changed`] says
//! whether an earlier guard may have changed what the page was planned on.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::atomic::{self, AtomicU64};

use az::SaturatingAs as _;
use tokio::sync::{Mutex, MutexGuard};

use crate::records::Key;

/// Most records remembered as changed, over all guards that are.
const MAX_REMEMBERED: usize = 200_000;

/// Point between two guards: all that earlier guards committed was seen by a look-up after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadPoint {
    /// Number of the gate: a point of an outbox that was closed says nothing of the one opened
    /// since.
    gate: u64,
    /// Guards that had ended.
    ended: u64,
}

impl ReadPoint {
    /// Returns whether a look-up after this point may have missed what one after the other has
    /// seen, never the other way round.
    pub(crate) const fn is_no_later_than(self, other: Self) -> bool {
        self.gate == other.gate && self.ended <= other.ended
    }
}

/// Number of gates there have been in this process.
static GATES: AtomicU64 = AtomicU64::new(0);

/// Gate that one commit passes at a time.
#[derive(Debug)]
pub(crate) struct CommitGate {
    id: u64,
    passing: Mutex<()>,
    changes: parking_lot::Mutex<Changes>,
}

/// Changes of the guards that have ended.
#[derive(Debug, Default)]
struct Changes {
    /// Number of guards that are no longer remembered one by one.
    forgotten: u64,
    /// Records that each later guard changed, sorted.
    remembered: VecDeque<Vec<Key>>,
    /// Keys in `remembered`.
    remembered_keys: usize,
    /// Upper bound of the sealed bytes kept; unknown until somebody has counted them.
    kept_at_most_bytes: Option<u64>,
}

/// Changes of one guard.
#[derive(Debug)]
enum Changed {
    /// Anything, or something that nobody lists.
    Anything,
    /// Only these records.
    Records(Vec<Key>),
}

/// Right to give out versions, held by one at a time. At its end, however it ends, whatever it may
/// have changed counts as changed for those who looked it up before.
#[derive(Debug)]
pub(crate) struct CommitGuard<'a> {
    gate: &'a CommitGate,
    changed: Changed,
    /// Dropped after the changes were noted.
    _passing: MutexGuard<'a, ()>,
}

impl CommitGate {
    pub(crate) fn new() -> Self {
        let id = GATES.fetch_add(1, atomic::Ordering::Relaxed);
        Self {
            id,
            passing: Mutex::default(),
            changes: parking_lot::Mutex::default(),
        }
    }

    /// Waits for a guard that may change anything.
    pub(crate) async fn lock(&self) -> CommitGuard<'_> {
        CommitGuard {
            gate: self,
            changed: Changed::Anything,
            _passing: self.passing.lock().await,
        }
    }

    /// Waits for a guard that changes no record, until it announces some.
    pub(crate) async fn lock_for_records(&self) -> CommitGuard<'_> {
        CommitGuard {
            gate: self,
            changed: Changed::Records(Vec::new()),
            _passing: self.passing.lock().await,
        }
    }

    /// Present point, to be taken before a look-up whose result is to be relied on.
    pub(crate) fn read_point(&self) -> ReadPoint {
        let changes = self.changes.lock();
        ReadPoint {
            gate: self.id,
            ended: changes.forgotten + changes.remembered.len() as u64,
        }
    }

    /// Upper bound of the sealed bytes kept, if it is known.
    pub(crate) fn kept_at_most_bytes(&self) -> Option<u64> {
        self.changes.lock().kept_at_most_bytes
    }
}

impl CommitGuard<'_> {
    /// Returns whether any of these records, sorted, may have changed since the point.
    pub(crate) fn may_have_changed(&self, since: ReadPoint, records: &[Key]) -> bool {
        let changes = self.gate.changes.lock();
        let ended = (since.gate == self.gate.id).then_some(since.ended);
        let Some(seen) = ended.and_then(|ended| ended.checked_sub(changes.forgotten)) else {
            return true;
        };
        changes
            .remembered
            .iter()
            .skip(seen.saturating_as())
            .any(|changed| any_common(changed, records))
    }

    /// Announces that these records, sorted, are about to change, and that so many sealed bytes are
    /// added.
    pub(crate) fn announce(&mut self, records: Vec<Key>, added_bytes: u64) {
        self.changed = Changed::Records(records);
        let kept = &mut self.gate.changes.lock().kept_at_most_bytes;
        *kept = kept.map(|bytes| bytes.saturating_add(added_bytes));
    }

    /// Notes the number of sealed bytes kept at this moment.
    pub(crate) fn note_kept_bytes(&self, kept_bytes: u64) {
        self.gate.changes.lock().kept_at_most_bytes = Some(kept_bytes);
    }
}

impl Drop for CommitGuard<'_> {
    fn drop(&mut self) {
        let changed = std::mem::replace(&mut self.changed, Changed::Anything);
        self.gate.changes.lock().note(changed);
    }
}

impl Changes {
    fn note(&mut self, changed: Changed) {
        match changed {
            Changed::Records(records) if records.is_empty() => {}
            Changed::Records(records) => {
                self.remembered_keys += records.len();
                self.remembered.push_back(records);
                while self.remembered_keys > MAX_REMEMBERED {
                    let Some(oldest) = self.remembered.pop_front() else {
                        break;
                    };
                    self.remembered_keys -= oldest.len();
                    self.forgotten += 1;
                }
            }
            Changed::Anything => {
                self.forgotten += self.remembered.len() as u64 + 1;
                self.remembered.clear();
                self.remembered_keys = 0;
                self.kept_at_most_bytes = None;
            }
        }
    }
}

/// Returns whether two sorted lists share a value.
pub(crate) fn any_common(left: &[Key], right: &[Key]) -> bool {
    let mut left = left.iter().peekable();
    let mut right = right.iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        match first.cmp(second) {
            Ordering::Less => drop(left.next()),
            Ordering::Greater => drop(right.next()),
            Ordering::Equal => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn change(gate: &CommitGate, records: &[Key]) {
        gate.lock_for_records().await.announce(records.to_vec(), 0);
    }

    #[tokio::test]
    async fn only_records_that_a_later_guard_changed_may_have_changed() {
        let gate = CommitGate::new();
        change(&gate, &[1, 5]).await;
        let seen = gate.read_point();
        change(&gate, &[2, 7]).await;
        let guard = gate.lock_for_records().await;
        assert!(guard.may_have_changed(seen, &[3, 7]) && guard.may_have_changed(seen, &[2]));
        assert!(
            !guard.may_have_changed(seen, &[1, 3, 5]),
            "those had changed before"
        );
        assert!(
            !guard.may_have_changed(seen, &[])
                && !guard.may_have_changed(gate.read_point(), &[2, 7])
        );
    }

    #[tokio::test]
    async fn guard_that_may_change_anything_makes_everything_stale() {
        let gate = CommitGate::new();
        change(&gate, &[1]).await;
        let seen = gate.read_point();
        drop(gate.lock_for_records().await);
        assert!(
            !gate.lock_for_records().await.may_have_changed(seen, &[1]),
            "that guard changed nothing"
        );
        drop(gate.lock().await);
        assert!(gate.lock_for_records().await.may_have_changed(seen, &[9]));
        assert!(
            !gate
                .lock_for_records()
                .await
                .may_have_changed(gate.read_point(), &[9])
        );
        assert!(
            gate.lock_for_records()
                .await
                .may_have_changed(CommitGate::new().read_point(), &[9]),
            "of another gate"
        );
    }

    #[tokio::test]
    async fn what_is_too_long_ago_may_have_changed_rather_than_remembered() {
        let gate = CommitGate::new();
        let seen = gate.read_point();
        let many: Vec<Key> = (1..=MAX_REMEMBERED as u64 / 2).collect();
        change(&gate, &many).await;
        change(&gate, &many).await;
        assert!(!gate.lock_for_records().await.may_have_changed(seen, &[0]));
        change(&gate, &[1]).await;
        assert!(gate.lock_for_records().await.may_have_changed(seen, &[0]));
        assert!(gate.changes.lock().remembered_keys <= MAX_REMEMBERED);
    }

    #[tokio::test]
    async fn kept_bytes_are_unknown_after_a_guard_that_may_change_anything() {
        let gate = CommitGate::new();
        assert_eq!(gate.kept_at_most_bytes(), None);
        let mut guard = gate.lock_for_records().await;
        guard.note_kept_bytes(100);
        guard.announce(vec![1], 20);
        drop(guard);
        assert_eq!(gate.kept_at_most_bytes(), Some(120));
        drop(gate.lock().await);
        assert_eq!(gate.kept_at_most_bytes(), None);
    }
}
