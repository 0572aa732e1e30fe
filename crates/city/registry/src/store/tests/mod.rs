//! Tests of both stores: in any order, with any repetition and any number of writers, the content
//! comes out the same.

use std::collections::{BTreeMap, BTreeSet};

use contract::{BatchId, Fact, FactKind, PartialDate, Scheme, Suite, Vaccine};
use linking::{Assertion, EventRefusal, IncomingEvent, Outcome};
use proptest::prelude::*;

use super::sqlite::SqliteStore;
use super::*;
use crate::config::SqliteConfig;
use crate::view::{StoredFact, all_facts};

/// All there is: the records, and who is one person with whom.
type Content = (Vec<StoredFact>, BTreeSet<BTreeSet<[u8; 32]>>);

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

async fn content(store: &Store) -> Content {
    let mut persons: BTreeMap<i64, BTreeSet<[u8; 32]>> = BTreeMap::new();
    for (subject, pseudonym) in store.pseudonyms(None).await.unwrap() {
        persons.entry(subject).or_default().insert(pseudonym.value);
    }
    (
        all_facts(store).await.unwrap(),
        persons.into_values().collect(),
    )
}

/// What the stored versions say.
async fn said(store: &Store, events: &[IncomingEvent]) -> BTreeMap<[u8; 32], Option<[u8; 16]>> {
    let records: Vec<[u8; 32]> = events.iter().map(|event| event.record).collect();
    let stored = store.stored(&records).await.unwrap();
    stored
        .into_iter()
        .map(|(record, stored)| (record, stored.content))
        .collect()
}

/// The groups that come of joining the persons of `events`.
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

/// Whether every group of `fine` lies within one of `coarse`.
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

/// The same history with all versions of a record naming the same, the last one asserting it.
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

async fn apply_all(store: &Store, events: &[IncomingEvent], group: usize) -> Content {
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

/// A history without contradictions, as a person `i` has at most one SNILS and any number of
/// passports, and the events about one record may name different subsets of one person; then the
/// same in another order, with repeats.
fn history(
    contradictions: bool,
) -> impl Strategy<Value = (Vec<IncomingEvent>, Vec<IncomingEvent>)> {
    let said = (0..4_u8, 1..8_u8, any::<bool>(), any::<bool>());
    let events =
        prop::collection::btree_map((0..6_u8, 1..5_i64), said, 1..16).prop_map(move |map| {
            let make = |((record, version), (person, subset, withdrawn, other)): (
                (u8, i64),
                (u8, u8, bool, bool),
            )| {
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
            };
            map.into_iter().map(make).collect::<Vec<_>>()
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

/// What the records must come to, worked out without a store.
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

fn assert_facts(content: &Content, events: &[IncomingEvent]) {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_repetition_change_no_fact((first, shuffled) in history(false), group in 1..6_usize) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            let content = apply_all(&store, &shuffled, group).await;
            assert_facts(&content, &first);
            assert!(refines(&joined(newest(&first)), &content.1), "the newest versions always \
                link");
            assert!(refines(&content.1, &joined(first.iter())), "nothing else than versions ever \
                does");
            assert_eq!(content, apply_all(&store, &first, group).await, "once more, on top");
            let newest = newest(&first).map(|event| (event.record, event.content)).collect();
            assert_eq!(said(&store, &first).await, newest);
        });
    }

    #[test]
    fn where_no_version_drops_a_name_order_changes_nothing((first, shuffled) in history(false), group in 1..6_usize) {
        let first = steady(&first);
        let shuffled = steady(&shuffled);
        runtime().block_on(async {
            let (_a, a) = sqlite().await;
            let (_b, b) = sqlite().await;
            let straight = apply_all(&a, &first, 100).await;
            assert_facts(&straight, &first);
            assert_eq!(straight.1, joined(newest(&first)));
            assert_eq!(straight, apply_all(&b, &shuffled, group).await);
        });
    }

    #[test]
    fn contradictions_never_share_a_subject((_, shuffled) in history(true), group in 1..6_usize) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            let content = apply_all(&store, &shuffled, group).await;
            assert_facts(&content, &shuffled);
            for person in &content.1 {
                let snils = person.iter().filter(|value| value[0] == Scheme::Snils as u8).count();
                assert!(snils <= 1, "two SNILS under one subject");
            }
            for fact in content.0.iter().filter(|fact| fact.fact.is_some()) {
                let newest = shuffled.iter().filter(|event| event.record == fact.record.0).max_by_key(|event| event.version);
                let named = &newest.unwrap().asserted.as_ref().unwrap().pseudonyms;
                assert!(fact.subject.contains(&named[0]), "a fact left its strongest name");
            }
        });
    }
}

