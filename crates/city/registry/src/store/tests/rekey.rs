//! Tests that names which follow a new key come to what a store holds that never knew the old one.

use chrono::TimeDelta;
use linking::{Decision, Rekeying};
use oprf::{Element, Factor};
use secrecy::SecretString;
#[cfg(feature = "postgres")]
use testbed::postgres::Postgres;

use super::*;
use crate::store::rekey::multiply;

/// Compressed generator of ristretto255 (RFC 9496, appendix A.1).
const GENERATOR: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

/// Name of suite `voprf` and epoch 1 in the place of another name.
fn element(name: &CityPseudonym) -> CityPseudonym {
    let mut generator = [0; 32];
    hex::decode_to_slice(GENERATOR, &mut generator).unwrap();
    let factor = Factor::derive(name.scheme.as_str().as_bytes(), &name.value);
    let value = Element::from_bytes(generator).unwrap().times(&factor);
    CityPseudonym {
        suite: Suite::Voprf,
        value: value.to_bytes(),
        ..*name
    }
}

fn old(scheme: Scheme, number: u8) -> CityPseudonym {
    element(&name(scheme, number))
}

fn rekeying() -> Arc<Rekeying> {
    rekeying_by(1, 2)
}

fn rekeying_by(number: u8, to: Epoch) -> Arc<Rekeying> {
    let key = SecretString::from("0b".repeat(32));
    let key = SecondLayerKey::from_text(&key).unwrap();
    let change = Factor::derive(b"change of a test", &[number; 32]);
    Arc::new(Rekeying::new(&key, 1, to, &change))
}

/// The events with names of suite `voprf`: of the old epoch, of the new one, or of both, or with
/// one name of another suite beside them, as clinics send them that change their keys one by one.
fn of_elements(events: &[IncomingEvent], rekeying: &Rekeying) -> Vec<IncomingEvent> {
    let event = |event: &IncomingEvent| {
        let asserted = event.asserted.as_ref().map(|asserted| {
            let names = asserted.pseudonyms.iter();
            let old: Vec<CityPseudonym> = names.map(element).collect();
            let new = old.iter().map(|name| rekeying.name(name));
            let names = match event.record.stored[0] % 4 {
                0 => new.collect(),
                1 => old.iter().copied().chain(new).collect(),
                2 => old
                    .iter()
                    .copied()
                    .chain([asserted.pseudonyms[0]])
                    .collect(),
                _ => old,
            };
            Assertion::new(asserted.fact.clone(), names)
        });
        IncomingEvent {
            asserted,
            ..event.clone()
        }
    };
    events.iter().map(event).collect()
}

/// The events as they would have come under the new key.
fn renamed(events: &[IncomingEvent], rekeying: &Rekeying) -> Vec<IncomingEvent> {
    rekeying.batch(&batch(events.to_vec())).events
}

async fn rekey(store: &Store, rekeying: &Arc<Rekeying>) -> Rekeyed {
    store.rekey(rekeying, now(), |_| {}).await.unwrap()
}

/// What no change of names changes.
fn names_of(content: &StoreContent) -> BTreeSet<[u8; 32]> {
    content.1.iter().flatten().copied().collect()
}

/// Contests, by name and kind.
async fn contests(store: &Store) -> BTreeSet<([u8; 32], String)> {
    let found = store.contests(1000).await.unwrap();
    let found = found.into_iter();
    found.map(|row| (row.name.value, row.kind)).collect()
}

/// Stores the first events, changes the names, stores the others, and compares with a store that
/// gets all of them under the new key.
async fn come_to_the_same(changed: &Store, fresh: &Store, events: &[IncomingEvent], first: usize) {
    let rekeying = rekeying();
    let events = of_elements(events, &rekeying);
    let (before, after) = events.split_at(first.min(events.len()));
    apply_all(changed, before, 2).await;
    let done = rekey(changed, &rekeying).await;
    assert!(matches!(done, Rekeyed::Done(_)));
    let content = apply_all(changed, after, 2).await;
    let expected = apply_all(fresh, &renamed(&events, &rekeying), 2).await;
    assert_eq!(content, expected);
    assert_eq!(contests(changed).await, contests(fresh).await);
    for name in names_of(&content) {
        let around = changed.around(&name).await.unwrap().unwrap();
        let names = around.persons.iter().flat_map(|person| &person.names);
        assert!(names.into_iter().all(|name| !rekeying.concerns(name)));
    }
    assert_eq!(rekey(changed, &rekeying).await, Rekeyed::DoneBefore);
}

