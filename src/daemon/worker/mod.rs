//! The worker of one source: one run at a time. A feed that fails is left alone by its circuit
//! breaker, then probed, and the others keep their schedule; where every feed finds the source
//! away, the source as a whole is left alone.

mod feed_state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use circuit::Permit;
use connector_kit::{Feed, PageRequest, SourceError};
use outbox::{RunOutcome, SweepKind};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::circuits::{EndpointCircuit, SOURCE, source_name};
use crate::gateway::Gateway;
use crate::pull::{Counters, FeedFailure, FeedRun, PullError, RunEnd, Trigger};
use crate::run::{FeedTurn, RunSummary, SourceRun, keep_outcome, note_outcome};
use crate::sources::Source;
use feed_state::{FeedState, pause_after};

/// Most records of a probe's page.
const PROBE_RECORDS: u32 = 10;

/// State that the worker keeps between runs.
struct SourceWorker {
    gateway: Arc<Gateway>,
    source: Arc<Source>,
    stop: CancellationToken,
    feeds: Vec<FeedState>,
    /// Circuit of the source as a whole, open while every feed finds it away.
    circuit: EndpointCircuit,
    /// Time, since the program's start, until which the source is left alone; `None` while its
    /// circuit is closed.
    left_alone_until: Option<Duration>,
    /// Place of the feed that is probed next for the whole source.
    next_probe: usize,
}

/// Runs the source whenever it is due, until `stop`.
pub(super) async fn work(gateway: Arc<Gateway>, source: Arc<Source>, stop: CancellationToken) {
    resume_sweeps(&gateway, &source).await;
    let mut worker = SourceWorker::new(gateway, source, stop.clone());
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
            () = worker.source.wake.notified() => Some(Trigger::Schedule),
            () = worker.source.hint.notified() => Some(Trigger::Hint),
            // Last: a trigger lets all feeds have their turn, those that are due again as well.
            () = again => None,
        };
        retry_in = worker.run(trigger).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

impl SourceWorker {
    fn new(gateway: Arc<Gateway>, source: Arc<Source>, stop: CancellationToken) -> Self {
        let feeds = source.connector.feeds();
        Self {
            feeds: feeds
                .into_iter()
                .map(|feed| FeedState::new(&source.name, feed))
                .collect(),
            circuit: EndpointCircuit::new(source_name(&source.name), SOURCE),
            left_alone_until: None,
            next_probe: 0,
            gateway,
            source,
            stop,
        }
    }

    /// Runs the feeds that are due: all that are in order at a trigger, and those whose pause has
    /// passed; returns how long to wait before another try, if one is needed.
    async fn run(&mut self, trigger: Option<Trigger>) -> Option<Duration> {
        if let Some(wait) = self.wait_for_source().await {
            return Some(wait);
        }
        let turns = self.turns(trigger).await;
        if !turns.is_empty() {
            let counters = Counters::default();
            let run = SourceRun {
                gateway: &self.gateway,
                source: &self.source,
                stop: &self.stop,
                counters: &counters,
            };
            let summary = run.of_feeds(&turns).await;
            log_counts(&self.source, &counters);
            if summary.end == RunEnd::Stopped {
                return None;
            }
            self.note_run(&turns, &summary);
        }
        self.leave_alone_if_away();
        let now = self.gateway.clock.elapsed();
        let source_wait = self.left_alone_until.map(|until| until.saturating_sub(now));
        source_wait.or_else(|| {
            self.feeds
                .iter()
                .filter_map(|feed| feed.retry_in(now))
                .min()
        })
    }

    /// Returns how long the source as a whole is still left alone. Once its pause has passed, one
    /// feed is probed for all of them, each time another one: an answer, even a refusal, shows that
    /// the source is there.
    async fn wait_for_source(&mut self) -> Option<Duration> {
        let until = self.left_alone_until?;
        let now = self.gateway.clock.elapsed();
        if now < until {
            return Some(until - now);
        }
        if let Permit::Open { wait } = self.circuit.permit(now) {
            return Some(wait);
        }
        let place = self.next_probe % self.feeds.len().max(1);
        self.next_probe = place + 1;
        match self.probe(place).await {
            Err(failure) if failure.is_away() => {
                self.note_away(place, &failure).await;
                Some(self.leave_alone(failure.retry_after()))
            }
            result => {
                self.circuit.success();
                self.left_alone_until = None;
                self.feeds.iter_mut().for_each(FeedState::source_answers);
                if let Err(failure) = result {
                    let now = self.gateway.clock.elapsed();
                    self.feeds[place].note_failure(&failure, now);
                }
                None
            }
        }
    }

    /// Lists the turns of the feeds that are due, after a probe of each whose pause has passed.
    async fn turns(&mut self, trigger: Option<Trigger>) -> Vec<FeedTurn> {
        let mut turns = Vec::new();
        let is_waited_for = self.source.sweeps.is_waited_for();
        for place in 0..self.feeds.len() {
            let now = self.gateway.clock.elapsed();
            let feed = &mut self.feeds[place];
            if is_waited_for {
                // The request goes on with it.
                feed.note_sweep_success();
            }
            let Some(mut turn) = feed.turn(trigger, now) else {
                continue;
            };
            turn.may_sweep &= !is_waited_for;
            match feed.permit(now) {
                Permit::Open { .. } => continue,
                Permit::Closed => {}
                Permit::Probe => {
                    if let Err(failure) = self.probe(place).await {
                        let now = self.gateway.clock.elapsed();
                        self.feeds[place].note_failure(&failure, now);
                        continue;
                    }
                }
            }
            turns.push(turn);
        }
        turns
    }

