//! Hints of one source: each rings the worker's bell, bursts come to one ring.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::sources::Source;

/// Shortest time between two rings: many small pages cost the clinic's system more than one that
/// holds them all.
const REST: Duration = Duration::from_millis(250);

/// How long a source that failed to hint is left alone; its schedule goes on meanwhile.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Passes hints on until `stop`.
pub(super) async fn hint_loop(source: Arc<Source>, stop: CancellationToken) {
    loop {
        let rest = tokio::select! {
            () = stop.cancelled() => return,
            rest = pass_on(&source) => rest,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Waits for one hint and rings; how long to rest.
async fn pass_on(source: &Source) -> Duration {
    match source.connector.changed().await {
        Ok(()) => {
            metrics::counter!("gateway_hints_total", "source" => source.name.clone()).increment(1);
            source.hint.notify_one();
            REST
        }
        Err(error) => {
            tracing::warn!(event = "hints-failed", source = %source.name, %error, "the schedule goes on without them");
            REST_AFTER_FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::pull::Counters;
    use crate::run::{run_hinted, run_in_turn};
    use crate::testing::World;

    #[tokio::test]
    async fn a_hinted_run_reads_what_is_new_and_leaves_the_stored_cursor_to_the_schedule() {
        let world = World::new("", 0..10).await;
        let gateway = &world.gateway;
        let source = &gateway.sources[0];
        let stop = CancellationToken::new();
        let counters = Counters::default();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let stored = async || {
            gateway
                .outbox
                .cursor("mis", "vaccinations")
                .await
                .expect("the state")
        };

        // Nothing was read before: a hint begins an ordinary run.
        run_hinted(gateway, source, &stop, &counters)
            .await
            .expect("a good run");
        let first = stored().await;
        assert!(first.is_some());
        assert_eq!((count(&counters.new), count(&world.rows.hinted)), (10, 0));

        world.rows.lock().extend([(10, 10), (12, 12)]);
        run_hinted(gateway, source, &stop, &counters)
            .await
            .expect("a good run");
        assert_eq!((count(&counters.new), count(&world.rows.hinted)), (12, 1));
        assert_eq!(stored().await, first, "the cursor is the schedule's");

        // Committed late: hints go on behind what they have read, the schedule goes back to the
        // stored cursor.
        world.rows.lock().insert(11, 11);
        run_hinted(gateway, source, &stop, &counters)
            .await
            .expect("a good run");
        assert_eq!(count(&counters.new), 12);
        run_in_turn(gateway, source, &stop, &counters)
            .await
            .expect("a good run");
        assert_eq!((count(&counters.new), count(&counters.unchanged)), (13, 2));
        assert_ne!(stored().await, first);
    }

    #[tokio::test]
    async fn a_hint_rings_the_worker_and_a_source_that_cannot_hint_is_left_alone() {
        let world = World::new("", 0..0).await;
        let source = &world.gateway.sources[0];
        world.rows.hints.notify_one();
        assert_eq!(pass_on(source).await, REST);
        source.hint.notified().await;
        world.rows.away.store(true, Ordering::Relaxed);
        world.rows.hints.notify_one();
        assert_eq!(pass_on(source).await, REST_AFTER_FAILURE);
        assert!(futures_util::poll!(Box::pin(source.hint.notified())).is_pending());

        let stop = CancellationToken::new();
        let passing = tokio::spawn(hint_loop(Arc::clone(source), stop.clone()));
        stop.cancel();
        passing.await.expect("it ends");
    }
}
