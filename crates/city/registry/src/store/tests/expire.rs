//! Tests of expiry on both stores: what may still carry a pass stays, with its links; what has
//! expired says nothing, and takes newer versions.

use std::path::Path;

use contract::{RefusalReason, TestCode, TestResult};
use eligibility::Rules;

use super::*;
use crate::retention::Retention;

/// Day on which the tests are looked at; those of `tested` were taken in January.
fn later_on() -> DateTime<Utc> {
    "2022-03-01T09:00:00Z".parse().unwrap()
}

fn retention() -> Retention {
    let rules = include_str!("../../../../../../config/pass-rules.toml");
    let rules = Rules::parse(rules, Path::new("pass-rules.toml")).unwrap();
    Retention::new(rules, 0)
}

/// Negative test of a day.
fn tested(record: u8, version: i64, day: &str, person: Vec<CityPseudonym>) -> IncomingEvent {
    let fact = Fact::Test {
        test: TestCode::RnaRespiratory,
        result: TestResult::NotDetected,
        occurred_on: day.parse().unwrap(),
    };
    IncomingEvent {
        kind: FactKind::Test,
        asserted: Some(Assertion::new(fact, person)),
        ..event(record, version, None)
    }
}

fn marked(events: &[IncomingEvent]) -> OpenBatch {
    let mut batch = batch(events.to_vec());
    retention().mark(&mut batch, later_on());
    batch
}

async fn store_marked(store: &Store, events: &[IncomingEvent]) -> Applied {
    apply(store, &[marked(events)], later_on()).await.unwrap()
}

async fn expire(store: &Store) -> Expired {
    store.expire(&retention(), false, later_on()).await.unwrap()
}

fn snils(number: u8) -> CityPseudonym {
    name(Scheme::Snils, number)
}

fn passport(number: u8) -> CityPseudonym {
    name(Scheme::PassportForeign, number)
}

/// Records of which a fact is stored.
async fn records_that_hold(store: &Store) -> Vec<u8> {
    let (facts, _) = content(store).await;
    let held = facts.iter().filter(|fact| fact.fact.is_some());
    held.map(|fact| fact.record[0]).collect()
}

/// The story of one person with an old and a new test, and of others.
async fn old_tests_expire(store: &Store) {
    let one = || vec![snils(1)];
    let events = [
        tested(1, 5, "2022-01-10", one()),
        tested(2, 5, "2022-02-27", one()),
        event(3, 5, Some(one())),
        tested(4, 5, "2022-01-10", vec![snils(4)]),
        tested(5, 5, "2022-01-11", vec![snils(4)]),
        tested(6, 5, "2022-01-12", vec![snils(4), passport(4)]),
    ];
    store_marked(store, &events).await;
    let counted = store.expire(&retention(), true, later_on()).await.unwrap();
    assert_eq!(records_that_hold(store).await, [1, 2, 3, 4, 5, 6]);
    let expired = expire(store).await;
    assert_eq!(expired, counted);
    assert_eq!(expired.facts, BTreeMap::from([(FactKind::Test, 4)]));
    assert_eq!(records_that_hold(store).await, [2, 3]);
    let (_, persons) = content(store).await;
    assert_eq!(persons, BTreeSet::from([BTreeSet::from([snils(1).value])]));
    assert_eq!(expire(store).await, Expired::default());
    let said = said(store, &events).await;
    assert_eq!(
        said[&events[0].record.stored], None,
        "nothing of the content is kept"
    );
    assert!(said[&events[1].record.stored].is_some());
}

/// What comes of a record whose fact has expired.
async fn expired_records_take_versions(store: &Store) {
    let one = || vec![snils(1)];
    let old = tested(1, 5, "2022-01-10", one());
    store_marked(store, std::slice::from_ref(&old)).await;
    assert_eq!(expire(store).await.all(), 1);
    let before = content(store).await;

    let again = store_marked(store, std::slice::from_ref(&old)).await;
    assert_eq!((again.outcome.unchanged, again.outcome.refused), (1, 0));
    assert_eq!(
        content(store).await,
        before,
        "the same version changes nothing"
    );

    let forged = IncomingEvent {
        owner: [9; 16],
        ..tested(1, 9, "2022-02-28", one())
    };
    let refused = store_marked(store, &[forged]).await;
    assert_eq!(
        refused.answers[0].refused[0].reason,
        RefusalReason::NotTheOwner
    );

    let corrected = tested(1, 6, "2022-01-11", one());
    let taken = store_marked(store, &[corrected]).await;
    assert_eq!(taken.outcome.applied, 1);
    assert!(
        records_that_hold(store).await.is_empty(),
        "a tombstone only"
    );
    let (facts, persons) = content(store).await;
    assert_eq!(facts[0].version.to_u64(), 6);
    assert!(persons.is_empty());

    let in_date = tested(1, 7, "2022-02-28", one());
    let stored = store_marked(store, std::slice::from_ref(&in_date)).await;
    assert_eq!(stored.outcome.applied, 1);
    assert_eq!(records_that_hold(store).await, [1]);
    let held = store.stored(&[in_date.record.stored]).await.unwrap();
    assert!(!held[&in_date.record.stored].expired);

    let reused = IncomingEvent {
        content: [3; 16],
        ..in_date
    };
    let refused = store_marked(store, &[reused]).await;
    assert_eq!(refused.outcome.version_reused, 1, "content counts again");
}

