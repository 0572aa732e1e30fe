//! Publishes and hears receipts while something else is done, and afterwards until everything has
//! left: for commands that run without the daemon.

use std::time::Duration;

use broker::State;
use outbox::OutboxError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::publish::{Published, publish_once};
use crate::receipts::{Heard, Receipts};

/// How long the queue may take nothing before it is given up.
const QUEUE_PATIENCE: Duration = Duration::from_secs(20);

/// How long the first batch waits for the subscription to receipts.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(5);

/// How long one look for receipts waits.
const RECEIPTS_LOOK: Duration = Duration::from_millis(500);

/// What was published and heard.
#[derive(Debug, Default)]
pub(crate) struct Attended {
    pub(crate) delivered: usize,
    pub(crate) queue_error: Option<String>,
    pub(crate) queue_misconfigured: bool,
    pub(crate) heard: Heard,
}

/// How far the work has come; the receipts outlast the publishing, and that the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Subscribing,
    Working,
    Publishing,
    Waiting,
}

/// Does `work`, publishing meanwhile what it brings, and afterwards until the outbox is empty or
/// the queue has failed for too long. Then waits at most `wait_receipts` for the receipts of what
/// was delivered.
pub(crate) async fn attended<T>(
    gateway: &Gateway,
    stop: &CancellationToken,
    wait_receipts: Duration,
    work: impl Future<Output = T>,
) -> Result<(T, Attended), OutboxError> {
    let (stage, stages) = watch::channel(Stage::Subscribing);
    let working = async {
        let done = work.await;
        stage.send_modify(|stage| *stage = (*stage).max(Stage::Publishing));
        done
    };
    let publishing = async {
        subscribed(&mut stages.clone()).await;
        let published = publish_until(gateway, &mut stages.clone(), stop, wait_receipts).await;
        if published.is_err() {
            // Nobody empties the outbox any more: work that waits for room would wait for ever.
            gateway.room.set_in_vain(true);
        }
        stage.send_replace(Stage::Waiting);
        published
    };
    gateway.room.set_in_vain(false);
    let hearing = hear(gateway, &stage, stop, wait_receipts);
    let (done, published, heard) = tokio::join!(working, publishing, hearing);
    let mut attended = published?;
    attended.heard = heard;
    Ok((done, attended))
}

/// Resolves when receipts can arrive, or could not for long enough.
async fn subscribed(stages: &mut watch::Receiver<Stage>) {
    let subscribed = stages.wait_for(|stage| *stage > Stage::Subscribing);
    // The work may be done before the queue has been reached, which opens the way as well.
    let _too_long = tokio::time::timeout(SUBSCRIBE_PATIENCE, subscribed).await;
}

/// Publishes while the work goes on, and afterwards until the outbox is empty or the queue has
/// failed for too long.
async fn publish_until(
    gateway: &Gateway,
    stages: &mut watch::Receiver<Stage>,
    stop: &CancellationToken,
    wait_receipts: Duration,
) -> Result<Attended, OutboxError> {
    let mut report = Attended::default();
    let mut failing_since = None;
    let mut idle_since = None;
    loop {
        let last_round = *stages.borrow() >= Stage::Publishing;
        let now = gateway.clock.elapsed();
        let patience =
            failing_since.map(|since: Duration| (since + QUEUE_PATIENCE).saturating_sub(now));
        // A publish that is cut off leaves its batches in the outbox, leased until the next start
        // at the latest.
        let published = tokio::select! {
            published = publish_once(gateway) => published?,
            () = in_vain(gateway, patience) => Published::default(),
            () = stop.cancelled() => Published::default(),
        };
        report.delivered += published.delivered;
        let now = gateway.clock.elapsed();
        if published.failed > 0 {
            failing_since.get_or_insert(now);
            (report.queue_error, report.queue_misconfigured) =
                (published.error, published.misconfigured);
        } else if published.delivered > 0 {
            (
                failing_since,
                report.queue_error,
                report.queue_misconfigured,
            ) = (None, None, false);
        }
        let patience_ended =
            failing_since.is_some_and(|since| now.saturating_sub(since) >= QUEUE_PATIENCE);
        if patience_ended || report.queue_misconfigured || stop.is_cancelled() {
            gateway.room.set_in_vain(true);
            let _work_is_done = stages.wait_for(|stage| *stage >= Stage::Publishing).await;
            return Ok(report);
        }
        if published.delivered > 0 {
            continue;
        }
        let nothing_to_publish = !gateway.outbox.has_unsent().await?;
        if last_round && nothing_to_publish {
            return Ok(report);
        }
        // An outbox full of batches that wait for receipts empties only if those come.
        if nothing_to_publish && gateway.room.is_paused() {
            let since = *idle_since.get_or_insert(now);
            gateway
                .room
                .set_in_vain(now.saturating_sub(since) >= wait_receipts);
        } else {
            idle_since = None;
            gateway.room.set_in_vain(false);
        }
        // Nothing was due: wait for a commit, for the end of the work, or for a failed batch's next
        // try.
        tokio::select! {
            () = gateway.batches_waiting.notified() => {}
            _ = stages.wait_for(|stage| *stage >= Stage::Publishing), if !last_round => {}
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RECEIPTS_LOOK) => {}
        }
    }
}

