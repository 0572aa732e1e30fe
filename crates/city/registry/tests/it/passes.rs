//! Tests of passes: strips by what is stored, and what ends them, on both stores.

use std::path::Path;

use broker::{DirectoryConfig, QueueConfig};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Event, FactKind, Pseudonym, Scheme};
use eligibility::{Reason, Rules};
use pass::holder::HolderAttributes;
use pass::keys::SigningKey;
use pass::revocation::RevocationPayload;
use pass::trust::TrustBundle;
use pass::verify::{Held, Reason as Fault, Verdict, verify};
use pass::{PassIdKey, Product};
use registry::passes::{
    DatedKey, Issued, PassError, PassKeys, PassSettings, Passes, Publication, Strip,
};
use secrecy::SecretBox;
use testbed::postgres::Postgres;

use crate::world::{
    NOW, World, asserted, asserted_of, negative, postgres_store, pseudonym, recovery, withdrawn,
};

const RULES: &str = include_str!("../../../../../config/pass-rules.toml");
pub(crate) const ISSUER: &str = "RU-MOW";

pub(crate) fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

fn key(product: Product, until: DateTime<Utc>) -> DatedKey {
    DatedKey {
        key: SigningKey::generate(),
        products: vec![product],
        from: now() - TimeDelta::days(10),
        until,
    }
}

/// Settings of two strips a day and no more than five for one.
pub(crate) fn settings() -> PassSettings {
    PassSettings {
        issuer: ISSUER.to_owned(),
        strips_per_day: 2,
        days_ahead: 3,
        most_per_window: 5,
        certificate_days: 30,
        individual_revocation: true,
    }
}

/// Issue of passes over the world's store.
pub(crate) fn passes(world: &World, keys_until: DateTime<Utc>) -> Passes {
    passes_by(world, &Product::ALL, keys_until, settings())
}

/// Issue of passes by these settings, with keys for these products.
pub(crate) fn passes_by(
    world: &World,
    products: &[Product],
    keys_until: DateTime<Utc>,
    settings: PassSettings,
) -> Passes {
    let ids = PassIdKey::new(&SecretBox::new(Box::new([7; 32])));
    let signing = products.iter().map(|product| key(*product, keys_until));
    let keys = PassKeys::new(SigningKey::generate(), ids, signing.collect());
    let rules = Rules::parse(RULES, Path::new("pass-rules.toml")).unwrap();
    Passes::new(world.registry.reader().clone(), rules, keys, settings)
}

pub(crate) fn long() -> DateTime<Utc> {
    now() + TimeDelta::days(100)
}

pub(crate) fn snils(person: u16) -> Vec<Pseudonym> {
    vec![pseudonym(Scheme::Snils, person)]
}

pub(crate) async fn store(world: &mut World, events: &[Event]) {
    world.send(events).await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.refused, dead), (0, 0));
}

pub(crate) async fn strips(passes: &Passes, names: &[Pseudonym]) -> Vec<Strip> {
    let issued = passes
        .issue_days(names, HolderAttributes::NONE, now())
        .await;
    match issued.unwrap() {
        Issued::Strips(strips) => strips,
        other => panic!("{other:?}"),
    }
}

async fn refused(passes: &Passes, names: &[Pseudonym]) -> Vec<Reason> {
    let issued = passes
        .issue_days(names, HolderAttributes::NONE, now())
        .await;
    match issued.unwrap() {
        Issued::Refused(reasons) => reasons,
        other => panic!("{other:?}"),
    }
}

/// Verdict of a verifier that has fetched what was published.
pub(crate) fn verdict(
    passes: &Passes,
    published: &Publication,
    strip: &Strip,
    at: DateTime<Utc>,
) -> Verdict {
    let trust = TrustBundle::open(&published.trust, passes.keys().root(), ISSUER).unwrap();
    let opened = trust.open_revocations(&published.revocations).unwrap();
    let RevocationPayload::Whole(revocations) = opened else {
        panic!("a delta");
    };
    let held = Held {
        trust: &trust,
        revocations: &revocations,
    };
    verify(&strip.text, Some(held), at)
}

pub(crate) fn is_valid(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Valid(_))
}

pub(crate) async fn worlds() -> (Postgres, [World; 2]) {
    let postgres = Postgres::start().await.unwrap();
    let store = postgres_store(&postgres, "passes").await;
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let large = World::new(&store, queue).await;
    (postgres, [World::small().await, large])
}

