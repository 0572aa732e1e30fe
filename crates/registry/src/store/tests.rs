//! Any order, any repetition, any number of writers: the content comes out the same, on both stores.

use std::collections::{BTreeMap, BTreeSet};

use contract::{BatchId, Fact, FactKind, PartialDate, Scheme, Suite, Vaccine};
use proptest::prelude::*;

use super::*;
use crate::config::SqliteConfig;
use crate::incoming::Incoming;
use crate::second_layer::CityPseudonym;
use crate::view::{StoredFact, all_facts};

/// All there is: the records, and who is one person with whom.
type Content = (Vec<StoredFact>, BTreeSet<BTreeSet<[u8; 32]>>);

fn now() -> DateTime<Utc> {
    "2021-07-01T09:00:00Z".parse().unwrap()
}

fn name(scheme: Scheme, number: u8) -> CityPseudonym {
    let mut value = [number; 32];
    value[0] = scheme as u8;
    CityPseudonym { scheme, suite: Suite::Hmac, epoch: 1, value }
}

fn event(record: u8, version: i64, person: Option<Vec<CityPseudonym>>) -> Incoming {
    let kind = FactKind::Vaccination;
    let asserted = person.map(|mut person| {
        person.sort_unstable_by_key(CityPseudonym::strength);
        let occurred_on = PartialDate::from_month(2021, u32::try_from(1 + version % 6).unwrap()).unwrap();
        let vaccine = Vaccine::ALL[usize::from(record) % Vaccine::ALL.len()];
        (Fact::Vaccination { vaccine, dose_number: Some(1), series_doses: None, occurred_on }, person)
    });
    Incoming { batch: BatchId([0; 16]), index: 0, record: [record; 32], version, kind, asserted }
}

fn batch(events: Vec<Incoming>) -> OpenBatch {
    OpenBatch { id: BatchId::random(), events, refusals: Vec::new() }
}

async fn content(store: &Store) -> Content {
    let mut persons: BTreeMap<i64, BTreeSet<[u8; 32]>> = BTreeMap::new();
    for (subject, pseudonym) in store.pseudonyms(None).await.unwrap() {
        persons.entry(subject).or_default().insert(pseudonym.value);
    }
    (all_facts(store).await.unwrap(), persons.into_values().collect())
}

/// The groups that come of joining the persons of `events`.
fn joined<'a>(events: impl Iterator<Item = &'a Incoming>) -> BTreeSet<BTreeSet<[u8; 32]>> {
    let mut groups: Vec<BTreeSet<[u8; 32]>> = Vec::new();
    for (_, person) in events.filter_map(|event| event.asserted.as_ref()) {
        let mut group: BTreeSet<_> = person.iter().map(|name| name.value).collect();
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
    fine.iter().all(|group| coarse.iter().any(|other| group.is_subset(other)))
}

fn newest(events: &[Incoming]) -> impl Iterator<Item = &Incoming> {
    let newer = |event: &&Incoming| {
        !events.iter().any(|other| other.record == event.record && other.version > event.version)
    };
    events.iter().filter(newer)
}

/// The same history with all versions of a record naming the same, the last one asserting it.
fn steady(events: &[Incoming]) -> Vec<Incoming> {
    let schemes = [Scheme::Snils, Scheme::PassportRu, Scheme::PassportForeign];
    let names = |record: u8| {
        let pick = |offset: u8| name(schemes[usize::from((record + offset) % 3)], record % 4);
        vec![pick(0), pick(1)]
    };
    let last = |incoming: &Incoming| {
        !events.iter().any(|other| other.record == incoming.record && other.version > incoming.version)
    };
    let again = |incoming: &Incoming| {
        let named = (incoming.asserted.is_some() || last(incoming)).then(|| names(incoming.record[0]));
        event(incoming.record[0], incoming.version, named)
    };
    events.iter().map(again).collect()
}

async fn apply_all(store: &Store, events: &[Incoming], group: usize) -> Content {
    for events in events.chunks(group) {
        store.apply(&[batch(events.to_vec())], now()).await.unwrap();
    }
    content(store).await
}

async fn sqlite() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::Sqlite(SqliteConfig { path: "r.sqlite".into() });
    let store = Store::open(&config, folder.path()).await.unwrap();
    (folder, store)
}

