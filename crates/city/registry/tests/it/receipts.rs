//! Tests of the answers to batches and probes, and that answering holds nothing up.

use chrono::{DateTime, Utc};
use contract::wire::{Probed, encode_probe};
use contract::{
    Answer, AnswerKey, BatchId, Difference, DifferenceKind, FactKind, ProbeAnswer, Receipt,
    RefusalReason, RefusedEvent, StoredAnswer, Superseded, UnreadableReason, Verdict,
};
use registry::ConsumeStep;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::world::{NOW, World, asserted, content, negative, record, version, withdrawn};

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

fn answer_to(receipts: &[Receipt], batch: BatchId, key: &AnswerKey) -> Answer {
    let mine: Vec<&Receipt> = receipts
        .iter()
        .filter(|receipt| receipt.batch() == batch)
        .collect();
    assert_eq!(mine.len(), 1, "one receipt a batch");
    match mine[0].read(key).unwrap() {
        Verdict::Answered(answer) => answer,
        Verdict::Unreadable(reason) => panic!("unreadable: {}", reason.as_str()),
    }
}

fn probed(number: u16, count: u32) -> Probed {
    Probed {
        record: record(number),
        version: version(count),
        content: content(number, count),
        withdrawn: false,
    }
}

#[tokio::test]
async fn each_sender_reads_what_became_of_its_events_also_the_second_time() {
    let mut world = World::small().await;
    let other = contract::Event {
        content: content(9, 9),
        ..asserted(1, 2, 7, negative("2021-06-05"))
    };
    let (first, first_key) = world
        .send(&[
            asserted(1, 2, 7, negative("2021-06-01")),
            asserted(2, 1, 7, negative("2021-06-02")),
        ])
        .await;
    world.registry.consume_once(now()).await.unwrap();
    let late = asserted(1, 1, 7, negative("2021-05-01"));
    let tomorrow = asserted(3, 1, 7, negative("2022-01-01"));
    let (second, second_key) = world
        .send(&[late, other, tomorrow, withdrawn(2, 2, FactKind::Test)])
        .await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    let stored = |accepted, refused, superseded| {
        Answer::Stored(StoredAnswer {
            accepted,
            refused,
            superseded,
        })
    };
    assert_eq!(
        answer_to(&told, first.id, &first_key),
        stored(2, vec![], vec![])
    );
    let refused = |index, number, count, reason| RefusedEvent {
        index,
        record: Some(record(number)),
        version: Some(version(count)),
        reason,
    };
    let expected = stored(
        1,
        vec![
            refused(1, 1, 2, RefusalReason::VersionReused),
            refused(2, 3, 1, RefusalReason::BadDate),
        ],
        vec![Superseded {
            record: record(1),
            held: version(2),
        }],
    );
    assert_eq!(answer_to(&told, second.id, &second_key), expected);
    let receipt = told
        .iter()
        .find(|receipt| receipt.batch() == second.id)
        .unwrap();
    assert!(
        receipt.read(&first_key).is_err(),
        "another sender cannot read it"
    );

    // Sent again, as after a lost receipt: the same answer, and nothing changes but for what the
    // other batch did since.
    let before = world.registry.reader().facts().await.unwrap();
    world.send_again(&second).await;
    world.send_again(&first).await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    assert_eq!(answer_to(&told, second.id, &second_key), expected);
    let since = Superseded {
        record: record(2),
        held: version(2),
    };
    assert_eq!(
        answer_to(&told, first.id, &first_key),
        stored(1, vec![], vec![since])
    );
    assert_eq!(world.registry.reader().facts().await.unwrap(), before);
}

#[tokio::test]
async fn the_sender_of_an_unreadable_batch_hears_why() {
    let mut world = World::small().await;
    let other_key = contract::PrivateKey::generate().public();
    let (mut changed, _) = world.public.seal(b"[]").unwrap();
    *changed.bytes.last_mut().unwrap() ^= 1;
    let (strange, _) = other_key.seal(b"[]").unwrap();
    for batch in [&changed, &strange] {
        world.send_bytes(batch.bytes.clone()).await;
    }
    world.send_bytes(b"no header at all".to_vec()).await;
    let (nonsense, nonsense_key) = world.send_encoded(b"{}").await;
    assert_eq!(world.registry.drain().await.unwrap().1, 4);
    let told = world.answers().await;
    let reason = |batch| {
        told.iter()
            .find(|receipt| receipt.batch() == batch)
            .unwrap()
            .unreadable_reason()
    };
    assert_eq!(reason(changed.id), Some(UnreadableReason::NotAuthentic));
    assert_eq!(reason(strange.id), Some(UnreadableReason::OtherKey));
    assert_eq!(reason(nonsense.id), Some(UnreadableReason::Content));
    assert_eq!(told.len(), 3, "nobody can be told about what has no id");
    assert!(matches!(
        told[0].read(&nonsense_key),
        Ok(Verdict::Unreadable(_))
    ));
}

