//! Metrics and the readiness page, refreshed from the outbox's own figures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use broker::QueueState;
use chrono::{DateTime, Utc};
use outbox::{FeedStatus, OlderVersion, OutboxError, Status};
use telemetry::{Disk, DiskState, Health};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::links::{LinkWatch, queue_state};
use super::metrics_at_zero::RECONCILE_RESULTS;
use super::waits::WaitWatch;
use crate::disks::{self, DiskInUse, DiskStatus};
use crate::gateway::Gateway;

/// Interval between two looks at the queue's state.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the queue for one at the outbox, whose counts cost a query.
const LOOKS_PER_COUNT: u32 = 5;

/// Disks and connection that are watched beside the outbox's own figures.
pub(super) struct Watched {
    /// Disks that the gateway writes to.
    pub(super) disks: Vec<DiskInUse>,
    /// Shows whether receipts can arrive; `None` where they are off.
    pub(super) connection: Option<watch::Receiver<bool>>,
}

/// Refreshes the metrics, the readiness page and what is written down of the ways to the queue,
/// until `stop`.
pub(super) async fn gauge_loop(
    gateway: Arc<Gateway>,
    watched: Watched,
    health: Health,
    stop: CancellationToken,
) {
    let mut gauges = Gauges::default();
    let mut links = LinkWatch::new(watched.connection);
    let mut waits = WaitWatch::default();
    for look in 0_u32.. {
        let counts = look.is_multiple_of(LOOKS_PER_COUNT);
        if counts {
            gauges.refresh(&gateway, &watched.disks).await;
            set_reconciliations(&gateway).await;
        }
        // Only after a fresh look: a full disk would turn each try into two lines of the log.
        let may_write = counts && gauges.disks.iter().all(|disk| disk.found.takes_writes());
        links.look(&gateway, may_write).await;
        waits.look(&gateway).await;
        set_state(gateway.publisher.state());
        match not_ready(
            &gauges,
            gateway.own_state.failure(),
            gateway.publisher.state(),
        ) {
            Some(why) => health.set_unready(why),
            None => health.set_ready(),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Gauges set before, which must be taken back when they no longer hold.
#[derive(Default)]
struct Gauges {
    dead_letters: BTreeSet<[String; 3]>,
    /// Sources, feeds and tables of values that nobody has mapped.
    unknown_values: BTreeSet<[String; 3]>,
    outbox_code: Option<&'static str>,
    /// Disks as they were found last.
    disks: Vec<DiskStatus>,
    /// Disks in trouble that were logged, with their state.
    logged: BTreeMap<&'static str, DiskState>,
}

fn not_ready(
    gauges: &Gauges,
    own_failure: Option<&'static str>,
    state: QueueState,
) -> Option<String> {
    if let Some(code) = gauges.outbox_code {
        return Some(format!("the outbox cannot be read: {code}"));
    }
    let unwritable = gauges.disks.iter().find(|disk| !disk.found.takes_writes());
    if let Some(trouble) = unwritable.and_then(DiskStatus::trouble) {
        return Some(trouble);
    }
    if let Some(code) = own_failure {
        return Some(format!("the outbox cannot be written: {code}"));
    }
    match state {
        QueueState::Blocked => Some("the broker blocks publishers (memory or disk alarm)".into()),
        QueueState::Down => Some("the queue cannot be reached".into()),
        QueueState::Idle | QueueState::Connected => None,
    }
}

fn set_state(state: QueueState) {
    for each in [
        QueueState::Idle,
        QueueState::Connected,
        QueueState::Blocked,
        QueueState::Down,
    ] {
        let present = f64::from(u8::from(each == state));
        metrics::gauge!("gateway_queue_state", "state" => queue_state(each)).set(present);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
impl Gauges {
    /// Reads the outbox's figures and looks at the disks.
    async fn refresh(&mut self, gateway: &Gateway, disks: &[DiskInUse]) {
        let status = gateway.outbox.reader().status().await;
        self.outbox_code = status.as_ref().err().map(OutboxError::code);
        if let Ok(status) = &status {
            self.set(gateway, status);
        }
        if let Ok(status) = &status {
            set_ages_of_never_swept(gateway, status);
        }
        self.disks = disks::look_at(disks, Disk::look).await;
        let pages_find_no_room = status.is_ok_and(|status| finds_no_room(&status));
        for disk in &mut self.disks {
            // What a page needs may be more than a trial write takes.
            let is_low = disk.disk == disks::OUTBOX && disk.found == DiskState::NearlyFull;
            if is_low && pages_find_no_room {
                let full = Disk {
                    state: DiskState::Full,
                    free_bytes: disk.free_bytes,
                };
                *disk = DiskStatus::new(disk.disk, full);
            }
            set_disk(disk);
        }
        self.log_disks();
    }

    /// Logs what has changed of the disks.
    fn log_disks(&mut self) {
        for disk in &self.disks {
            let before = self.logged.insert(disk.disk, disk.found);
            let before = before.unwrap_or(DiskState::Ok);
            match disk.trouble() {
                _ if before == disk.found => {}
                Some(trouble) => tracing::warn!(event = "disk", state = disk.state, "{trouble}"),
                None => tracing::info!(event = "disk", state = disk.state, "there is room again"),
            }
        }
    }

    fn set(&mut self, gateway: &Gateway, status: &Status) {
        let now = gateway.clock.now();
        metrics::gauge!("gateway_outbox_pending_batches").set(status.backlog.batches as f64);
        metrics::gauge!("gateway_outbox_pending_events").set(status.backlog.events as f64);
        metrics::gauge!("gateway_outbox_pending_bytes").set(status.backlog.bytes as f64);
        metrics::gauge!("gateway_outbox_oldest_pending_seconds").set(
            status
                .backlog
                .oldest_at
                .map_or(0.0, |oldest| (now - oldest).num_seconds().max(0) as f64),
        );
        metrics::gauge!("gateway_batches_awaiting_receipt")
            .set(status.backlog.awaiting_receipt_batches as f64);
        metrics::gauge!("gateway_batches_unreadable_at_registry")
            .set(status.backlog.unreadable_batches as f64);
        metrics::gauge!("gateway_generation").set(f64::from(status.generation));
        metrics::gauge!("gateway_generation_needed").set(f64::from(
            status
                .raise_waits
                .map_or(status.generation, |waits| waits.needed),
        ));
        for feed in &status.feeds {
            if !gateway.reads(&feed.source, &feed.feed) {
                // Taken out of the configuration: nothing of it is in or out of sync.
                set_held(feed);
                continue;
            }
            set_in_sync(feed);
            set_held(feed);
            set_sweep(feed, now);
            set_load(feed);
            set_corrections(feed);
            set_withheld(feed, now);
            let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
            metrics::gauge!("gateway_pull_consecutive_failures", &labels)
                .set(f64::from(feed.consecutive_failures));
        }
        self.set_dead_letters(status);
        self.set_unknown_values(status);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; the counts fit its 53 bits"
    )]
    fn set_unknown_values(&mut self, status: &Status) {
        let mut gone = std::mem::take(&mut self.unknown_values);
        for count in &status.unknown_values {
            let labels = [
                count.source.clone(),
                count.feed.clone(),
                count.table.clone(),
            ];
            set_unknown_values(&labels, count.values as f64);
            gone.remove(&labels);
            self.unknown_values.insert(labels);
        }
        for labels in &gone {
            set_unknown_values(labels, 0.0);
        }
    }

    fn set_dead_letters(&mut self, status: &Status) {
        // A reason whose last record was mended is in the list no more, but its gauge would stand
        // for ever.
        let mut gone = std::mem::take(&mut self.dead_letters);
        let mut unlisted: BTreeMap<[String; 2], u64> = status
            .feeds
            .iter()
            .map(|feed| ([feed.source.clone(), feed.feed.clone()], 0))
            .collect();
        for letters in &status.dead_letters {
            let labels = [
                letters.source.clone(),
                letters.feed.clone(),
                letters.reason.clone(),
            ];
            set_dead_letters(&labels, letters.count as f64);
            *unlisted
                .entry([letters.source.clone(), letters.feed.clone()])
                .or_insert(0) += letters.unlisted;
            gone.remove(&labels);
            self.dead_letters.insert(labels);
        }
        for labels in &gone {
            set_dead_letters(labels, 0.0);
        }
        for ([source, feed], count) in unlisted {
            let labels = [("source", source), ("feed", feed)];
            metrics::gauge!("gateway_dead_letters_unlisted", &labels).set(count as f64);
        }
    }
}

/// Shows the withdrawals that are held since records are gone, or since their feed is not
/// configured any more.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
fn set_held(feed: &FeedStatus) {
    let Some(sweep) = &feed.sweep else { return };
    let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
    metrics::gauge!("gateway_sweep_held_records", &labels).set(sweep.held.unwrap_or(0) as f64);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
fn set_sweep(feed: &FeedStatus, now: DateTime<Utc>) {
    let Some(sweep) = &feed.sweep else { return };
    let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
    metrics::gauge!("gateway_sweep_running", &labels)
        .set(f64::from(u8::from(sweep.pass.is_some())));
    let seen = if sweep.pass.is_some() { sweep.seen } else { 0 };
    metrics::gauge!("gateway_sweep_seen_rows", &labels).set(seen as f64);
    if let Some(finished_at) = sweep.finished_at {
        metrics::gauge!("gateway_sweep_age_seconds", &labels)
            .set((now - finished_at).num_seconds().max(0) as f64);
    }
    let Some(last) = &sweep.last else { return };
    metrics::gauge!("gateway_sweep_last_rows", &labels).set(last.seen as f64);
    metrics::gauge!("gateway_sweep_last_changed", &labels).set(last.changed as f64);
    if let (Some(begun_at), Some(finished_at)) = (last.begun_at, sweep.finished_at) {
        metrics::gauge!("gateway_sweep_last_seconds", &labels)
            .set((finished_at - begun_at).num_seconds().max(0) as f64);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; seconds since 1970 fit its 53 bits"
)]
fn set_in_sync(feed: &FeedStatus) {
    let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
    let moment = feed.in_sync_at.map_or(0, |moment| moment.timestamp());
    metrics::gauge!("gateway_in_sync_timestamp_seconds", &labels).set(moment as f64);
}

/// Shows the program's own age for feeds that were never swept: an alert on the age of a sweep has
/// to fire for them as well.
fn set_ages_of_never_swept(gateway: &Gateway, status: &Status) {
    for source in &gateway.sources {
        for feed in source.connector.feeds() {
            let was_swept = status.feeds.iter().any(|known| {
                known.source == source.name
                    && known.feed == feed.as_str()
                    && known
                        .sweep
                        .as_ref()
                        .is_some_and(|sweep| sweep.finished_at.is_some())
            });
            if !was_swept {
                let labels = [("source", source.name.clone()), ("feed", feed.to_string())];
                let age = gateway.clock.elapsed().as_secs_f64();
                metrics::gauge!("gateway_sweep_age_seconds", &labels).set(age);
            }
        }
    }
}

/// True if the last run of a feed found no room on the disk.
fn finds_no_room(status: &Status) -> bool {
    let full = OutboxError::DiskFull.code();
    let mut feeds = status.feeds.iter();
    feeds.any(|feed| feed.last_error.as_deref() == Some(full))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
fn set_disk(disk: &DiskStatus) {
    metrics::gauge!("gateway_disk_free_bytes", "disk" => disk.disk).set(disk.free_bytes as f64);
    for state in DiskState::ALL {
        let present = f64::from(u8::from(state == disk.found));
        metrics::gauge!("gateway_disk_state", "disk" => disk.disk, "state" => state.as_str())
            .set(present);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
fn set_load(feed: &FeedStatus) {
    let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
    let rows = feed.load.map_or(0, |load| load.rows);
    metrics::gauge!("gateway_load_unfinished", &labels)
        .set(f64::from(u8::from(feed.load.is_some())));
    metrics::gauge!("gateway_load_rows", &labels).set(rows as f64);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
fn set_corrections(feed: &FeedStatus) {
    for state in OlderVersion::ALL {
        metrics::gauge!(
            "gateway_older_versions",
            "source" => feed.source.clone(),
            "feed" => feed.feed.clone(),
            "state" => state.as_str()
        )
        .set(feed.refused_corrections.count(state) as f64);
    }
}

/// Shows the records that are withheld since facts of too few persons leave alike, and for how long
/// the oldest of them is.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
fn set_withheld(feed: &FeedStatus, now: DateTime<Utc>) {
    let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
    let withheld = &feed.withheld;
    metrics::gauge!("gateway_withheld_records", &labels).set(withheld.records as f64);
    metrics::gauge!("gateway_coarsened_records", &labels).set(withheld.coarsened as f64);
    let age = withheld
        .oldest_at
        .map_or(0, |oldest| (now - oldest).num_seconds().max(0));
    metrics::gauge!("gateway_withheld_oldest_seconds", &labels).set(age as f64);
}

/// Shows the last comparisons with the registry; an empty `source` stands for all.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
async fn set_reconciliations(gateway: &Gateway) {
    let names = std::iter::once(None).chain(
        gateway
            .sources
            .iter()
            .map(|source| Some(source.name.as_str())),
    );
    for name in names {
        let Ok(Some(report)) = gateway.outbox.reader().last_reconciliation(name).await else {
            continue;
        };
        let source = name.unwrap_or_default();
        let counts = [
            report.equal,
            report.missing,
            report.stale,
            report.extra,
            report.conflicting,
        ];
        for (result, count) in RECONCILE_RESULTS.into_iter().zip(counts) {
            metrics::gauge!(
                "gateway_reconcile_records",
                "source" => source.to_owned(),
                "result" => result
            )
            .set(count as f64);
        }
    }
}

fn set_unknown_values([source, feed, table]: &[String; 3], values: f64) {
    metrics::gauge!(
        "gateway_unknown_values",
        "source" => source.clone(),
        "feed" => feed.clone(),
        "table" => table.clone()
    )
    .set(values);
}

fn set_dead_letters([source, feed, reason]: &[String; 3], count: f64) {
    metrics::gauge!(
        "gateway_dead_letters",
        "source" => source.clone(),
        "feed" => feed.clone(),
        "reason" => reason.clone()
    )
    .set(count);
}