#[tokio::test]
async fn a_pass_ends_when_its_fact_is_corrected_and_no_other_does() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let passes = passes(&world, long());
        let tested = asserted(1, 1, 1, negative("2021-06-30"));
        let recovered = asserted(2, 1, 2, recovery(None, "2021-06-01"));
        store(&mut world, &[tested, recovered]).await;

        // Today and tomorrow, two strips each: the test covers two days.
        let first = strips(&passes, &snils(1)).await;
        assert_eq!(first.len(), 4);
        let other = strips(&passes, &snils(2)).await;
        assert_eq!(other.len(), 8);
        let published = passes.publish(now()).await.unwrap();
        assert_eq!((published.newly_ended, published.ended), (0, 0));
        assert!(is_valid(&verdict(&passes, &published, &first[0], now())));
        let tomorrow = verdict(&passes, &published, &first[2], now());
        assert_eq!(tomorrow, Verdict::Invalid(Fault::NotYet));

        store(&mut world, &[withdrawn(1, 2, FactKind::Test)]).await;
        let after = passes.publish(now()).await.unwrap();
        assert_eq!((after.newly_ended, after.ended), (4, 4));
        assert!(after.sequence > published.sequence);
        for strip in &first[..2] {
            let verdict = verdict(&passes, &after, strip, now());
            assert_eq!(verdict, Verdict::Invalid(Fault::Revoked));
        }
        assert!(is_valid(&verdict(&passes, &after, &other[0], now())));
        assert_eq!(refused(&passes, &snils(1)).await, [Reason::NoFactsYet]);
        assert_eq!(passes.publish(now()).await.unwrap().newly_ended, 0);

        // The fact comes back: the ended ones stay so, new ones are valid.
        let again = asserted(1, 3, 1, negative("2021-06-30"));
        store(&mut world, &[again]).await;
        let second = strips(&passes, &snils(1)).await;
        let last = passes.publish(now()).await.unwrap();
        assert_eq!((last.newly_ended, last.ended), (0, 4));
        assert!(is_valid(&verdict(&passes, &last, &second[0], now())));
        let old = verdict(&passes, &last, &first[0], now());
        assert_eq!(old, Verdict::Invalid(Fault::Revoked));

        // Once their windows are over, the ended ones leave the list, and their counts the store.
        let later = now() + TimeDelta::days(4);
        assert_eq!(passes.publish(later).await.unwrap().ended, 0);
    }
}

#[tokio::test]
async fn no_more_strips_are_issued_for_a_window_than_are_permitted() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let passes = passes(&world, long());
        store(&mut world, &[asserted(1, 1, 1, negative("2021-06-30"))]).await;
        let person = snils(1);
        let mut counts = Vec::new();
        for _ in 0..2 {
            counts.push(strips(&passes, &person).await.len());
        }
        // The fifth for each of the two days.
        counts.push(strips(&passes, &person).await.len());
        assert_eq!(counts, [4, 4, 2]);
        let beyond = passes.issue_days(&person, HolderAttributes::NONE, now());
        assert_eq!(beyond.await.unwrap(), Issued::Exhausted);
        // Paper has a window of its own.
        let paper = passes.issue_paper(&person, HolderAttributes::NONE, now());
        let Issued::Strips(paper) = paper.await.unwrap() else {
            panic!("no paper");
        };
        assert_eq!(paper.len(), 1);
        let days = paper[0].window.end() - paper[0].window.start();
        assert_eq!(days, TimeDelta::days(2));
    }
}

#[tokio::test]
async fn whoever_is_unknown_or_in_doubt_gets_no_pass() {
    let mut world = World::small().await;
    let passes = passes(&world, long());
    assert_eq!(refused(&passes, &snils(9)).await, [Reason::NoFactsYet]);
    // Two persons state the same passport: it is open whose it is.
    let shared = |number, snils| asserted_of(number, 1, snils, 77, negative("2021-06-30"));
    store(&mut world, &[shared(1, 1), shared(2, 2)]).await;
    let passport = [pseudonym(Scheme::PassportRu, 77)];
    assert_eq!(refused(&passes, &passport).await, [Reason::PersonInDoubt]);
    // Names of two persons are nobody's.
    let both = [snils(1), snils(2)].concat();
    assert_eq!(refused(&passes, &both).await, [Reason::PersonInDoubt]);
    assert_eq!(strips(&passes, &snils(1)).await.len(), 4);
}

#[tokio::test]
async fn a_pass_that_its_key_would_not_outlive_is_not_issued_nor_counted() {
    let mut world = World::small().await;
    store(&mut world, &[asserted(1, 1, 1, negative("2021-06-30"))]).await;
    let short = passes(&world, now() + TimeDelta::days(1));
    let issued = short
        .issue_days(&snils(1), HolderAttributes::NONE, now())
        .await;
    assert!(matches!(issued, Err(PassError::NoKey { product: "city" })));
    let long = passes(&world, long());
    assert_eq!(strips(&long, &snils(1)).await.len(), 4);
}

#[tokio::test]
async fn sequences_do_not_go_back_with_a_restored_database() {
    let first = World::small().await;
    let passes_of_first = passes(&first, long());
    let published = passes_of_first.publish(now()).await.unwrap();
    let again = passes_of_first.publish(now()).await.unwrap();
    assert_eq!(again.sequence, published.sequence + 1);
    // A new database knows nothing of the sequences, and a second has passed.
    let restored = World::small().await;
    let later = now() + TimeDelta::seconds(5);
    let published = passes(&restored, long()).publish(later).await.unwrap();
    assert!(published.sequence > again.sequence);
}

#[tokio::test]
async fn a_paper_strip_is_judged_by_the_days_that_are_left() {
    let mut world = World::small().await;
    let passes = passes(&world, long());
    let recovered = asserted(1, 1, 1, recovery(None, "2021-06-01"));
    store(&mut world, &[recovered]).await;
    let person = snils(1);
    let paper = passes.issue_paper(&person, HolderAttributes::NONE, now());
    let Issued::Strips(paper) = paper.await.unwrap() else {
        panic!("no paper");
    };
    let days = paper[0].window.end() - paper[0].window.start();
    assert_eq!(days, TimeDelta::days(7));
    // On its fourth day the first three are over and covered by nothing any more.
    let fourth = now() + TimeDelta::days(3);
    let published = passes.publish(fourth).await.unwrap();
    assert_eq!(published.newly_ended, 0);
    assert!(is_valid(&verdict(&passes, &published, &paper[0], fourth)));
    store(&mut world, &[withdrawn(1, 2, FactKind::Recovery)]).await;
    let published = passes.publish(fourth).await.unwrap();
    let revoked = verdict(&passes, &published, &paper[0], fourth);
    assert_eq!(revoked, Verdict::Invalid(Fault::Revoked));
}
