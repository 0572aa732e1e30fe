//! Publishes the batches that wait in the outbox: lease in a short transaction, publish outside it,
//! settle in another.

use std::time::Duration;

use broker::{BrokerError, QueueState};
use chrono::{DateTime, TimeDelta, Utc};
use contract::BatchId;
use futures_util::StreamExt;
use outbox::{BeaconOccasion, DeliveryOutcome, Leased, OutboxError, Settlement};

use crate::dummies::{self, Outgoing};
use crate::gateway::Gateway;
use crate::slots::Room;

/// Length of a lease: the longest the outbox grants. It ends with this process anyway, and no
/// confirm takes longer.
const LEASE: Duration = Duration::from_secs(3600);

/// First pause before a batch that failed is tried again, in milliseconds; doubles with every
/// attempt.
const FIRST_PAUSE_MS: u32 = 1000;

/// Longest such pause, without its jitter, in milliseconds.
const LONGEST_PAUSE_MS: u32 = 60_000;

/// Result of publishing one lease of batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Number of batches the queue holds durably now, beacons aside.
    pub delivered: usize,
    /// Number of beacons among the batches that the queue holds durably now.
    pub beacons: usize,
    /// Number of dummies that the queue holds now: batches without an event.
    pub dummies: usize,
    /// Number of batches that did not get there; they stay in the outbox.
    pub failed: usize,
    /// Number of dummies that did not get there; nobody sends them again.
    pub failed_dummies: usize,
    /// Number of those that the queue does not take for their length, whatever becomes of others.
    pub too_long: usize,
    /// The last failure, in the broker crate's words.
    pub error: Option<String>,
    /// True when the last failure will not pass by itself: somebody has to change something.
    pub misconfigured: bool,
}

impl Published {
    /// Returns whether the queue took anything.
    #[must_use]
    pub const fn took_any(&self) -> bool {
        self.delivered + self.beacons + self.dummies > 0
    }

    /// Number of batches that did not get there, dummies included.
    #[must_use]
    pub const fn failed_in_all(&self) -> usize {
        self.failed + self.failed_dummies
    }

    fn note_failure(&mut self, error: &BrokerError) {
        self.too_long += usize::from(error.is_of_the_message());
        self.misconfigured = !error.is_retry() && !error.is_of_the_message();
        self.error = Some(error.to_string());
    }

    fn note_dummy(&mut self, result: &Result<(), BrokerError>) {
        match result {
            Ok(()) => self.dummies += 1,
            Err(error) => {
                self.failed_dummies += 1;
                self.note_failure(error);
            }
        }
    }

    fn count(&self) {
        metrics::counter!("gateway_batches_total", "outcome" => "delivered")
            .increment(self.delivered as u64);
        metrics::counter!("gateway_batches_total", "outcome" => "failed")
            .increment(self.failed as u64);
        dummies::count("delivered", self.dummies);
        dummies::count("failed", self.failed_dummies);
    }
}

/// Publishes one lease of batches, oldest first, with the beacon where that is due; with slots
/// configured, nothing between their moments, and dummies in the places that are left where those
/// are configured.
///
/// # Errors
/// [`OutboxError`]; a failure of the queue is no error here but part of [`Published`].
pub async fn publish_once(gateway: &Gateway) -> Result<Published, OutboxError> {
    publish_at_most(gateway, gateway.publisher.window() * 2).await
}

/// Publishes one batch: a probe of a queue that was left alone.
///
/// # Errors
/// See [`publish_once`].
pub async fn publish_probe(gateway: &Gateway) -> Result<Published, OutboxError> {
    publish_at_most(gateway, 1).await
}

async fn publish_at_most(gateway: &Gateway, most: usize) -> Result<Published, OutboxError> {
    settle_unsettled(gateway).await?;
    let Some(room) = room(gateway, most)? else {
        return Ok(Published::default());
    };
    gateway
        .give_out_beacon(BeaconOccasion::BatchesLeave)
        .await?;
    let leased = gateway
        .outbox
        .lease(room.batches, gateway.clock.now(), LEASE)
        .await?;
    let outgoing = dummies::fill_up(gateway, leased, room).await;
    if outgoing.is_empty() {
        return Ok(Published::default());
    }
    let results = publish_all(gateway, outgoing).await;
    let mut published = Published::default();
    let now = gateway.clock.now();
    let settlements = results
        .into_iter()
        .filter_map(|tried| tried.settlement(&mut published, now))
        .collect();
    settle(gateway, settlements, now).await?;
    published.count();
    Ok(published)
}

