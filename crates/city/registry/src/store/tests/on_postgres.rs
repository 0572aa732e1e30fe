//! Tests of the PostgreSQL store, also against the SQLite one, and of several writers at once.

use super::*;
use crate::config::{PostgresConfig, TlsMode};
use crate::store::postgres::PostgresStore;
use testbed::postgres::Postgres;

/// Empties every table.
pub(super) const EMPTY: &str =
    "TRUNCATE subject, pseudonym, fact, name_set, link, contest, decision, refusal";

pub(super) async fn open(server: &Postgres, database: &str) -> Store {
    let url = server.create_database(database).await.unwrap();
    open_at(url, 8).await
}

pub(super) async fn open_at(url: String, connections: u16) -> Store {
    connect(url, connections).await.into()
}

pub(super) async fn connect(url: String, connections: u16) -> PostgresStore {
    let url = Some(url);
    let connections = connections.try_into().unwrap();
    let config = PostgresConfig {
        url,
        tls: Some(TlsMode::Off),
        connections,
        ..PostgresConfig::default()
    };
    PostgresStore::open(&config, Path::new(".")).await.unwrap()
}

#[test]
fn both_stores_come_to_the_same() {
    let runtime = runtime();
    let (server, store) = runtime.block_on(async {
        let server = Postgres::start().await.unwrap();
        let store = open(&server, "r").await;
        (server, store)
    });
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let histories = any::<bool>().prop_flat_map(history);
    proptest!(config, |((first, shuffled) in histories, group in 1..6_usize)| {
        runtime.block_on(async {
            server.psql("r", EMPTY).await.unwrap();
            let (_folder, sqlite) = sqlite().await;
            let content = apply_all(&sqlite, &shuffled, group).await;
            assert_eq!(content, apply_all(&store, &shuffled, group).await);
            assert_eq!(said(&sqlite, &first).await, said(&store, &first).await);
            assert_facts(&content, &first);
            assert_eq!(content.1, expected_persons(&first));
        });
    });
    runtime.block_on(store.close());
}