/// Links between names are kept as long as a fact needs them.
async fn links_stay(store: &Store) {
    let linking = || vec![snils(1), passport(1)];
    let events = [
        tested(1, 5, "2022-01-10", linking()),
        tested(2, 5, "2022-01-12", linking()),
        event(3, 5, Some(vec![passport(1)])),
    ];
    store_marked(store, &events).await;
    let expired = expire(store).await;
    assert_eq!((expired.all(), expired.kept_for_links), (1, 1));
    assert_eq!(
        records_that_hold(store).await,
        [2, 3],
        "the newest of those that link"
    );
    let (_, persons) = content(store).await;
    let both = BTreeSet::from([snils(1).value, passport(1).value]);
    assert_eq!(persons, BTreeSet::from([both]));
}

async fn in_doubt_stays(store: &Store) {
    // As many records say one thing as the other.
    let events = [
        tested(1, 5, "2022-01-10", vec![snils(1), passport(1)]),
        tested(2, 5, "2022-01-10", vec![snils(2), passport(1)]),
    ];
    store_marked(store, &events).await;
    assert_eq!(expire(store).await, Expired::default());
    assert_eq!(records_that_hold(store).await, [1, 2]);
}

#[tokio::test]
async fn sqlite_has_old_tests_expire() {
    let (_folder, store) = sqlite().await;
    old_tests_expire(&store).await;
}

#[tokio::test]
async fn expired_records_of_sqlite_take_versions() {
    let (_folder, store) = sqlite().await;
    expired_records_take_versions(&store).await;
}

#[tokio::test]
async fn links_stay_in_sqlite_as_long_as_a_fact_needs_them() {
    let (_folder, store) = sqlite().await;
    links_stay(&store).await;
    let (_other, doubtful) = sqlite().await;
    in_doubt_stays(&doubtful).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgresql_has_facts_expire_as_sqlite_does() {
    use super::on_postgres::open;
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let stories = ["old", "versions", "links", "doubt"];
    for story in stories {
        let store = open(&server, story).await;
        match story {
            "old" => old_tests_expire(&store).await,
            "versions" => expired_records_take_versions(&store).await,
            "links" => links_stay(&store).await,
            _ => in_doubt_stays(&store).await,
        }
        store.close().await;
    }
}

/// Reconciliation agrees on what has expired, whichever status the gateway believes in.
#[tokio::test]
async fn probes_agree_about_expired_records() {
    let (_folder, store) = sqlite().await;
    let old = tested(1, 5, "2022-01-10", vec![snils(1)]);
    store_marked(&store, std::slice::from_ref(&old)).await;
    expire(&store).await;
    let held = store.stored(&[old.record.stored]).await.unwrap();
    let held = held[&old.record.stored];
    assert!(held.withdrawn && held.expired);
    assert!(!held.differs_from(false, old.content));
    assert!(!held.differs_from(true, old.content));
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let days = prop::sample::select(vec![
        "2021-08-01",
        "2021-12-01",
        "2022-02-10",
        "2022-02-26",
        "2022-02-27",
        "2022-02-28",
    ]);
    (days, 0..3_u8, any::<bool>()).prop_map(|(day, kind, is_positive)| {
        let occurred_on = day.parse().unwrap();
        match kind {
            0 => Fact::Vaccination {
                vaccine: Vaccine::SputnikV,
                dose_number: None,
                series_doses: None,
                occurred_on,
            },
            1 => Fact::Recovery {
                began_on: None,
                occurred_on,
            },
            _ => Fact::Test {
                test: TestCode::RnaRespiratory,
                result: if is_positive {
                    TestResult::Detected
                } else {
                    TestResult::NotDetected
                },
                occurred_on,
            },
        }
    })
}

/// Days that the facts behind these names cover.
async fn covered(store: &Store, names: &[CityPseudonym]) -> Vec<eligibility::Interval> {
    let values: Vec<[u8; 32]> = names.iter().map(|name| name.value).collect();
    let views = crate::view::find_subjects(store, &values).await.unwrap();
    let facts = views.iter().flat_map(|view| &view.facts);
    let facts: Vec<Fact> = facts.filter_map(|fact| fact.fact.clone()).collect();
    let rules = include_str!("../../../../../../config/pass-rules.toml");
    let rules = Rules::parse(rules, Path::new("pass-rules.toml")).unwrap();
    let evidence = match views.len() {
        0 | 1 => eligibility::Evidence::Facts(&facts),
        _ => eligibility::Evidence::InDoubt,
    };
    eligibility::evaluate(&rules, evidence, later_on()).covered
}

#[test]
fn whoever_asks_by_whichever_names_gets_the_same_days_after_an_expiry() {
    let runtime = runtime();
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let one = (any_fact(), 0..3_u8, 1..4_u8);
    proptest!(config, |(stated in prop::collection::vec(one, 1..8))| {
        runtime.block_on(async {
            let (_folder, store) = sqlite().await;
            let events = (1..).zip(&stated).map(|(record, (fact, person, names))| {
                let all = [snils(*person), passport(*person)];
                let named = all.iter().enumerate().filter(|(bit, _)| names & (1 << bit) != 0);
                let named: Vec<CityPseudonym> = named.map(|(_, name)| *name).collect();
                IncomingEvent {
                    kind: fact.kind(),
                    asserted: Some(Assertion::new(fact.clone(), named)),
                    ..event(record, 1, None)
                }
            });
            store_marked(&store, &events.collect::<Vec<_>>()).await;
            let mut before = Vec::new();
            for person in 0..3 {
                for names in [vec![snils(person)], vec![passport(person)]] {
                    before.push((covered(&store, &names).await, names));
                }
            }
            expire(&store).await;
            for (days, names) in before {
                assert_eq!(covered(&store, &names).await, days, "{names:?}");
            }
        });
    });
}
