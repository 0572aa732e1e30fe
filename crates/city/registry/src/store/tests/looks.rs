//! Tests of looks at passes: what may have changed is judged by the next one, whatever happens at
//! the same time.

use std::collections::HashMap;

use chrono::TimeDelta;
use contract::{PrivateKey, TestCode, TestResult};
use eligibility::Rules;
use linking::SecondLayerKey;
use pass::keys::SigningKey;
use pass::{PassIdKey, Product};
use secrecy::SecretBox;

use super::*;
use crate::keys::Keys;
use crate::passes::{DatedKey, PassKeys, PassSettings, Passes, WHOLE_LOOK_EVERY};
use crate::reader::Reader;

const RULES: &str = include_str!("../../../../../../config/pass-rules.toml");

/// Issue of passes over a store, as one portal has it.
fn portal(store: &Store) -> Passes {
    let keys = Keys::new(
        PrivateKey::generate(),
        Vec::new(),
        SecondLayerKey::generate(),
    );
    let reader = Reader {
        store: store.clone(),
        keys: Arc::new(keys),
        retention: None,
        tokens: None,
    };
    let signing = DatedKey {
        key: SigningKey::generate(),
        products: vec![Product::City, Product::Revocations],
        from: now() - TimeDelta::days(10),
        until: now() + TimeDelta::days(100),
    };
    let ids = PassIdKey::new(&SecretBox::new(Box::new([7; 32])));
    let settings = PassSettings {
        issuer: "RU-MOW".to_owned(),
        strips_per_day: 2,
        days_ahead: 3,
        most_per_window: 60,
        certificate_days: 90,
        individual_revocation: true,
    };
    let rules = Rules::parse(RULES, Path::new("pass-rules.toml")).unwrap();
    let keys = PassKeys::new(SigningKey::generate(), ids, vec![signing]);
    Passes::new(reader, rules, keys, settings)
}

/// Number of passes that a look ends.
async fn ended(portal: &Passes, now: DateTime<Utc>) -> u64 {
    portal.publish(now).await.unwrap().newly_ended
}

/// Key of a window around the time of the tests, of a whole day in the city.
fn today(name: &CityPseudonym) -> PassKey {
    let begins_at = "2021-06-30T21:00:00Z".parse::<DateTime<Utc>>().unwrap();
    PassKey {
        name: name.value,
        begins_at: begins_at.timestamp(),
        ends_at: (begins_at + TimeDelta::days(1)).timestamp(),
    }
}

/// Counts two passes of today, as the issue does after it has read the evidence.
async fn count(store: &Store, name: &CityPseudonym) {
    store.count_passes(&[today(name)], 2, now()).await.unwrap();
}

fn recovery() -> Fact {
    Fact::Recovery {
        began_on: None,
        occurred_on: "2021-06-01".parse().unwrap(),
    }
}

fn positive() -> Fact {
    Fact::Test {
        test: TestCode::RnaRespiratory,
        result: TestResult::Detected,
        occurred_on: "2021-06-30".parse().unwrap(),
    }
}

/// Version of a record that says a fact of a person, or takes it back.
fn says(record: u8, version: i64, fact: Fact, person: Option<Vec<CityPseudonym>>) -> IncomingEvent {
    IncomingEvent {
        kind: fact.kind(),
        asserted: person.map(|person| Assertion::new(fact, person)),
        ..event(record, version, None)
    }
}

fn recovered(record: u8, version: i64, person: Vec<CityPseudonym>) -> IncomingEvent {
    says(record, version, recovery(), Some(person))
}

fn withdrawn(record: u8, version: i64) -> IncomingEvent {
    says(record, version, recovery(), None)
}

async fn store_events(store: &Store, events: Vec<IncomingEvent>) {
    apply(store, &[batch(events)], now()).await.unwrap();
}

/// Store of a person with two names and a fact, whose passes a portal has looked at.
async fn with_passes(store: &Store) -> (Passes, [CityPseudonym; 2]) {
    let names = [name(Scheme::Snils, 1), name(Scheme::PassportRu, 1)];
    let portal = portal(store);
    store_events(store, vec![recovered(1, 1, names.to_vec())]).await;
    assert_eq!(ended(&portal, now()).await, 0);
    count(store, &names[0]).await;
    assert_eq!(ended(&portal, now()).await, 0);
    assert_eq!(store.marks(10).await.unwrap(), []);
    (portal, names)
}

