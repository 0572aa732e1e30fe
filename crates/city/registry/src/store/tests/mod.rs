//! Tests of both stores: in any order, with any repetition and any number of writers, the content
//! comes out the same.

mod asked;
mod bounds;
mod cases;
#[cfg(feature = "postgres")]
mod copies;
mod expire;
mod generated;
mod hubs;
#[cfg(feature = "postgres")]
mod looks;
#[cfg(feature = "postgres")]
mod on_postgres;
mod purge;
mod refusals;
mod rekey;
#[cfg(feature = "postgres")]
mod round_trips;
mod tokens;
mod upgrades;

use std::collections::{BTreeMap, BTreeSet};

use contract::{BatchId, Fact, FactKind, PartialDate, RecordDigest, Scheme, Suite, Vaccine};
use linking::{
    Assertion, Component, EventRefusal, GroupOutcome, IncomingEvent, NameSet, NameSetId, OpenBatch,
    RecordName, persons,
};
use proptest::prelude::*;

use super::transaction::Attempt;
use super::*;
use crate::config::SqliteConfig;
use crate::view::{StoredFact, all_facts};

/// Content of a store: the records, and who is one person with whom.
type StoreContent = (Vec<StoredFact>, BTreeSet<BTreeSet<[u8; 32]>>);

fn now() -> DateTime<Utc> {
    "2021-07-01T09:00:00Z".parse().unwrap()
}

fn name(scheme: Scheme, number: u8) -> CityPseudonym {
    let mut value = [number; 32];
    value[0] = scheme as u8;
    CityPseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch: 1,
        value,
    }
}

fn event(record: u8, version: i64, person: Option<Vec<CityPseudonym>>) -> IncomingEvent {
    let kind = FactKind::Vaccination;
    let asserted = person.map(|person| {
        let occurred_on =
            PartialDate::from_month(2021, u32::try_from(1 + version % 6).unwrap()).unwrap();
        let vaccine = Vaccine::ALL[usize::from(record) % Vaccine::ALL.len()];
        let fact = Fact::Vaccination {
            vaccine,
            dose_number: Some(1),
            series_doses: None,
            occurred_on,
        };
        Assertion::new(fact, person)
    });
    IncomingEvent {
        batch: BatchId([0; 16]),
        index: 0,
        record: record_name([record; 32]),
        version,
        content: says(record, version),
        owner: [record; 16],
        kind,
        asserted,
        is_outdated: false,
    }
}

/// Record that is stored under this digest.
fn record_name(stored: [u8; 32]) -> RecordName {
    let mut sent = RecordDigest(stored);
    sent.0[31] ^= 0xff;
    RecordName { sent, stored }
}

fn says(record: u8, version: i64) -> [u8; 16] {
    let mut content = [record; 16];
    content[8..].copy_from_slice(&version.to_be_bytes());
    content
}

fn batch(events: Vec<IncomingEvent>) -> OpenBatch {
    OpenBatch {
        id: BatchId::random(),
        name: None,
        tokens: None,
        events,
        refusals: Vec::new(),
    }
}

async fn content(store: &Store) -> StoreContent {
    let mut persons: BTreeMap<i64, BTreeSet<[u8; 32]>> = BTreeMap::new();
    for (subject, pseudonym) in store.pseudonyms(None).await.unwrap() {
        persons.entry(subject).or_default().insert(pseudonym.value);
    }
    (
        all_facts(store).await.unwrap(),
        persons.into_values().collect(),
    )
}

/// Content digests of the stored versions.
async fn said(store: &Store, events: &[IncomingEvent]) -> BTreeMap<[u8; 32], Option<[u8; 16]>> {
    let records: Vec<[u8; 32]> = events.iter().map(|event| event.record.stored).collect();
    let stored = store.stored(&records).await.unwrap();
    stored
        .into_iter()
        .map(|(record, stored)| (record, stored.content))
        .collect()
}

/// Persons that the newest versions come to, worked out without a store.
fn expected_persons(events: &[IncomingEvent]) -> BTreeSet<BTreeSet<[u8; 32]>> {
    let mut sets: BTreeMap<NameSetId, NameSet> = BTreeMap::new();
    for asserted in newest(events).filter_map(|event| event.asserted.as_ref()) {
        let set = sets.entry(asserted.name_set).or_insert_with(|| NameSet {
            id: asserted.name_set,
            names: asserted.pseudonyms.clone(),
            records: 0,
        });
        set.records += 1;
    }
    let component = Component {
        sets: sets.into_values().collect(),
        ..Component::default()
    };
    let found = persons(&component, &LinkRules::default());
    found.groups.into_iter().map(BTreeSet::from_iter).collect()
}

