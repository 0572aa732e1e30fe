//! Promises of every transport.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use broker::{Consumer, DeadLetter, Delivery, QueueConfig, ReceiptSubscriber};
use contract::SealedBatch;

use crate::{PATIENCE, batch, until};

/// A transport under test.
pub(crate) trait Bench {
    /// A fresh queue with a delivery limit of 2.
    fn queue(&self) -> QueueConfig;
    /// Bytes and reasons of the dead letters.
    async fn dead_letters(&self, config: &QueueConfig) -> Vec<(Vec<u8>, String)>;
}

const BASE: &str = "/nonexistent";
/// A batch padded to 1 MiB, sealed.
pub(crate) const LARGEST_BYTES: usize = (1 << 20) + 76;
const BRIEF: Duration = Duration::from_millis(300);

fn base() -> &'static Path {
    Path::new(BASE)
}

pub(crate) async fn keeps_the_promises(bench: &impl Bench) {
    published_is_received_and_acked_is_gone(&bench.queue()).await;
    unacknowledged_comes_again(&bench.queue()).await;
    acknowledgements_settle_none_but_their_own(&bench.queue()).await;
    the_same_batch_may_be_sent_twice(&bench.queue()).await;
    two_consumers_share_the_work(&bench.queue()).await;
    a_dropped_receive_loses_nothing(&bench.queue()).await;
    dead_letters_keep_bytes_and_reason(bench).await;
    what_is_handed_out_too_often_is_a_dead_letter(bench).await;
    dead_letters_are_looked_at_retried_and_discarded(&bench.queue()).await;
    receipts_are_heard_by_everyone_who_listens(&bench.queue()).await;
    an_impatient_subscriber_misses_nothing(&bench.queue()).await;
}

async fn publish(config: &QueueConfig, batches: &[SealedBatch]) {
    let publisher = broker::publisher(config, base()).unwrap();
    for batch in batches {
        publisher.publish(batch).await.unwrap();
    }
    publisher.close().await;
    assert!(publisher.state() != broker::QueueState::Blocked);
}

async fn receive(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = consumer.receive(count - all.len(), PATIENCE).await.unwrap();
        assert!(!some.is_empty(), "{} of {count} arrived", all.len());
        all.extend(some);
    }
    all
}

async fn assert_empty(consumer: &mut Box<dyn Consumer>) {
    let more = consumer.receive(10, BRIEF).await.unwrap();
    assert!(more.is_empty(), "{} more arrived", more.len());
}

fn contents(deliveries: &[Delivery]) -> BTreeSet<Vec<u8>> {
    deliveries
        .iter()
        .map(|delivery| delivery.bytes.clone())
        .collect()
}

async fn published_is_received_and_acked_is_gone(config: &QueueConfig) {
    let sent = [
        batch(b"one"),
        batch(b"two"),
        batch(&vec![7; LARGEST_BYTES]),
        batch(b""),
    ];
    publish(config, &sent).await;
    assert_eq!(broker::depth(config, base()).await.unwrap().waiting, 4);
    assert!(
        broker::check(config, base())
            .await
            .unwrap()
            .iter()
            .any(|line| line.contains("waiting batches: 4"))
    );

    let mut consumer = broker::consumer(config, base()).unwrap();
    let received = receive(&mut consumer, 4).await;
    assert_eq!(
        contents(&received),
        sent.iter().map(|batch| batch.bytes.clone()).collect()
    );
    assert!(received.iter().all(|delivery| !delivery.redelivered));
    consumer
        .ack(
            received
                .into_iter()
                .map(|delivery| delivery.token)
                .collect(),
        )
        .await
        .unwrap();
    assert_empty(&mut consumer).await;
    consumer.close().await;

    let mut next = broker::consumer(config, base()).unwrap();
    assert_empty(&mut next).await;
}

