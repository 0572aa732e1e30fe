//! Tests of both stores: in any order, with any repetition and any number of writers, the content
//! comes out the same.

mod cases;
#[cfg(feature = "postgres")]
mod copies;
mod generated;
#[cfg(feature = "postgres")]
mod on_postgres;

use std::collections::{BTreeMap, BTreeSet};

use contract::{BatchId, Fact, FactKind, PartialDate, Scheme, Suite, Vaccine};
use linking::{Assertion, EventRefusal, GroupOutcome, IncomingEvent};
use proptest::prelude::*;

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
    let asserted = person.map(|mut person| {
        person.sort_unstable_by_key(CityPseudonym::strength);
        let occurred_on =
            PartialDate::from_month(2021, u32::try_from(1 + version % 6).unwrap()).unwrap();
        let vaccine = Vaccine::ALL[usize::from(record) % Vaccine::ALL.len()];
        Assertion {
            fact: Fact::Vaccination {
                vaccine,
                dose_number: Some(1),
                series_doses: None,
                occurred_on,
            },
            pseudonyms: person,
        }
    });
    let content = Some(says(record, version));
    IncomingEvent {
        batch: BatchId([0; 16]),
        index: 0,
        record: [record; 32],
        version,
        content,
        kind,
        asserted,
    }
}

fn says(record: u8, version: i64) -> [u8; 16] {
    let mut content = [record; 16];
    content[8..].copy_from_slice(&version.to_be_bytes());
    content
}

fn batch(events: Vec<IncomingEvent>) -> OpenBatch {
    OpenBatch {
        id: BatchId::random(),
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
    let records: Vec<[u8; 32]> = events.iter().map(|event| event.record).collect();
    let stored = store.stored(&records).await.unwrap();
    stored
        .into_iter()
        .map(|(record, stored)| (record, stored.content))
        .collect()
}

/// Groups that come of joining the persons of `events`.
fn joined<'a>(events: impl Iterator<Item = &'a IncomingEvent>) -> BTreeSet<BTreeSet<[u8; 32]>> {
    let mut groups: Vec<BTreeSet<[u8; 32]>> = Vec::new();
    for asserted in events.filter_map(|event| event.asserted.as_ref()) {
        let mut group: BTreeSet<_> = asserted.pseudonyms.iter().map(|name| name.value).collect();
        groups.retain(|other| {
            other.is_disjoint(&group) || {
                group.extend(other);
                false
            }
        });
        groups.push(group);
    }
    groups.into_iter().collect()
}

/// True where every group of `fine` lies within one of `coarse`.
fn refines(fine: &BTreeSet<BTreeSet<[u8; 32]>>, coarse: &BTreeSet<BTreeSet<[u8; 32]>>) -> bool {
    fine.iter()
        .all(|group| coarse.iter().any(|other| group.is_subset(other)))
}

fn newest(events: &[IncomingEvent]) -> impl Iterator<Item = &IncomingEvent> {
    let newer = |event: &&IncomingEvent| {
        !events
            .iter()
            .any(|other| other.record == event.record && other.version > event.version)
    };
    events.iter().filter(newer)
}

/// History with all versions of a record naming the same, the last one asserting it.
fn steady(events: &[IncomingEvent]) -> Vec<IncomingEvent> {
    let schemes = [Scheme::Snils, Scheme::PassportRu, Scheme::PassportForeign];
    let names = |record: u8| {
        let pick = |offset: u8| name(schemes[usize::from((record + offset) % 3)], record % 4);
        vec![pick(0), pick(1)]
    };
    let last = |incoming: &IncomingEvent| {
        !events
            .iter()
            .any(|other| other.record == incoming.record && other.version > incoming.version)
    };
    let again = |incoming: &IncomingEvent| {
        let named =
            (incoming.asserted.is_some() || last(incoming)).then(|| names(incoming.record[0]));
        event(incoming.record[0], incoming.version, named)
    };
    events.iter().map(again).collect()
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

/// History without contradictions, as a person `i` has at most one SNILS and any number of
/// passports, and the events about one record may name different subsets of one person; then the
/// same in another order, with repeats.
fn history(
    contradictions: bool,
) -> impl Strategy<Value = (Vec<IncomingEvent>, Vec<IncomingEvent>)> {
    let said = (0..4_u8, 1..8_u8, any::<bool>(), any::<bool>());
    let events =
        prop::collection::btree_map((0..6_u8, 1..5_i64), said, 1..16).prop_map(move |map| {
            map.into_iter()
                .map(|((record, version), (person, subset, withdrawn, other))| {
                    let passport = if contradictions && other { 9 } else { person };
                    let all = [
                        name(Scheme::Snils, person),
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
        let repeats = prop::collection::vec((0..events.len(), any::<bool>()), 0..8);
        (
            Just(events.clone()),
            repeats.prop_flat_map(move |repeats| {
                let mut more = events.clone();
                // Some of the repeats as a gateway of before receipts sends them.
                more.extend(repeats.into_iter().map(|(index, known)| {
                    let event = &events[index];
                    IncomingEvent {
                        content: event.content.filter(|_| known),
                        ..event.clone()
                    }
                }));
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
        let entry = records.entry(event.record).or_insert((0, None));
        if event.version > entry.0 {
            *entry = (event.version, event.fact().cloned());
        }
    }
    records
}

fn assert_facts(content: &StoreContent, events: &[IncomingEvent]) {
    let of = |fact: &StoredFact| {
        (
            i64::try_from(fact.version.to_u64()).unwrap(),
            fact.fact.clone(),
        )
    };
    let found: BTreeMap<_, _> = content
        .0
        .iter()
        .map(|fact| (fact.record.0, of(fact)))
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