async fn both(
    server: &mut Option<testbed::postgres::Postgres>,
) -> Vec<(Option<tempfile::TempDir>, Store)> {
    let postgres = testbed::postgres::Postgres::start().await.unwrap();
    let large = on_postgres::open(&postgres, "r").await;
    *server = Some(postgres);
    let (folder, small) = sqlite().await;
    vec![(Some(folder), small), (None, large)]
}

#[tokio::test]
async fn what_is_issued_while_its_facts_change_is_judged_by_the_next_look() {
    let mut server = None;
    for (_folder, store) in both(&mut server).await {
        let (portal, names) = with_passes(&store).await;
        // The evidence was read by now. Then it is withdrawn, and that is looked at; the count comes
        // last.
        store_events(&store, vec![withdrawn(1, 2)]).await;
        assert_eq!(ended(&portal, now()).await, 2);
        count(&store, &names[1]).await;
        assert_eq!(ended(&portal, now()).await, 2);
        assert_eq!(ended(&portal, now()).await, 0);
    }
}

#[tokio::test]
async fn a_mark_that_is_made_during_a_look_stays_for_the_next() {
    let mut server = None;
    for (_folder, store) in both(&mut server).await {
        let (portal, names) = with_passes(&store).await;
        count(&store, &names[0]).await;
        let read = store.marks(10).await.unwrap();
        assert_eq!(read.len(), 1);
        store_events(&store, vec![withdrawn(1, 2)]).await;
        store.remove_marks(&read).await.unwrap();
        assert_eq!(ended(&portal, now()).await, 4);
    }
}

#[tokio::test]
async fn a_change_that_is_committed_after_a_look_is_judged_by_the_next() {
    use crate::store::apply::apply;
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let url = server.create_database("r").await.unwrap();
    let postgres = on_postgres::connect(url, 8).await;
    let store = Store::from(postgres.clone());
    let (portal, names) = with_passes(&store).await;
    let mut lent = postgres.lend().await.unwrap();
    let mut transaction = lent.begin().await.unwrap();
    let change = batch(vec![withdrawn(1, 2)]);
    let attempt = Attempt::default();
    apply(
        &mut transaction,
        &[&change],
        &LinkRules::default(),
        None,
        attempt,
        now(),
    )
    .await
    .unwrap();
    // It is not committed: passes are issued by what was there, and found well.
    count(&store, &names[1]).await;
    assert_eq!(ended(&portal, now()).await, 0);
    assert_eq!(store.marks(10).await.unwrap(), []);
    transaction.commit().await.unwrap();
    assert_eq!(ended(&portal, now()).await, 4);
}

#[tokio::test]
async fn whoever_begins_to_look_waits_for_writers_that_make_no_marks() {
    use crate::store::apply::apply;
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let url = server.create_database("r").await.unwrap();
    let postgres = on_postgres::connect(url, 8).await;
    let store = Store::from(postgres.clone());
    let person = vec![name(Scheme::Snils, 1)];
    store_events(&store, vec![recovered(1, 1, person.clone())]).await;
    let mut lent = postgres.lend().await.unwrap();
    let mut transaction = lent.begin().await.unwrap();
    let change = batch(vec![withdrawn(1, 2)]);
    let attempt = Attempt::default();
    apply(
        &mut transaction,
        &[&change],
        &LinkRules::default(),
        None,
        attempt,
        now(),
    )
    .await
    .unwrap();
    count(&store, &person[0]).await;
    let portal = portal(&store);
    let mut looking = Box::pin(ended(&portal, now()));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut looking).await;
    assert!(early.is_err(), "it must wait for the writer");
    transaction.commit().await.unwrap();
    assert_eq!(looking.await, 2);
}

#[tokio::test]
async fn two_portals_find_what_one_of_them_has_ended() {
    let mut server = None;
    for (_folder, store) in both(&mut server).await {
        let (one, _) = with_passes(&store).await;
        let other = portal(&store);
        assert_eq!(ended(&other, now()).await, 0);
        store_events(&store, vec![withdrawn(1, 2)]).await;
        assert_eq!(ended(&one, now()).await, 2);
        let published = other.publish(now()).await.unwrap();
        assert_eq!((published.newly_ended, published.ended), (0, 2));
    }
}

