//! State around the outbox: the configuration, circuits and reconciliations.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use outbox::{FeedStatus, OutboxError, OutboxReader, Owner, Report, ServiceWait, Status};
use pseudonym::{Suite, Suites};
use serde::Serialize;
use telemetry::Disk;

use super::sweep_plan::SweepPlan;
use crate::circuits::{QUEUE, QUEUE_NAME, SOURCE, feed_name, source_name};
use crate::cli::outbox_file;
use crate::cli::removed::{self, RemovedFeed};
use crate::cli::slots_text::DummiesCost;
use crate::config::{LoadedConfig, ReceiptsMode};
use crate::disks::{self, DiskStatus, disks_in_use};
use crate::slots::SlotRules;

/// State that is shown beside the outbox's own figures.
#[derive(Debug, Serialize)]
pub(super) struct Context {
    /// Process that holds the outbox; `None` if none does.
    pub(super) daemon: Option<Owner>,
    /// Disks that the gateway writes to, as they are now.
    pub(super) disks: Vec<DiskStatus>,
    /// True while pulling pauses because the outbox is full.
    pub(super) paused: bool,
    /// Schedules and pace of the sweeps of each source.
    pub(super) sweeps: Vec<SweepPlan>,
    /// Circuits of the queue and of the sources.
    pub(super) circuits: Vec<CircuitStatus>,
    /// Last comparisons with the registry: of everything, and of single sources since then.
    pub(super) reconciliations: Vec<Report>,
    /// Sources that are not configured any more, and whose records are still at the registry.
    pub(super) not_configured: Vec<String>,
    /// Feeds that are not configured any more, those of sources that are not among them.
    pub(super) removed_feeds: Vec<RemovedFeed>,
    /// Sources that were never pulled.
    pub(super) never_pulled: Vec<String>,
    #[serde(skip)]
    pub(super) suites: Suites,
    /// Suite of the names that facts leave under.
    pub(super) suite: &'static str,
    /// Suite that the city moves from, whose names leave beside those; `None` where it does not.
    pub(super) moving_from: Option<&'static str>,
    /// True if batches are settled by receipts.
    pub(super) receipts: bool,
    /// Slots in which batches leave; `None` where they leave at once.
    pub(super) slots: Option<SlotsStatus>,
    /// Cost of dummies; `None` where none are sent. They are no part of any other figure.
    pub(super) dummies: Option<DummiesCost>,
}

/// Slots in which batches leave, and the forecast of what waits.
#[derive(Debug, Serialize)]
pub(super) struct SlotsStatus {
    #[serde(skip)]
    pub(super) rules: SlotRules,
    pub(super) slot_seconds: u32,
    pub(super) jitter_seconds: u32,
    pub(super) batches_per_slot: u32,
    /// Longest time until the batches that wait have left, if the queue takes them.
    pub(super) waiting_leave_within_seconds: i64,
}

impl SlotsStatus {
    fn new(rules: SlotRules, waiting: u64) -> Self {
        Self {
            rules,
            slot_seconds: rules.slot_seconds,
            jitter_seconds: rules.jitter_seconds,
            batches_per_slot: rules.batches,
            waiting_leave_within_seconds: rules.longest_wait(waiting).num_seconds(),
        }
    }
}

/// State of an endpoint's circuit, as its failures in a row show it.
#[derive(Debug, Serialize)]
pub(super) struct CircuitStatus {
    pub(super) endpoint: String,
    /// `open` if the endpoint gets no request but probes, else `closed`.
    pub(super) state: &'static str,
    pub(super) failures_in_a_row: u64,
}

impl CircuitStatus {
    fn new(endpoint: String, failures_in_a_row: u64, failures_to_open: u32) -> Self {
        let is_open = failures_in_a_row >= u64::from(failures_to_open);
        Self {
            endpoint,
            state: if is_open { "open" } else { "closed" },
            failures_in_a_row,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == "open"
    }
}

impl Context {
    /// True if the feed is configured.
    pub(super) fn is_configured(&self, feed: &FeedStatus) -> bool {
        let mut removed = self.removed_feeds.iter();
        !removed.any(|it| it.source == feed.source && it.feed == feed.feed)
    }

    /// Waits of the feed for services; none where no daemon is there to wait.
    pub(super) fn waits_of<'a>(
        &self,
        status: &'a Status,
        feed: &'a FeedStatus,
    ) -> impl Iterator<Item = &'a ServiceWait> + use<'a> {
        let runs = self.daemon_runs();
        let waits = status.waits.iter();
        waits.filter(move |wait| runs && wait.source == feed.source && wait.feed == feed.feed)
    }