/// Names of 60 persons in many small pieces: writers meet on new persons, on merges and on
/// versions. All versions of one record name the same, and the last ones assert, so that the order
/// of the writers does not show.
fn crowd() -> Vec<OpenBatch> {
    let schemes = [
        Scheme::Snils,
        Scheme::PassportRu,
        Scheme::PassportForeign,
        Scheme::Oms,
    ];
    let mut events = Vec::new();
    for round in 0..12_u8 {
        for person in 0..60_u8 {
            let pick =
                |offset: u8| name(schemes[usize::from((round + person + offset) % 4)], person);
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
    events
        .chunks(24)
        .map(|events| batch(events.to_vec()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_writers_at_once_come_to_what_one_does() {
    let server = Postgres::start().await.unwrap();
    let alone = open(&server, "alone").await;
    let shared = open(&server, "shared").await;
    let batches = crowd();
    for batch in &batches {
        apply(&alone, std::slice::from_ref(batch), now())
            .await
            .unwrap();
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
                apply(&store, pair, now()).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let one = content(&alone).await;
    let many = content(&shared).await;
    assert!(
        one.0.len() > 100 && one.1.len() == 60,
        "{} facts, {} persons",
        one.0.len(),
        one.1.len()
    );
    assert_eq!(one, many);
}

#[tokio::test]
async fn a_first_load_is_no_block_of_subjects() {
    let server = Postgres::start().await.unwrap();
    let store = open(&server, "r").await;
    apply(&store, &[first_load()], now()).await.unwrap();
    assert!(closest_subjects(&store).await > 1 << 32);
}

#[tokio::test]
async fn a_writer_that_lost_too_often_runs_alone() {
    use crate::store::transaction::StoreTransaction;
    let server = Postgres::start().await.unwrap();
    let url = server.create_database("r").await.unwrap();
    let store = connect(url, 8).await;
    let mut first = store.lend().await.unwrap();
    let mut second = store.lend().await.unwrap();
    let mut third = store.lend().await.unwrap();
    let mut one = first.begin().await.unwrap();
    let mut other = second.begin().await.unwrap();
    let mut alone = third.begin().await.unwrap();
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
    let p = name(Scheme::PassportRu, 1);
    let q = name(Scheme::PassportForeign, 1);
    for round in 0..20_u8 {
        server.psql("r", EMPTY).await.unwrap();
        let events = [
            event(1, 1, Some(vec![p, q])),
            event(2, 1, Some(vec![name(Scheme::Snils, 2 * round), p])),
            event(3, 1, Some(vec![name(Scheme::Snils, 2 * round + 1), q])),
        ];
        let [first, left, right] = events.clone().map(|event| [batch(vec![event])]);
        apply(&store, &first, now()).await.unwrap();
        let (a, b) = tokio::join!(apply(&store, &left, now()), apply(&store, &right, now()));
        a.unwrap();
        b.unwrap();
        assert_eq!(content(&store).await.1, expected_persons(&events));
    }
}

/// After a group of new records the next is written without a look; what is stored already is
/// answered all the same.
#[tokio::test]
async fn a_group_that_is_taken_for_new_and_is_not_is_judged_as_ever() {
    let server = Postgres::start().await.unwrap();
    let store = open(&server, "r").await;
    let numbered = |number: u16, version: i64| {
        let mut event = event(
            1,
            version,
            Some(vec![name(Scheme::Snils, (number % 50).try_into().unwrap())]),
        );
        event.record.stored[..2].copy_from_slice(&number.to_be_bytes());
        event
    };
    let load = |from: u16| {
        batch(
            (from..from + 1200)
                .map(|number| numbered(number, 2))
                .collect(),
        )
    };
    for from in [0, 1200] {
        assert_eq!(
            apply(&store, &[load(from)], now())
                .await
                .unwrap()
                .outcome
                .applied,
            1200
        );
    }
    // Taken for new: 600 are known, one of them is older than what is held, and one is newer.
    let mut mixed = load(1800);
    mixed.events[0].version = 1;
    mixed.events[1].version = 3;
    let Applied {
        outcome, answers, ..
    } = apply(&store, &[mixed], now()).await.unwrap();
    assert_eq!(
        (outcome.applied, outcome.unchanged, outcome.superseded),
        (601, 598, 1)
    );
    assert_eq!(
        (answers[0].accepted, answers[0].superseded.len()),
        (1199, 1)
    );
    assert_eq!(store.facts(None).await.unwrap().len(), 3000);
}

#[tokio::test]
async fn who_reads_whole_tables_reads_them_in_order_and_nobody_else_does() {
    let server = Postgres::start().await.unwrap();
    let postgres = connect(server.create_database("r").await.unwrap(), 1).await;
    let store = Store::from(postgres.clone());
    apply(&store, &[first_load()], now()).await.unwrap();
    let scans = async |table: &str| -> u64 {
        postgres.report_scans().await.unwrap();
        let sql = format!("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = '{table}'");
        server
            .psql("r", &sql)
            .await
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    let before = (
        scans("subject").await,
        scans("fact").await,
        scans("pseudonym").await,
    );
    store.stats().await.unwrap();
    let counted = (
        scans("subject").await,
        scans("fact").await,
        scans("pseudonym").await,
    );
    // Facts twice: by their kinds, and those without an owner. Names three times: by their schemes,
    // and by the suites of sets and of persons.
    assert_eq!(counted, (before.0 + 1, before.1 + 2, before.2 + 3));
    store.pseudonyms(None).await.unwrap();
    assert_eq!(scans("pseudonym").await, counted.2 + 1);
    store.facts(None).await.unwrap();
    let read = (scans("fact").await, scans("pseudonym").await);
    assert_eq!(read.0, counted.1 + 1);
    // The same connection again, for who looks a few rows up.
    store.stored(&[[1; 32]]).await.unwrap();
    store.subjects_of(&[[1; 32]]).await.unwrap();
    assert_eq!((scans("fact").await, scans("pseudonym").await), read);
}
