//! Watch over a process: its figures in /proc, looked at until it ends.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::processes::figures::{ProcessFigures, figures_of};

/// Interval between two looks at the process.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Number of lines of a failed program's output that an error quotes.
const QUOTED_LINES: usize = 20;

/// Watch over a process; it ends with the process or when it is dropped.
pub(crate) struct Watch {
    latest: Arc<Mutex<ProcessFigures>>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Begins to watch the process with this id.
    pub(crate) fn begin(id: u32) -> Self {
        let latest = Arc::default();
        let task = tokio::spawn(look_until_end(id, Arc::clone(&latest)));
        Self { latest, task }
    }

    /// Figures of the last look.
    pub(crate) fn latest(&self) -> ProcessFigures {
        *self.latest.lock()
    }
}

async fn look_until_end(id: u32, latest: Arc<Mutex<ProcessFigures>>) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let Some(now) = figures_of(id) else { return };
        *latest.lock() = now;
    }
}

/// Last lines of a failed program's output.
pub(crate) fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}