async fn unacknowledged_comes_again(config: &QueueConfig) {
    publish(config, &[batch(b"a"), batch(b"b")]).await;
    let mut first = broker::consumer(config, base()).unwrap();
    let mut received = receive(&mut first, 2).await;
    let kept = received.pop().unwrap();
    let acked = received.pop().unwrap();
    first.ack(vec![acked.token]).await.unwrap();
    drop(first);

    let mut second = broker::consumer(config, base()).unwrap();
    let again = receive(&mut second, 1).await.remove(0);
    assert_eq!(again.bytes, kept.bytes);
    assert!(again.redelivered);
    second.requeue(vec![again.token]).await.unwrap();
    let third_time = receive(&mut second, 1).await.remove(0);
    assert_eq!(third_time.bytes, kept.bytes);
    second.ack(vec![third_time.token]).await.unwrap();
    assert_empty(&mut second).await;
}

async fn acknowledgements_settle_none_but_their_own(config: &QueueConfig) {
    let sent: Vec<SealedBatch> = (0..8).map(|number| batch(&[number])).collect();
    publish(config, &sent).await;
    let mut first = broker::consumer(config, base()).unwrap();
    let received = receive(&mut first, sent.len()).await;
    let mut kept = BTreeSet::new();
    let mut tokens = Vec::new();
    for (place, delivery) in received.into_iter().enumerate() {
        if [5, 7].contains(&place) {
            kept.insert(delivery.bytes);
        }
        tokens.push(Some(delivery.token));
    }
    // With gaps, over gaps that are settled already, and behind a gap.
    for places in [vec![3, 1], vec![4, 0, 2], vec![6]] {
        let of_places = places
            .into_iter()
            .filter_map(|place: usize| tokens[place].take());
        first.ack(of_places.collect()).await.unwrap();
    }
    drop(first);

    let mut second = broker::consumer(config, base()).unwrap();
    let again = receive(&mut second, kept.len()).await;
    assert_eq!(contents(&again), kept);
    let tokens = again.into_iter().map(|delivery| delivery.token);
    second.ack(tokens.collect()).await.unwrap();
    assert_empty(&mut second).await;
}

async fn the_same_batch_may_be_sent_twice(config: &QueueConfig) {
    let twice = batch(b"twice");
    publish(config, &[twice.clone(), twice.clone()]).await;
    let mut consumer = broker::consumer(config, base()).unwrap();
    let first = receive(&mut consumer, 1).await.remove(0);
    assert_eq!(first.bytes, twice.bytes);
    // Sent once more while it is being worked on; then whatever copies there are can all be
    // acknowledged.
    publish(config, std::slice::from_ref(&twice)).await;
    consumer.ack(vec![first.token]).await.unwrap();
    let mut copies = 0;
    loop {
        let wait = if copies == 0 { PATIENCE } else { BRIEF };
        let more = consumer.receive(10, wait).await.unwrap();
        if more.is_empty() {
            break;
        }
        copies += more.len();
        assert!(more.iter().all(|delivery| delivery.bytes == twice.bytes));
        consumer
            .ack(more.into_iter().map(|delivery| delivery.token).collect())
            .await
            .unwrap();
    }
    assert!((1..=2).contains(&copies), "{copies} copies");
}

async fn two_consumers_share_the_work(config: &QueueConfig) {
    const COUNT: usize = 200;
    let sent: Vec<_> = (0..COUNT)
        .map(|number| batch(number.to_string().as_bytes()))
        .collect();
    publish(config, &sent).await;
    // Each goes on until nothing has come for a while and all have been seen, or one too many.
    let count = AtomicUsize::new(0);
    let work = async || {
        let mut consumer = broker::consumer(config, base()).unwrap();
        let mut seen = Vec::new();
        until("all of them", async || {
            let some = consumer.receive(7, BRIEF).await.unwrap();
            if some.is_empty() {
                return (count.load(Ordering::SeqCst) >= COUNT).then_some(());
            }
            for Delivery { bytes, token, .. } in some {
                consumer.ack(vec![token]).await.unwrap();
                seen.push(bytes);
                count.fetch_add(1, Ordering::SeqCst);
            }
            None
        })
        .await;
        consumer.close().await;
        seen
    };
    let (one, two) = tokio::join!(work(), work());
    let mut all = [one, two].concat();
    assert_eq!(all.len(), COUNT, "each once");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), COUNT, "all of them");
}

