//! What the metrics and the readiness page say, refreshed from the outbox's own figures.

use std::sync::Arc;
use std::time::Duration;

use broker::State;
use chrono::{DateTime, Utc};
use outbox::Status;
use telemetry::http::Health;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

const REFRESH: Duration = Duration::from_secs(5);

/// Refreshes until `stop`.
pub async fn gauge_loop(gateway: Arc<Gateway>, health: Health, stop: CancellationToken) {
    loop {
        refresh_once(&gateway, &health).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REFRESH) => {}
        }
    }
}

async fn refresh_once(gateway: &Gateway, health: &Health) {
    let status = match gateway.outbox.reader().status().await {
        Ok(status) => status,
        Err(error) => return health.set_unready(format!("the outbox cannot be read: {}", error.code())),
    };
    set_gauges(&status, gateway.clock.now());
    let state = gateway.publisher.state();
    for (name, each) in [
        ("idle", State::Idle),
        ("connected", State::Connected),
        ("blocked", State::Blocked),
        ("down", State::Down),
    ] {
        metrics::gauge!("gateway_queue_state", "state" => name).set(if each == state { 1.0 } else { 0.0 });
    }
    match state {
        State::Blocked => health.set_unready("the broker blocks publishers (memory or disk alarm)"),
        State::Down => health.set_unready("the queue cannot be reached"),
        State::Idle | State::Connected => health.set_ready(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; the counts fit its 53 bits")]
fn set_gauges(status: &Status, now: DateTime<Utc>) {
    metrics::gauge!("gateway_outbox_pending_batches").set(status.backlog.batches as f64);
    metrics::gauge!("gateway_outbox_pending_events").set(status.backlog.events as f64);
    metrics::gauge!("gateway_outbox_pending_bytes").set(status.backlog.bytes as f64);
    metrics::gauge!("gateway_outbox_oldest_pending_seconds")
        .set(status.backlog.oldest_at.map_or(0.0, |oldest| (now - oldest).num_seconds().max(0) as f64));
    for letters in &status.dead_letters {
        metrics::gauge!("gateway_dead_letters", "source" => letters.source.clone(), "feed" => letters.feed.clone(), "reason" => letters.reason.clone())
            .set(letters.count as f64);
    }
    for feed in &status.feeds {
        metrics::gauge!("gateway_pull_consecutive_failures", "source" => feed.source.clone(), "feed" => feed.feed.clone())
            .set(f64::from(feed.consecutive_failures));
    }
}
