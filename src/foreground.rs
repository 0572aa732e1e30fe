//! Delivery in the foreground, for commands that run without the daemon: publishes and receives
//! receipts while the command's own work is done, and afterwards until the outbox is empty.

use std::time::Duration;

use broker::{BrokerError, QueueState};
use outbox::{BeaconOccasion, OutboxError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::publish::{Published, publish_once};
use crate::receipts::{ReceiptCounts, ReceiptReceiver, ReceiptsError};
use crate::tokens::STEP;

/// Longest time for which the queue may take nothing before it is given up.
const QUEUE_PATIENCE: Duration = Duration::from_secs(20);

/// Shortest patience of the first batch with the subscription to receipts, where the queue can be
/// reached.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(5);

/// Length of one look whether the subscription is up.
const SUBSCRIBE_LOOK: Duration = Duration::from_millis(100);

/// Length of one look for receipts.
const RECEIPTS_LOOK: Duration = Duration::from_millis(500);

/// Batches published and receipts received in the foreground.
#[derive(Debug, Default)]
pub(crate) struct DeliveryReport {
    /// Number of batches delivered.
    pub(crate) delivered: usize,
    /// The queue's last failure; `None` after a success.
    pub(crate) queue_error: Option<String>,
    /// True when that failure will not pass by itself.
    pub(crate) queue_misconfigured: bool,
    /// The receipts that came.
    pub(crate) receipts: ReceiptCounts,
}

/// Progress of the command. Publishing outlasts the work, and receiving outlasts publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The work goes on.
    Working,
    /// The work is done; its last batches are published.
    Publishing,
    /// Everything is published; receipts are waited for.
    Waiting,
}

/// Does `work`, publishing its batches meanwhile, and afterwards until the outbox is empty or the
/// queue has failed for too long. Then waits at most `wait_receipts` for the receipts of what was
/// delivered.
///
/// # Errors
/// [`OutboxError`] when the gateway's own state fails while publishing.
pub(crate) async fn deliver_during<T>(
    gateway: &Gateway,
    stop: &CancellationToken,
    wait_receipts: Duration,
    work: impl Future<Output = T>,
) -> Result<(T, DeliveryReport), OutboxError> {
    let (phase, phases) = watch::channel(Phase::Working);
    let (subscribed, subscription) = watch::channel(false);
    let working = async {
        let done = work.await;
        phase.send_modify(|phase| *phase = (*phase).max(Phase::Publishing));
        done
    };
    let publishing = async {
        let mut wait = SubscriptionWait {
            gateway,
            phases: phases.clone(),
            subscription,
            patience: SUBSCRIBE_PATIENCE.max(gateway.queue.longest_return()),
        };
        let away_for = tokio::select! {
            away_for = wait.wait() => away_for?,
            () = stop.cancelled() => Duration::ZERO,
        };
        let mut publisher = ForegroundPublisher::new(gateway, wait_receipts);
        publisher.away_for = away_for;
        let published = publisher.publish_all(&mut phases.clone(), stop).await;
        if published.is_err() {
            // Nobody empties the outbox any more: work that waits for space would wait for ever.
            gateway.backpressure.set_publishing_ended(true);
        }
        phase.send_replace(Phase::Waiting);
        published
    };
    gateway.backpressure.set_publishing_ended(false);
    let receiving = receive_receipts(gateway, &phase, &subscribed, stop, wait_receipts);
    let filling = fetch_tokens_of_dummies(gateway, phase.subscribe());
    let (done, published, receipts, ()) = tokio::join!(working, publishing, receiving, filling);
    let mut delivery = published?;
    delivery.receipts = receipts;
    Ok((done, delivery))
}

/// Wait of the first batch for the subscription to receipts: nobody receives the receipt of a batch
/// that is sent before.
struct SubscriptionWait<'a> {
    gateway: &'a Gateway,
    phases: watch::Receiver<Phase>,
    /// Shows whether receipts can arrive, or never will.
    subscription: watch::Receiver<bool>,
    /// Longest wait while the queue is not known to be away.
    patience: Duration,
}