/// Newest version of each record, once.
fn newest(events: &[IncomingEvent]) -> impl Iterator<Item = &IncomingEvent> {
    let mut newest: BTreeMap<[u8; 32], &IncomingEvent> = BTreeMap::new();
    for event in events {
        let held = newest.entry(event.record.stored).or_insert(event);
        if event.version > held.version {
            *held = event;
        }
    }
    newest.into_values()
}

async fn apply(
    store: &Store,
    batches: &[OpenBatch],
    now: DateTime<Utc>,
) -> Result<Applied, StoreError> {
    store.apply(&batches.iter().collect::<Vec<_>>(), now).await
}

async fn apply_all(store: &Store, events: &[IncomingEvent], group: usize) -> StoreContent {
    for events in events.chunks(group) {
        apply(store, &[batch(events.to_vec())], now())
            .await
            .unwrap();
    }
    content(store).await
}

async fn sqlite() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_config(), folder.path()).await.unwrap();
    (folder, store)
}

fn sqlite_config() -> StoreConfig {
    StoreConfig::Sqlite(SqliteConfig {
        path: "r.sqlite".into(),
    })
}

/// History of records that name different subsets of one person, and where there are contradictions
/// somebody else's passport or SNILS beside them; then the same in another order, with repeats.
fn history(
    contradictions: bool,
) -> impl Strategy<Value = (Vec<IncomingEvent>, Vec<IncomingEvent>)> {
    let said = (0..4_u8, 1..8_u8, any::<bool>(), any::<bool>());
    let events =
        prop::collection::btree_map((0..6_u8, 1..5_i64), said, 1..16).prop_map(move |map| {
            map.into_iter()
                .map(|((record, version), (person, subset, withdrawn, other))| {
                    let others = contradictions && other;
                    let passport = if others {
                        (person + record) % 4
                    } else {
                        person
                    };
                    let snils = if others { record % 3 } else { person };
                    let all = [
                        name(Scheme::Snils, snils),
                        name(Scheme::PassportRu, passport),
                        name(Scheme::PassportForeign, person),
                    ];
                    let named = (0..3)
                        .filter(|bit| subset & (1 << bit) != 0)
                        .map(|bit| all[bit])
                        .collect();
                    event(record, version, (!withdrawn).then_some(named))
                })
                .collect::<Vec<_>>()
        });
    events.prop_flat_map(|events| {
        let repeats = prop::collection::vec(0..events.len(), 0..8);
        (
            Just(events.clone()),
            repeats.prop_flat_map(move |repeats| {
                let mut more = events.clone();
                more.extend(repeats.into_iter().map(|index| events[index].clone()));
                Just(more).prop_shuffle()
            }),
        )
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Versions and facts that the records must come to, worked out without a store.
fn expected(events: &[IncomingEvent]) -> BTreeMap<[u8; 32], (i64, Option<Fact>)> {
    let mut records = BTreeMap::new();
    for event in events {
        let entry = records.entry(event.record.stored).or_insert((0, None));
        if event.version > entry.0 {
            *entry = (event.version, event.fact().cloned());
        }
    }
    records
}

fn assert_facts(content: &StoreContent, events: &[IncomingEvent]) {
    let of = |fact: &StoredFact| (fact.version.to_i64(), fact.fact.clone());
    let found: BTreeMap<_, _> = content
        .0
        .iter()
        .map(|fact| (fact.record, of(fact)))
        .collect();
    assert_eq!(found, expected(events));
}

/// Smallest distance between the ids of two subjects.
async fn closest_subjects(store: &Store) -> u64 {
    let mut ids: Vec<i64> = store
        .pseudonyms(None)
        .await
        .unwrap()
        .iter()
        .map(|(id, _)| *id)
        .collect();
    ids.sort_unstable();
    ids.windows(2)
        .map(|pair| pair[1].abs_diff(pair[0]))
        .min()
        .unwrap()
}

fn first_load() -> OpenBatch {
    batch(
        (0..100)
            .map(|person| event(person, 1, Some(vec![name(Scheme::Snils, person)])))
            .collect(),
    )
}