/// Store of a person whose passes were looked at, and whose facts went without a mark, as by no
/// program.
async fn with_facts_that_vanished(
    server: &testbed::postgres::Postgres,
    at: &str,
) -> (Store, Passes) {
    let store = on_postgres::open(server, at).await;
    let (portal, _) = with_passes(&store).await;
    server.psql(at, "DELETE FROM fact").await.unwrap();
    (store, portal)
}

#[tokio::test]
async fn only_what_is_marked_is_judged_and_once_in_a_while_everything() {
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let (_store, portal) = with_facts_that_vanished(&server, "late").await;
    let hour_later = now() + WHOLE_LOOK_EVERY;
    let just_before = hour_later - TimeDelta::seconds(1);
    assert_eq!(ended(&portal, just_before).await, 0);
    assert_eq!(ended(&portal, hour_later).await, 2);
    // A clock that was set back.
    let (_store, portal) = with_facts_that_vanished(&server, "back").await;
    assert_eq!(ended(&portal, now() - TimeDelta::seconds(1)).await, 2);
    // A database that was told to forget that somebody looks.
    let (_store, portal) = with_facts_that_vanished(&server, "told").await;
    server.psql("told", "DELETE FROM pass_watch").await.unwrap();
    assert_eq!(ended(&portal, now()).await, 2);
}

#[tokio::test]
async fn a_look_at_everything_that_fails_is_made_again() {
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let (_store, portal) = with_facts_that_vanished(&server, "r").await;
    let hide = "DELETE FROM pass_watch; ALTER TABLE link RENAME TO hidden";
    server.psql("r", hide).await.unwrap();
    portal.publish(now()).await.unwrap_err();
    let show = "ALTER TABLE hidden RENAME TO link";
    server.psql("r", show).await.unwrap();
    assert_eq!(ended(&portal, now()).await, 2);
}

#[tokio::test]
async fn on_a_new_day_in_the_city_everything_is_judged() {
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let (store, portal) = with_facts_that_vanished(&server, "r").await;
    let last_second: DateTime<Utc> = "2021-07-01T20:59:59Z".parse().unwrap();
    assert_eq!(ended(&portal, last_second).await, 2);
    let of_today = today(&name(Scheme::Snils, 1));
    let tomorrow = PassKey {
        begins_at: of_today.ends_at,
        ends_at: of_today.ends_at + 86_400,
        ..of_today
    };
    store.count_passes(&[tomorrow], 1, now()).await.unwrap();
    let marks = store.marks(10).await.unwrap();
    store.remove_marks(&marks).await.unwrap();
    assert_eq!(ended(&portal, last_second).await, 0);
    let midnight = last_second + TimeDelta::seconds(1);
    assert_eq!(ended(&portal, midnight).await, 1);
}

