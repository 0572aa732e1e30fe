//! Cycle detection: notices a walk that comes back to a step it has made before.

use serde::{Deserialize, Serialize};

/// Brent's cycle detection over the steps of a walk, such as the pages of a source.
///
/// One step is remembered, at distances that double. A walk that goes round in a cycle meets the
/// remembered step after at most three times as many steps as lie before and in the cycle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct CycleDetector<T> {
    // Flat, because stored cursors of FHIR sources hold it like that.
    #[serde(flatten)]
    remembered: Option<T>,
    /// Steps since the remembered one.
    steps: u64,
    /// Steps after which the next one is remembered.
    until: u64,
}

impl<T> Default for CycleDetector<T> {
    fn default() -> Self {
        Self {
            remembered: None,
            steps: 0,
            until: 0,
        }
    }
}

impl<T: Clone> CycleDetector<T> {
    /// The remembered step, to be compared with the present one before [`Self::advance`].
    #[must_use]
    pub fn remembered(&self) -> Option<&T> {
        self.remembered.as_ref()
    }

    /// Counts the present step, and remembers it where it is the next one to be remembered.
    pub fn advance(&mut self, step: &T) {
        self.steps += 1;
        if self.steps > self.until {
            self.remembered = Some(step.clone());
            self.until = self.until.saturating_mul(2).max(1);
            self.steps = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_noticed_soon_wherever_it_begins_and_a_long_walk_is_none() {
        let steps_until_noticed = |steps: &mut dyn Iterator<Item = u64>| {
            let mut detector = CycleDetector::default();
            steps
                .take_while(|step| {
                    let is_new = detector.remembered() != Some(step);
                    detector.advance(step);
                    is_new
                })
                .count() as u64
        };
        assert_eq!(steps_until_noticed(&mut (0..100_000)), 100_000);
        for (before, length) in [(0, 1), (0, 2), (5, 1), (3, 4), (5, 7), (40, 7), (100, 33)] {
            let mut walk = (0..before).chain((0..length).map(|step| 1_000_000 + step).cycle());
            let steps = steps_until_noticed(&mut walk);
            let most = 3 * (before + length) + 3;
            assert!(steps <= most, "{steps} steps: {length} after {before}");
        }
    }
}
