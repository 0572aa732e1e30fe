//! The publishing loop: woken by commits, held back by the queue's circuit breaker, drained at the
//! end.

use std::sync::Arc;
use std::time::Duration;

use broker::QueueState;
use circuit::Permit;
use outbox::{BeaconOccasion, OutboxError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::circuits::{EndpointCircuit, QUEUE, QUEUE_NAME};
use crate::gateway::Gateway;
use crate::publish::{Published, publish_once, publish_probe};

/// Longest pause between two looks at the outbox: batches to be tried again fall due without
/// anything that wakes the loop.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Shortest patience with the subscription to receipts.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(15);

/// Time for which batches are held back, while the queue is not known to be away, for the
/// subscription to receipts: nobody receives the receipt of a batch that is sent before, and the
/// batch is sent again only after `resend_after_seconds`. The subscription's connection may come
/// back later than the publisher's by all that the queue's configuration lets it.
fn patience(gateway: &Gateway) -> Duration {
    SUBSCRIBE_PATIENCE.max(gateway.queue.longest_return())
}

/// Publishes until `stop`. `connected` shows whether receipts can arrive; `None` where they are
/// off.
pub(super) async fn publish_loop(
    gateway: Arc<Gateway>,
    connected: Option<watch::Receiver<bool>>,
    stop: CancellationToken,
) {
    let mut circuit = EndpointCircuit::new(QUEUE_NAME.to_owned(), QUEUE);
    let mut failures = FailureLog::default();
    let mut subscription = SubscriptionWait::new(connected, patience(&gateway));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = subscription.wait(&gateway, &mut circuit) => {}
        }
        let permit = circuit.permit(gateway.clock.elapsed());
        let pause = match permit {
            Permit::Open { wait } => Some(wait),
            Permit::Closed | Permit::Probe => {
                let probe = permit == Permit::Probe;
                let published = tokio::select! {
                    published = publish(&gateway, probe, &mut circuit, &mut failures) => published,
                    () = stopped_and_queue_away(&gateway, &stop) => return,
                };
                if published.took_any() && published.failed_in_all() == 0 && !stop.is_cancelled() {
                    continue;
                }
                (published.failed_in_all() > 0).then_some(LOOK_AGAIN)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = gateway.batches_waiting.notified(), if pause.is_none() => {}
            () = tokio::time::sleep(pause.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)) => {}
        }
    }
}

/// The wait for the subscription to receipts, before each publish.
struct SubscriptionWait {
    /// Shows whether receipts can arrive; `None` where they are off.
    connected: Option<watch::Receiver<bool>>,
    patience: Duration,
    /// True once the subscription did not come for too long.
    given_up: bool,
}

impl SubscriptionWait {
    const fn new(connected: Option<watch::Receiver<bool>>, patience: Duration) -> Self {
        Self {
            connected,
            patience,
            given_up: false,
        }
    }

    /// Resolves when receipts can arrive, or could not for long enough. While the queue is away
    /// both connections come back by themselves, the publisher's often first; a batch handed over
    /// meanwhile would leave at that moment. The queue's circuit counts the looks that find it away
    /// as failures, since nothing else is tried then, and is closed again with the end of the wait.
    async fn wait(&mut self, gateway: &Gateway, circuit: &mut EndpointCircuit) {
        let mut was_away = false;
        self.wait_for_subscription(gateway, || {
            was_away = true;
            circuit.failure(gateway.clock.elapsed());
        })
        .await;
        if was_away {
            circuit.success();
        }
    }

    async fn wait_for_subscription(&mut self, gateway: &Gateway, mut is_away: impl FnMut()) {
        let Some(connected) = &mut self.connected else {
            return;
        };
        // Else a queue that is away since the start, as where both machines have just begun, would
        // be taken for one that only lacks the subscription.
        gateway.publisher.connect();
        let look = LOOK_AGAIN.min(self.patience);
        let mut waited = Duration::ZERO;
        loop {
            let away = gateway.publisher.state() == QueueState::Down;
            self.given_up &= !away && !*connected.borrow();
            if self.given_up {
                return;
            }
            // The receipts' loop ends before this one only when the program does.
            if tokio::time::timeout(look, connected.wait_for(|connected| *connected))
                .await
                .is_ok()
            {
                return;
            }
            waited = if away { Duration::ZERO } else { waited + look };
            if away {
                is_away();
            }
            self.given_up = waited >= self.patience;
        }
    }
}

/// Publishes what is due now, until nothing is or the queue takes nothing. For the program's end:
/// the circuit breaker is left out.
pub(super) async fn drain(gateway: &Gateway) {
    let mut failures = FailureLog::default();
    loop {
        // Once more after each step: one that had been kept back has to leave before the last.
        if let Err(error) = gateway.give_out_beacon(BeaconOccasion::End).await {
            tracing::warn!(event = "beacon-failed", code = error.code());
        }
        if takes_nothing(gateway) {
            return;
        }
        let published = failures.note(gateway, publish_once(gateway).await);
        if !published.took_any() || published.failed > 0 {
            return;
        }
    }
}

