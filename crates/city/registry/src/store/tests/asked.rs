//! Tests of the look-up of a person: the one statement says what the whole content says.

use super::*;
use crate::store::AskedPerson;

/// Most facts that the look-ups of these tests ask for.
const MOST: usize = 100;

/// Names that the histories use, and one of nobody.
fn all_names() -> Vec<CityPseudonym> {
    let persons = (0..4).flat_map(|person| {
        [
            name(Scheme::Snils, person),
            name(Scheme::PassportRu, person),
            name(Scheme::PassportForeign, person),
        ]
    });
    persons.chain([name(Scheme::Oms, 9)]).collect()
}

/// Names that a bit mask picks, strongest first.
fn picked(mask: u16) -> Vec<CityPseudonym> {
    let all = all_names();
    let places = (0..all.len()).filter(|place| mask & (1 << place) != 0);
    let mut picked: Vec<CityPseudonym> = places.map(|place| all[place]).collect();
    picked.sort_unstable_by_key(CityPseudonym::strength);
    picked
}

fn facts(asked: &AskedPerson) -> Vec<Fact> {
    let fact = |says: &rows::FactColumns| says.fact(says.kind().unwrap()).unwrap();
    let mut facts: Vec<Fact> = asked.facts.iter().map(fact).collect();
    facts.sort_unstable_by_key(|fact| format!("{fact:?}"));
    facts
}

/// Checks a look-up against everything that is stored, read by other statements.
async fn check(store: &Store, names: &[CityPseudonym]) {
    let values: Vec<NameValue> = names.iter().map(|name| name.value).collect();
    let asked = store.asked_person(&values, MOST).await.unwrap();
    let (stored, persons) = content(store).await;
    let person_of = |value: &NameValue| persons.iter().find(|person| person.contains(value));
    let first_stored = values.iter().position(|value| person_of(value).is_some());
    assert_eq!(asked.first_stored, first_stored);
    let theirs: BTreeSet<_> = values.iter().filter_map(person_of).collect();
    let contests = store.contests(1000).await.unwrap();
    let is_open = |value: &NameValue| {
        let mut about = contests.iter().filter(|row| row.name.value == *value);
        about.any(|row| row.kind == "tie" || row.kind == "too-large")
    };
    let mut related = theirs.iter().copied().flatten().chain(&values);
    assert_eq!(asked.in_doubt, theirs.len() > 1 || related.any(is_open));
    if theirs.len() > 1 {
        return;
    }
    let own = stored.into_iter().filter(|stored| {
        let mut of = stored.subject.iter().map(|name| name.value);
        of.any(|value| theirs.iter().any(|person| person.contains(&value)))
    });
    let mut expected: Vec<Fact> = own.filter_map(|stored| stored.fact).collect();
    expected.sort_unstable_by_key(|fact| format!("{fact:?}"));
    assert_eq!(facts(&asked), expected);
}

/// Checks the look-ups by these masks, before and after an operator has decided something.
async fn check_all(store: &Store, masks: &[u16], decision: Decision) {
    for mask in masks {
        check(store, &picked(*mask)).await;
    }
    store.decide(decision, true, now()).await.unwrap();
    for mask in masks {
        check(store, &picked(*mask)).await;
    }
}

fn masks() -> impl Strategy<Value = Vec<u16>> {
    // Of one person and a stranger; of any.
    let of_one = (0..4_u16, 0..8_u16, any::<bool>())
        .prop_map(|(person, names, nobody)| names << (3 * person) | u16::from(nobody) << 12);
    prop::collection::vec(prop_oneof![of_one, 1..1_u16 << 13], 6)
}

fn decisions() -> impl Strategy<Value = Decision> {
    let name = (0..12_usize).prop_map(|place| all_names()[place].value);
    let together = (name.clone(), name.clone())
        .prop_filter("two names", |(one, other)| one != other)
        .prop_map(|(one, other)| Decision::Together(one, other));
    prop_oneof![name.prop_map(Decision::Alone), together]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_person_is_found_as_everything_stored_says(
        (_, events) in history(true),
        masks in masks(),
        decision in decisions(),
    ) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            apply(&store, &[batch(events)], now()).await.unwrap();
            check_all(&store, &masks, decision).await;
        });
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_person_is_found_by_postgresql_as_everything_stored_says() {
    use super::on_postgres::{EMPTY, open};
    use testbed::postgres::Postgres;
    let runtime = runtime();
    let (server, store) = runtime.block_on(async {
        let server = Postgres::start().await.unwrap();
        let store = open(&server, "r").await;
        (server, store)
    });
    let config = ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((_, events) in history(true), masks in masks(), decision in decisions())| {
        runtime.block_on(async {
            server.psql("r", EMPTY).await.unwrap();
            apply(&store, &[batch(events)], now()).await.unwrap();
            check_all(&store, &masks, decision).await;
        });
    });
    runtime.block_on(store.close());
}

#[tokio::test]
async fn no_more_facts_are_read_than_are_asked_for() {
    let (_folder, store) = sqlite().await;
    let person = vec![name(Scheme::Snils, 1), name(Scheme::PassportRu, 1)];
    let events = (0..5).map(|record| event(record, 1, Some(person.clone())));
    apply(&store, &[batch(events.collect())], now())
        .await
        .unwrap();
    let values = [person[0].value];
    for (most, found) in [(4, 4), (5, 5), (6, 5)] {
        let asked = store.asked_person(&values, most).await.unwrap();
        assert_eq!(asked.facts.len(), found);
    }
}
