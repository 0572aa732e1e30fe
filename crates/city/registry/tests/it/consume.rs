//! Tests that the registry stores what arrives, and moves to the dead letters what cannot be read.

use contract::{FactKind, RefusalReason, Scheme, Vaccine};
use registry::{ConsumeStep, GroupOutcome};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::world::{
    NOW, World, asserted, dose, doses, negative, pseudonym, read_queue, recovery, withdrawn,
};

#[tokio::test]
async fn every_kind_of_fact_is_stored_as_sent_and_found_by_any_name() {
    let mut world = World::small().await;
    let sent = [
        asserted(1, 1, 7, dose(Vaccine::CoviVac, "2021-06-01")),
        asserted(2, 1, 7, negative("2021-06")),
        asserted(3, 1, 7, recovery(Some("2021-05-01"), "2021")),
        asserted(4, 1, 8, recovery(None, "2021-06-30")),
    ];
    world.send(&sent).await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, outcome.refused, dead), (4, 0, 0));
    let reader = world.registry.reader();
    let facts = reader.facts().await.unwrap();
    for event in &sent {
        let contract::Body::Asserted { fact, subject } = &event.body else {
            unreachable!()
        };
        let stored = facts
            .iter()
            .find(|stored| stored.record == reader.stored_record(&event.record))
            .unwrap();
        assert_eq!(
            (stored.fact.as_ref(), stored.version),
            (Some(fact), event.version)
        );
        let expected: Vec<_> = subject
            .pseudonyms()
            .iter()
            .map(|p| world.registry.reader().second_layer(p).unwrap())
            .collect();
        assert_eq!(stored.subject, expected);
    }
    let found = world
        .registry
        .reader()
        .subjects_by(&[pseudonym(Scheme::PassportRu, 7)])
        .await
        .unwrap();
    assert_eq!(
        found
            .iter()
            .map(|subject| subject.facts.len())
            .collect::<Vec<_>>(),
        [3]
    );
    assert!(
        world
            .registry
            .reader()
            .subjects_by(&[pseudonym(Scheme::Snils, 9)])
            .await
            .unwrap()
            .is_empty()
    );
    // P itself is nowhere in the store.
    let p = pseudonym(Scheme::Snils, 7).value;
    for name in ["registry.sqlite", "registry.sqlite-wal"] {
        let bytes = std::fs::read(world.base().join(name)).unwrap();
        assert!(
            !bytes.windows(32).any(|window| window == p),
            "{name} holds what the clinic sent"
        );
    }
}

#[tokio::test]
async fn an_unreadable_batch_goes_to_the_dead_letters_with_its_reason_and_the_rest_goes_on() {
    let mut world = World::small().await;
    let other_key = contract::PrivateKey::generate().public();
    let sealed = |key: &contract::PublicKey, text: &[u8]| key.seal(text).unwrap().0.bytes;
    let mut changed = sealed(&world.public, b"[]");
    *changed.last_mut().unwrap() ^= 1;
    for bytes in [
        b"what is this".to_vec(),
        sealed(&other_key, b"[]"),
        changed,
        sealed(&world.public, b"{\"not\": \"a batch\"}"),
    ] {
        world.send_bytes(bytes).await;
    }
    world
        .send(&[asserted(1, 1, 7, negative("2021-06-01"))])
        .await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, dead), (1, 4));
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 4));
    let mut reasons: Vec<String> = std::fs::read_dir(world.base().join("queue/dead"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "reason")
        })
        .map(|path| std::fs::read_to_string(path).unwrap().trim().to_owned())
        .collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "not-a-batch-of-events",
            "not-a-sealed-batch",
            "not-authentic",
            "sealed-to-another-key"
        ]
    );
    assert_eq!(
        world
            .registry
            .consume_once(NOW.parse().unwrap())
            .await
            .unwrap(),
        ConsumeStep::Idle
    );
}

#[tokio::test]
async fn a_bad_event_is_refused_by_itself_and_counted_once() {
    let mut world = World::small().await;
    let events = [
        asserted(1, 1, 7, negative("2021-07-04")),
        asserted(2, 1, 7, negative("2021-07-03")),
        asserted(3, 1, 7, negative("2021-06-02")),
        withdrawn(3, 2, FactKind::Recovery),
    ];
    world.send(&events).await;
    world.send(&events[..1]).await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!(
        (outcome, dead),
        (
            GroupOutcome {
                applied: 2,
                refused: 3,
                ..GroupOutcome::default()
            },
            0
        )
    );
    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!(stats.refusals[RefusalReason::BadDate.as_str()], 2);
    assert_eq!(stats.refusals[RefusalReason::KindChanged.as_str()], 1);
    assert_eq!(stats.asserted["test"], 2);
    assert_eq!(stats.subjects, 1);
}

#[tokio::test]
async fn another_second_layer_key_is_refused() {
    let world = World::small().await;
    let store = registry::StoreConfig::Sqlite(registry::SqliteConfig {
        path: "registry.sqlite".into(),
    });
    let keys = registry::Keys::new(
        contract::PrivateKey::generate(),
        Vec::new(),
        registry::SecondLayerKey::generate(),
    );
    let error = registry::Reader::open(&store, keys, world.base())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("second-layer key"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_consumers_at_once_come_to_what_one_does() {
    let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
    let rabbit = rabbit.unwrap();
    let postgres = postgres.unwrap();
    let mut world = World::large(&rabbit, &postgres).await;
    let mut second = world.registry.additional_consumer().unwrap();
    // Both are subscribed before anything is there, so that the broker shares it out.
    tokio::join!(world.read_queue(), read_queue(&mut second));
    let batches = doses(30, 40);
    for (index, batch) in batches.iter().enumerate() {
        world.send(batch).await;
        let number = u16::try_from(index).unwrap() * 40;
        world
            .send(&[
                withdrawn(number, 2, FactKind::Vaccination),
                asserted(5000, 1, number, negative("2021-06-05")),
            ])
            .await;
    }
    let (a, b) = tokio::join!(world.registry.drain(), second.drain());
    let a = a.unwrap().0;
    let b = b.unwrap().0;
    assert!(
        a.applied > 0 && b.applied > 0,
        "both took part: {a:?} {b:?}"
    );
    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!(stats.asserted["vaccination"], 30 * 39);
    assert_eq!(stats.withdrawn["vaccination"], 30);
    assert_eq!(stats.asserted["test"], 1);
    // Whom a withdrawn record names is known only where the fact came to be stored before its
    // withdrawal.
    assert!(
        (30 * 39 + 1..=30 * 40).contains(&stats.subjects),
        "{}",
        stats.subjects
    );
    assert_eq!(stats.conflicts, 0);
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 0));
}
