//! End of a program that was asked to stop: its tasks and the store's connections get so much time.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::Reader;

/// Time from a stop until the tasks are left to themselves.
const TASKS_LIMIT: Duration = Duration::from_millis(3000);
/// Time that the store's connections get to close after a stop.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// Waits for the tasks, and closes the store.
pub(super) async fn close_in_time(tasks: &TaskTracker, reader: &Reader) {
    tasks.close();
    // A peer of the endpoint that never ends its request must not keep the program from ending.
    let unfinished = timeout(TASKS_LIMIT, tasks.wait()).await.is_err();
    let unclosed = timeout(CLOSE_LIMIT, reader.close()).await.is_err();
    if unfinished || unclosed {
        tracing::warn!(
            event = "cut-short",
            "not everything could be closed in time"
        );
    }
}
