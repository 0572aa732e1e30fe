//! Tests of COPY, by which new rows go in: the same content, also where it fails or is given up
//! halfway.

use contract::{TestCode, TestResult};
use testbed::postgres::Postgres;

use super::on_postgres::{connect, open};
use super::*;
use crate::store::transaction::StoreTransaction;

/// Server that logs every statement and every failure.
async fn talkative() -> Postgres {
    Postgres::start_with(&[("log_statement", "all")])
        .await
        .unwrap()
}

fn told(server: &Postgres, words: &str) -> usize {
    std::fs::read_to_string(server.log_file())
        .unwrap()
        .matches(words)
        .count()
}

fn snils(number: u16) -> CityPseudonym {
    let mut snils = name(Scheme::Snils, 0);
    snils.value[1..3].copy_from_slice(&number.to_be_bytes());
    snils
}

/// Record of a person of its own.
fn numbered(number: u16, version: i64) -> IncomingEvent {
    let mut event = event(1, version, Some(vec![snils(number)]));
    event.record.stored[..2].copy_from_slice(&number.to_be_bytes());
    event
}

/// Every kind, with and without whatever a fact may lack, and as withdrawn.
fn every_kind() -> Vec<IncomingEvent> {
    let on = |date: &str| date.parse::<PartialDate>().unwrap();
    let vaccination = |vaccine, dose_number, series_doses, date| Fact::Vaccination {
        vaccine,
        dose_number,
        series_doses,
        occurred_on: on(date),
    };
    let test = |test, result, date| Fact::Test {
        test,
        result,
        occurred_on: on(date),
    };
    let recovery = |began: Option<&str>, date| Fact::Recovery {
        began_on: began.map(on),
        occurred_on: on(date),
    };
    let facts = [
        (
            FactKind::Vaccination,
            Some(vaccination(
                Vaccine::SputnikV,
                Some(1),
                Some(2),
                "2021-06-01",
            )),
        ),
        (
            FactKind::Vaccination,
            Some(vaccination(Vaccine::CoviVac, None, None, "1999")),
        ),
        (
            FactKind::Vaccination,
            Some(vaccination(Vaccine::SputnikLight, Some(9), None, "2021-05")),
        ),
        (
            FactKind::Test,
            Some(test(
                TestCode::RnaRespiratory,
                TestResult::Detected,
                "2021-02-28",
            )),
        ),
        (
            FactKind::Test,
            Some(test(
                TestCode::NGene,
                TestResult::Inconclusive,
                "2020-02-29",
            )),
        ),
        (
            FactKind::Recovery,
            Some(recovery(Some("2020-12-30"), "2021-01")),
        ),
        (FactKind::Recovery, Some(recovery(None, "2021"))),
        (FactKind::Vaccination, None),
        (FactKind::Test, None),
        (FactKind::Recovery, None),
    ];
    (1..)
        .zip(facts)
        .map(|(number, (kind, fact))| {
            let person = vec![
                name(Scheme::Snils, number),
                name(Scheme::PassportForeign, number),
            ];
            let like = event(number, i64::from(number) << 33, None);
            IncomingEvent {
                kind,
                asserted: fact.map(|fact| Assertion::new(fact, person)),
                ..like
            }
        })
        .collect()
}

#[tokio::test]
async fn every_column_comes_as_by_the_ordinary_way() {
    let server = talkative().await;
    let copied = open(&server, "copied").await;
    let put = open(&server, "put").await;
    let (_folder, sqlite) = sqlite().await;
    let events = every_kind();
    let content = apply_all(&copied, &events, events.len()).await;
    let copies = || {
        (
            told(&server, "statement: COPY fact"),
            told(&server, "statement: COPY pseudonym"),
            told(&server, "statement: COPY name_set"),
            told(&server, "statement: COPY link"),
        )
    };
    assert_eq!(copies(), (1, 1, 1, 1));
    assert_eq!(content, apply_all(&put, &events, 1).await);
    assert_eq!(copies(), (1, 1, 1, 1), "too few each");
    assert_eq!(content, apply_all(&sqlite, &events, events.len()).await);
    assert_facts(&content, &events);
    assert_eq!(said(&copied, &events).await, said(&sqlite, &events).await);
    for columns in [
        "to_jsonb(t) FROM fact AS t",
        "to_jsonb(t) - 'subject_id' FROM pseudonym AS t",
        "to_jsonb(t) FROM name_set AS t",
        "to_jsonb(t) FROM link AS t",
    ] {
        let rows = async |database| {
            server
                .psql(database, &format!("SELECT {columns} ORDER BY 1"))
                .await
                .unwrap()
        };
        let by_copy = rows("copied").await;
        assert!(by_copy.lines().count() >= 7, "{by_copy}");
        assert_eq!(by_copy, rows("put").await);
    }
}

