//! Runs of a source: each feed in turn, its outcome kept for `status`, metrics and the log.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use connector_kit::Feed;
use outbox::{RunOutcome, SweepKind};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::codes_file;
use crate::corrections;
use crate::endless;
use crate::gateway::Gateway;
use crate::pull::{Counters, FeedFailure, FeedRun, PullError, RunEnd, Trigger, pull_feed};
use crate::sources::{RunChange, Source};
use crate::sweep::{FeedSweep, sweep_feed};
use crate::withheld;

/// Tries after the first one before a command gives a source up and says so.
const RETRIES: usize = 4;

/// First pause before a retry; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause before a retry, whatever the source asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Run over feeds of a source.
#[derive(Clone, Copy)]
pub struct SourceRun<'a> {
    /// The gateway that the records go through.
    pub gateway: &'a Gateway,
    /// The source of the records.
    pub source: &'a Source,
    /// Cancelled when the program is asked to stop.
    pub stop: &'a CancellationToken,
    /// Counts of the records, for whoever shows progress.
    pub counters: &'a Counters,
}

/// Turn of one feed in a run of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedTurn {
    /// The feed.
    pub(crate) feed: Feed,
    /// Cause of its run.
    pub(crate) trigger: Trigger,
    /// True if a sweep that is due may follow; never after a hint.
    pub(crate) may_sweep: bool,
}

/// Result of a source's run. A feed that fails does not keep the others from their turn.
#[derive(Debug)]
pub struct RunSummary {
    /// End of the pull, or of the sweep behind it.
    pub end: RunEnd,
    /// Result of the sweep, feed by feed; `None` where none was due, or where no feed with a sweep
    /// due was read to its end.
    pub sweep: Option<Vec<FeedSweep>>,
    /// Feeds that were not read to their end.
    pub failed: Vec<FeedFailure>,
    /// Feeds that were read to their end, and whose sweep failed; it stays due.
    pub failed_sweeps: Vec<FeedFailure>,
    /// True if a sweep has made room for a pull of the source that is due; it goes on behind that.
    pub(crate) gave_way: bool,
}

impl RunSummary {
    const fn new(end: RunEnd) -> Self {
        Self {
            end,
            sweep: None,
            failed: Vec::new(),
            failed_sweeps: Vec::new(),
            gave_way: false,
        }
    }

    /// Takes the failures out, those of pulls first.
    pub(crate) fn take_failures(&mut self) -> Vec<FeedFailure> {
        let mut failures = std::mem::take(&mut self.failed);
        failures.append(&mut self.failed_sweeps);
        failures
    }

    fn add_sweeps(&mut self, sweeps: Option<Vec<FeedSweep>>) {
        if let Some(sweeps) = sweeps {
            self.sweep.get_or_insert_default().extend(sweeps);
        }
    }

    fn or_first_failure(mut self) -> Result<Self, FeedFailure> {
        match self.take_failures().into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(self),
        }
    }
}

impl<'a> SourceRun<'a> {
    /// Pulls every feed, and sweeps those of them where a sweep is due and the pull reached its
    /// end.
    ///
    /// # Errors
    /// The first feed that failed, in the pull or in the sweep, after the others had their turn; a
    /// sweep that failed stays due.
    pub async fn scheduled(self) -> Result<RunSummary, FeedFailure> {
        let turns = self.turns(self.source.connector.feeds(), Trigger::Schedule);
        self.of_feeds(&turns).await.or_first_failure()
    }

    /// Pulls what is new after a hint, and does nothing else.
    ///
    /// # Errors
    /// See [`SourceRun::scheduled`].
    pub async fn after_hint(self) -> Result<RunSummary, FeedFailure> {
        let turns = self.turns(self.source.connector.feeds(), Trigger::Hint);
        self.of_feeds(&turns).await.or_first_failure()
    }

