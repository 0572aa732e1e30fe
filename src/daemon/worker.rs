//! The worker of one source: one run at a time; a source that fails is left alone by its circuit
//! breaker, then probed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use circuit::{Circuit, Permit};
use connector_kit::{Feed, PageRequest};
use tokio_util::sync::CancellationToken;

use crate::circuits::{EndpointCircuit, SOURCE, source_name};
use crate::gateway::Gateway;
use crate::pull::{Counters, FeedFailure, PullError, RunEnd, Trigger};
use crate::run::SourceRun;
use crate::sources::Source;

/// Most records of a probe's page.
const PROBE_RECORDS: u32 = 10;

/// State that the worker keeps between runs.
struct SourceWorker {
    gateway: Arc<Gateway>,
    source: Arc<Source>,
    circuit: EndpointCircuit,
    /// Paces tries while the gateway's own state fails, which is not the source's fault.
    own_state: Circuit,
    /// The feed that failed last: the one to probe.
    failed: Option<Feed>,
}

/// Runs the source whenever it is due, until `stop`.
pub(super) async fn work(gateway: Arc<Gateway>, source: Arc<Source>, stop: CancellationToken) {
    resume_sweep(&gateway, &source).await;
    let mut worker = SourceWorker::new(gateway, source);
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
        retry_in = worker.run(trigger, &stop).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

impl SourceWorker {
    fn new(gateway: Arc<Gateway>, source: Arc<Source>) -> Self {
        Self {
            circuit: EndpointCircuit::new(source_name(&source.name), SOURCE),
            own_state: Circuit::new(SOURCE),
            failed: None,
            gateway,
            source,
        }
    }

    /// Runs the source once, if its circuit permits; returns how long to wait before another try,
    /// if one is needed.
    async fn run(&mut self, trigger: Trigger, stop: &CancellationToken) -> Option<Duration> {
        match self.circuit.permit(self.gateway.clock.elapsed()) {
            Permit::Open { wait } => return Some(wait),
            Permit::Closed => {}
            Permit::Probe => {
                if let Err(failure) = self.probe().await {
                    return Some(self.note_failure(&failure));
                }
            }
        }
        let counters = Counters::default();
        let run = SourceRun {
            gateway: &self.gateway,
            source: &self.source,
            stop,
            counters: &counters,
        };
        let result = match trigger {
            Trigger::Schedule => run.scheduled().await,
            Trigger::Hint => run.after_hint().await,
        };
        match result {
            Ok(summary) if summary.end == RunEnd::Stopped => None,
            Ok(_) => {
                self.note_success(&counters);
                None
            }
            Err(failure) => Some(self.note_failure(&failure)),
        }
    }

    /// Asks the source for one small page, and drops it.
    async fn probe(&self) -> Result<(), FeedFailure> {
        let feeds = self.source.connector.feeds();
        let failed = self.failed.filter(|failed| feeds.contains(failed));
        let Some(feed) = failed.or(feeds.first().copied()) else {
            return Ok(());
        };
        let _lock = self.source.run_lock.lock().await;
        self.probe_feed(feed)
            .await
            .map_err(|error| FeedFailure { feed, error })
    }

    async fn probe_feed(&self, feed: Feed) -> Result<(), PullError> {
        let request = PageRequest {
            feed,
            after: self.gateway.stored_cursor(&self.source, feed).await?,
            first_of_run: true,
            hinted: false,
            limit: PROBE_RECORDS,
            now: self.gateway.clock.now(),
        };
        self.source.connector.page(request).await?;
        Ok(())
    }

    fn note_success(&mut self, counters: &Counters) {
        self.circuit.success();
        self.own_state.success();
        metrics::gauge!(
            "gateway_pull_last_success_timestamp_seconds",
            "source" => self.source.name.clone()
        )
        .set(seconds(self.gateway.clock.now()));
        log_counts(&self.source, counters);
    }

    /// Notes a failure; returns how long to wait before another try. Mistakes that a person has to
    /// correct are retried as well: they may be corrected at the clinic's side.
    fn note_failure(&mut self, failure: &FeedFailure) -> Duration {
        let elapsed = self.gateway.clock.elapsed();
        self.failed = Some(failure.feed);
        let pause = if failure.is_the_source() {
            self.circuit.failure(elapsed)
        } else {
            // The source was not at fault: it is in order as far as anybody knows.
            self.circuit.success();
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

/// Requests the rest of a sweep that was under way when the program ended.
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

fn log_counts(source: &Source, counters: &Counters) {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let new = count(&counters.new);
    let corrected = count(&counters.corrected);
    let withdrawn = count(&counters.withdrawn);
    let refused = count(&counters.refused);
    let parked = count(&counters.parked);
    if new + corrected + withdrawn + refused + parked > 0 {
        tracing::info!(
            event = "pulled",
            source = %source.name,
            pulled = count(&counters.pulled),
            new,
            corrected,
            withdrawn,
            refused,
            parked,
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
        let source = Arc::clone(&gateway.sources[0]);
        let mut worker = SourceWorker::new(Arc::new(gateway), source);
        let stop = CancellationToken::new();
        let asked = || rows.asked.load(Ordering::Relaxed);

        rows.away.store(true, Ordering::Relaxed);
        let pause = worker
            .run(Trigger::Schedule, &stop)
            .await
            .expect("it failed");
        assert_eq!(asked(), 1);
        assert!(
            worker
                .run(Trigger::Schedule, &stop)
                .await
                .is_some_and(|wait| wait <= pause),
            "left alone"
        );
        assert_eq!(asked(), 1);
        clock.advance(pause);
        let longer = worker
            .run(Trigger::Schedule, &stop)
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
            worker.run(Trigger::Schedule, &stop).await,
            None,
            "probed, then read to its end"
        );
        assert_eq!(asked(), 4);
        assert_eq!(worker.run(Trigger::Schedule, &stop).await, None);
        assert_eq!(asked(), 5, "in order again: no probe");
    }
}
