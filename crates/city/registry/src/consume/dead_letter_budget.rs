//! Bound of the dead letters in a time. Everybody with an account can send what no key opens, as
//! fast as the broker takes it; keeping and answering each would hold up the batches of others.

use std::time::Duration;

use az::SaturatingAs;

/// Number of unreadable batches that are kept at once.
const BURST: u64 = 100;
/// Number of unreadable batches that are kept in a second, in the long run.
const PER_SECOND: u64 = 10;
/// Least time between two log lines about what is thrown away.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Budget of one consumer. What exceeds it is thrown away without an answer: a gateway keeps a
/// batch until it is answered, and sends it again.
#[derive(Debug)]
pub(super) struct DeadLetterBudget {
    left: u64,
    /// Time up to which the budget was filled.
    filled_at: Duration,
    /// Number thrown away and not logged yet.
    unlogged: u64,
    logged_at: Option<Duration>,
}

impl DeadLetterBudget {
    /// A full budget; times count from any fixed moment.
    pub(super) const fn new(now: Duration) -> Self {
        Self {
            left: BURST,
            filled_at: now,
            unlogged: 0,
            logged_at: None,
        }
    }

    /// Takes one from the budget; false where it is used up.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.filled_at);
        let earned: u64 = (elapsed.as_millis() * u128::from(PER_SECOND) / 1000).saturating_as();
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.filled_at = now;
        }
        let some_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some_left
    }

    /// Notes that so many were thrown away; returns a number to be logged now.
    pub(super) fn note_thrown_away(&mut self, count: u64, now: Duration) -> Option<u64> {
        self.unlogged += count;
        let due = self
            .logged_at
            .is_none_or(|last| now.saturating_sub(last) >= LOG_EVERY);
        if self.unlogged == 0 || !due {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_kept_in_part_and_a_trickle_whole() {
        let mut budget = DeadLetterBudget::new(Duration::ZERO);
        let mut kept = 0;
        // 5000 a second for 10 s.
        for number in 0..50_000 {
            let now = Duration::from_micros(number * 200);
            kept += u64::from(budget.take(now));
        }
        assert!((190..=200).contains(&kept), "{kept}");
        let later = Duration::from_secs(3600);
        assert!((0..1000).all(|at| budget.take(later + Duration::from_millis(100 * at))));
    }

    #[test]
    fn what_is_thrown_away_is_logged_once_a_minute() {
        let mut budget = DeadLetterBudget::new(Duration::ZERO);
        let at = Duration::from_secs;
        assert_eq!(budget.note_thrown_away(0, at(1)), None);
        assert_eq!(budget.note_thrown_away(3, at(1)), Some(3));
        assert_eq!(budget.note_thrown_away(4, at(30)), None);
        assert_eq!(budget.note_thrown_away(5, at(61)), Some(9));
    }
}
