//! Hints of one source: each wakes the worker, a burst wakes it once.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::sources::Source;

/// Shortest time between two hints: many small pages cost the clinic's system more than one that
/// holds them all.
const PAUSE: Duration = Duration::from_millis(250);

/// Pause after a source failed to hint; its schedule goes on meanwhile.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Passes the source's hints on to its worker until `stop`.
pub(super) async fn hint_loop(source: Arc<Source>, stop: CancellationToken) {
    loop {
        let pause = tokio::select! {
            () = stop.cancelled() => return,
            pause = pass_hint(&source) => pause,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Waits for one hint and passes it on; returns the pause before the next.
async fn pass_hint(source: &Source) -> Duration {
    match source.connector.changed().await {
        Ok(()) => {
            metrics::counter!("gateway_hints_total", "source" => source.name.clone()).increment(1);
            source.hint.notify_one();
            PAUSE
        }
        Err(error) => {
            tracing::warn!(
                event = "hints-failed",
                source = %source.name,
                %error,
                "the schedule goes on without them"
            );
            PAUSE_AFTER_FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::pull::Counters;
    use crate::run::SourceRun;
    use crate::testing::World;

    #[tokio::test]
    async fn a_hinted_run_reads_what_is_new_and_leaves_the_stored_cursor_to_the_schedule() {
        let world = World::new("", 0..10).await;
        let counters = Counters::default();
        let run = SourceRun {
            gateway: &world.gateway,
            source: &world.gateway.sources[0],
            stop: &CancellationToken::new(),
            counters: &counters,
        };
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        // Nothing was read before: a hint begins an ordinary run.
        run.after_hint().await.expect("a good run");
        let first = world.stored_cursor().await;
        assert!(first.is_some());
        assert_eq!((count(&counters.new), count(&world.rows.hinted)), (10, 0));

        world.rows.lock().extend([(10, 10), (12, 12)]);
        run.after_hint().await.expect("a good run");
        assert_eq!((count(&counters.new), count(&world.rows.hinted)), (12, 1));
        assert_eq!(
            world.stored_cursor().await,
            first,
            "the cursor is the schedule's"
        );

        // Committed late: hints go on behind what they have read, the schedule goes back to the
        // stored cursor.
        world.rows.lock().insert(11, 11);
        run.after_hint().await.expect("a good run");
        assert_eq!(count(&counters.new), 12);
        run.scheduled().await.expect("a good run");
        assert_eq!((count(&counters.new), count(&counters.unchanged)), (13, 2));
        assert_ne!(world.stored_cursor().await, first);
    }

    #[tokio::test]
    async fn a_hint_wakes_the_worker_and_a_source_that_cannot_hint_is_left_alone() {
        let world = World::new("", 0..0).await;
        let source = &world.gateway.sources[0];
        world.rows.hints.notify_one();
        assert_eq!(pass_hint(source).await, PAUSE);
        source.hint.notified().await;
        world.rows.away.store(true, Ordering::Relaxed);
        world.rows.hints.notify_one();
        assert_eq!(pass_hint(source).await, PAUSE_AFTER_FAILURE);
        assert!(futures_util::poll!(Box::pin(source.hint.notified())).is_pending());

        let stop = CancellationToken::new();
        let passing = tokio::spawn(hint_loop(Arc::clone(source), stop.clone()));
        stop.cancel();
        passing.await.expect("it ends");
    }
}