    /// Pulls every feed as [`SourceRun::scheduled`] does, and those that failed again while that
    /// may help.
    pub(crate) async fn with_retries(self) -> RunSummary {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(RETRIES)
            .build();
        let mut turns = self.turns(self.source.connector.feeds(), Trigger::Schedule);
        let mut total = RunSummary::new(RunEnd::Complete);
        loop {
            let mut summary = self.of_feeds(&turns).await;
            total.end = summary.end;
            total.add_sweeps(summary.sweep.take());
            let mut again = summary.take_failures();
            total
                .failed
                .extend(again.extract_if(.., |failure| !may_pass(failure)));
            let asked_for = again.iter().filter_map(FeedFailure::retry_after).max();
            let pause = pauses.next().filter(|_| summary.end == RunEnd::Complete);
            let (Some(asked_for), Some(pause)) = (asked_for, pause) else {
                total.failed.extend(again);
                if summary.gave_way && summary.end == RunEnd::Complete {
                    turns = self.turns(self.feeds_to_sweep(), Trigger::Schedule);
                    continue;
                }
                return total;
            };
            tokio::select! {
                () = self.stop.cancelled() => {
                    total.end = RunEnd::Stopped;
                    return total;
                }
                () = tokio::time::sleep(asked_for.max(pause).min(LONGEST_PAUSE)) => {}
            }
            let again = again.iter().map(|failure| failure.feed).collect();
            turns = self.turns(again, Trigger::Schedule);
        }
    }

    /// Pulls some feeds in turn. Sweeps then those of them where a sweep is due and permitted, and
    /// the pull reached its end, each from where it was left.
    pub(crate) async fn of_feeds(self, turns: &[FeedTurn]) -> RunSummary {
        let _lock = self.source.lock_for_run().await;
        codes_file::refresh(self.gateway, self.source).await;
        let mut summary = RunSummary::new(RunEnd::Complete);
        let mut read = Vec::new();
        for turn in turns {
            if self.stop.is_cancelled() {
                break;
            }
            let run = self.feed(turn.feed);
            let pulled = pull_and_note(&run, turn.trigger);
            match pulled.instrument(run.span()).await {
                Ok(RunEnd::Complete) if turn.may_sweep => read.push(turn.feed),
                Ok(_) => {}
                Err(failure) => summary.failed.push(failure),
            }
        }
        for feed in read {
            if self.stop.is_cancelled() || summary.gave_way {
                break;
            }
            let Some(kind) = self.takes_sweep(feed).await else {
                continue;
            };
            let run = self.feed(feed);
            let swept = sweep_feed(&run, kind).instrument(run.span()).await;
            if !swept.as_ref().is_ok_and(|sweep| sweep.finished) {
                self.source.sweeps.ask(feed, kind);
            }
            match swept {
                Ok(sweep) => {
                    summary.gave_way = sweep.gave_way;
                    summary.add_sweeps(Some(vec![sweep]));
                }
                Err(failure) => summary.failed_sweeps.push(failure),
            }
        }
        if self.stop.is_cancelled() {
            summary.end = RunEnd::Stopped;
        }
        summary
    }

    /// Takes the request for a sweep of the feed; returns its kind if there was one, or if what a
    /// repair or a retry has forgotten waits for a sweep, whatever the schedule of sweeps says.
    async fn takes_sweep(self, feed: Feed) -> Option<SweepKind> {
        if let Some(kind) = self.source.sweeps.take_asked(feed) {
            return Some(kind);
        }
        let outbox = &self.gateway.outbox;
        let owes = outbox.owes_sweep(&self.source.name, feed.as_str()).await;
        let owes = owes.unwrap_or_else(|error| {
            tracing::warn!(event = "sweep-debt-unknown", code = error.code());
            false
        });
        owes.then_some(SweepKind::Keys)
    }