async fn a_dropped_receive_loses_nothing(config: &QueueConfig) {
    let mut consumer = broker::consumer(config, base()).unwrap();
    assert_empty(&mut consumer).await;
    publish(config, &[batch(b"x"), batch(b"y")]).await;
    let mut received = Vec::new();
    // Impatient callers: each wait is cut short at a different point.
    for micros in (0..).step_by(300) {
        let patience = Duration::from_micros(micros);
        if let Ok(some) = tokio::time::timeout(patience, consumer.receive(1, PATIENCE)).await {
            received.extend(some.unwrap());
        }
        if received.len() == 2 {
            break;
        }
    }
    assert_eq!(contents(&received).len(), 2);
}

async fn dead_letters_keep_bytes_and_reason(bench: &impl Bench) {
    let config = bench.queue();
    publish(&config, &[batch(b"broken \x00\xff")]).await;
    let mut consumer = broker::consumer(&config, base()).unwrap();
    let broken = receive(&mut consumer, 1).await.remove(0);
    consumer.dead_letter(broken, "not-a-batch").await.unwrap();
    assert_empty(&mut consumer).await;
    consumer.close().await;
    let depth = broker::depth(&config, base()).await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 1));
    assert_eq!(
        bench.dead_letters(&config).await,
        [(b"broken \x00\xff".to_vec(), "not-a-batch".to_owned())]
    );
}

async fn what_is_handed_out_too_often_is_a_dead_letter(bench: &impl Bench) {
    let config = bench.queue();
    publish(&config, &[batch(b"poison")]).await;
    let mut consumer = broker::consumer(&config, base()).unwrap();
    let mut attempts = 0;
    until("the dead letter", async || {
        for delivery in consumer.receive(1, BRIEF).await.unwrap() {
            attempts += 1;
            consumer.requeue(vec![delivery.token]).await.unwrap();
        }
        (broker::depth(&config, base()).await.unwrap().dead == 1).then_some(())
    })
    .await;
    assert_eq!(attempts, 3, "once, and twice more");
    let mut dead = broker::dead_letters(&config, base()).await.unwrap();
    assert_eq!(
        looks(&dead.take(10).await.unwrap()),
        [("poison".into(), Some("delivery-limit".into()))]
    );
    dead.close().await;
}

/// Bytes and reason of each, sorted.
fn looks(letters: &[DeadLetter]) -> Vec<(String, Option<String>)> {
    let mut looks: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                String::from_utf8(letter.bytes.clone()).unwrap(),
                letter.reason.clone(),
            )
        })
        .collect();
    looks.sort();
    looks
}

async fn dead_letters_are_looked_at_retried_and_discarded(config: &QueueConfig) {
    publish(
        config,
        &["a", "b", "c", "d"].map(|content| batch(content.as_bytes())),
    )
    .await;
    let mut consumer = broker::consumer(config, base()).unwrap();
    for delivery in receive(&mut consumer, 4).await {
        let reason = if delivery.bytes == b"a" {
            "other-key"
        } else {
            "not-a-batch"
        };
        consumer.dead_letter(delivery, reason).await.unwrap();
    }
    consumer.close().await;
    let all = ["a", "b", "c", "d"].map(|content| {
        (
            content.into(),
            Some(
                if content == "a" {
                    "other-key"
                } else {
                    "not-a-batch"
                }
                .into(),
            ),
        )
    });

    // Looked at piecemeal, each once; everything goes back.
    let mut dead = broker::dead_letters(config, base()).await.unwrap();
    let mut seen = dead.take(3).await.unwrap();
    assert_eq!(seen.len(), 3);
    seen.extend(dead.take(3).await.unwrap());
    assert_eq!(looks(&seen), all);
    assert!(dead.take(3).await.unwrap().is_empty());
    dead.close().await;

    // Dropped without a goodbye, too.
    let mut dead = broker::dead_letters(config, base()).await.unwrap();
    dead.take(2).await.unwrap();
    drop(dead);
    until("all to be back", async || {
        (broker::depth(config, base()).await.unwrap().dead == 4).then_some(())
    })
    .await;

    let mut dead = broker::dead_letters(config, base()).await.unwrap();
    for letter in dead.take(10).await.unwrap() {
        match letter.bytes.as_slice() {
            b"a" => dead.retry(letter).await.unwrap(),
            b"b" => dead.discard(letter).await.unwrap(),
            _ => {}
        }
    }
    dead.close().await;
    until("one to wait and two to stay", async || {
        (broker::depth(config, base()).await.unwrap()
            == broker::Depth {
                waiting: 1,
                dead: 2,
            })
        .then_some(())
    })
    .await;

    // As good as new, and a dead letter once more for another reason.
    let mut consumer = broker::consumer(config, base()).unwrap();
    let again = receive(&mut consumer, 1).await.remove(0);
    assert_eq!(
        (again.bytes.as_slice(), again.redelivered),
        (b"a".as_slice(), false)
    );
    consumer.dead_letter(again, "not-authentic").await.unwrap();
    consumer.close().await;
    let mut dead = broker::dead_letters(config, base()).await.unwrap();
    let left = looks(&dead.take(10).await.unwrap());
    assert_eq!(left[0], ("a".into(), Some("not-authentic".into())));
    assert_eq!(left[1..], all[2..]);
    dead.close().await;
}

