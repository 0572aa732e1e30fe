//! Publishes and hears receipts while something else is done, and afterwards until everything has left: for commands
//! that run without the daemon.

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

/// Does `work`, publishing meanwhile what it brings, and afterwards until the outbox is empty or the queue has failed for
/// too long. Then waits at most `wait_receipts` for the receipts of what was delivered.
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

/// Publishes while the work goes on, and afterwards until the outbox is empty or the queue has failed for too long.
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
        let patience = failing_since.map(|since: Duration| (since + QUEUE_PATIENCE).saturating_sub(now));
        // A publish that is cut off leaves its batches in the outbox, leased until the next start at the latest.
        let published = tokio::select! {
            published = publish_once(gateway) => published?,
            () = in_vain(gateway, patience) => Published::default(),
            () = stop.cancelled() => Published::default(),
        };
        report.delivered += published.delivered;
        let now = gateway.clock.elapsed();
        if published.failed > 0 {
            failing_since.get_or_insert(now);
            (report.queue_error, report.queue_misconfigured) = (published.error, published.misconfigured);
        } else if published.delivered > 0 {
            (failing_since, report.queue_error, report.queue_misconfigured) = (None, None, false);
        }
        let patience_ended = failing_since.is_some_and(|since| now.saturating_sub(since) >= QUEUE_PATIENCE);
        if patience_ended || report.queue_misconfigured || stop.is_cancelled() {
            gateway.room.set_in_vain(true);
            let _work_is_done = stages.wait_for(|stage| *stage >= Stage::Publishing).await;
            return Ok(report);
        }
        if published.delivered > 0 {
            continue;
        }
        let nothing_to_publish = gateway.outbox.backlog().await?.batches == 0;
        if last_round && nothing_to_publish {
            return Ok(report);
        }
        // An outbox full of batches that wait for receipts empties only if those come.
        if nothing_to_publish && gateway.room.is_paused() {
            let since = *idle_since.get_or_insert(now);
            gateway.room.set_in_vain(now.saturating_sub(since) >= wait_receipts);
        } else {
            idle_since = None;
            gateway.room.set_in_vain(false);
        }
        // Nothing was due: wait for a commit, for the end of the work, or for a failed batch's next try.
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

/// Hears receipts until everything is published, and for at most `patience` longer while batches wait for theirs.
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
                tracing::warn!(event = "receipts-not-heard", %error, "batches wait for their resend");
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
        if published && (now >= *give_up_at.get_or_insert(now + patience) || !awaits_receipts(gateway).await)
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
    gateway.outbox.backlog().await.is_ok_and(|backlog| backlog.awaiting_receipt_batches > 0)
}
