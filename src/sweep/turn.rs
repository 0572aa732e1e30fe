//! One turn of a sweep: it keeps the pace, and gives way to pulls of the same source.

use std::time::Duration;

use super::FeedSweep;
use crate::backpressure::SpaceWait;
use crate::pull::{FeedRun, PullError};

/// Shortest turn: hints may come many times a second, and each change of turns costs a pull.
pub(super) const SHORTEST_TURN: Duration = Duration::from_secs(5);

/// Interval between two looks at the clock while the clinic's server is left alone.
const LOOK: Duration = Duration::from_millis(100);

/// A turn of a feed's sweep.
pub(super) struct Turn<'a> {
    run: &'a FeedRun<'a>,
    began: Duration,
    /// True once something was read in this turn.
    has_read: bool,
}

impl<'a> Turn<'a> {
    pub(super) fn new(run: &'a FeedRun<'a>) -> Self {
        Self {
            run,
            began: run.gateway.clock.elapsed(),
            has_read: false,
        }
    }

    /// Waits until the next page may be read, and the outbox has space. `None` when the program was
    /// stopped, and when the sweep gives way, which it notes.
    pub(super) async fn wait(&self, sweep: &mut FeedSweep) -> Result<Option<()>, PullError> {
        let run = self.run;
        loop {
            if run.stop.is_cancelled() {
                return Ok(None);
            }
            let now = run.gateway.clock.elapsed();
            let wait = run.source.pace.next_at().saturating_sub(now);
            // One page a turn at least, so that pulls without a pause do not hold a sweep up.
            let may_end = self.has_read || !wait.is_zero();
            if may_end && now.saturating_sub(self.began) >= SHORTEST_TURN && run.source.is_wanted()
            {
                sweep.gave_way = true;
                return Ok(None);
            }
            if wait.is_zero() {
                break;
            }
            tokio::select! {
                () = run.stop.cancelled() => {}
                () = tokio::time::sleep(wait.min(LOOK)) => {}
            }
        }
        match run.wait_for_space().await? {
            SpaceWait::Space => Ok(Some(())),
            SpaceWait::Stopped => Ok(None),
        }
    }

    /// Notes that so many rows or ids were read since `begun`.
    pub(super) fn note(&mut self, rows: u64, begun: Duration) {
        let ended = self.run.gateway.clock.elapsed();
        self.run.source.pace.note(rows, begun, ended);
        self.has_read = true;
    }
}