    /// Feeds of which a sweep is asked for.
    fn feeds_to_sweep(self) -> Vec<Feed> {
        let mut feeds = self.source.connector.feeds();
        feeds.retain(|feed| self.source.sweeps.is_asked(*feed));
        feeds
    }

    /// Turns of feeds that may all be swept where that is due, but after a hint.
    fn turns(&self, feeds: Vec<Feed>, trigger: Trigger) -> Vec<FeedTurn> {
        let turn = |feed| FeedTurn {
            feed,
            trigger,
            may_sweep: trigger == Trigger::Schedule,
        };
        feeds.into_iter().map(turn).collect()
    }

    /// Makes the run of one of the source's feeds.
    fn feed(self, feed: Feed) -> FeedRun<'a> {
        FeedRun {
            gateway: self.gateway,
            source: self.source,
            feed,
            stop: self.stop,
            counters: self.counters,
        }
    }
}

/// True if another try may help.
fn may_pass(failure: &FeedFailure) -> bool {
    failure.retry_after().is_some() && !failure.is_outbox_full() && !failure.is_at_ceiling()
}

/// Pulls a feed and notes the outcome.
async fn pull_and_note(run: &FeedRun<'_>, trigger: Trigger) -> Result<RunEnd, FeedFailure> {
    let result = pull_and_settle(run, trigger).await;
    let result = result.map_err(|error| FeedFailure {
        feed: run.feed,
        error,
    });
    let failure = result.as_ref().err();
    if failure.is_some_and(|failure| matches!(failure.error, PullError::Endless(_))) {
        run.note_surprise(endless::CODE, 1).await;
    }
    if matches!(result, Ok(RunEnd::Stopped)) {
        run.count_run("stopped");
        keep_outcome(run, RunOutcome::Stopped).await;
    } else if trigger == Trigger::Schedule || failure.is_some() {
        // Hints come many times a second, and each note is a write: the next scheduled run notes
        // that all is well.
        note_outcome(run, failure).await;
    }
    result
}

/// Pulls a feed, sends what was withheld and is no longer, and settles the corrections that were
/// refused on the way; also after a failure, for the pages before it are committed.
async fn pull_and_settle(run: &FeedRun<'_>, trigger: Trigger) -> Result<RunEnd, PullError> {
    let generation = run.gateway.outbox.generation();
    let pulled = pull_feed(run, trigger).await;
    if run.stop.is_cancelled() {
        return pulled;
    }
    let is_whole = trigger == Trigger::Schedule && matches!(pulled, Ok(RunEnd::Complete));
    // On the heap: hardly any run has something to send here.
    let sent = Box::pin(withheld::send_due(run)).await;
    let settled = corrections::settle(run, is_whole.then_some(generation)).await;
    let end = pulled?;
    sent?;
    Ok(settled?.map_or(RunEnd::Stopped, |_| end))
}

/// Notes the outcome of a feed's run, or of the probe of a feed that is left alone, in `status`,
/// metrics and the log.
pub(crate) async fn note_outcome(run: &FeedRun<'_>, failure: Option<&FeedFailure>) {
    run.count_run(failure.map_or("ok", FeedFailure::code));
    let change = run
        .source
        .note_run(run.feed, failure.map(FeedFailure::code));
    let Some(failure) = failure else {
        if change == RunChange::WorksAgain {
            tracing::info!(event = "pull-again", "the feed can be read again");
        } else {
            tracing::debug!(event = "pull-done");
        }
        return keep_outcome(run, RunOutcome::Ok).await;
    };
    let code = failure.code();
    let error = failure.error.to_string();
    if change == RunChange::Fails {
        tracing::warn!(
            event = "pull-failed",
            code,
            error,
            "a pull stopped before its end; nothing is lost, the next one goes on where this one \
             began"
        );
    } else {
        tracing::debug!(event = "pull-failed", code, error, "still");
    }
    keep_outcome(run, RunOutcome::Failed { code, why: &error }).await;
}