    /// Asks one feed of the source for one small page, and drops it. A failure counts as one more
    /// of the feed's failures in a row.
    async fn probe(&self, place: usize) -> Result<(), FeedFailure> {
        let counters = Counters::default();
        let run = self.feed_run(place, &counters);
        let feed = run.feed;
        let _lock = self.source.lock_for_run().await;
        let probed = self.probe_feed(feed).await;
        let probed = probed.map_err(|error| FeedFailure { feed, error });
        if let Err(failure) = &probed {
            note_outcome(&run, Some(failure))
                .instrument(run.span())
                .await;
        }
        probed
    }

    /// A page that is too small may fail for that alone, as where more rows than it holds have the
    /// same keys: a source that refuses it is asked once more, as a run asks.
    async fn probe_feed(&self, feed: Feed) -> Result<(), PullError> {
        let mut request = PageRequest {
            feed,
            after: self.gateway.stored_cursor(&self.source, feed).await?,
            first_of_run: true,
            hinted: false,
            limit: PROBE_RECORDS.min(self.source.page_records),
            now: self.gateway.clock.now(),
        };
        let small = self.source.connector.page(request.clone()).await;
        match small {
            Err(SourceError::Misconfigured { .. }) if request.limit < self.source.page_records => {
                request.limit = self.source.page_records;
                self.source.connector.page(request).await?;
            }
            other => _ = other?,
        }
        Ok(())
    }

    /// Counts the probe that found the source away at the feeds for which it was made as well.
    async fn note_away(&self, probed: usize, failure: &FeedFailure) {
        let counters = Counters::default();
        let code = failure.code();
        // Its words name the feed that was asked.
        let feed = failure.feed;
        let why = format!(
            "{feed} was asked for all feeds of the source: {}",
            failure.error
        );
        for place in (0..self.feeds.len()).filter(|place| *place != probed) {
            let run = self.feed_run(place, &counters);
            keep_outcome(&run, RunOutcome::Failed { code, why: &why }).await;
        }
    }

    fn feed_run<'a>(&'a self, place: usize, counters: &'a Counters) -> FeedRun<'a> {
        FeedRun {
            gateway: &self.gateway,
            source: &self.source,
            feed: self.feeds[place].feed,
            stop: &self.stop,
            counters,
        }
    }

    fn note_run(&mut self, turns: &[FeedTurn], summary: &RunSummary) {
        let now = self.gateway.clock.elapsed();
        let of = |failures: &'_ [FeedFailure], feed| {
            failures.iter().position(|failure| failure.feed == feed)
        };
        for turn in turns {
            let Some(feed) = self.feeds.iter_mut().find(|feed| feed.feed == turn.feed) else {
                continue;
            };
            if let Some(failed) = of(&summary.failed, turn.feed) {
                feed.note_failure(&summary.failed[failed], now);
                continue;
            }
            feed.note_success();
            if let Some(failed) = of(&summary.failed_sweeps, turn.feed) {
                feed.note_sweep_failure(&summary.failed_sweeps[failed], now);
            } else if summary.gave_way && self.source.sweeps.is_asked(turn.feed) {
                feed.note_sweep_gave_way(now);
            } else if turn.may_sweep {
                feed.note_sweep_success();
            }
        }
        if self.feeds.iter().all(FeedState::is_in_order) {
            metrics::gauge!(
                "gateway_pull_last_success_timestamp_seconds",
                "source" => self.source.name.clone()
            )
            .set(seconds(self.gateway.clock.now()));
        }
    }

    /// Leaves the source as a whole alone where every feed has found it away.
    fn leave_alone_if_away(&mut self) {
        if self.left_alone_until.is_none()
            && !self.feeds.is_empty()
            && self.feeds.iter().all(FeedState::is_away)
        {
            let now = self.gateway.clock.elapsed();
            let asked_for = self
                .feeds
                .iter()
                .filter_map(|feed| feed.retry_in(now))
                .min();
            self.feeds.iter_mut().for_each(FeedState::source_is_away);
            self.leave_alone(asked_for);
        }
    }

    /// Opens the circuit of the source as a whole; returns the pause, at least as long as the
    /// source asked for.
    fn leave_alone(&mut self, asked_for: Option<Duration>) -> Duration {
        let now = self.gateway.clock.elapsed();
        let pause = pause_after(asked_for, self.circuit.failure(now));
        self.left_alone_until = Some(now + pause);
        pause
    }
}

/// Requests the rest of the sweeps that were under way when the program ended, whatever they read.
async fn resume_sweeps(gateway: &Gateway, source: &Source) {
    let Ok(status) = gateway.outbox.reader().status().await else {
        return;
    };
    let is_under_way = |feed: &Feed| {
        status.feeds.iter().any(|status| {
            status.source == source.name
                && status.feed == feed.as_str()
                && status
                    .sweep
                    .as_ref()
                    .is_some_and(|sweep| sweep.pass.is_some())
        })
    };
    for feed in source.connector.feeds() {
        if is_under_way(&feed) {
            source.sweeps.ask(feed, SweepKind::Keys);
        }
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
    let withdrawn = count(&counters.withdrawn) + count(&counters.swept);
    let withdrawn_unsent = count(&counters.withdrawn_unsent);
    let resent = count(&counters.resent);
    let refused = count(&counters.refused);
    let parked = count(&counters.parked);
    let withheld = count(&counters.withheld);
    let sent = new + corrected + withdrawn + withdrawn_unsent + resent;
    if sent + refused + parked + withheld > 0 {
        tracing::info!(
            event = "pulled",
            source = %source.name,
            pulled = count(&counters.read),
            new,
            corrected,
            withdrawn,
            withdrawn_unsent,
            resent,
            refused,
            parked,
            withheld,
            "a source was pulled"
        );
    }
}
