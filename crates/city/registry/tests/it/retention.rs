//! Retention over the queue: what has expired, sent again, changes nothing, and probes agree.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use contract::wire::{self, Probed, encode_probe};
use contract::{Answer, AnswerKey, Receipt, SealedBatch, Verdict};
use eligibility::Rules;
use registry::Retention;

use crate::world::{NOW, World, asserted, content, negative, record, version, withdrawn};

fn answer(told: &[Receipt], sent: &(SealedBatch, AnswerKey)) -> Answer {
    let receipt = told.iter().find(|receipt| receipt.batch() == sent.0.id);
    match receipt.unwrap().read(&sent.1).unwrap() {
        Verdict::Answered(answer) => answer,
        Verdict::Unreadable(reason) => panic!("unreadable: {}", reason.as_str()),
    }
}

fn rules() -> Rules {
    let text = include_str!("../../../../../config/pass-rules.toml");
    Rules::parse(text, Path::new("pass-rules.toml")).unwrap()
}

#[tokio::test]
async fn expired_facts_sent_again_change_nothing_and_probes_agree() {
    let mut world = World::set_up(|reader| reader.keep_by(Retention::new(rules(), 30))).await;
    world.answers().await;
    let now: DateTime<Utc> = NOW.parse().unwrap();
    let test = |number, count, day| asserted(number, count, number, negative(day));
    // The last of three days is 30 May, and 30 days later it is 29 June: over on the day after.
    let old = test(1, 1, "2021-05-28");
    let at_the_edge = test(2, 1, "2021-05-30");
    world.send(&[old.clone(), at_the_edge.clone()]).await;
    world.registry.drain().await.unwrap();
    let reader = world.registry.reader().clone();
    let counted = reader.expire(true, now).await.unwrap();
    let expired = reader.expire(false, now).await.unwrap();
    assert_eq!((counted.all(), expired.all()), (1, 1));
    assert_eq!(reader.expire(false, now).await.unwrap().all(), 0);
    let stats = reader.stats().await.unwrap();
    assert_eq!((stats.asserted["test"], stats.subjects), (1, 1));
    assert_eq!(stats.expired["test"], 1);
    assert!(stats.withdrawn.is_empty(), "no clinic took anything back");

    let again = world.send(std::slice::from_ref(&old)).await;
    let corrected = world.send(&[test(1, 2, "2021-05-27")]).await;
    let probe = |count| {
        encode_probe(&[Probed {
            record: record(1),
            version: version(count),
            content: content(1, count),
            withdrawn: false,
        }])
    };
    world.registry.drain().await.unwrap();
    let probed = world.send_encoded(&probe(2)).await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    for sent in [&again, &corrected] {
        let Answer::Stored(answer) = answer(&told, sent) else {
            panic!("facts are stored");
        };
        assert!(answer.refused.is_empty());
    }
    let Answer::Probed(found) = answer(&told, &probed) else {
        panic!("a probe is answered");
    };
    assert_eq!((found.equal, found.differences.len()), (1, 0));
    assert_eq!(reader.stats().await.unwrap().asserted["test"], 1);

    let in_date = world.send(&[test(1, 3, "2021-06-30")]).await;
    world.registry.drain().await.unwrap();
    assert_eq!(reader.stats().await.unwrap().asserted["test"], 2);
    let tomorrow = now + TimeDelta::days(3);
    assert_eq!(
        reader.expire(false, tomorrow).await.unwrap().all(),
        1,
        "the one at the edge"
    );
    let taken_back = withdrawn(2, 2, contract::FactKind::Test);
    let withdrawal = world.send_encoded(&wire::encode(&[taken_back])).await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    for sent in [&in_date, &withdrawal] {
        assert!(matches!(answer(&told, sent), Answer::Stored(answer) if answer.accepted == 1));
    }
    world.registry.close().await;
}
