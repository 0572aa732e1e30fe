//! The publishing loop: rung by commits, slowed by failures, drained at the end.

use std::sync::Arc;
use std::time::Duration;

use broker::State;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::publish::{Published, publish_once};

/// How often the outbox is looked at without being rung: retries fall due by themselves.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Publishes until `stop`.
pub async fn publish_loop(gateway: Arc<Gateway>, stop: CancellationToken) {
    let mut failing = false;
    loop {
        let published = tokio::select! {
            published = step(&gateway, &mut failing) => published,
            () = hopeless(&gateway, &stop) => return,
        };
        if published.delivered > 0 && published.failed == 0 && !stop.is_cancelled() {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = gateway.batches_waiting.notified(), if published.failed == 0 => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Publishes what is due now, until nothing is or the queue takes nothing.
pub async fn drain(gateway: &Gateway) {
    let mut failing = false;
    while !takes_nothing(gateway) {
        let published = step(gateway, &mut failing).await;
        if published.delivered == 0 || published.failed > 0 {
            return;
        }
    }
}

fn takes_nothing(gateway: &Gateway) -> bool {
    matches!(gateway.publisher.state(), State::Down | State::Blocked)
}

/// Resolves when the program is to end and the queue takes nothing, so that no confirm is worth waiting for. The
/// leases are void at the next start, and the batches are sent then.
async fn hopeless(gateway: &Gateway, stop: &CancellationToken) {
    stop.cancelled().await;
    while !takes_nothing(gateway) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// One step; a change between working and failing is logged once.
async fn step(gateway: &Gateway, failing: &mut bool) -> Published {
    let published = match publish_once(gateway).await {
        Ok(published) => published,
        Err(error) => Published { failed: 1, error: Some(error.to_string()), ..Published::default() },
    };
    if published.failed > 0 && !*failing {
        let error = published.error.as_deref().unwrap_or_default();
        tracing::warn!(event = "publish-failed", error, "batches wait in the outbox and are tried again");
        *failing = true;
    } else if published.failed == 0 && published.delivered > 0 && *failing {
        tracing::info!(
            event = "publish-again",
            delivered = published.delivered,
            "the queue takes batches again"
        );
        *failing = false;
    }
    published
}
