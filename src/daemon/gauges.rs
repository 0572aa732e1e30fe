//! Metrics and the readiness page, refreshed from the outbox's own figures.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use broker::QueueState;
use chrono::{DateTime, Utc};
use outbox::{FeedStatus, OlderVersion, OutboxError, Status};
use telemetry::Health;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

/// Interval between two looks at the queue's state.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the queue for one at the outbox, whose counts cost a query.
const LOOKS_PER_COUNT: u32 = 5;

/// Refreshes the metrics and the readiness page until `stop`.
pub(super) async fn gauge_loop(gateway: Arc<Gateway>, health: Health, stop: CancellationToken) {
    let mut gauges = Gauges::default();
    for look in 0_u32.. {
        if look.is_multiple_of(LOOKS_PER_COUNT) {
            let status = gateway.outbox.reader().status().await;
            gauges.outbox_code = status.as_ref().err().map(OutboxError::code);
            if let Ok(status) = &status {
                gauges.set(status, gateway.clock.now());
            }
            set_reconciliations(&gateway).await;
        }
        set_state(gateway.publisher.state());
        match not_ready(&gauges, gateway.publisher.state()) {
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
    outbox_code: Option<&'static str>,
}

fn not_ready(gauges: &Gauges, state: QueueState) -> Option<String> {
    match (gauges.outbox_code, state) {
        (Some(code), _) => Some(format!("the outbox cannot be read: {code}")),
        (None, QueueState::Blocked) => {
            Some("the broker blocks publishers (memory or disk alarm)".to_owned())
        }
        (None, QueueState::Down) => Some("the queue cannot be reached".to_owned()),
        (None, QueueState::Idle | QueueState::Connected) => None,
    }
}

fn set_state(state: QueueState) {
    for (name, each) in [
        ("idle", QueueState::Idle),
        ("connected", QueueState::Connected),
        ("blocked", QueueState::Blocked),
        ("down", QueueState::Down),
    ] {
        metrics::gauge!("gateway_queue_state", "state" => name).set(if each == state {
            1.0
        } else {
            0.0
        });
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
impl Gauges {
    fn set(&mut self, status: &Status, now: DateTime<Utc>) {
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
            set_sweep(feed, now);
            set_corrections(feed);
            let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
            metrics::gauge!("gateway_pull_consecutive_failures", &labels)
                .set(f64::from(feed.consecutive_failures));
        }
        // A reason whose last record was mended is in the list no more, but its gauge would stand
        // for ever.
        let mut gone = std::mem::take(&mut self.dead_letters);
        for letters in &status.dead_letters {
            let labels = [
                letters.source.clone(),
                letters.feed.clone(),
                letters.reason.clone(),
            ];
            set_dead_letters(&labels, letters.count as f64);
            gone.remove(&labels);
            self.dead_letters.insert(labels);
        }
        for labels in &gone {
            set_dead_letters(labels, 0.0);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the counts fit its 53 bits"
)]
fn set_sweep(feed: &FeedStatus, now: DateTime<Utc>) {
    let Some(sweep) = &feed.sweep else { return };
    let labels = [("source", feed.source.clone()), ("feed", feed.feed.clone())];
    metrics::gauge!("gateway_sweep_held_records", &labels).set(sweep.held.unwrap_or(0) as f64);
    metrics::gauge!("gateway_sweep_running", &labels)
        .set(f64::from(u8::from(sweep.pass.is_some())));
    if let Some(finished_at) = sweep.finished_at {
        metrics::gauge!("gateway_sweep_age_seconds", &labels)
            .set((now - finished_at).num_seconds().max(0) as f64);
    }
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
        for (result, count) in [
            ("equal", report.equal),
            ("missing", report.missing),
            ("stale", report.stale),
            ("extra", report.extra),
            ("conflicting", report.conflicting),
        ] {
            metrics::gauge!(
                "gateway_reconcile_records",
                "source" => source.to_owned(),
                "result" => result
            )
            .set(count as f64);
        }
    }
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