impl SubscriptionWait<'_> {
    /// Resolves when receipts can arrive or never will, when they could not for longer than the
    /// patience, when the queue has been away for too long, or when there is nothing to send.
    /// Returns how long the queue has been away, as it is at the end.
    async fn wait(&mut self) -> Result<Duration, OutboxError> {
        self.gateway.publisher.connect();
        let mut waited = Duration::ZERO;
        let mut away_for = Duration::ZERO;
        while waited < self.patience && away_for < QUEUE_PATIENCE {
            let subscribed = self.subscription.wait_for(|subscribed| *subscribed);
            let looked = tokio::time::timeout(SUBSCRIBE_LOOK, subscribed).await;
            if looked.is_ok() {
                return Ok(Duration::ZERO);
            }
            let is_away = self.gateway.publisher.state() == QueueState::Down;
            waited = if is_away {
                Duration::ZERO
            } else {
                waited + SUBSCRIBE_LOOK
            };
            away_for = if is_away {
                away_for + SUBSCRIBE_LOOK
            } else {
                Duration::ZERO
            };
            let work_is_done = *self.phases.borrow() >= Phase::Publishing;
            if work_is_done && self.gateway.outbox.backlog().await?.batches == 0 {
                break;
            }
        }
        Ok(away_for)
    }
}

