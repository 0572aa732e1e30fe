//! The gate: whoever gives out versions takes turns, and what pages were prepared on is told stale
//! in time.
//!
//! A page is prepared (looked up, planned, sealed) outside the gate, while another is being
//! written. Under the gate, where nothing changes any more, [`Turn::is_stale`] says whether a turn
//! since then may have changed what it was planned on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// Most records remembered as changed, over all turns that are.
const MAX_REMEMBERED: usize = 200_000;

/// A record's key ([`crate::keys::key_of`]). Two records that share one cost a second look, nothing
/// else.
pub(crate) type Key = u64;

/// Which turns had ended at some moment: all that they committed was seen by a look taken after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Of which gate: a moment of an outbox that was closed says nothing of the one opened since.
    gate: u64,
    turns: u64,
}

impl Moment {
    /// Whether a look after this moment may have missed what one after the other has seen, never
    /// the other way round.
    pub(crate) const fn is_no_later_than(self, other: Self) -> bool {
        self.gate == other.gate && self.turns <= other.turns
    }
}

/// How many gates there have been in this process.
static GATES: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(crate) struct Gate {
    id: u64,
    turn: Mutex<()>,
    changes: std::sync::Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    /// How many turns are no longer remembered one by one.
    forgotten: u64,
    /// What each later turn changed, sorted.
    turns: VecDeque<Vec<Key>>,
    /// Keys in `turns`.
    remembered: usize,
    /// An upper bound of the sealed bytes kept; unknown until somebody has counted them.
    kept_at_most_bytes: Option<u64>,
}

/// What a turn changes.
#[derive(Debug)]
enum Changed {
    /// Anything, or something that nobody lists.
    Anything,
    /// Only these records.
    Records(Vec<Key>),
}

/// A turn at the gate. At its end, however it ends, whatever it may have changed is stale to those
/// who looked before.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    gate: &'a Gate,
    changed: Changed,
    /// Dropped after what changed was written down.
    _guard: MutexGuard<'a, ()>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let id = GATES.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            turn: Mutex::default(),
            changes: std::sync::Mutex::default(),
        }
    }

    /// A turn that may change anything.
    pub(crate) async fn lock(&self) -> Turn<'_> {
        Turn {
            gate: self,
            changed: Changed::Anything,
            _guard: self.turn.lock().await,
        }
    }

    /// A turn that changes no record, until it says otherwise.
    pub(crate) async fn lock_for_records(&self) -> Turn<'_> {
        Turn {
            gate: self,
            changed: Changed::Records(Vec::new()),
            _guard: self.turn.lock().await,
        }
    }

    /// To be taken before the look whose result is to be relied on.
    pub(crate) fn moment(&self) -> Moment {
        let changes = self.changes();
        Moment {
            gate: self.id,
            turns: changes.forgotten + changes.turns.len() as u64,
        }
    }

    /// An upper bound of the sealed bytes kept.
    pub(crate) fn kept_at_most_bytes(&self) -> Option<u64> {
        self.changes().kept_at_most_bytes
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.changes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Whether what was seen of these sorted records after that moment may have changed since.
    pub(crate) fn is_stale(&self, seen: Moment, records: &[Key]) -> bool {
        let changes = self.gate.changes();
        let ours = (seen.gate == self.gate.id).then_some(seen.turns);
        let Some(later) = ours.and_then(|turns| turns.checked_sub(changes.forgotten)) else {
            return true;
        };
        let later = usize::try_from(later).unwrap_or(usize::MAX);
        changes
            .turns
            .iter()
            .skip(later)
            .any(|changed| any_common(changed, records))
    }

    /// These records, sorted, are about to change; and so many sealed bytes are added.
    pub(crate) fn changing(&mut self, records: Vec<Key>, added_bytes: u64) {
        self.changed = Changed::Records(records);
        let kept = &mut self.gate.changes().kept_at_most_bytes;
        *kept = kept.map(|bytes| bytes.saturating_add(added_bytes));
    }

    /// So many sealed bytes are kept at this moment.
    pub(crate) fn counted(&self, kept_bytes: u64) {
        self.gate.changes().kept_at_most_bytes = Some(kept_bytes);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let changed = std::mem::replace(&mut self.changed, Changed::Anything);
        self.gate.changes().ended(changed);
    }
}