/// Keeps the outcome of a feed's run for `status`, where failures in a row are counted.
pub(crate) async fn keep_outcome(run: &FeedRun<'_>, outcome: RunOutcome<'_>) {
    let source = &run.source.name;
    let gateway = run.gateway;
    let now = gateway.clock.now();
    let kept = gateway
        .outbox
        .record_run(source, run.feed.as_str(), outcome, now);
    let kept = kept.await;
    let notices = run.source.notices(run.feed);
    let noted = gateway
        .outbox
        .note_notices(source, run.feed.as_str(), notices);
    if let Err(error) = noted.await {
        tracing::debug!(event = "notices-unknown", code = error.code());
    }
    // A full disk may have room for this note and none for a page.
    if kept.is_err() || matches!(outcome, RunOutcome::Ok) {
        gateway.own_state.note(kept.as_ref().err());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use contract::{Answer, Difference, DifferenceKind, ProbeAnswer, StoredAnswer, Verdict, wire};
    use outbox::DeliveryOutcome;

    use super::*;
    use crate::testing::World;

    /// Publishes all that waits; the registry takes every event, and misses every record.
    async fn answer_all(world: &World) {
        let outbox = &world.gateway.outbox;
        let now = world.gateway.clock.now();
        let lease = Duration::from_secs(60);
        let leased = outbox.lease(100, now, lease).await.expect("leased");
        let settlements: Vec<_> = leased
            .iter()
            .map(|one| outbox::Settlement {
                id: one.batch.id,
                token: one.token,
                outcome: DeliveryOutcome::Delivered,
            })
            .collect();
        outbox.settle(&settlements, now).await.expect("settled");
        let missing = |probed: wire::Probed| Difference {
            record: probed.record,
            what: DifferenceKind::Missing,
            held: None,
        };
        let answers = leased.iter().map(|one| {
            let opened = world.private.open(&one.batch.bytes).expect("ours");
            let answer = match wire::decode_message(&opened.encoded).expect("a message") {
                wire::Message::Events(events) => Answer::Stored(StoredAnswer {
                    accepted: u32::try_from(events.len()).expect("few"),
                    ..StoredAnswer::default()
                }),
                wire::Message::Probe(probed) => Answer::Probed(ProbeAnswer {
                    equal: 0,
                    differences: probed.into_iter().map(missing).collect(),
                }),
            };
            (one.batch.id, Verdict::Answered(answer))
        });
        let verdicts: Vec<_> = answers.collect();
        outbox.settle_verdicts(&verdicts, now).await.expect("heard");
    }

    #[tokio::test]
    async fn repair_is_finished_by_the_next_run_though_sweeps_are_never_due() {
        let world = World::new("", 0..3).await;
        let gateway = &world.gateway;
        let outbox = &gateway.outbox;
        let now = gateway.clock.now();
        world.pull().await;
        answer_all(&world).await;
        let id = outbox.begin_reconciliation(None, now).await.expect("begun");
        while !outbox.add_probes(id, now).await.expect("probes") {}
        answer_all(&world).await;
        outbox.prepare_repair(id, now).await.expect("prepared");

        // The source is away while its records should be read again, and the program ends.
        let run = SourceRun {
            gateway,
            source: &gateway.sources[0],
            stop: &CancellationToken::new(),
            counters: &Counters::default(),
        };
        world.rows.away.store(true, Ordering::Relaxed);
        run.scheduled().await.expect_err("the source is away");
        assert_eq!(outbox.backlog().await.expect("the backlog").events, 0);
        world.rows.away.store(false, Ordering::Relaxed);
        let summary = run.scheduled().await.expect("a good run");
        assert!(summary.sweep.is_some());
        assert_eq!(outbox.backlog().await.expect("the backlog").events, 3);
        let summary = run.scheduled().await.expect("a good run");
        assert!(summary.sweep.is_none(), "the debt is paid");
    }
}
