//! Tests of a city that moves from one suite to another: passes, doubt and counts, on both stores.

use std::collections::BTreeMap;

use contract::{Body, Event, Pseudonym, Scheme, Subject};
use eligibility::Reason;
use pass::holder::HolderAttributes;
use registry::passes::Issued;

use crate::passes::{is_valid, long, now, passes, store, strips, verdict, worlds};
use crate::voprf::element;
use crate::world::{asserted, negative, pseudonym};

/// Version of the record of a test, under these names.
fn tested(record: u16, count: u32, names: &[Pseudonym]) -> Event {
    let fact = negative("2021-06-30");
    Event {
        body: Body::Asserted {
            subject: Subject::new(names.to_vec()).unwrap(),
            fact: fact.clone(),
        },
        ..asserted(record, count, record, fact)
    }
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let counts = expected.iter();
    counts
        .map(|(suite, number)| ((*suite).to_owned(), *number))
        .collect()
}

#[tokio::test]
async fn passes_of_both_names_hold_until_the_old_name_goes_and_those_of_the_new_one_longer() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let passes = passes(&world, long());
        let old = pseudonym(Scheme::Snils, 7);
        let new = element(Scheme::Snils, 1, 7);
        let asked = [old, new];
        store(&mut world, &[tested(1, 1, &[old])]).await;
        let before = strips(&passes, &asked).await;
        store(&mut world, &[tested(1, 2, &asked)]).await;
        let during = strips(&passes, &asked).await;
        let published = passes.publish(now()).await.unwrap();
        assert_eq!(published.newly_ended, 0);
        for strip in [&before[0], &during[0]] {
            assert!(is_valid(&verdict(&passes, &published, strip, now())));
        }
        let stats = world.registry.reader().stats().await.unwrap();
        assert_eq!(stats.facts_by_suite, counts(&[("hmac and voprf", 1)]));
        assert_eq!(stats.subjects_by_suite, counts(&[("hmac and voprf", 1)]));
        // Two windows each.
        assert_eq!(stats.passes_by_suite, counts(&[("hmac", 2), ("voprf", 2)]));

        store(&mut world, &[tested(1, 3, &[new])]).await;
        let after = passes.publish(now()).await.unwrap();
        assert_eq!(after.newly_ended, before.len() as u64);
        assert!(!is_valid(&verdict(&passes, &after, &before[0], now())));
        assert!(is_valid(&verdict(&passes, &after, &during[0], now())));
        assert_eq!(strips(&passes, &[new]).await.len(), 4);
        let stats = world.registry.reader().stats().await.unwrap();
        assert_eq!(stats.facts_by_suite, counts(&[("voprf", 1)]));
        assert_eq!(stats.passes_by_suite, counts(&[("voprf", 2)]));
    }
}

#[tokio::test]
async fn being_asked_for_two_names_at_once_joins_nobody() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let passes = passes(&world, long());
        let old = pseudonym(Scheme::Snils, 7);
        let new = element(Scheme::Snils, 1, 8);
        store(&mut world, &[tested(1, 1, &[old]), tested(2, 1, &[new])]).await;
        for _ in 0..2 {
            let issued = passes
                .issue_days(&[old, new], HolderAttributes::NONE, now())
                .await;
            match issued.unwrap() {
                Issued::Refused(reasons) => assert_eq!(reasons, [Reason::PersonInDoubt]),
                other => panic!("{other:?}"),
            }
        }
        let stats = world.registry.reader().stats().await.unwrap();
        assert_eq!(stats.facts_by_suite, counts(&[("hmac", 1), ("voprf", 1)]));
        // A record that states both is what joins them, as long as it stands.
        store(&mut world, &[tested(3, 1, &[old, new])]).await;
        assert_eq!(strips(&passes, &[old, new]).await.len(), 4);
    }
}