/// A history without contradictions, as a person `i` has at most one SNILS and any number of passports, and the
/// events about one record may name different subsets of one person; then the same in another order, with repeats.
fn history(contradictions: bool) -> impl Strategy<Value = (Vec<Incoming>, Vec<Incoming>)> {
    let said = (0..4_u8, 1..8_u8, any::<bool>(), any::<bool>());
    let events = prop::collection::btree_map((0..6_u8, 1..5_i64), said, 1..16).prop_map(move |map| {
        let make =
            |((record, version), (person, subset, withdrawn, other)): ((u8, i64), (u8, u8, bool, bool))| {
                let passport = if contradictions && other { 9 } else { person };
                let all = [
                    name(Scheme::Snils, person),
                    name(Scheme::PassportRu, passport),
                    name(Scheme::PassportForeign, person),
                ];
                let named = (0..3).filter(|bit| subset & (1 << bit) != 0).map(|bit| all[bit]).collect();
                event(record, version, (!withdrawn).then_some(named))
            };
        map.into_iter().map(make).collect::<Vec<_>>()
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
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What the records must come to, worked out without a store.
fn expected(events: &[Incoming]) -> BTreeMap<[u8; 32], (i64, Option<Fact>)> {
    let mut records = BTreeMap::new();
    for event in events {
        let entry = records.entry(event.record).or_insert((0, None));
        if event.version > entry.0 {
            *entry = (event.version, event.asserted.as_ref().map(|(fact, _)| fact.clone()));
        }
    }
    records
}

fn assert_facts(content: &Content, events: &[Incoming]) {
    let of = |fact: &StoredFact| (i64::try_from(fact.version.to_u64()).unwrap(), fact.fact.clone());
    let found: BTreeMap<_, _> = content.0.iter().map(|fact| (fact.record.0, of(fact))).collect();
    assert_eq!(found, expected(events));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    #[test]
    fn order_and_repetition_change_no_fact((first, shuffled) in history(false), group in 1..6_usize) {
        runtime().block_on(async {
            let (_folder, store) = sqlite().await;
            let content = apply_all(&store, &shuffled, group).await;
            assert_facts(&content, &first);
            assert!(refines(&joined(newest(&first)), &content.1), "the newest versions always link");
            assert!(refines(&content.1, &joined(first.iter())), "nothing else than versions ever does");
            assert_eq!(content, apply_all(&store, &first, group).await, "once more, on top");
        });
    }

    #[test]
    fn where_no_version_drops_a_name_order_changes_nothing((first, shuffled) in history(false), group in 1..6_usize) {
        let (first, shuffled) = (steady(&first), steady(&shuffled));
        runtime().block_on(async {
            let ((_a, a), (_b, b)) = (sqlite().await, sqlite().await);
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
                let named = &newest.unwrap().asserted.as_ref().unwrap().1;
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
    assert_eq!((facts[0].fact.clone(), facts[0].subject.len(), facts[0].version.to_u64()), (None, 0, 3));
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
    apply_all(&store, &[event(1, 1, mine(1)), event(2, 1, mine(2)), event(2, 2, mine(2))], 1).await;
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
    let (mine, other) = (name(Scheme::Snils, 1), name(Scheme::PassportRu, 2));
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
    let (_folder, store) = sqlite().await;
    store.claim(&[7; 32]).await.unwrap();
    store.ping_writing().await.unwrap();
    let Store::Sqlite(file) = &store else { unreachable!() };
    file.refuse_writes().await;
    store.ping().await.unwrap();
    assert_eq!(store.ping_writing().await.unwrap_err().kind(), "misconfigured");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (folder, store) = sqlite().await;
    store.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("r.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (99, 'later', true, x'00', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    pool.close().await;
    let config = StoreConfig::Sqlite(SqliteConfig { path: "r.sqlite".into() });
    let error = Store::open(&config, folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), "misconfigured");
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[tokio::test]
async fn refusals_stay_bounded() {
    let (_folder, store) = sqlite().await;
    for second in 0..5 {
        let reason = contract::RefusalReason::BadDate;
        let refusal = crate::incoming::Refusal {
            batch: BatchId::random(),
            index: 0,
            record: None,
            version: None,
            reason,
        };
        let group = OpenBatch { id: refusal.batch, events: Vec::new(), refusals: vec![refusal] };
        let at = now() + chrono::TimeDelta::seconds(second);
        assert_eq!(store.apply(std::slice::from_ref(&group), at).await.unwrap().refused, 1);
        store.apply(&[group], at).await.unwrap();
    }
    assert_eq!(store.stats().await.unwrap().refusals, [("bad-date".to_owned(), 5)]);
    assert_eq!(store.prune(3).await.unwrap(), 2);
    assert_eq!(store.prune(3).await.unwrap(), 0);
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use crate::config::{PostgresConfig, TlsMode};
    use testbed::postgres::Postgres;

    async fn open(server: &Postgres, database: &str) -> Store {
        let url = server.create_database(database).await.unwrap();
        let config = PostgresConfig { url: Some(url), tls: TlsMode::Off, ..PostgresConfig::default() };
        Store::open(&StoreConfig::Postgres(Box::new(config)), Path::new(".")).await.unwrap()
    }

    #[test]
    fn both_stores_come_to_the_same() {
        let runtime = runtime();
        let (server, store) = runtime.block_on(async {
            let server = Postgres::start().await.unwrap();
            let store = open(&server, "r").await;
            (server, store)
        });
        let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
        proptest!(config, |((first, shuffled) in history(false), group in 1..6_usize)| {
            runtime.block_on(async {
                server.psql("r", "TRUNCATE subject, pseudonym, fact, conflict, refusal").await.unwrap();
                let (_folder, sqlite) = sqlite().await;
                let content = apply_all(&sqlite, &shuffled, group).await;
                assert_eq!(content, apply_all(&store, &shuffled, group).await);
                assert_facts(&content, &first);
            });
        });
        runtime.block_on(store.close());
    }

    /// Names of 60 persons in many small pieces: writers meet on new persons, on merges and on versions. All versions
    /// of one record name the same, and the last ones assert, so that the order of the writers does not show.
    fn crowd() -> Vec<OpenBatch> {
        let schemes = [Scheme::Snils, Scheme::PassportRu, Scheme::PassportForeign, Scheme::Oms];
        let mut events = Vec::new();
        for round in 0..12_u8 {
            for person in 0..60_u8 {
                let pick = |offset: u8| name(schemes[usize::from((round + person + offset) % 4)], person);
                let named = vec![pick(0), pick(if round % 4 == 0 { 0 } else { 1 })];
                let withdrawn = (round + person) % 11 == 0 && round < 8;
                let record = person * 4 + round % 4;
                events.push(event(
                    record,
                    i64::from(round) * 100 + i64::from(person) + 1,
                    (!withdrawn).then_some(named),
                ));
            }
        }
        events.chunks(24).map(|events| batch(events.to_vec())).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn four_writers_at_once_come_to_what_one_does() {
        let server = Postgres::start().await.unwrap();
        let (alone, shared) = (open(&server, "alone").await, open(&server, "shared").await);
        let batches = crowd();
        for batch in &batches {
            alone.apply(std::slice::from_ref(batch), now()).await.unwrap();
        }
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..4 {
            // Every batch goes to two of the four, so that they also meet on the very same events.
            let mine: Vec<OpenBatch> = batches
                .iter()
                .enumerate()
                .filter(|(index, _)| index % 4 == writer || (index + 1) % 4 == writer)
                .map(|(_, batch)| batch.clone())
                .collect();
            let store = shared.clone();
            writers.spawn(async move {
                for pair in mine.chunks(2) {
                    store.apply(pair, now()).await.unwrap();
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        let (one, many) = (content(&alone).await, content(&shared).await);
        assert!(one.0.len() > 100 && one.1.len() == 60, "{} facts, {} persons", one.0.len(), one.1.len());
        assert_eq!(one, many);
    }

    #[tokio::test]
    async fn a_writer_that_lost_too_often_runs_alone() {
        use crate::apply::Rows;
        let server = Postgres::start().await.unwrap();
        let Store::Postgres(store) = open(&server, "r").await else { unreachable!() };
        let (mut one, mut other, mut alone) =
            (store.begin().await.unwrap(), store.begin().await.unwrap(), store.begin().await.unwrap());
        one.lock_writers(false).await.unwrap();
        other.lock_writers(false).await.unwrap();
        other.commit().await.unwrap();
        let mut waiting = Box::pin(alone.lock_writers(true));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
        assert!(early.is_err(), "it must wait for the others");
        one.commit().await.unwrap();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn two_snils_meeting_through_different_names_are_seen_by_two_writers() {
        let server = Postgres::start().await.unwrap();
        let store = open(&server, "r").await;
        let (p, q) = (name(Scheme::PassportRu, 1), name(Scheme::PassportForeign, 1));
        for round in 0..20_u8 {
            server.psql("r", "TRUNCATE subject, pseudonym, fact, conflict, refusal").await.unwrap();
            store.apply(&[batch(vec![event(1, 1, Some(vec![p, q]))])], now()).await.unwrap();
            let left = [batch(vec![event(2, 1, Some(vec![name(Scheme::Snils, 2 * round), p]))])];
            let right = [batch(vec![event(3, 1, Some(vec![name(Scheme::Snils, 2 * round + 1), q]))])];
            let (a, b) = tokio::join!(store.apply(&left, now()), store.apply(&right, now()));
            assert_eq!(a.unwrap().conflicts + b.unwrap().conflicts, 1);
            assert_eq!(content(&store).await.1.len(), 2);
        }
    }
}
