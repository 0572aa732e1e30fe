//! Dummies of a slot: how many there are, and at which places among the batches they leave.

use contract::SealedBatch;
use outbox::Leased;

use crate::gateway::Gateway;
use crate::slots::Room;

/// Batch that leaves in a slot.
pub(crate) enum Outgoing {
    /// Batch of the outbox.
    Leased(Leased),
    /// Dummy, which is tried once.
    Dummy(SealedBatch),
}

impl Outgoing {
    pub(crate) const fn batch(&self) -> &SealedBatch {
        match self {
            Self::Leased(leased) => &leased.batch,
            Self::Dummy(batch) => batch,
        }
    }
}

/// Puts dummies in the places that these batches leave, where they are configured, at random among
/// them: who knew that facts go first could tell of all but the last one what they are. Where no
/// dummies can be made the batches leave without them.
pub(crate) async fn fill_up(gateway: &Gateway, leased: Vec<Leased>, room: Room) -> Vec<Outgoing> {
    let places = room.batches.saturating_sub(leased.len());
    let mut outgoing: Vec<Outgoing> = leased.into_iter().map(Outgoing::Leased).collect();
    if !room.dummies || places == 0 {
        return outgoing;
    }
    let dummies = match gateway.outbox.seal_dummies(places).await {
        Ok(dummies) => dummies,
        Err(error) => {
            tracing::warn!(event = "dummies-failed", code = error.code());
            return outgoing;
        }
    };
    let lacking = places - dummies.len();
    count("no-token", lacking);
    if let Some(slots) = &gateway.slots {
        slots.note_lack_of_tokens(lacking);
    }
    for dummy in dummies {
        let place = random_place(outgoing.len());
        outgoing.insert(place, Outgoing::Dummy(dummy));
    }
    outgoing
}

/// Counts dummies that left, could not, or for which facts leave no token.
pub(crate) fn count(outcome: &'static str, dummies: usize) {
    metrics::counter!("gateway_dummies_total", "outcome" => outcome).increment(dummies as u64);
}