#[tokio::test]
async fn a_receipts_channel_that_is_away_holds_nothing_up() {
    let mut world = World::small().await;
    world.registry.consume_once(now()).await.unwrap(); // the queue's folders are there
    let mut sent = Vec::new();
    for number in 0..6 {
        sent.push(
            world
                .send(&[asserted(number, 1, number, negative("2021-06-01"))])
                .await,
        );
    }
    // A file where the receipts' folder was.
    let folder = world.base().join("queue/receipts");
    let aside = world.base().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "").unwrap();
    while world.registry.consume_once(now()).await.unwrap() != ConsumeStep::Idle {}
    assert_eq!(world.registry.reader().facts().await.unwrap().len(), 6);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(
        (world.depth().await.waiting, world.depth().await.dead),
        (0, 0)
    );
    assert!(world.answers().await.is_empty());
    // The gateway sends again what it holds no receipt for.
    world.clock.advance(std::time::Duration::from_secs(60));
    for (batch, _) in &sent {
        world.send_again(batch).await;
    }
    assert_eq!(world.registry.drain().await.unwrap().0.unchanged, 6);
    let told = world.answers().await;
    for (batch, key) in &sent {
        let Answer::Stored(answer) = answer_to(&told, batch.id, key) else {
            panic!("no probe was sent")
        };
        assert_eq!(answer.accepted, 1);
    }
}

#[tokio::test]
async fn a_probe_sees_every_batch_before_it_and_stores_nothing() {
    let mut world = World::small().await;
    world
        .send(&[
            asserted(1, 5, 7, negative("2021-06-01")),
            withdrawn(2, 5, FactKind::Test),
        ])
        .await;
    // The same group of deliveries as the batch and the probe after it.
    let gone = Probed {
        withdrawn: true,
        ..probed(2, 5)
    };
    let asked = [
        probed(1, 5),
        gone,
        probed(1, 6),
        probed(1, 4),
        Probed {
            content: content(1, 9),
            ..probed(1, 5)
        },
        probed(2, 5),
        Probed {
            withdrawn: true,
            ..probed(3, 1)
        },
    ];
    let (probe, key) = world.send_encoded(&encode_probe(&asked)).await;
    world
        .send(&[asserted(4, 1, 8, negative("2021-06-01"))])
        .await;
    let mut probes = 0;
    let mut batches = 0;
    while let ConsumeStep::Done {
        probes: more,
        batches: stored,
        dead,
        ..
    } = world.registry.consume_once(now()).await.unwrap()
    {
        (probes, batches) = (probes + more, batches + stored);
        assert_eq!(dead, 0);
    }
    assert_eq!((probes, batches), (1, 2));
    let differs = |number, what, held: Option<u32>| Difference {
        record: record(number),
        what,
        held: held.map(version),
    };
    let differences = vec![
        differs(1, DifferenceKind::Stale, Some(5)),
        differs(1, DifferenceKind::Newer, Some(5)),
        differs(1, DifferenceKind::Conflicting, Some(5)),
        differs(2, DifferenceKind::Conflicting, Some(5)),
        differs(3, DifferenceKind::Missing, None),
    ];
    let told = world.answers().await;
    assert_eq!(
        answer_to(&told, probe.id, &key),
        Answer::Probed(ProbeAnswer {
            equal: 2,
            differences
        })
    );
    assert_eq!(world.registry.reader().facts().await.unwrap().len(), 3);
}

#[tokio::test]
async fn without_a_key_nothing_is_answered_and_nothing_stays() {
    let mut world = World::mute().await;
    world
        .send(&[asserted(1, 1, 7, negative("2021-06-01"))])
        .await;
    world.send_encoded(&encode_probe(&[probed(1, 1)])).await;
    world.send_bytes(b"what is this".to_vec()).await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, dead), (1, 1));
    assert_eq!(
        (world.depth().await.waiting, world.depth().await.dead),
        (0, 1)
    );
    assert!(world.answers().await.is_empty());
}

#[tokio::test]
async fn a_full_probe_is_answered_over_rabbitmq_from_postgresql() {
    let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
    let rabbit = rabbit.unwrap();
    let postgres = postgres.unwrap();
    let mut world = World::large(&rabbit, &postgres).await;
    assert!(
        world.answers().await.is_empty(),
        "listens before anything is sent"
    );
    let mut unanswered = Vec::new();
    for batch in crate::world::doses(4, 500) {
        unanswered.push(world.send(&batch).await.0);
    }
    let asked: Vec<Probed> = (0..4000).map(|number| probed(number, 1)).collect();
    let (probe, key) = world.send_encoded(&encode_probe(&asked)).await;
    unanswered.push(probe.clone());
    let mut told = Vec::new();
    while !unanswered.is_empty() {
        world.registry.drain().await.unwrap();
        for receipt in world.answers().await {
            // One that was taken too late may have gone out all the same.
            let is_of = |other: &Receipt| other.batch() == receipt.batch();
            if !told.iter().any(is_of) {
                told.push(receipt);
            }
        }
        unanswered.retain(|batch| !told.iter().any(|receipt| receipt.batch() == batch.id));
        // A broker that takes a receipt too late costs it; the gateway sends again.
        world.clock.advance(std::time::Duration::from_secs(60));
        for batch in &unanswered {
            world.send_again(batch).await;
        }
    }
    assert_eq!(told.len(), 5);
    let Answer::Probed(answer) = answer_to(&told, probe.id, &key) else {
        panic!("a probe was sent")
    };
    assert_eq!(answer.equal, 2000);
    assert!(
        answer
            .differences
            .iter()
            .all(|difference| difference.what == DifferenceKind::Missing)
    );
    assert_eq!(answer.differences.len(), 2000);
}
