//! The publishing loop: rung by commits, held back by the queue's circuit breaker, drained at the end.

use std::sync::Arc;
use std::time::Duration;

use broker::State;
use circuit::Permit;
use tokio_util::sync::CancellationToken;

use crate::circuits::{QUEUE, QUEUE_NAME};
use crate::gateway::Gateway;
use crate::publish::{Published, publish_once, publish_probe};

/// How often the outbox is looked at without being rung: retries fall due by themselves.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Publishes until `stop`.
pub async fn publish_loop(gateway: Arc<Gateway>, stop: CancellationToken) {
    let mut failing = false;
    loop {
        let permit = gateway.circuits.permit(QUEUE_NAME, QUEUE, gateway.clock.elapsed());
        let pause = match permit {
            Permit::Open { wait } => Some(wait),
            Permit::Closed | Permit::Probe => {
                let published = tokio::select! {
                    published = step(&gateway, permit == Permit::Probe, &mut failing) => published,
                    () = hopeless(&gateway, &stop) => return,
                };
                if published.delivered > 0 && published.failed == 0 && !stop.is_cancelled() {
                    continue;
                }
                (published.failed > 0).then_some(LOOK_AGAIN)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = gateway.batches_waiting.notified(), if pause.is_none() => {}
            () = tokio::time::sleep(pause.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)) => {}
        }
    }
}

/// Publishes what is due now, until nothing is or the queue takes nothing.
pub async fn drain(gateway: &Gateway) {
    let mut failing = false;
    while !takes_nothing(gateway) {
        let published = step(gateway, false, &mut failing).await;
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

/// One step; a change between working and failing is logged once. A step that delivers anything closes the circuit: a
/// single batch that the queue refuses must not hold up the others.
async fn step(gateway: &Gateway, probe: bool, failing: &mut bool) -> Published {
    let result = if probe { publish_probe(gateway).await } else { publish_once(gateway).await };
    let queue_failed = result.as_ref().is_ok_and(|published| published.failed > 0);
    let published = result.unwrap_or_else(|error| Published {
        failed: 1,
        error: Some(error.to_string()),
        ..Published::default()
    });
    if queue_failed && published.delivered == 0 {
        gateway.circuits.failure(QUEUE_NAME, QUEUE, gateway.clock.elapsed());
    } else {
        gateway.circuits.success(QUEUE_NAME, QUEUE);
    }
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