/// Chooses one of the places 0 to `last` at random; `last` where the operating system gives no
/// randomness. That a remainder favours the first ones by less than a 2^57th tells nobody anything.
fn random_place(last: usize) -> usize {
    let mut random = [0; 8];
    if getrandom::fill(&mut random).is_err() {
        return last;
    }
    let place = u64::from_le_bytes(random) % (last as u64 + 1);
    usize::try_from(place).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::time::Duration;

    use contract::{Answer, Receipt, StoredAnswer, wire};

    use crate::publish::{Published, publish_once, publish_probe};
    use crate::receipts::ReceiptReceiver;
    use crate::testing::{World, within_patience};

    /// So short that all slots of a test lie within the hour after which a batch that is not
    /// answered leaves once more, in the file that it has already.
    const SLOT: Duration = Duration::from_mins(5);

    /// Settings with slots of four batches; the sizes are those of every test.
    fn settings(dummies: bool) -> String {
        format!(
            "[outbox]\nbatch_events = 4\n[release]\nslot_seconds = {}\nbatches_per_slot = 4\n\
             padding_kib = [256]\ndummies = {dummies}\n",
            SLOT.as_secs()
        )
    }

    /// Sizes of the messages in the queue, by their names.
    fn messages(world: &World) -> BTreeMap<String, u64> {
        let Ok(incoming) = fs::read_dir(world.folder.path().join("queue/incoming")) else {
            return BTreeMap::new();
        };
        let message = |file: fs::DirEntry| {
            let name = file.file_name().to_string_lossy().into_owned();
            (name, file.metadata().expect("a message").len())
        };
        incoming.flatten().map(message).collect()
    }

    /// Begins the next slot and publishes in it; the sizes of the messages that came.
    async fn next_slot(world: &World) -> Vec<u64> {
        let before = messages(world);
        world.clock.advance(SLOT);
        publish_once(&world.gateway).await.expect("published");
        let after = messages(world).into_iter();
        let new = after.filter(|(name, _)| !before.contains_key(name));
        new.map(|(_, bytes)| bytes).collect()
    }

    /// What the queue sees in ten slots: of a clinic that has nothing to send, and of one that has
    /// facts of every number from none to more than a slot takes.
    async fn watched(dummies: bool) -> [Vec<Vec<u64>>; 2] {
        let idle = World::new(&settings(dummies), 0..0).await;
        let busy = World::new(&settings(dummies), 0..0).await;
        let mut seen = [Vec::new(), Vec::new()];
        let mut entered = 0;
        for new in [0, 1, 0, 9, 0, 30, 3, 0, 0, 0] {
            let ids = entered..entered + new;
            entered = ids.end;
            busy.rows.lock().extend(ids.map(|id| (id, i64::from(id))));
            busy.pull().await;
            idle.pull().await;
            seen[0].push(next_slot(&idle).await);
            seen[1].push(next_slot(&busy).await);
        }
        let backlog = busy.gateway.outbox.backlog().await.expect("the backlog");
        assert_eq!(backlog.batches, 0, "no fact waits for a dummy");
        let opened = busy.published().into_iter();
        let events = opened.map(|opened| wire::decode(&opened.encoded).expect("events").len());
        assert!(events.sum::<usize>() > 43, "every fact, and the beacon");
        seen
    }

    #[tokio::test]
    async fn every_slot_has_as_many_messages_of_one_size_whether_there_are_facts_or_not() {
        let [idle, busy] = watched(true).await;
        assert_eq!(idle, busy);
        assert!(idle.iter().all(|slot| slot.len() == 4), "{idle:?}");
        let sizes = idle.concat();
        assert!(sizes.iter().all(|bytes| *bytes == sizes[0]), "{sizes:?}");
        // The same eyes tell the two apart where there are no dummies.
        let [idle, busy] = watched(false).await;
        assert_ne!(idle, busy);
        assert!(idle.concat().is_empty() && !busy.concat().is_empty());
    }

    #[tokio::test]
    async fn a_dummy_is_counted_by_itself_and_leaves_nothing_in_the_outbox() {
        let world = World::new(&settings(true), 0..1).await;
        world.pull().await;
        world.clock.advance(SLOT);
        let published = publish_once(&world.gateway).await.expect("published");
        let expected = Published {
            delivered: 1,
            beacons: 1,
            dummies: 2,
            ..Published::default()
        };
        assert_eq!(published, expected);
        let status = world.gateway.outbox.reader().status().await;
        let status = status.expect("the status");
        assert_eq!(status.publisher.delivered_batches, 1, "no dummy");
        assert_eq!(status.backlog.awaiting_receipt_batches, 1);
        // What is never answered is sent again, and no dummy is among that.
        let first = messages(&world);
        let hour = Duration::from_hours(1);
        world.clock.advance(hour);
        let again = publish_once(&world.gateway).await.expect("published");
        assert_eq!(again.delivered + again.beacons, 2, "{again:?}");
        assert_eq!(again.dummies, 2);
        assert_eq!(messages(&world).len(), first.len() + 2);
    }

    #[tokio::test]
    async fn the_receipt_of_a_dummy_is_nobodys() {
        let world = World::new(&settings(true), 0..0).await;
        let gateway = &world.gateway;
        let receipts = ReceiptReceiver::subscribe(gateway).expect("subscribed");
        let mut receipts = receipts.expect("receipts are on");
        assert_eq!(next_slot(&world).await.len(), 4);
        let answer = Answer::Stored(StoredAnswer::default());
        let told = world.published().into_iter();
        let told = told.map(|opened| Receipt::answered(opened.id, &opened.answer_key, &answer));
        let told = world.signer.sign(&told.collect::<Vec<_>>());
        let broadcast = broker::receipt_publisher(&gateway.queue, &gateway.base);
        let broadcast = broadcast.expect("a publisher");
        let heard = async {
            loop {
                broadcast.broadcast(told.clone()).await.ok();
                let look = receipts.settle_once(gateway, Duration::from_millis(20));
                let counts = look.await.expect("settled");
                if counts.messages > 0 {
                    return counts;
                }
            }
        };
        let counts = within_patience("the receipts come", heard).await;
        assert_eq!(
            (counts.accepted, counts.refused, counts.unreadable),
            (0, 0, 0)
        );
        let rejected = gateway.outbox.reader().status().await.expect("the status");
        assert!(rejected.rejected_receipts.is_empty());
    }

    #[tokio::test]
    async fn nothing_piles_up_while_the_queue_is_away_and_no_slot_is_made_up_for() {
        let world = World::new(&settings(true), 0..0).await;
        let queue = world.folder.path().join("queue");
        fs::write(&queue, "no folder").expect("the queue is in the way");
        for _ in 0..3 {
            world.clock.advance(SLOT);
            let published = publish_once(&world.gateway).await.expect("a step");
            assert_eq!((published.dummies, published.failed_dummies), (0, 4));
            assert!(published.failed == 0 && !published.took_any());
        }
        assert!(!world.gateway.outbox.has_unsent().await.expect("the outbox"));
        fs::remove_file(&queue).expect("the way is free");
        assert_eq!(next_slot(&world).await.len(), 4);
        world.clock.advance(10 * SLOT);
        assert_eq!(next_slot(&world).await.len(), 4, "of eleven slots one");
        let again = publish_once(&world.gateway).await.expect("a step");
        assert_eq!(again, Published::default(), "a slot is used once");
    }

    #[tokio::test]
    async fn a_probe_of_a_queue_that_was_left_alone_is_one_batch_or_one_dummy() {
        for (ids, dummies) in [(0..8, 0), (0..0, 1)] {
            let world = World::new(&settings(true), ids).await;
            world.pull().await;
            world.clock.advance(SLOT);
            let probed = publish_probe(&world.gateway).await.expect("published");
            assert_eq!(probed.dummies, dummies);
            assert_eq!(probed.delivered + probed.beacons + probed.dummies, 1);
        }
    }
}
