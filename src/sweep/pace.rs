//! The pace of sweeps: how many rows a second they read, and how long they leave the clinic's
//! server alone between two pages.

use std::time::Duration;

use parking_lot::Mutex;

use crate::config::SweepConfig;

/// Fewest rows of a page, however slow a sweep is: each page costs more than its rows.
const FEWEST_ROWS: u32 = 100;

/// Pace of the sweeps of one source. Times are those of [`clock::Clock::elapsed`].
#[derive(Debug)]
pub(crate) struct Pace {
    /// Most rows a second; 0 for no limit.
    rows_per_second: u32,
    pause: Duration,
    /// Time from which the next page may be read.
    next_at: Mutex<Duration>,
}

impl Pace {
    pub(crate) fn new(config: &SweepConfig) -> Self {
        Self {
            rows_per_second: config.rows_per_second,
            pause: Duration::from_millis(config.pause_ms.into()),
            next_at: Mutex::default(),
        }
    }

    /// Most rows of a page: about those of a second, of at most `limit`.
    pub(super) fn limit(&self, limit: u32) -> u32 {
        match self.rows_per_second {
            0 => limit,
            rows => limit.min(rows.max(FEWEST_ROWS)),
        }
    }

    /// Time from which the next page may be read.
    pub(super) fn next_at(&self) -> Duration {
        *self.next_at.lock()
    }

    /// Notes that so many rows were read between two times.
    pub(super) fn note(&self, rows: u64, begun: Duration, ended: Duration) {
        let for_rate = match self.rows_per_second {
            0 => Duration::ZERO,
            // A page has at most some ten thousand rows.
            rate => Duration::from_millis(rows.saturating_mul(1000).div_ceil(u64::from(rate))),
        };
        *self.next_at.lock() = (begun + for_rate).max(ended + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(rows_per_second: u32, pause_ms: u32) -> Pace {
        Pace::new(&SweepConfig {
            rows_per_second,
            pause_ms,
            ..SweepConfig::default()
        })
    }

    #[test]
    fn without_a_pace_the_next_page_follows_at_once() {
        let free = pace(0, 0);
        assert_eq!((free.limit(3000), free.next_at()), (3000, Duration::ZERO));
        free.note(3000, SECOND, 2 * SECOND);
        assert_eq!(free.next_at(), 2 * SECOND);
    }

    #[test]
    fn rows_a_second_count_the_reading_itself_and_the_pause_comes_after_it() {
        let slow = pace(500, 0);
        assert_eq!(slow.limit(3000), 500);
        slow.note(500, 10 * SECOND, 10 * SECOND + SECOND / 2);
        assert_eq!(slow.next_at(), 11 * SECOND);
        slow.note(500, 10 * SECOND, 15 * SECOND);
        assert_eq!(slow.next_at(), 15 * SECOND, "the server itself was slower");
        let pausing = pace(0, 250);
        pausing.note(3000, SECOND, 2 * SECOND);
        assert_eq!(pausing.next_at(), 2 * SECOND + SECOND / 4);
        assert_eq!(pace(1, 0).limit(3000), FEWEST_ROWS);
        assert_eq!(pace(1, 0).limit(10), 10);
    }
}