impl Changes {
    fn ended(&mut self, changed: Changed) {
        match changed {
            Changed::Records(records) if records.is_empty() => {}
            Changed::Records(records) => {
                self.remembered += records.len();
                self.turns.push_back(records);
                while self.remembered > MAX_REMEMBERED {
                    let Some(oldest) = self.turns.pop_front() else {
                        break;
                    };
                    self.remembered -= oldest.len();
                    self.forgotten += 1;
                }
            }
            Changed::Anything => {
                self.forgotten += self.turns.len() as u64 + 1;
                self.turns.clear();
                self.remembered = 0;
                self.kept_at_most_bytes = None;
            }
        }
    }
}

/// Whether two sorted lists share a value.
pub(crate) fn any_common(one: &[Key], other: &[Key]) -> bool {
    let mut one = one.iter().peekable();
    let mut other = other.iter().peekable();
    while let (Some(left), Some(right)) = (one.peek(), other.peek()) {
        match left.cmp(right) {
            std::cmp::Ordering::Less => drop(one.next()),
            std::cmp::Ordering::Greater => drop(other.next()),
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn change(gate: &Gate, records: &[Key]) {
        gate.lock_for_records().await.changing(records.to_vec(), 0);
    }

    #[tokio::test]
    async fn only_what_a_later_turn_changed_is_stale() {
        let gate = Gate::new();
        change(&gate, &[1, 5]).await;
        let seen = gate.moment();
        change(&gate, &[2, 7]).await;
        let turn = gate.lock_for_records().await;
        assert!(turn.is_stale(seen, &[3, 7]) && turn.is_stale(seen, &[2]));
        assert!(!turn.is_stale(seen, &[1, 3, 5]), "those had changed before");
        assert!(!turn.is_stale(seen, &[]) && !turn.is_stale(gate.moment(), &[2, 7]));
    }

    #[tokio::test]
    async fn turn_that_lists_nothing_makes_everything_stale() {
        let gate = Gate::new();
        change(&gate, &[1]).await;
        let seen = gate.moment();
        drop(gate.lock_for_records().await);
        assert!(
            !gate.lock_for_records().await.is_stale(seen, &[1]),
            "that turn changed nothing"
        );
        drop(gate.lock().await);
        assert!(gate.lock_for_records().await.is_stale(seen, &[9]));
        assert!(!gate.lock_for_records().await.is_stale(gate.moment(), &[9]));
        assert!(
            gate.lock_for_records()
                .await
                .is_stale(Gate::new().moment(), &[9]),
            "of another gate"
        );
    }

    #[tokio::test]
    async fn what_is_too_long_ago_is_stale_rather_than_remembered() {
        let gate = Gate::new();
        let seen = gate.moment();
        let many: Vec<Key> = (1..=MAX_REMEMBERED as u64 / 2).collect();
        change(&gate, &many).await;
        change(&gate, &many).await;
        assert!(!gate.lock_for_records().await.is_stale(seen, &[0]));
        change(&gate, &[1]).await;
        assert!(gate.lock_for_records().await.is_stale(seen, &[0]));
        assert!(gate.changes().remembered <= MAX_REMEMBERED);
    }

    #[tokio::test]
    async fn kept_bytes_are_unknown_after_anybody_elses_turn() {
        let gate = Gate::new();
        assert_eq!(gate.kept_at_most_bytes(), None);
        let mut turn = gate.lock_for_records().await;
        turn.counted(100);
        turn.changing(vec![1], 20);
        drop(turn);
        assert_eq!(gate.kept_at_most_bytes(), Some(120));
        drop(gate.lock().await);
        assert_eq!(gate.kept_at_most_bytes(), None);
    }
}