    /// True if the daemon holds the outbox.
    pub(super) fn daemon_runs(&self) -> bool {
        self.daemon
            .as_ref()
            .is_some_and(|owner| owner.command == "run")
    }

    pub(super) async fn read(
        status: &Status,
        reader: &OutboxReader,
        loaded: &LoadedConfig,
        now: DateTime<Utc>,
    ) -> Result<Self, OutboxError> {
        let config = &loaded.config;
        let mut reconciliations = Vec::new();
        reconciliations.extend(reader.last_reconciliation(None).await?);
        let of_all = reconciliations.first().map_or(i64::MIN, |report| report.id);
        let is_finished = reconciliations
            .iter()
            .all(|report| report.finished_at.is_some());
        for name in config.source.keys() {
            let of_source = reader.last_reconciliation(Some(name)).await?;
            // A later comparison of everything has asked about this source as well.
            reconciliations.extend(of_source.filter(|report| !is_finished || report.id > of_all));
        }
        let was_pulled = |name: &String| status.feeds.iter().any(|feed| feed.source == *name);
        let disks = disks_in_use(loaded);
        let removed_feeds = removed::read(status, reader, config).await?;
        let daemon = outbox::owner(&outbox_file::path(loaded))?;
        Ok(Self {
            sweeps: SweepPlan::of_all(loaded, daemon.as_ref(), now),
            daemon,
            disks: disks::look_at(&disks, Disk::look_closely).await,
            paused: status.backlog.bytes >= config.outbox.max_mebibytes << 20,
            circuits: circuits(status, loaded),
            reconciliations,
            not_configured: not_configured(&removed_feeds),
            removed_feeds,
            never_pulled: config
                .source
                .keys()
                .filter(|name| !was_pulled(name))
                .cloned()
                .collect(),
            suites: config.keys.suites(),
            suite: config.keys.suites().suite.as_str(),
            moving_from: config.keys.suites().moving_from.map(Suite::as_str),
            receipts: config.registry.receipts == ReceiptsMode::Required,
            // A mistake in them is refused with the file.
            slots: config
                .release
                .slots()
                .unwrap_or(None)
                .map(|rules| SlotsStatus::new(rules, status.backlog.batches)),
            dummies: DummiesCost::of(config),
        })
    }
}

/// Lists sources that are not configured any more, and whose records are still at the registry.
fn not_configured(removed: &[RemovedFeed]) -> Vec<String> {
    let of_removed_source = |feed: &&RemovedFeed| feed.with_its_source && feed.records > 0;
    let feeds = removed.iter().filter(of_removed_source);
    let mut names: Vec<String> = feeds.map(|feed| feed.source.clone()).collect();
    names.dedup();
    names
}

/// Derives the circuits of a running daemon from the failures in a row, ordered by endpoint.
fn circuits(status: &Status, loaded: &LoadedConfig) -> Vec<CircuitStatus> {
    let mut circuits = BTreeMap::new();
    let mut insert = |endpoint: String, failures: u64, failures_to_open: u32| {
        let circuit = CircuitStatus::new(endpoint.clone(), failures, failures_to_open);
        circuits.insert(endpoint, circuit);
    };
    insert(
        QUEUE_NAME.to_owned(),
        status.publisher.consecutive_failures,
        QUEUE.failures_to_open,
    );
    for name in loaded.config.source.keys() {
        let feeds = || status.feeds.iter().filter(|feed| feed.source == *name);
        insert(
            source_name(name),
            away_in_a_row(feeds()),
            SOURCE.failures_to_open,
        );
        for feed in feeds().filter(|feed| is_fault_of_source(feed)) {
            let failures = u64::from(feed.consecutive_failures);
            let endpoint = feed_name(name, &feed.feed);
            insert(endpoint, failures, SOURCE.failures_to_open);
        }
    }
    circuits.into_values().collect()
}

/// Returns the failures in a row of a source as a whole: 0 unless every feed has found it away.
fn away_in_a_row<'a>(feeds: impl Iterator<Item = &'a FeedStatus>) -> u64 {
    let failures = |feed: &FeedStatus| {
        let is_away = feed.last_error.as_deref() == Some("source-away");
        u64::from(feed.consecutive_failures) * u64::from(is_away)
    };
    feeds.map(failures).min().unwrap_or(0)
}

fn is_fault_of_source(feed: &FeedStatus) -> bool {
    let code = feed.last_error.as_deref();
    code.is_some_and(|code| code.starts_with("source-"))
}