#[tokio::test]
async fn a_copy_that_meets_a_known_record_is_run_again_with_a_look() {
    let server = talkative().await;
    let store = open(&server, "r").await;
    let load = |from: u16, known: IncomingEvent| {
        let mut events: Vec<IncomingEvent> = (from..from + 1000)
            .map(|number| numbered(number, 2))
            .collect();
        events.push(known);
        batch(events)
    };
    let failed = || {
        told(
            &server,
            "duplicate key value violates unique constraint \"fact_pkey\"",
        )
    };
    // The first look finds nothing, so that the next group is taken for new.
    let Applied { outcome, .. } = apply(&store, &[load(0, numbered(9000, 2))], now())
        .await
        .unwrap();
    assert_eq!((outcome.applied, failed()), (1001, 0));
    let Applied {
        outcome, answers, ..
    } = apply(&store, &[load(1000, numbered(9000, 3))], now())
        .await
        .unwrap();
    assert_eq!(
        (outcome.applied, outcome.superseded, failed()),
        (1001, 0, 1)
    );
    assert_eq!(
        (answers[0].accepted, answers[0].superseded.len()),
        (1001, 0)
    );
    let Applied {
        outcome, answers, ..
    } = apply(&store, &[load(2000, numbered(9000, 1))], now())
        .await
        .unwrap();
    assert_eq!(
        (outcome.applied, outcome.superseded, failed()),
        (1000, 1, 2)
    );
    assert_eq!(
        (answers[0].accepted, answers[0].superseded[0].held.to_u64()),
        (1000, 3)
    );
    assert_eq!(
        told(&server, "statement: COPY fact"),
        5,
        "three groups, and two of them twice"
    );
    let known = numbered(9000, 3);
    assert_eq!(
        store.stored(&[known.record.stored]).await.unwrap()[&known.record.stored].version,
        3
    );
    let stats = store.stats().await.unwrap();
    assert_eq!(
        (stats.subjects, stats.pseudonyms),
        (3001, BTreeMap::from([("snils".to_owned(), 3001)])),
        "nothing twice"
    );
}

/// Case of a transaction whose time is over. Given back to the pool, the connection would answer
/// the next statements with those before.
#[tokio::test]
async fn a_copy_that_is_given_up_halfway_leaves_no_connection_out_of_step() {
    let server = Postgres::start().await.unwrap();
    let one = connect(server.create_database("r").await.unwrap(), 1).await;
    let two = connect(server.url("r"), 1).await;
    let store = Store::from(one.clone());
    let known = numbered(9000, 1);
    apply(&store, &[batch(vec![known.clone()])], now())
        .await
        .unwrap();
    let events: Vec<IncomingEvent> = (0..10).map(|number| numbered(number, 1)).collect();
    let mut others = two.lend().await.unwrap();
    let mut in_the_way = others.begin().await.unwrap();
    in_the_way.put_facts(&[&events[5]]).await.unwrap();
    {
        let mut lent = one.lend().await.unwrap();
        let mut rows = lent.begin().await.unwrap();
        let events: Vec<&IncomingEvent> = events.iter().collect();
        let added = tokio::time::timeout(Duration::from_millis(300), rows.add_facts(&events)).await;
        assert!(added.is_err(), "it waits for the other writer");
    }
    drop(in_the_way);
    drop(others);
    for _ in 0..3 {
        assert_eq!(store.stored(&[known.record.stored]).await.unwrap().len(), 1);
    }
    for from in [0, 10] {
        let events = (from..from + 10)
            .map(|number| numbered(number, 1))
            .collect();
        assert_eq!(
            apply(&store, &[batch(events)], now())
                .await
                .unwrap()
                .outcome
                .applied,
            10
        );
    }
    assert_eq!(store.facts(None).await.unwrap().len(), 21);
}