/// A subscriber that hears what is broadcast from now on.
pub(crate) async fn subscribe(config: &QueueConfig) -> Box<dyn ReceiptSubscriber> {
    let mut subscriber = broker::receipt_subscriber(config, base()).unwrap();
    until("the subscription", async || {
        assert!(
            subscriber
                .receive(1, Duration::from_millis(50))
                .await
                .unwrap()
                .is_empty()
        );
        subscriber.connected().then_some(())
    })
    .await;
    subscriber
}

pub(crate) async fn hear(
    subscriber: &mut Box<dyn ReceiptSubscriber>,
    count: usize,
) -> BTreeSet<Vec<u8>> {
    let mut received = BTreeSet::new();
    while received.len() < count {
        let some = subscriber.receive(7, PATIENCE).await.unwrap();
        assert!(
            !some.is_empty() && some.len() <= 7,
            "{} of {count} received",
            received.len()
        );
        for message in some {
            assert!(received.insert(message), "each once");
        }
    }
    received
}

async fn receipts_are_heard_by_everyone_who_listens(config: &QueueConfig) {
    let publisher = broker::receipt_publisher(config, base()).unwrap();
    assert_eq!(publisher.state(), broker::QueueState::Idle);
    let mut one = subscribe(config).await;
    let mut two = subscribe(config).await;
    let sent: BTreeSet<Vec<u8>> = (0..50_u8)
        .map(|number| vec![number; usize::from(number) * 4000 + 1])
        .collect();
    for message in &sent {
        publisher.broadcast(message.clone()).await.unwrap();
    }
    assert_eq!(publisher.state(), broker::QueueState::Connected);
    assert_eq!(hear(&mut one, 50).await, sent);
    assert_eq!(hear(&mut two, 50).await, sent);
    one.close().await;
    assert!(two.receive(1, BRIEF).await.unwrap().is_empty());
    // Nobody need listen, and batches are not disturbed.
    two.close().await;
    publisher.broadcast(b"into the air".to_vec()).await.unwrap();
    let error = publisher
        .broadcast(vec![0; broker::MAX_MESSAGE_BYTES + 1])
        .await
        .unwrap_err();
    assert!(!error.is_retry(), "{error}");
    publisher.close().await;
    broker::check(config, base()).await.unwrap();
    assert_eq!(
        broker::depth(config, base()).await.unwrap(),
        broker::Depth {
            waiting: 0,
            dead: 0
        }
    );
}

async fn an_impatient_subscriber_misses_nothing(config: &QueueConfig) {
    let publisher = broker::receipt_publisher(config, base()).unwrap();
    let mut subscriber = subscribe(config).await;
    let sent: BTreeSet<Vec<u8>> = (0..20_u8).map(|number| vec![number]).collect();
    for message in &sent {
        publisher.broadcast(message.clone()).await.unwrap();
    }
    let mut received = BTreeSet::new();
    for micros in (0..).step_by(100) {
        let patience = Duration::from_micros(micros);
        if let Ok(some) = tokio::time::timeout(patience, subscriber.receive(1, PATIENCE)).await {
            received.extend(some.unwrap());
        }
        if received.len() == sent.len() {
            break;
        }
    }
    assert_eq!(received, sent);
}
