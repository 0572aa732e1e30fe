//! Deletion of one person: nothing of that person is left, others stay as they are, and what comes
//! again is refused.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{FactKind, RefusalReason, Scheme, Vaccine};
use registry::Deleted;
use testbed::postgres::Postgres;

use crate::world::{
    NOW, World, asserted, asserted_of, dose, negative, postgres_store, pseudonym, recovery,
};

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

/// A person goes, with facts of several clinics; another one stays.
async fn one_goes_and_others_stay(mut world: World) {
    let events = [
        asserted(1, 1, 1, dose(Vaccine::SputnikV, "2021-05-01")),
        asserted(2, 1, 1, negative("2021-06-30")),
        asserted(3, 1, 1, recovery(None, "2021-04-01")),
        asserted(4, 1, 2, negative("2021-06-30")),
    ];
    world.send(&events).await;
    world.registry.drain().await.unwrap();
    let reader = world.registry.reader().clone();
    let asked = [pseudonym(Scheme::Snils, 1)];
    assert_eq!(reader.persons_behind(&asked).await, Ok(1));
    let before = reader.facts().await.unwrap();
    let counted = reader.delete_persons(&asked, true, now()).await.unwrap();
    assert_eq!(reader.facts().await.unwrap(), before);
    let deleted = reader.delete_persons(&asked, false, now()).await.unwrap();
    assert_eq!(deleted, counted);
    assert_eq!(
        (deleted.persons, deleted.pseudonyms, deleted.facts()),
        (1, 2, 3)
    );
    let kinds = FactKind::ALL.map(|kind| (kind, 1));
    assert_eq!(deleted.purged.withdrawn, BTreeMap::from(kinds));
    for scheme in [Scheme::Snils, Scheme::PassportRu] {
        let names = [pseudonym(scheme, 1)];
        assert!(reader.subjects_by(&names).await.unwrap().is_empty());
    }
    let stats = reader.stats().await.unwrap();
    assert_eq!((stats.subjects, stats.asserted["test"]), (1, 1));
    assert_eq!(
        reader.delete_persons(&asked, false, now()).await.unwrap(),
        Deleted::default()
    );

    world.answers().await;
    let newer = asserted(1, 2, 1, dose(Vaccine::SputnikV, "2021-05-02"));
    let other_record = asserted(9, 1, 1, negative("2021-06-30"));
    let (sent, key) = world.send(&[newer, events[1].clone(), other_record]).await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    let receipt = told.iter().find(|receipt| receipt.batch() == sent.id);
    let verdict = receipt.unwrap().read(&key).unwrap();
    let contract::Verdict::Answered(contract::Answer::Stored(answer)) = verdict else {
        panic!("the batch is answered");
    };
    assert_eq!(answer.accepted, 1, "a new record is a new fact");
    let reasons = answer.refused.iter().map(|event| event.reason);
    assert!(reasons.eq([RefusalReason::Purged; 2]));
    world.registry.close().await;
}

#[tokio::test]
async fn a_person_goes_from_sqlite_and_others_stay() {
    one_goes_and_others_stay(World::small().await).await;
}

#[tokio::test]
async fn a_person_goes_from_postgresql_and_others_stay() {
    let postgres = Postgres::start().await.unwrap();
    let store = postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    one_goes_and_others_stay(World::new(&store, queue).await).await;
}

#[tokio::test]
async fn pseudonyms_that_are_kept_apart_are_several_persons() {
    let mut world = World::small().await;
    let test = || negative("2021-06-30");
    // One passport with two SNILS, as often with the one as with the other.
    world
        .send(&[
            asserted_of(1, 1, 1, 7, test()),
            asserted_of(2, 1, 2, 7, test()),
        ])
        .await;
    world.registry.drain().await.unwrap();
    let reader = world.registry.reader();
    let all = [
        pseudonym(Scheme::Snils, 1),
        pseudonym(Scheme::Snils, 2),
        pseudonym(Scheme::PassportRu, 7),
    ];
    assert!(reader.persons_behind(&all).await.unwrap() > 1);
    assert_eq!(reader.persons_behind(&all[..1]).await, Ok(1));
    let deleted = reader.delete_persons(&all, false, now()).await.unwrap();
    assert_eq!(deleted.facts(), 2);
    let stats = reader.stats().await.unwrap();
    assert_eq!((stats.subjects, stats.conflicts), (0, 0));
    assert_eq!(stats.deleted["test"], 2);
    assert!(stats.withdrawn.is_empty(), "no clinic took anything back");
    world.registry.close().await;
}