/// Fetches tokens for dummies, until everything is published. No batch waits for it.
async fn fetch_tokens_of_dummies(gateway: &Gateway, mut phases: watch::Receiver<Phase>) {
    let Some(tokens) = gateway
        .tokens
        .as_ref()
        .filter(|tokens| tokens.has_dummies())
    else {
        return;
    };
    let fetching = async {
        loop {
            tokens.look().await;
            if let Err(error) = tokens.fill_ahead().await {
                tracing::debug!(event = "tokens-not-filled", code = error.code());
            }
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::select! {
        () = fetching => {}
        _ = phases.wait_for(|phase| *phase == Phase::Waiting) => {}
    }
}

/// Publisher of a command's batches.
struct ForegroundPublisher<'a> {
    gateway: &'a Gateway,
    /// Longest wait for receipts that would make space in a full outbox.
    wait_receipts: Duration,
    delivery: DeliveryReport,
    /// Time for which the queue had been away when publishing began.
    away_for: Duration,
    /// Time of the first failure since the last success, counted from the program's start.
    failing_since: Option<Duration>,
    /// Time since which a full outbox has had nothing to publish.
    idle_since: Option<Duration>,
}

impl<'a> ForegroundPublisher<'a> {
    fn new(gateway: &'a Gateway, wait_receipts: Duration) -> Self {
        Self {
            gateway,
            wait_receipts,
            delivery: DeliveryReport::default(),
            away_for: Duration::ZERO,
            failing_since: None,
            idle_since: None,
        }
    }

    /// Publishes while the work goes on, and afterwards until the outbox is empty or the queue has
    /// failed for too long.
    async fn publish_all(
        mut self,
        phases: &mut watch::Receiver<Phase>,
        stop: &CancellationToken,
    ) -> Result<DeliveryReport, OutboxError> {
        let gateway = self.gateway;
        loop {
            let work_is_done = *phases.borrow() >= Phase::Publishing;
            // A publish that is cut off leaves its batches in the outbox, leased until the next
            // start at the latest.
            let published = tokio::select! {
                published = publish_once(gateway) => published?,
                () = self.queue_given_up() => Published::default(),
                () = stop.cancelled() => Published::default(),
            };
            let took_any = published.took_any();
            let now = gateway.clock.elapsed();
            self.note(published, now);
            let hopeless = self.patience_left(now) == Some(Duration::ZERO)
                || self.delivery.queue_misconfigured;
            if hopeless || stop.is_cancelled() {
                gateway.backpressure.set_publishing_ended(true);
                let _work_is_done = phases.wait_for(|phase| *phase >= Phase::Publishing).await;
                return Ok(self.delivery);
            }
            if took_any {
                continue;
            }
            let nothing_to_publish = !gateway.outbox.has_unsent().await?;
            if work_is_done && self.only_a_beacon_fails().await? {
                return Ok(self.delivery);
            }
            if work_is_done && nothing_to_publish {
                if gateway.give_out_beacon(BeaconOccasion::End).await? {
                    continue;
                }
                return Ok(self.delivery);
            }
            self.note_idle(nothing_to_publish, now);
            // Nothing was due: wait for a commit, for the end of the work, or for a failed batch's
            // next try.
            tokio::select! {
                () = gateway.batches_waiting.notified() => {}
                _ = phases.wait_for(|phase| *phase >= Phase::Publishing), if !work_is_done => {}
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RECEIPTS_LOOK) => {}
            }
        }
    }

    /// Returns whether nothing but a beacon is left, and the queue does not take it: it leaves with
    /// the next run, so that nobody need wait for the queue.
    async fn only_a_beacon_fails(&self) -> Result<bool, OutboxError> {
        let fails = self.failing_since.is_some();
        Ok(fails && self.gateway.outbox.backlog().await?.batches == 0)
    }

    fn note(&mut self, published: Published, now: Duration) {
        let took_any = published.took_any();
        self.delivery.delivered += published.delivered;
        if published.failed > 0 {
            let away_since = now.saturating_sub(std::mem::take(&mut self.away_for));
            self.failing_since.get_or_insert(away_since);
            self.delivery.queue_error = published.error;
            self.delivery.queue_misconfigured = published.misconfigured;
        } else if took_any {
            self.failing_since = None;
            self.delivery.queue_error = None;
            self.delivery.queue_misconfigured = false;
        }
    }

    /// Time left before a failing queue is given up; `None` while it does not fail.
    fn patience_left(&self, now: Duration) -> Option<Duration> {
        let until = self.failing_since? + QUEUE_PATIENCE;
        Some(until.saturating_sub(now))
    }

    /// Resolves when patience is at its end and the queue still takes nothing.
    async fn queue_given_up(&self) {
        match self.patience_left(self.gateway.clock.elapsed()) {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
        while !matches!(
            self.gateway.publisher.state(),
            QueueState::Down | QueueState::Blocked
        ) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Notes whether a full outbox has nothing to publish: one that is full of batches that wait
    /// for receipts empties only if those come.
    fn note_idle(&mut self, nothing_to_publish: bool, now: Duration) {
        let backpressure = &self.gateway.backpressure;
        if nothing_to_publish && backpressure.is_paused() {
            let since = *self.idle_since.get_or_insert(now);
            backpressure.set_publishing_ended(now.saturating_sub(since) >= self.wait_receipts);
        } else {
            self.idle_since = None;
            backpressure.set_publishing_ended(false);
        }
    }
}

/// Receives receipts until everything is published, and for at most `patience` longer while batches
/// wait for theirs.
async fn receive_receipts(
    gateway: &Gateway,
    phase: &watch::Sender<Phase>,
    subscribed: &watch::Sender<bool>,
    stop: &CancellationToken,
    patience: Duration,
) -> ReceiptCounts {
    let mut received = ReceiptCounts::default();
    let Some(mut receipts) = subscribe(gateway) else {
        subscribed.send_replace(true);
        return received;
    };
    let mut phases = phase.subscribe();
    let mut give_up_at = None;
    let mut look = Duration::ZERO;
    loop {
        let published = *phase.borrow() == Phase::Waiting;
        let result = tokio::select! {
            result = receipts.receive(if published { look.min(patience) } else { look }) => result,
            // Received receipts are kept; from here on it is patience that counts.
            _ = phases.wait_for(|phase| *phase == Phase::Waiting), if !published => continue,
            () = stop.cancelled() => break,
        };
        let settled = match result {
            Ok(()) => receipts.settle(gateway).await,
            Err(error) => Err(error),
        };
        if receipts.connected() || settled.as_ref().is_err_and(lasts) {
            subscribed.send_replace(true);
        }
        match settled {
            Ok(settled) => received.add(settled),
            Err(error) => {
                tracing::debug!(event = "receipts-failed", %error);
                tokio::time::sleep(RECEIPTS_LOOK).await;
            }
        }
        let now = gateway.clock.elapsed();
        if published
            && (now >= *give_up_at.get_or_insert(now + patience) || !awaits_receipts(gateway).await)
        {
            break;
        }
        look = if *subscribed.borrow() {
            RECEIPTS_LOOK
        } else {
            SUBSCRIBE_LOOK
        };
    }
    receipts.close().await;
    received
}

/// Subscribes to receipts; `None` where they are off or cannot be subscribed to.
fn subscribe(gateway: &Gateway) -> Option<ReceiptReceiver> {
    match ReceiptReceiver::subscribe(gateway) {
        Ok(receipts) => receipts,
        Err(error) => {
            tracing::warn!(
                event = "receipts-not-heard",
                %error,
                "batches wait for their resend"
            );
            None
        }
    }
}

/// Returns whether receipts stay away until somebody changes something.
const fn lasts(error: &ReceiptsError) -> bool {
    !matches!(error, ReceiptsError::Queue(BrokerError::Retry { .. }))
}

/// Returns whether batches wait for their receipt; false if the outbox fails, which is reported
/// elsewhere.
async fn awaits_receipts(gateway: &Gateway) -> bool {
    gateway.outbox.awaits_answer().await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, Utc};
    use clock::{Clock, ManualClock};
    use contract::{Receipt, UnreadableReason};

    use super::*;
    use crate::testing::{World, within_patience};

    /// Clock that cancels `stop` when it is asked for the time, which settling does in its midst.
    #[derive(Debug)]
    struct StoppingClock {
        clock: Arc<ManualClock>,
        stop: CancellationToken,
    }

    impl Clock for StoppingClock {
        fn now(&self) -> DateTime<Utc> {
            self.stop.cancel();
            self.clock.now()
        }

        fn elapsed(&self) -> Duration {
            self.clock.elapsed()
        }
    }

    #[tokio::test]
    async fn receipts_being_settled_are_not_cut_off_by_a_stop() {
        let mut world = World::new("[outbox]\nbatch_events = 4\n", 0..8).await;
        let stop = CancellationToken::new();
        world.pull().await;
        assert_eq!(
            publish_once(&world.gateway)
                .await
                .expect("published")
                .delivered,
            2
        );
        let receipt =
            |opened: &contract::Opened| Receipt::unreadable(opened.id, UnreadableReason::OtherKey);
        let receipts: Vec<Receipt> = world.published().iter().map(receipt).collect();

        world.gateway.clock = Arc::new(StoppingClock {
            clock: Arc::clone(&world.clock),
            stop: stop.clone(),
        });
        let gateway = &world.gateway;
        let (phase, _phases) = watch::channel(Phase::Working);
        let (subscribed, mut subscription) = watch::channel(false);
        let broadcasting = async {
            subscription
                .wait_for(|subscribed| *subscribed)
                .await
                .expect("it subscribes");
            let broadcast =
                broker::receipt_publisher(&gateway.queue, &gateway.base).expect("a publisher");
            broadcast
                .broadcast(world.signer.sign(&receipts))
                .await
                .expect("broadcast");
        };
        let both = async {
            tokio::join!(
                receive_receipts(gateway, &phase, &subscribed, &stop, Duration::ZERO),
                broadcasting
            )
            .0
        };
        let received = within_patience("receiving ends", both).await;
        assert!(stop.is_cancelled(), "it was stopped while it settled");
        assert_eq!(
            received,
            ReceiptCounts {
                messages: 1,
                unreadable: 2,
                ..ReceiptCounts::default()
            }
        );
    }

    #[tokio::test]
    async fn the_first_batch_waits_for_the_subscription_also_after_the_work() {
        let world = World::new("[outbox]\nbatch_events = 4\n", 0..8).await;
        let (phase, phases) = watch::channel(Phase::Working);
        let (subscribed, subscription) = watch::channel(false);
        let mut wait = SubscriptionWait {
            gateway: &world.gateway,
            phases,
            subscription,
            patience: Duration::from_secs(600),
        };
        world.pull().await;
        phase.send_replace(Phase::Publishing);
        let mut waiting = Box::pin(wait.wait());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        subscribed.send_replace(true);
        let away_for = within_patience("the wait ends", waiting).await;
        assert_eq!(away_for.expect("the state is read"), Duration::ZERO);
    }

    #[tokio::test]
    async fn nothing_to_send_waits_for_no_subscription_and_patience_has_an_end() {
        let world = World::new("[outbox]\nbatch_events = 4\n", 0..8).await;
        let (phase, phases) = watch::channel(Phase::Publishing);
        let (_subscribed, subscription) = watch::channel(false);
        let mut wait = SubscriptionWait {
            gateway: &world.gateway,
            phases,
            subscription,
            patience: Duration::from_secs(600),
        };
        let ended = within_patience("nothing is to be sent", wait.wait()).await;
        ended.expect("the state is read");
        phase.send_replace(Phase::Working);
        wait.patience = SUBSCRIBE_LOOK;
        let ended = within_patience("patience ends", wait.wait()).await;
        ended.expect("the state is read");
    }

    #[cfg(feature = "inject")]
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "started by the test below"]
    async fn sync_with_a_full_outbox_and_no_settling() {
        use crate::pull::Counters;
        use crate::sync::{SyncOptions, sync};

        fault::arm_from_environment();
        let extra = "receipts = \"off\"\n[outbox]\nmax_mebibytes = 1\nbatch_events = 1\n";
        // 600 batches of 4 KiB each do not fit at once; pages are small, so that some do.
        let mut world = World::new(extra, 0..600).await;
        let mut small = world.source();
        small.page_records = 100;
        world.gateway.sources = vec![Arc::new(small)];
        let stop = CancellationToken::new();
        let counters = Counters::default();
        let options = SyncOptions::default();
        let syncing = sync(&world.gateway, &options, &stop, &counters);
        let synced = within_patience("the pass ends", syncing).await;
        assert!(synced.is_err(), "{synced:?}");
    }

    #[cfg(feature = "inject")]
    #[test]
    fn work_that_waits_for_space_ends_when_publishing_fails() {
        let test = "foreground::tests::sync_with_a_full_outbox_and_no_settling";
        crate::testing::succeeds_broken(test, "outbox-settling=return(retry)");
    }
}
