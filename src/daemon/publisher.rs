//! The publishing loop: rung by commits, held back by the queue's circuit breaker, drained at the
//! end.

use std::sync::Arc;
use std::time::Duration;

use broker::State;
use circuit::Permit;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::circuits::{QUEUE, QUEUE_NAME};
use crate::gateway::Gateway;
use crate::publish::{Published, publish_once, publish_probe};

/// How often the outbox is looked at without being rung: retries fall due by themselves.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long batches are held back, while the queue is not known to be away, for the subscription to
/// receipts: the receipt of a batch that is sent before is heard by nobody, and the batch sent
/// again an hour later.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(15);

/// Publishes until `stop`. `heard` tells whether receipts can arrive; `None` where they are off.
pub(super) async fn publish_loop(
    gateway: Arc<Gateway>,
    mut heard: Option<watch::Receiver<bool>>,
    stop: CancellationToken,
) {
    let mut failing = false;
    let mut given_up = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = subscribed(&gateway, heard.as_mut(), SUBSCRIBE_PATIENCE, &mut given_up) => {}
        }
        let permit = gateway
            .circuits
            .permit(QUEUE_NAME, QUEUE, gateway.clock.elapsed());
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

/// Resolves when receipts can arrive, or could not for long enough. While the queue is away both
/// connections come back by themselves, the publisher's often first; a batch handed over meanwhile
/// would leave at that moment.
async fn subscribed(
    gateway: &Gateway,
    heard: Option<&mut watch::Receiver<bool>>,
    patience: Duration,
    given_up: &mut bool,
) {
    let Some(heard) = heard else { return };
    let look = LOOK_AGAIN.min(patience);
    let mut waited = Duration::ZERO;
    loop {
        let away = gateway.publisher.state() == State::Down;
        *given_up &= !away && !*heard.borrow();
        if *given_up {
            return;
        }
        // The receipts' loop ends before this one only when the program does.
        if tokio::time::timeout(look, heard.wait_for(|heard| *heard))
            .await
            .is_ok()
        {
            return;
        }
        waited = if away { Duration::ZERO } else { waited + look };
        *given_up = waited >= patience;
    }
}

/// Publishes what is due now, until nothing is or the queue takes nothing.
pub(super) async fn drain(gateway: &Gateway) {
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

/// Resolves when the program is to end and the queue takes nothing, so that no confirm is worth
/// waiting for. The leases are void at the next start, and the batches are sent then.
async fn hopeless(gateway: &Gateway, stop: &CancellationToken) {
    stop.cancelled().await;
    while !takes_nothing(gateway) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// One step; a change between working and failing is logged once. A step that delivers anything
/// closes the circuit: a single batch that the queue refuses must not hold up the others.
async fn step(gateway: &Gateway, probe: bool, failing: &mut bool) -> Published {
    let result = if probe {
        publish_probe(gateway).await
    } else {
        publish_once(gateway).await
    };
    let queue_failed = result.as_ref().is_ok_and(|published| published.failed > 0);
    let published = result.unwrap_or_else(|error| Published {
        failed: 1,
        error: Some(error.to_string()),
        ..Published::default()
    });
    if queue_failed && published.delivered == 0 {
        gateway
            .circuits
            .failure(QUEUE_NAME, QUEUE, gateway.clock.elapsed());
    } else {
        gateway.circuits.success(QUEUE_NAME, QUEUE);
    }
    if published.failed > 0 && !*failing {
        let error = published.error.as_deref().unwrap_or_default();
        tracing::warn!(
            event = "publish-failed",
            error,
            "batches wait in the outbox and are tried again"
        );
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn batches_wait_for_the_subscription_to_receipts_but_not_for_ever() {
        let world = World::new("", 0..0).await;
        let gateway = &world.gateway;
        let (heard, mut told) = watch::channel(false);
        let long = Duration::from_secs(600);
        let short = Duration::from_millis(20);
        let mut given_up = false;
        subscribed(gateway, None, long, &mut given_up).await;
        subscribed(gateway, Some(&mut told), short, &mut given_up).await;
        assert!(given_up, "receipts stay away, the queue does not");
        subscribed(gateway, Some(&mut told), long, &mut given_up).await;
        heard.send_replace(true);
        subscribed(gateway, Some(&mut told), long, &mut given_up).await;
        assert!(!given_up, "the next loss is waited out anew");
        heard.send_replace(false);
        let mut waiting = Box::pin(subscribed(gateway, Some(&mut told), long, &mut given_up));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        heard.send_replace(true);
        waiting.await;
    }

    #[tokio::test]
    async fn the_loops_publish_once_receipts_are_heard_and_end_when_they_are_stopped() {
        let world = World::new("[outbox]\nbatch_events = 4\n", 0..8).await;
        let stop = CancellationToken::new();
        let source = &world.gateway.sources[0];
        let counters = crate::pull::Counters::default();
        crate::run::run_in_turn(&world.gateway, source, &stop, &counters)
            .await
            .expect("a good run");
        let gateway = Arc::new(world.gateway);
        let (telling, told) = watch::channel(false);
        let publishing = tokio::spawn(publish_loop(Arc::clone(&gateway), Some(told), stop.clone()));
        let receipts = crate::receipts::Receipts::subscribe(&gateway)
            .expect("subscribed")
            .expect("on");
        let hearing = super::super::receipts::receipts_loop(
            Arc::clone(&gateway),
            receipts,
            telling,
            stop.clone(),
        );
        let hearing = tokio::spawn(hearing);
        while gateway.outbox.backlog().await.expect("the backlog").batches > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
        publishing.await.expect("it ends");
        hearing.await.expect("it ends");
    }
}