#[test]
fn changed_names_come_to_what_a_fresh_sqlite_store_holds() {
    let runtime = runtime();
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let histories = any::<bool>().prop_flat_map(history);
    proptest!(config, |((_, events) in histories, first in 0..16_usize)| {
        runtime.block_on(async {
            let (_folder, mut changed) = sqlite().await;
            changed.set_rekeyings(Arc::new([rekeying()]));
            let (_other, fresh) = sqlite().await;
            come_to_the_same(&changed, &fresh, &events, first).await;
        });
    });
}

#[cfg(feature = "postgres")]
#[test]
fn changed_names_come_to_what_a_fresh_postgresql_store_holds() {
    let runtime = runtime();
    let (server, changed) = runtime.block_on(async {
        let server = Postgres::start().await.unwrap();
        let mut store = on_postgres::open(&server, "r").await;
        store.set_rekeyings(Arc::new([rekeying()]));
        (server, store)
    });
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let histories = any::<bool>().prop_flat_map(history);
    proptest!(config, |((_, events) in histories, first in 0..16_usize)| {
        runtime.block_on(async {
            server.psql("r", on_postgres::EMPTY).await.unwrap();
            let more = "TRUNCATE rekeying, rekeyed_name, former_name, decided_name";
            server.psql("r", more).await.unwrap();
            let (_other, fresh) = sqlite().await;
            changed.changed_epochs.lock().clear();
            come_to_the_same(&changed, &fresh, &events, first).await;
        });
    });
    runtime.block_on(changed.close());
}

fn ten_persons() -> Vec<IncomingEvent> {
    let person = |number: u8| {
        let names = vec![old(Scheme::Snils, number), old(Scheme::Oms, number)];
        event(number, 1, Some(names))
    };
    (0..10).map(person).collect()
}

#[tokio::test]
async fn a_change_that_was_stopped_anywhere_goes_on_from_there() {
    let rekeying = rekeying();
    let (_other, fresh) = sqlite().await;
    let expected = apply_all(&fresh, &renamed(&ten_persons(), &rekeying), 10).await;
    for chunks in 0..=5 {
        let (folder, store) = sqlite().await;
        let content = apply_all(&store, &ten_persons(), 10).await;
        store.backend.begin_rekeying(&rekeying).await.unwrap();
        for _ in 0..chunks {
            let names = store.backend.names_to_rekey(1, &[], 4).await.unwrap();
            let rekeyed = multiply(&rekeying, &names).unwrap();
            store.backend.add_rekeyed(&rekeyed).await.unwrap();
        }
        // The end of the work without its commit, as a kill leaves it.
        let rules = LinkRules::default();
        let stopped = store.backend.switch(&rekeying, &rules, false, now());
        stopped.await.unwrap();
        store.close().await;
        let store = Store::open(&sqlite_config(), folder.path()).await.unwrap();
        assert_eq!(super::content(&store).await, content, "{chunks} chunks");
        assert_eq!(
            rekey(&store, &rekeying).await,
            Rekeyed::Done(20 - 4 * chunks),
            "what was worked out is not worked out again"
        );
        assert_eq!(super::content(&store).await, expected, "{chunks} chunks");
    }
}

#[tokio::test]
async fn two_programs_at_once_change_names_once() {
    let rekeying = rekeying();
    let (folder, one) = sqlite().await;
    apply_all(&one, &ten_persons(), 10).await;
    let other = Store::open(&sqlite_config(), folder.path()).await.unwrap();
    let (first, second) = tokio::join!(
        one.rekey(&rekeying, now(), |_| {}),
        other.rekey(&rekeying, now(), |_| {})
    );
    first.unwrap();
    second.unwrap();
    let (_other, fresh) = sqlite().await;
    let expected = apply_all(&fresh, &renamed(&ten_persons(), &rekeying), 10).await;
    assert_eq!(content(&one).await, expected);
}

#[tokio::test]
async fn another_factor_and_another_epoch_are_refused() {
    let (_folder, store) = sqlite().await;
    apply_all(&store, &ten_persons(), 10).await;
    store.backend.begin_rekeying(&rekeying()).await.unwrap();
    let refuse = async |rekeying: Arc<Rekeying>| {
        let error = store.rekey(&rekeying, now(), |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), "misconfigured");
        error.to_string()
    };
    assert!(refuse(rekeying_by(9, 2)).await.contains("another factor"));
    assert!(refuse(rekeying_by(1, 3)).await.contains("another epoch"));
    rekey(&store, &rekeying()).await;
    assert!(refuse(rekeying_by(9, 2)).await.contains("another factor"));
    let wrong = store.check_rekeyings(&[rekeying_by(9, 2)]).await;
    assert_eq!(wrong.unwrap_err().kind(), "misconfigured");
    store.check_rekeyings(&[rekeying()]).await.unwrap();
}