/// Room for batches now: in the slot that is open, or for `most` where there are no slots; `None`
/// where none may leave.
fn room(gateway: &Gateway, most: usize) -> Result<Option<Room>, OutboxError> {
    let Some(slots) = &gateway.slots else {
        return Ok(Some(Room {
            batches: most,
            dummies: false,
        }));
    };
    let room = slots.take(gateway.clock.now())?;
    Ok(room.map(|room| match most {
        // A probe of a queue that was left alone stays one batch.
        1 => Room { batches: 1, ..room },
        _ => room,
    }))
}

/// Writes down what became of the batches; what cannot be written now is settled by the next step.
async fn settle(
    gateway: &Gateway,
    settlements: Vec<Settlement>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    if settlements.is_empty() {
        return Ok(());
    }
    if let Err(error) = gateway.outbox.settle(&settlements, now).await {
        gateway.unsettled.lock().await.extend(settlements);
        return Err(error);
    }
    Ok(())
}

/// A batch that was handed to the queue.
struct Tried {
    outgoing: Outgoing,
    result: Result<(), BrokerError>,
    /// True if the queue was away as the result came. Later it may be back for the others.
    queue_was_away: bool,
}

impl Tried {
    /// Notes the result; what has to be written down of it, which is nothing for a dummy.
    fn settlement(self, published: &mut Published, now: DateTime<Utc>) -> Option<Settlement> {
        let leased = match self.outgoing {
            Outgoing::Leased(leased) => leased,
            Outgoing::Dummy(_) => {
                published.note_dummy(&self.result);
                return None;
            }
        };
        let outcome = match self.result {
            Ok(()) => {
                published.delivered += usize::from(!leased.is_beacon);
                published.beacons += usize::from(leased.is_beacon);
                DeliveryOutcome::Delivered
            }
            Err(error) => {
                published.failed += 1;
                published.note_failure(&error);
                DeliveryOutcome::Failed {
                    retry_at: now + pause_after(&error, &leased, self.queue_was_away),
                    reason: code(&error),
                }
            }
        };
        Some(Settlement {
            id: leased.batch.id,
            token: leased.token,
            outcome,
        })
    }
}

async fn publish_all(gateway: &Gateway, outgoing: Vec<Outgoing>) -> Vec<Tried> {
    futures_util::stream::iter(outgoing)
        .map(|outgoing| async move {
            let result = gateway.publisher.publish(outgoing.batch()).await;
            let queue_was_away = matches!(
                gateway.publisher.state(),
                QueueState::Down | QueueState::Blocked
            );
            Tried {
                outgoing,
                result,
                queue_was_away,
            }
        })
        .buffer_unordered(gateway.publisher.window())
        .collect()
        .await
}

/// Settles what an earlier step could not, before more is leased: those batches would be out of
/// reach until their leases end.
async fn settle_unsettled(gateway: &Gateway) -> Result<(), OutboxError> {
    let mut unsettled = gateway.unsettled.lock().await;
    if !unsettled.is_empty() {
        let now = gateway.clock.now();
        gateway.outbox.settle(&unsettled, now).await?;
        unsettled.clear();
    }
    Ok(())
}

/// Pause of a batch after this error; none while the whole queue is away, since its publisher waits
/// between attempts to connect, and younger batches would overtake the paused ones when it is back.
fn pause_after(error: &BrokerError, leased: &Leased, queue_was_away: bool) -> TimeDelta {
    let is_of_the_queue = queue_was_away || error.is_of_the_connection();
    if error.is_retry() && is_of_the_queue {
        TimeDelta::zero()
    } else {
        pause(leased.attempts, leased.batch.id)
    }
}

/// Pause before a batch's next attempt: doubles with every attempt, with at most a quarter more by
/// the batch's own random id, so that batches that failed together do not come back together.
fn pause(attempts: u32, id: BatchId) -> TimeDelta {
    let pause_ms = (FIRST_PAUSE_MS << attempts.min(16)).min(LONGEST_PAUSE_MS);
    let jittered_ms = pause_ms + pause_ms * u32::from(id.0[0]) / 1024;
    TimeDelta::milliseconds(jittered_ms.into())
}