#[tokio::test]
async fn a_withdrawn_record_keeps_nothing_and_may_come_back() {
    let (_folder, store) = sqlite().await;
    let person = vec![name(Scheme::Snils, 1)];
    apply_all(&store, &[event(1, 3, None)], 1).await;
    let (facts, _) = apply_all(&store, &[event(1, 2, Some(person.clone()))], 1).await;
    assert_eq!(
        (
            facts[0].fact.clone(),
            facts[0].subject.len(),
            facts[0].version.to_u64()
        ),
        (None, 0, 3)
    );
    let (facts, _) = apply_all(&store, &[event(1, 4, Some(person.clone()))], 1).await;
    assert_eq!(facts[0].subject, person);
    let (facts, _) = apply_all(&store, &[event(1, 5, None)], 1).await;
    assert_eq!((facts[0].fact.clone(), facts[0].subject.len()), (None, 0));
    let raw = &store.facts(None).await.unwrap()[0];
    assert!(raw.vaccine.is_none() && raw.occurred_on.is_none() && raw.dose_number.is_none());
}

#[tokio::test]
async fn a_conflict_is_written_down_once() {
    let (_folder, store) = sqlite().await;
    let shared = name(Scheme::PassportRu, 7);
    let mine = |number| Some(vec![name(Scheme::Snils, number), shared]);
    apply_all(
        &store,
        &[
            event(1, 1, mine(1)),
            event(2, 1, mine(2)),
            event(2, 2, mine(2)),
        ],
        1,
    )
    .await;
    assert_eq!(store.stats().await.unwrap().conflicts, 1);
    let (facts, persons) = content(&store).await;
    assert_eq!(persons.len(), 2);
    assert_eq!(
        facts[0].subject,
        [name(Scheme::Snils, 1), shared],
        "the shared name stays where it was first"
    );
    assert_eq!(facts[1].subject, [name(Scheme::Snils, 2)]);
}

#[tokio::test]
async fn a_corrected_mistake_that_comes_late_links_nobody() {
    let mine = name(Scheme::Snils, 1);
    let other = name(Scheme::PassportRu, 2);
    let mistake = event(1, 1, Some(vec![mine, other]));
    let corrected = event(1, 2, Some(vec![mine, name(Scheme::PassportRu, 1)]));
    let others = event(2, 1, Some(vec![name(Scheme::Snils, 2), other]));
    for group in [1, 3] {
        let (_folder, store) = sqlite().await;
        let events = [corrected.clone(), mistake.clone(), others.clone()];
        let (facts, persons) = apply_all(&store, &events, group).await;
        assert_eq!(persons.len(), 2);
        assert_eq!(facts[0].subject, [mine, name(Scheme::PassportRu, 1)]);
        assert_eq!(facts[1].subject, [name(Scheme::Snils, 2), other]);
        assert_eq!(store.stats().await.unwrap().conflicts, 0);
    }
}

#[tokio::test]
async fn a_store_that_only_answers_does_not_take_writes() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig {
        path: "r.sqlite".into(),
    };
    let file = SqliteStore::open(&config, folder.path()).await.unwrap();
    let store = Store::from(file.clone());
    store.claim(&[7; 32]).await.unwrap();
    store.ping_writing().await.unwrap();
    file.refuse_writes().await;
    store.ping().await.unwrap();
    assert_eq!(
        store.ping_writing().await.unwrap_err().kind(),
        "misconfigured"
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (folder, store) = sqlite().await;
    store.close().await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("r.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (99, 'later', true, x'00', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    pool.close().await;
    let error = Store::open(&sqlite_config(), folder.path())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "misconfigured");
    assert!(error.to_string().contains("version 99"), "{error}");
}

/// Every pseudonym's subject, and how close two of them come.
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