#[tokio::test]
async fn old_names_are_refused_where_it_is_not_known_how_they_changed() {
    let (folder, store) = sqlite().await;
    apply_all(&store, &ten_persons(), 10).await;
    rekey(&store, &rekeying()).await;
    store.close().await;
    let mut store = Store::open(&sqlite_config(), folder.path()).await.unwrap();
    let late = [batch(vec![event(11, 1, Some(vec![old(Scheme::Oms, 3)]))])];
    let error = apply(&store, &late, now()).await.unwrap_err();
    assert_eq!(error.kind(), "misconfigured");
    assert!(error.to_string().contains("keys.rekeyed"), "{error}");
    store.set_rekeyings(Arc::new([rekeying()]));
    let applied = apply(&store, &late, now()).await.unwrap();
    assert_eq!(applied.outcome.applied, 1);
    let name = rekeying().name(&old(Scheme::Snils, 3)).value;
    let around = store.around(&name).await.unwrap().unwrap();
    assert_eq!(around.persons[0].records, 2, "it is the same person's");
}

#[tokio::test]
async fn decisions_of_operators_follow_also_about_names_that_no_record_states() {
    let rekeying = rekeying();
    let new = |scheme, number| rekeying.name(&old(scheme, number)).value;
    let oms = |number| old(Scheme::Oms, number).value;
    let (_folder, changed) = sqlite().await;
    let events = ten_persons();
    apply_all(&changed, &events, 10).await;
    let decisions = [
        Decision::Alone(oms(1)),
        Decision::Together(oms(2), oms(3)),
        Decision::Alone(oms(4)),
    ];
    for decision in decisions {
        changed.decide(decision, true, now()).await.unwrap();
    }
    apply_all(&changed, &[event(4, 2, None)], 1).await;
    rekey(&changed, &rekeying).await;
    let (_other, fresh) = sqlite().await;
    apply_all(&fresh, &renamed(&events, &rekeying), 10).await;
    let decisions = [
        Decision::Alone(new(Scheme::Oms, 1)),
        Decision::Together(new(Scheme::Oms, 2), new(Scheme::Oms, 3)),
        Decision::Alone(new(Scheme::Oms, 4)),
    ];
    for decision in decisions {
        fresh.decide(decision, true, now()).await.unwrap();
    }
    apply_all(&fresh, &[event(4, 2, None)], 1).await;
    assert_eq!(content(&changed).await, content(&fresh).await);
    // Who comes back finds what was decided.
    let back = renamed(
        &[event(
            4,
            3,
            ten_persons()[4].asserted.clone().map(|a| a.pseudonyms),
        )],
        &rekeying,
    );
    let expected = apply_all(&fresh, &back, 1).await;
    assert_eq!(apply_all(&changed, &back, 1).await, expected);
    let actions = changed.actions(10).await.unwrap();
    assert!(
        actions
            .iter()
            .any(|action| action.one == new(Scheme::Oms, 1))
    );
}

#[tokio::test]
async fn former_names_are_kept_for_an_hour_and_then_as_long_as_passes_are_counted_under_them() {
    let rekeying = rekeying();
    let (_folder, store) = sqlite().await;
    apply_all(&store, &ten_persons(), 10).await;
    let counted = old(Scheme::Snils, 1);
    let other = old(Scheme::Snils, 2);
    let key = PassKey {
        name: counted.value,
        begins_at: now().timestamp(),
        ends_at: now().timestamp() + 86_400,
    };
    store.count_passes(&[key], 1, now()).await.unwrap();
    rekey(&store, &rekeying).await;
    let has_former = async |old: &CityPseudonym| {
        let new = rekeying.name(old).value;
        let found = store.pass_name(new).await.unwrap();
        assert!(found == old.value || found == new);
        found == old.value
    };
    let hour = TimeDelta::hours(1);
    store.prune_former_names(now() + hour).await.unwrap();
    assert!(has_former(&counted).await && has_former(&other).await);
    let after = now() + hour + TimeDelta::seconds(1);
    store.prune_former_names(after).await.unwrap();
    assert!(has_former(&counted).await && !has_former(&other).await);
    let days = TimeDelta::days(2);
    store.prune_passes(now() + days).await.unwrap();
    store.prune_former_names(after).await.unwrap();
    assert!(!has_former(&counted).await);
}