const fn code(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Retry { .. } => "queue-away",
        BrokerError::Misconfigured { .. } => "queue-misconfigured",
        BrokerError::TooLong { .. } => "batch-too-long",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn what_could_not_be_settled_is_settled_by_the_next_step() {
        let world = World::new("receipts = \"off\"\n[outbox]\nbatch_events = 4\n", 0..8).await;
        let gateway = &world.gateway;
        world.pull().await;
        // A step whose settling failed, on a full disk for instance: its batches stay leased for an
        // hour.
        let now = gateway.clock.now();
        let leased = gateway.outbox.lease(10, now, LEASE).await.expect("leased");
        let failed = DeliveryOutcome::Failed {
            retry_at: now,
            reason: "queue-away",
        };
        for (leased, outcome) in leased.into_iter().zip([DeliveryOutcome::Delivered, failed]) {
            let settlement = Settlement {
                id: leased.batch.id,
                token: leased.token,
                outcome,
            };
            gateway.unsettled.lock().await.push(settlement);
        }
        assert_eq!(
            publish_once(gateway).await.expect("published").delivered,
            1,
            "the one that had failed"
        );
        assert_eq!(
            gateway.outbox.backlog().await.expect("the backlog").batches,
            0
        );
    }

    #[tokio::test]
    async fn batches_leave_in_slots_and_at_most_so_many_in_each() {
        let settings = "receipts = \"off\"\n[outbox]\nbatch_events = 4\n[release]\nslot_seconds = \
                        600\nbatches_per_slot = 2\n";
        let world = World::new(settings, 0..20).await;
        let gateway = &world.gateway;
        world.pull().await;
        let delivered = async || publish_once(gateway).await.expect("published").delivered;
        assert_eq!(delivered().await, 0, "the slot of the start is not used");
        for expected in [2, 2, 1, 0] {
            world.clock.advance(Duration::from_secs(600));
            assert_eq!(delivered().await, expected);
            assert_eq!(delivered().await, 0, "a slot is used once");
        }
        let opened = world.published();
        assert_eq!(opened.len(), 5, "nothing is lost on the way");
    }

    #[tokio::test]
    async fn a_probe_of_a_queue_that_was_left_alone_keeps_to_the_slots() {
        let settings = "receipts = \"off\"\n[outbox]\nbatch_events = 4\n[release]\nslot_seconds = \
                        600\n";
        let world = World::new(settings, 0..8).await;
        world.pull().await;
        let probed = async || publish_probe(&world.gateway).await.expect("published");
        assert_eq!(probed().await, Published::default());
        world.clock.advance(Duration::from_secs(600));
        assert_eq!(probed().await.delivered, 1);
        assert_eq!(probed().await, Published::default());
    }

    #[tokio::test]
    async fn batches_that_failed_with_the_connection_are_due_at_once_though_it_is_back() {
        let world = World::new("receipts = \"off\"\n", 0..1).await;
        world.pull().await;
        let now = world.gateway.clock.now();
        let leased = world.gateway.outbox.lease(1, now, LEASE).await;
        let leased = leased.expect("leased").remove(0);
        let retry = |is_of_the_connection| BrokerError::Retry {
            what: "it failed".to_owned(),
            is_of_the_connection,
        };
        let own = pause(leased.attempts, leased.batch.id);
        for (is_of_the_connection, queue_was_away, expected) in [
            (true, false, TimeDelta::zero()),
            (false, true, TimeDelta::zero()),
            (false, false, own),
        ] {
            let error = retry(is_of_the_connection);
            assert_eq!(pause_after(&error, &leased, queue_was_away), expected);
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_differ_between_batches() {
        let low = BatchId([0; 16]);
        let high = BatchId([255; 16]);
        let seconds = |attempts| pause(attempts, low).num_seconds();
        assert_eq!([0, 1, 3, 6, 60].map(seconds), [1, 2, 8, 60, 60]);
        assert_eq!(pause(2, low), TimeDelta::seconds(4));
        assert!(
            pause(2, high) > TimeDelta::milliseconds(4900)
                && pause(2, high) < TimeDelta::seconds(5)
        );
    }
}
