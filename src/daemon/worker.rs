//! The worker of one source: one turn at a time; a source that fails is left alone by its circuit
//! breaker, then probed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use circuit::{Circuit, Permit};
use connector_kit::{Feed, PageRequest};
use tokio_util::sync::CancellationToken;

use crate::circuits::{SOURCE, source_name};
use crate::cursor;
use crate::gateway::Gateway;
use crate::pull::{Counters, PullError, RunEnd, Trigger};
use crate::run::{FeedFailure, run_hinted, run_in_turn};
use crate::sources::Source;

/// Most records of a probe's page.
const PROBE_RECORDS: u32 = 10;

/// What the worker keeps between turns.
struct Worker {
    gateway: Arc<Gateway>,
    source: Arc<Source>,
    endpoint: String,
    /// Paces tries while it is the gateway's own state that fails: nothing the source has to do
    /// with.
    own_state: Circuit,
    /// The feed that failed last: the one to probe.
    failed: Option<Feed>,
}

/// Works until `stop`.
pub(super) async fn work(gateway: Arc<Gateway>, source: Arc<Source>, stop: CancellationToken) {
    resume_sweep(&gateway, &source).await;
    let endpoint = source_name(&source.name);
    let mut worker = Worker {
        gateway,
        source,
        endpoint,
        own_state: Circuit::new(SOURCE),
        failed: None,
    };
    let mut retry_in: Option<Duration> = None;
    loop {
        let again = async {
            match retry_in {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        let trigger = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = again => Trigger::Schedule,
            () = worker.source.wake.notified(), if retry_in.is_none() => Trigger::Schedule,
            () = worker.source.hint.notified(), if retry_in.is_none() => Trigger::Hint,
        };
        retry_in = worker.turn(trigger, &stop).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

impl Worker {
    /// One turn, if the circuit lets it; how long to wait before another try, if one is needed.
    async fn turn(&mut self, trigger: Trigger, stop: &CancellationToken) -> Option<Duration> {
        let gateway = Arc::clone(&self.gateway);
        let source = Arc::clone(&self.source);
        match gateway
            .circuits
            .permit(&self.endpoint, SOURCE, gateway.clock.elapsed())
        {
            Permit::Open { wait } => return Some(wait),
            Permit::Closed => {}
            Permit::Probe => {
                if let Err(failure) = self.probe().await {
                    return Some(self.failed(&failure));
                }
            }
        }
        let counters = Counters::default();
        let run = match trigger {
            Trigger::Schedule => run_in_turn(&gateway, &source, stop, &counters).await,
            Trigger::Hint => run_hinted(&gateway, &source, stop, &counters).await,
        };
        match run {
            Ok(run) if run.end == RunEnd::Stopped => None,
            Ok(_) => {
                gateway.circuits.success(&self.endpoint, SOURCE);
                self.own_state.success();
                metrics::gauge!("gateway_pull_last_success_timestamp_seconds", "source" => source.name.clone())
                    .set(seconds(gateway.clock.now()));
                report(&source, &counters);
                None
            }
            Err(failure) => Some(self.failed(&failure)),
        }
    }

    /// Asks the source for one small page, and does nothing with it.
    async fn probe(&self) -> Result<(), FeedFailure> {
        let gateway = &self.gateway;
        let source = &self.source;
        let feeds = source.connector.feeds();
        let failed = self.failed.filter(|failed| feeds.contains(failed));
        let Some(feed) = failed.or(feeds.first().copied()) else {
            return Ok(());
        };
        let asked = async {
            let stored = gateway.outbox.cursor(&source.name, feed.as_str()).await?;
            let after = cursor::read(&source.settings, stored.as_deref());
            let limit = PROBE_RECORDS;
            let now = gateway.clock.now();
            let request = PageRequest {
                feed,
                after,
                first_of_run: true,
                hinted: false,
                limit,
                now,
            };
            source
                .connector
                .page(request)
                .await
                .map(drop)
                .map_err(PullError::from)
        };
        let _turn = source.turn.lock().await;
        asked.await.map_err(|error| FeedFailure { feed, error })
    }

    /// How long to wait after a failure. Something a person has to mend is looked at again as well:
    /// they may mend it at the clinic's side.
    fn failed(&mut self, failure: &FeedFailure) -> Duration {
        let elapsed = self.gateway.clock.elapsed();
        self.failed = Some(failure.feed);
        let pause = if failure.is_the_source() {
            self.gateway
                .circuits
                .failure(&self.endpoint, SOURCE, elapsed)
        } else {
            // The source was not at fault: it is in order as far as anybody knows.
            self.gateway.circuits.success(&self.endpoint, SOURCE);
            self.own_state.failure(elapsed)
        };
        let pause = pause.unwrap_or(SOURCE.first_pause);
        failure
            .retry_after()
            .unwrap_or_default()
            .max(pause)
            .min(SOURCE.longest_pause)
    }
}

/// A sweep that was under way when the program ended goes on.
async fn resume_sweep(gateway: &Gateway, source: &Source) {
    if let Ok(status) = gateway.outbox.reader().status().await
        && status.feeds.iter().any(|feed| {
            feed.source == source.name
                && feed
                    .sweep
                    .as_ref()
                    .is_some_and(|sweep| sweep.pass.is_some())
        })
    {
        source.request_sweep();
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; seconds since 1970 fit its 53 bits"
)]
fn seconds(moment: chrono::DateTime<chrono::Utc>) -> f64 {
    moment.timestamp() as f64
}

fn report(source: &Source, counters: &Counters) {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let new = count(&counters.new);
    let corrected = count(&counters.corrected);
    let withdrawn = count(&counters.withdrawn);
    let refused = count(&counters.refused);
    if new + corrected + withdrawn + refused > 0 {
        tracing::info!(
            event = "pulled", source = %source.name, pulled = count(&counters.pulled), new, corrected, withdrawn, refused,
            "a source was pulled"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn a_source_that_fails_is_left_alone_then_probed_then_read() {
        let world = World::new("", 0..50).await;
        let World {
            gateway,
            rows,
            clock,
            ..
        } = world;
        let gateway = Arc::new(gateway);
        let source = Arc::clone(&gateway.sources[0]);
        let endpoint = source_name(&source.name);
        let own_state = Circuit::new(SOURCE);
        let mut worker = Worker {
            gateway,
            source,
            endpoint,
            own_state,
            failed: None,
        };
        let stop = CancellationToken::new();
        let asked = || rows.asked.load(Ordering::Relaxed);

        rows.away.store(true, Ordering::Relaxed);
        let pause = worker
            .turn(Trigger::Schedule, &stop)
            .await
            .expect("it failed");
        assert_eq!(asked(), 1);
        assert!(
            worker
                .turn(Trigger::Schedule, &stop)
                .await
                .is_some_and(|wait| wait <= pause),
            "left alone"
        );
        assert_eq!(asked(), 1);
        clock.advance(pause);
        let longer = worker
            .turn(Trigger::Schedule, &stop)
            .await
            .expect("the probe failed as well");
        assert_eq!(
            (asked(), rows.limit.load(Ordering::Relaxed)),
            (2, PROBE_RECORDS)
        );
        assert!(longer > pause / 2, "{longer:?} after {pause:?}");

        rows.away.store(false, Ordering::Relaxed);
        clock.advance(longer);
        assert_eq!(
            worker.turn(Trigger::Schedule, &stop).await,
            None,
            "probed, then read to its end"
        );
        assert_eq!(asked(), 4);
        assert_eq!(worker.turn(Trigger::Schedule, &stop).await, None);
        assert_eq!(asked(), 5, "in order again: no probe");
    }
}