#[tokio::test]
async fn while_nobody_looks_no_marks_are_made_and_old_ones_go() {
    let mut server = None;
    for (_folder, store) in both(&mut server).await {
        let person = vec![name(Scheme::Snils, 1)];
        let version = |version| vec![recovered(1, version, person.clone())];
        store_events(&store, version(1)).await;
        store_events(&store, version(2)).await;
        assert_eq!(store.marks(10).await.unwrap(), []);
        store.watch().await.unwrap();
        store_events(&store, version(3)).await;
        // Of a person that was not there nothing can have been issued.
        store_events(&store, vec![recovered(2, 1, vec![name(Scheme::Snils, 2)])]).await;
        assert_eq!(store.marks(10).await.unwrap().len(), 1);
        let kept = TimeDelta::hours(marks::MARKS_KEPT_HOURS);
        store.prune_marks(now() + kept).await.unwrap();
        assert_eq!(store.marks(10).await.unwrap().len(), 1);
        store
            .prune_marks(now() + kept + TimeDelta::seconds(1))
            .await
            .unwrap();
        assert_eq!(store.marks(10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn each_window_is_counted_by_itself_and_every_one_or_none() {
    let mut server = None;
    for (_folder, store) in both(&mut server).await {
        let day = today(&name(Scheme::Snils, 1));
        let next = PassKey {
            begins_at: day.ends_at,
            ends_at: day.ends_at + 86_400,
            ..day
        };
        let before = store.count_passes(&[next, day], 2, now()).await.unwrap();
        assert_eq!(before, [0, 0]);
        let before = store.count_passes(&[day], 1, now()).await.unwrap();
        assert_eq!(before, [2]);
        let before = store.count_passes(&[next, day], 2, now()).await.unwrap();
        assert_eq!(before, [2, 3]);
    }
}

/// What is done to a store between two looks.
#[derive(Debug, Clone)]
enum Step {
    Store(Vec<IncomingEvent>),
    Decide(Decision, bool),
}

/// Histories of facts that entitle, suspend or are withdrawn, of persons whose names contradict each
/// other; and decisions between them.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let decided = (0..12_u8, 0..12_u8, any::<bool>(), any::<bool>());
    let decisions = prop::collection::vec((0..16_usize, decided), 0..4);
    (history(true), 1..4_usize, decisions).prop_map(|((_, events), group, decisions)| {
        let events: Vec<IncomingEvent> = events.into_iter().map(with_fact).collect();
        let stored = events.chunks(group).map(|some| Step::Store(some.to_vec()));
        let mut steps: Vec<Step> = stored.collect();
        for (place, (one, other, is_alone, holds)) in decisions {
            let [one, other] = [one, other].map(|number| numbered(number).value);
            let decision = if is_alone || one == other {
                Decision::Alone(one)
            } else {
                Decision::Together(one, other)
            };
            steps.insert(place % (steps.len() + 1), Step::Decide(decision, holds));
        }
        steps
    })
}

/// The same event about another fact: every third one is a positive test.
fn with_fact(event: IncomingEvent) -> IncomingEvent {
    let record = event.record.stored[0];
    let fact = if record.is_multiple_of(3) {
        positive()
    } else {
        recovery()
    };
    let person = event.asserted.map(|asserted| asserted.pseudonyms);
    says(record, event.version, fact, person)
}

fn numbered(number: u8) -> CityPseudonym {
    let schemes = [Scheme::Snils, Scheme::PassportRu, Scheme::PassportForeign];
    name(schemes[usize::from(number % 3)], number / 3)
}

/// After each step the look at what is marked leaves nothing that a look at everything would end.
async fn check_looks(store: &Store, steps: Vec<Step>) -> u64 {
    let marked = portal(store);
    ended(&marked, now()).await;
    let mut ended_in_all = 0;
    for step in steps {
        match step {
            Step::Store(events) => store_events(store, events).await,
            Step::Decide(decision, holds) => {
                store.decide(decision, holds, now()).await.unwrap();
            }
        }
        ended_in_all += ended(&marked, now()).await;
        assert_eq!(ended(&portal(store), now()).await, 0, "unmarked");
        let stored = store.pseudonyms(None).await.unwrap();
        let all: HashMap<_, _> = stored.iter().map(|(_, name)| (name.value, *name)).collect();
        for name in all.values() {
            count(store, name).await;
        }
        // Of these the ones that nothing carries end at once, by their own marks.
        ended(&marked, now()).await;
        assert_eq!(store.marks(10).await.unwrap(), []);
    }
    ended_in_all
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_look_at_what_is_marked_leaves_nothing_to_a_look_at_everything(steps in steps()) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            check_looks(&store, steps).await;
        });
    }
}

#[test]
fn on_postgresql_too_marks_leave_nothing_to_a_look_at_everything() {
    let runtime = runtime();
    let (server, store) = runtime.block_on(async {
        let server = testbed::postgres::Postgres::start().await.unwrap();
        let store = on_postgres::open(&server, "r").await;
        (server, store)
    });
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let found = std::cell::Cell::new(0);
    proptest!(config, |(steps in steps())| {
        runtime.block_on(async {
            server.psql("r", on_postgres::EMPTY).await.unwrap();
            server.psql("r", "TRUNCATE pass_count, pass_mark, pass_watch").await.unwrap();
            found.set(found.get() + check_looks(&store, steps).await);
        });
    });
    assert!(found.get() > 0, "no pass ended by a mark");
    runtime.block_on(store.close());
}