/// Resolves when patience is at its end and the queue still takes nothing.
async fn in_vain(gateway: &Gateway, patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
    while !matches!(gateway.publisher.state(), State::Down | State::Blocked) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Hears receipts until everything is published, and for at most `patience` longer while batches
/// wait for theirs.
async fn hear(
    gateway: &Gateway,
    stage: &watch::Sender<Stage>,
    stop: &CancellationToken,
    patience: Duration,
) -> Heard {
    let mut heard = Heard::default();
    let mut receipts = match Receipts::subscribe(gateway) {
        Ok(Some(receipts)) => receipts,
        other => {
            if let Err(error) = other {
                tracing::warn!(event = "receipts-not-heard", %error, "batches wait for their \
                    resend");
            }
            open_the_way(stage);
            return heard;
        }
    };
    let mut stages = stage.subscribe();
    let mut give_up_at = None;
    let mut look = Duration::ZERO;
    loop {
        let published = *stage.borrow() == Stage::Waiting;
        let came = tokio::select! {
            came = receipts.hear(if published { look.min(patience) } else { look }) => came,
            // What has been heard is kept; from here on it is patience that counts.
            _ = stages.wait_for(|stage| *stage == Stage::Waiting), if !published => continue,
            () = stop.cancelled() => break,
        };
        let settled = match came {
            Ok(()) => receipts.settle(gateway).await,
            Err(error) => Err(error),
        };
        if receipts.connected() || settled.is_err() {
            open_the_way(stage);
        }
        match settled {
            Ok(settled) => heard.add(settled),
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
        look = RECEIPTS_LOOK;
    }
    receipts.close().await;
    heard
}

/// Receipts can arrive, or will not: publishing may begin.
fn open_the_way(stage: &watch::Sender<Stage>) {
    stage.send_if_modified(|stage| {
        let waited = *stage == Stage::Subscribing;
        if waited {
            *stage = Stage::Working;
        }
        waited
    });
}

/// Whether batches wait for their receipt. An outbox that cannot say has worse to tell elsewhere.
async fn awaits_receipts(gateway: &Gateway) -> bool {
    gateway
        .outbox
        .backlog()
        .await
        .is_ok_and(|backlog| backlog.awaiting_receipt_batches > 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{DateTime, Utc};
    use clock::{Clock, ManualClock};
    use contract::{Receipt, UnreadableReason};

    use super::*;
    use crate::pull::Counters;
    use crate::run::run_in_turn;
    use crate::testing::World;

    /// A clock that cancels `stop` when it is asked for the hour, which settling does in its midst.
    #[derive(Debug)]
    struct Stopping {
        clock: Arc<ManualClock>,
        stop: CancellationToken,
    }

    impl Clock for Stopping {
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
        let counters = Counters::default();
        run_in_turn(&world.gateway, &world.gateway.sources[0], &stop, &counters)
            .await
            .expect("a good run");
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

        world.gateway.clock = Arc::new(Stopping {
            clock: Arc::clone(&world.clock),
            stop: stop.clone(),
        });
        let gateway = &world.gateway;
        let (stage, mut stages) = watch::channel(Stage::Subscribing);
        let telling = async {
            stages
                .wait_for(|stage| *stage > Stage::Subscribing)
                .await
                .expect("it subscribes");
            let broadcast =
                broker::receipt_publisher(&gateway.queue, &gateway.base).expect("a publisher");
            broadcast
                .broadcast(world.signer.sign(&receipts))
                .await
                .expect("broadcast");
        };
        let both = async { tokio::join!(hear(gateway, &stage, &stop, Duration::ZERO), telling).0 };
        let heard = tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .expect("it ends");
        assert!(stop.is_cancelled(), "it was stopped while it settled");
        assert_eq!(
            heard,
            Heard {
                messages: 1,
                unreadable: 2,
                ..Heard::default()
            }
        );
    }

    #[cfg(feature = "inject")]
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "started by the test below"]
    async fn sync_with_a_full_outbox_and_no_settling() {
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
        let synced = tokio::time::timeout(Duration::from_secs(20), syncing)
            .await
            .expect("it hangs");
        assert!(synced.is_err(), "{synced:?}");
    }

    #[cfg(feature = "inject")]
    #[test]
    fn work_that_waits_for_room_ends_when_publishing_fails() {
        let test = "attend::tests::sync_with_a_full_outbox_and_no_settling";
        crate::testing::succeeds_broken(test, "outbox-settling=return(retry)");
    }
}
