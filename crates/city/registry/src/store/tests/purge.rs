//! Tests of purges on both stores: persons part again, in any portions, and others stay as they
//! are.

use escrow::StatedRecord;

use super::*;

fn stated(events: &[IncomingEvent]) -> Vec<StatedRecord> {
    let one = |event: &IncomingEvent| StatedRecord {
        record: event.record.stored,
        version: linking::version_from_column(event.version),
    };
    events.iter().map(one).collect()
}

/// Facts that hold, and who is one person.
async fn holding(store: &Store) -> StoreContent {
    let (facts, persons) = content(store).await;
    let asserted = facts.into_iter().filter(|fact| fact.fact.is_some());
    (asserted.collect(), persons)
}

/// Purges the forged events of a history, and compares with a store that never had them.
async fn purge_undoes(
    store: &Store,
    without: &Store,
    honest: &[IncomingEvent],
    forged: &[IncomingEvent],
) {
    let mut all: Vec<IncomingEvent> = Vec::new();
    for place in 0..honest.len().max(forged.len()) {
        all.extend(honest.get(place).cloned());
        all.extend(forged.get(place).cloned());
    }
    apply_all(store, &all, 4).await;
    apply_all(without, honest, 4).await;
    let list = stated(forged);
    let full = holding(store).await;
    let counted = store.purge(&list, true, now(), |_| ()).await.unwrap();
    assert_eq!(holding(store).await, full);
    let purged = store.purge(&list, false, now(), |_| ()).await.unwrap();
    assert_eq!(purged.withdrawn, counted.withdrawn);
    assert_eq!(holding(store).await, holding(without).await);
    let again = store.purge(&list, false, now(), |_| ()).await.unwrap();
    let records: BTreeSet<[u8; 32]> = list.iter().map(|one| one.record).collect();
    assert_eq!(again.already_purged, records.len());
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.purged.values().sum::<u64>(), records.len() as u64);
}

/// The forger's records are others than the honest ones', of whomever they are.
fn split_of(events: Vec<IncomingEvent>) -> (Vec<IncomingEvent>, Vec<IncomingEvent>) {
    events
        .into_iter()
        .partition(|event| event.record.stored[0] % 2 == 0)
}

#[test]
fn a_purged_store_is_as_one_that_never_had_the_forgeries() {
    let runtime = runtime();
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let histories = any::<bool>().prop_flat_map(history);
    proptest!(config, |((events, _) in histories)| {
        runtime.block_on(async {
            let (_folder, store) = sqlite().await;
            let (_other, without) = sqlite().await;
            let (honest, forged) = split_of(events);
            purge_undoes(&store, &without, &honest, &forged).await;
        });
    });
}

#[cfg(feature = "postgres")]
#[test]
fn a_purged_postgresql_is_as_one_that_never_had_the_forgeries() {
    use super::on_postgres::{EMPTY, open};
    let runtime = runtime();
    let (server, store) = runtime.block_on(async {
        let server = testbed::postgres::Postgres::start().await.unwrap();
        let store = open(&server, "r").await;
        (server, store)
    });
    let config = ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((events, _) in history(true))| {
        runtime.block_on(async {
            server.psql("r", EMPTY).await.unwrap();
            let (_other, without) = sqlite().await;
            let (honest, forged) = split_of(events);
            purge_undoes(&store, &without, &honest, &forged).await;
        });
    });
    runtime.block_on(store.close());
}

#[tokio::test]
async fn only_a_version_that_the_list_names_is_withdrawn() {
    let (_folder, store) = sqlite().await;
    let person = || Some(vec![name(Scheme::Snils, 1)]);
    let events = [
        event(1, 5, person()),
        event(2, 5, person()),
        event(3, 5, None),
    ];
    apply_all(&store, &events, 4).await;
    let list = stated(&[
        event(1, 4, None),
        event(1, 6, None),
        event(2, 4, None),
        event(2, 5, None),
        event(3, 5, None),
        event(4, 1, None),
    ]);
    let purged = store.purge(&list, false, now(), |_| ()).await.unwrap();
    assert_eq!(purged.withdrawn.values().sum::<usize>(), 1);
    assert_eq!((purged.other_version, purged.unknown), (1, 1));
    assert_eq!(purged.already_withdrawn, 1);
    let (facts, _) = holding(&store).await;
    assert_eq!(facts.len(), 1);
    assert_eq!(facts[0].record, event(1, 5, None).record.stored);
}