#[tokio::test]
async fn a_first_load_is_no_block_of_subjects() {
    let (_folder, store) = sqlite().await;
    apply(&store, &[first_load()], now()).await.unwrap();
    // Of 100 random numbers of 63 bits, two come closer than 2^32 once in 10^5 runs.
    assert!(closest_subjects(&store).await > 1 << 32);
}

#[tokio::test]
async fn the_same_version_with_other_content_is_refused_and_told() {
    let (_folder, store) = sqlite().await;
    let person = Some(vec![name(Scheme::Snils, 1)]);
    let good = event(1, 3, person.clone());
    let other = IncomingEvent {
        content: Some([9; 16]),
        index: 1,
        ..good.clone()
    };
    let back = IncomingEvent {
        asserted: None,
        index: 2,
        ..good.clone()
    };
    let group = [
        batch(vec![good.clone(), other, back]),
        batch(vec![event(1, 2, person), good]),
    ];
    let Applied { outcome, answers } = apply(&store, &group, now()).await.unwrap();
    let expected = Outcome {
        applied: 1,
        unchanged: 1,
        superseded: 1,
        refused: 2,
        version_reused: 2,
        ..outcome
    };
    assert_eq!(outcome, expected);
    assert_eq!((answers[0].accepted, answers[0].refused.len()), (1, 2));
    assert_eq!(
        (answers[1].accepted, answers[1].superseded[0].held.to_u64()),
        (2, 3)
    );
    assert_eq!(
        store.stats().await.unwrap().refusals,
        BTreeMap::from([("version-reused".to_owned(), 2)])
    );
    // Once more: the same answers, and nothing new.
    let Applied {
        outcome: again,
        answers: told,
    } = apply(&store, &group, now()).await.unwrap();
    assert_eq!((again.applied, again.unchanged, told), (0, 2, answers));
    assert_eq!(
        said(&store, &group[1].events).await[&[1; 32]],
        Some(says(1, 3))
    );
}

#[tokio::test]
async fn a_store_of_before_receipts_is_brought_up_to_date_and_learns_contents() {
    let (folder, store) = sqlite().await;
    let known = event(1, 1, Some(vec![name(Scheme::Snils, 1)]));
    apply(&store, &[batch(vec![known.clone()])], now())
        .await
        .unwrap();
    store.close().await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("r.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    for sql in [
        "ALTER TABLE fact DROP COLUMN content",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let store = Store::open(&sqlite_config(), folder.path()).await.unwrap();
    assert_eq!(
        said(&store, std::slice::from_ref(&known)).await,
        BTreeMap::from([([1; 32], None)])
    );
    let Applied { outcome, .. } = apply(&store, &[batch(vec![known.clone()])], now())
        .await
        .unwrap();
    assert_eq!((outcome.applied, outcome.unchanged), (0, 1));
    assert_eq!(
        said(&store, std::slice::from_ref(&known)).await,
        BTreeMap::from([([1; 32], known.content)])
    );
}

#[tokio::test]
async fn refusals_stay_bounded() {
    let (_folder, store) = sqlite().await;
    for second in 0..5 {
        let reason = contract::RefusalReason::BadDate;
        let refusal = EventRefusal {
            batch: BatchId::random(),
            index: 0,
            record: None,
            version: None,
            reason,
        };
        let group = OpenBatch {
            id: refusal.batch,
            events: Vec::new(),
            refusals: vec![refusal],
        };
        let at = now() + chrono::TimeDelta::seconds(second);
        assert_eq!(
            apply(&store, std::slice::from_ref(&group), at)
                .await
                .unwrap()
                .outcome
                .refused,
            1
        );
        apply(&store, &[group], at).await.unwrap();
    }
    assert_eq!(
        store.stats().await.unwrap().refusals,
        BTreeMap::from([("bad-date".to_owned(), 5)])
    );
    assert_eq!(store.prune_to(3).await.unwrap(), 2);
    assert_eq!(store.prune_to(3).await.unwrap(), 0);
}

#[cfg(feature = "postgres")]
mod copies;
#[cfg(feature = "postgres")]
mod on_postgres;

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_make_the_tables_at_the_same_moment_do_not_disturb_each_other() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::Sqlite(SqliteConfig {
            path: folder.path().join("registry.db"),
        });
        let open = async || {
            Store::open(&config, folder.path())
                .await
                .unwrap()
                .close()
                .await
        };
        tokio::join!(open(), open(), open(), open());
    }
}
