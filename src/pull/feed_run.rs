//! The context of one run over one feed, handed to every stage and step.

use connector_kit::Feed;
use outbox::OutboxError;
use tokio_util::sync::CancellationToken;

use super::counters::Counters;
use crate::backpressure::SpaceWait;
use crate::gateway::Gateway;
use crate::sources::Source;
use crate::surprise;

/// Run over one feed of a source: a pull, a sweep, or a retry of dead letters.
#[derive(Clone, Copy)]
pub struct FeedRun<'a> {
    /// The gateway that the records go through.
    pub gateway: &'a Gateway,
    /// The source of the records.
    pub source: &'a Source,
    /// The feed of the source.
    pub feed: Feed,
    /// Cancelled when the program is asked to stop.
    pub stop: &'a CancellationToken,
    /// Counts of the records, for whoever shows progress.
    pub counters: &'a Counters,
}

impl FeedRun<'_> {
    /// Span that gives every log line of the run the fields `source` and `feed`. Its level is the
    /// highest and its target the program's, so that no filter of levels takes these fields away; a
    /// filter that names single modules only does.
    pub(crate) fn span(&self) -> tracing::Span {
        tracing::error_span!(
            target: "clinic_gateway",
            "feed",
            source = %self.source.name,
            feed = %self.feed
        )
    }

    /// Notes that the feed is read from its beginning.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) async fn begin_load(&self) -> Result<(), OutboxError> {
        let now = self.gateway.clock.now();
        let outbox = &self.gateway.outbox;
        outbox
            .begin_load(&self.source.name, self.feed.as_str(), now)
            .await
    }

    /// Waits until the outbox has space.
    ///
    /// # Errors
    /// See [`crate::backpressure::Backpressure::wait_for_space`].
    pub(crate) async fn wait_for_space(&self) -> Result<SpaceWait, OutboxError> {
        self.gateway.backpressure.wait_for_space(self.stop).await
    }

    /// Notes `count` cases of something that the source should not do.
    pub(crate) async fn note_surprise(&self, code: &'static str, count: u64) {
        surprise::note(self.gateway, self.source, self.feed, code, count).await;
    }

    /// Adds a run with this outcome to the metric of this feed's runs.
    pub(crate) fn count_run(&self, outcome: &'static str) {
        metrics::counter!(
            "gateway_pull_runs_total",
            "source" => self.source.name.clone(),
            "feed" => self.feed.as_str(),
            "outcome" => outcome
        )
        .increment(1);
    }

    /// Adds records to the metric of this feed's records that were read and made durable.
    pub(crate) fn count_read(&self, count: u64) {
        metrics::counter!(
            "gateway_records_read_total",
            "source" => self.source.name.clone(),
            "feed" => self.feed.as_str()
        )
        .increment(count);
    }

    /// Adds records to the metric of this feed's records with this outcome.
    pub(crate) fn count_records(&self, outcome: &'static str, count: u64) {
        metrics::counter!(
            "gateway_records_total",
            "source" => self.source.name.clone(),
            "feed" => self.feed.as_str(),
            "outcome" => outcome
        )
        .increment(count);
    }
}