fn takes_nothing(gateway: &Gateway) -> bool {
    matches!(
        gateway.publisher.state(),
        QueueState::Down | QueueState::Blocked
    )
}

/// Resolves when the program is to end and the queue takes nothing, so that no confirm is worth
/// waiting for. The leases are void at the next start, and the batches are sent then.
async fn stopped_and_queue_away(gateway: &Gateway, stop: &CancellationToken) {
    stop.cancelled().await;
    while !takes_nothing(gateway) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Publishes one lease of batches, or one batch as a probe. Anything delivered closes the circuit:
/// a single batch that the queue refuses must not hold up the others.
async fn publish(
    gateway: &Gateway,
    probe: bool,
    circuit: &mut EndpointCircuit,
    failures: &mut FailureLog,
) -> Published {
    let result = if probe {
        publish_probe(gateway).await
    } else {
        publish_once(gateway).await
    };
    // A dummy says as much of the queue as any batch.
    let queue_failed = result.as_ref().is_ok_and(|published| {
        published.failed_in_all() > published.too_long && !published.took_any()
    });
    if queue_failed {
        circuit.failure(gateway.clock.elapsed());
    } else {
        circuit.success();
    }
    failures.note(gateway, result)
}

/// Log of the changes between working and failing: each is logged once.
#[derive(Default)]
struct FailureLog {
    failing: bool,
}

impl FailureLog {
    /// Notes a result; a failure of the outbox counts as one failed batch.
    fn note(&mut self, gateway: &Gateway, result: Result<Published, OutboxError>) -> Published {
        match &result {
            Err(error) => gateway.own_state.note(Some(error)),
            // A single batch that the queue refuses says nothing of the queue.
            Ok(published) if published.took_any() => gateway.queue_causes.note_publishing(None),
            Ok(published) if published.failed_in_all() > 0 => {
                gateway
                    .queue_causes
                    .note_publishing(published.error.clone());
            }
            Ok(_) => {}
        }
        let published = result.unwrap_or_else(|error| Published {
            failed: 1,
            error: Some(error.to_string()),
            ..Published::default()
        });
        if published.failed > 0 && !self.failing {
            let error = published.error.as_deref().unwrap_or_default();
            tracing::warn!(
                event = "publish-failed",
                error,
                "batches wait in the outbox and are tried again"
            );
            self.failing = true;
        } else if published.failed == 0 && published.took_any() && self.failing {
            tracing::info!(
                event = "publish-again",
                delivered = published.delivered,
                "the queue takes batches again"
            );
            self.failing = false;
        }
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn batches_wait_for_the_subscription_to_receipts_but_not_for_ever() {
        let world = World::new("", 0..0).await;
        let gateway = &world.gateway;
        let circuit = &mut EndpointCircuit::new(QUEUE_NAME.to_owned(), QUEUE);
        let (connected, connection) = watch::channel(false);
        let long = Duration::from_secs(600);
        let short = Duration::from_millis(20);
        SubscriptionWait::new(None, long)
            .wait(gateway, circuit)
            .await;
        let mut subscription = SubscriptionWait::new(Some(connection), short);
        subscription.wait(gateway, circuit).await;
        assert!(
            subscription.given_up,
            "receipts stay away, the queue does not"
        );
        subscription.patience = long;
        subscription.wait(gateway, circuit).await;
        connected.send_replace(true);
        subscription.wait(gateway, circuit).await;
        assert!(!subscription.given_up, "the next loss is waited out anew");
        connected.send_replace(false);
        let mut waiting = Box::pin(subscription.wait(gateway, circuit));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        connected.send_replace(true);
        waiting.await;
    }

    #[tokio::test]
    async fn patience_covers_the_longest_pause_of_the_subscription() {
        let mut world = World::new("", 0..0).await;
        assert_eq!(patience(&world.gateway), SUBSCRIBE_PATIENCE, "a directory");
        world.gateway.queue = broker::QueueConfig::Amqp(broker::AmqpConfig {
            max_backoff_seconds: 120.try_into().expect("not zero"),
            connect_timeout_seconds: 7.try_into().expect("not zero"),
            ..broker::AmqpConfig::default()
        });
        assert_eq!(patience(&world.gateway), Duration::from_secs(127));
    }

    #[tokio::test]
    async fn the_loops_publish_once_receipts_arrive_and_end_when_they_are_stopped() {
        let world = World::new("[outbox]\nbatch_events = 4\n", 0..8).await;
        let stop = CancellationToken::new();
        world.pull().await;
        let gateway = Arc::new(world.gateway);
        let (connected, connection) = watch::channel(false);
        let publishing = publish_loop(Arc::clone(&gateway), Some(connection), stop.clone());
        let publishing = tokio::spawn(publishing);
        let receipts = crate::receipts::ReceiptReceiver::subscribe(&gateway)
            .expect("subscribed")
            .expect("on");
        let receiving = crate::daemon::receipts::receipts_loop(
            Arc::clone(&gateway),
            receipts,
            connected,
            stop.clone(),
        );
        let receiving = tokio::spawn(receiving);
        while gateway.outbox.backlog().await.expect("the backlog").batches > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
        publishing.await.expect("it ends");
        receiving.await.expect("it ends");
    }
}
