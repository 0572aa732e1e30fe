//! Tests of stores that an older program left.

use linking::SecondLayerKey;

use super::*;
use crate::store::sqlite::SqliteStore;

/// Rows of the older program, in SQL that both databases take: person 1 with two names and five
/// facts, person 2 whom a mistaken passport was joined with, person 3 of whom nothing is stored any
/// more, and a withdrawn record.
fn old_rows(bytes: impl Fn(&[u8]) -> String) -> Vec<String> {
    let mut rows = vec!["INSERT INTO subject (id) VALUES (1), (2), (3)".to_owned()];
    for (name, subject) in [
        (name(Scheme::Snils, 1), 1),
        (name(Scheme::PassportRu, 1), 1),
        (name(Scheme::Snils, 2), 2),
        (name(Scheme::PassportRu, 2), 2),
        (name(Scheme::Snils, 3), 3),
        (name(Scheme::PassportRu, 3), 3),
    ] {
        let value = bytes(&name.value);
        let scheme = name.scheme.as_str();
        rows.push(format!(
            "INSERT INTO pseudonym (value, scheme, suite, epoch, subject_id)
             VALUES ({value}, '{scheme}', 'hmac', 1, {subject})"
        ));
    }
    for (record, person) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2)] {
        let record = bytes(&[record; 32]);
        let name = bytes(&name(Scheme::Snils, person).value);
        rows.push(format!(
            "INSERT INTO fact (record, version, kind, status, pseudonym, vaccine, dose_number,
             occurred_on, occurred_earliest) VALUES ({record}, 4294967297, 'vaccination',
             'asserted', {name}, 'sputnik-v', 1, '2021-06', '2021-06-01')"
        ));
    }
    let record = bytes(&[7; 32]);
    rows.push(format!(
        "INSERT INTO fact (record, version, kind, status) VALUES ({record}, 4294967298, 'test',
         'withdrawn')"
    ));
    let record = bytes(&[8; 32]);
    let batch = bytes(&[8; 16]);
    rows.push(format!(
        "INSERT INTO refusal (batch_id, event_index, record, version, reason, seen_at)
         VALUES ({batch}, 0, {record}, 1, 'bad-date', '2021-06-01T00:00:00Z')"
    ));
    rows
}

fn second_layer(key: &SecondLayerKey, record: u8) -> [u8; 32] {
    key.record(&RecordDigest([record; 32]))
}

/// Checks an upgraded store, and that what clinics send since replaces what was kept of the links.
async fn check_upgraded(store: &Store, key: &SecondLayerKey) {
    store.watch().await.unwrap();
    store.upgrade(key).await.unwrap();
    store.upgrade(key).await.unwrap();
    assert!(!store.is_watched().await.unwrap(), "all is to be looked at");
    let (facts, persons) = content(store).await;
    let records: BTreeSet<[u8; 32]> = facts.iter().map(|fact| fact.record).collect();
    let expected = (1..=7).map(|record| second_layer(key, record));
    assert_eq!(records, expected.collect());
    let person = |number| {
        let names = [
            name(Scheme::Snils, number),
            name(Scheme::PassportRu, number),
        ];
        names.map(|name| name.value)
    };
    let both = [person(1), person(2)].map(BTreeSet::from);
    assert_eq!(persons, BTreeSet::from(both));
    let withdrawn = facts.iter().find(|fact| fact.fact.is_none()).unwrap();
    assert_eq!(withdrawn.record, second_layer(key, 7));
    let asserted: Vec<_> = facts.iter().filter(|fact| fact.fact.is_some()).collect();
    assert!(asserted.iter().all(|fact| fact.subject.len() == 2));

    // Person 2's record never stated the passport: sent anew, it leaves the person, and is gone.
    let again = IncomingEvent {
        record: record_name(second_layer(key, 6)),
        ..event(6, 1 << 50, Some(vec![name(Scheme::Snils, 2)]))
    };
    assert_eq!(store.stats().await.unwrap().without_owner, 7);
    let outcome = apply(store, &[batch(vec![again.clone()])], now())
        .await
        .unwrap()
        .outcome;
    assert_eq!(outcome.applied, 1);
    assert_eq!(store.stats().await.unwrap().without_owner, 6);
    let (_, persons) = content(store).await;
    let alone = BTreeSet::from([name(Scheme::Snils, 2).value]);
    assert_eq!(persons, BTreeSet::from([BTreeSet::from(person(1)), alone]));
    let forged = IncomingEvent {
        owner: [0xff; 16],
        version: 1 << 51,
        ..again
    };
    let outcome = apply(store, &[batch(vec![forged])], now())
        .await
        .unwrap()
        .outcome;
    assert_eq!((outcome.applied, outcome.refused), (0, 1));
}

#[tokio::test]
async fn a_file_of_before_links_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let pool = SqliteStore::make_before_links(&folder.path().join("r.sqlite")).await;
    for row in old_rows(|bytes| format!("x'{}'", hex::encode(bytes))) {
        sqlx::query(sqlx::AssertSqlSafe(row))
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
    let store = Store::open(&sqlite_config(), folder.path()).await.unwrap();
    check_upgraded(&store, &SecondLayerKey::generate()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_database_of_before_links_is_brought_up_to_date() {
    use crate::store::postgres::PostgresStore;
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let url = server.create_database("r").await.unwrap();
    let pool = PostgresStore::make_before_links(&url).await;
    for row in old_rows(|bytes| format!("'\\x{}'::bytea", hex::encode(bytes))) {
        sqlx::query(sqlx::AssertSqlSafe(row))
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
    let store = on_postgres::open_at(url, 4).await;
    check_upgraded(&store, &SecondLayerKey::generate()).await;
}

/// Several programs at once find an old database, or make a new one.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn programs_that_upgrade_at_the_same_moment_do_not_disturb_each_other() {
    use crate::store::postgres::PostgresStore;
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let key = SecondLayerKey::generate();
    for database in ["a", "b", "c", "d"] {
        let url = server.create_database(database).await.unwrap();
        if database == "a" {
            let pool = PostgresStore::make_before_links(&url).await;
            for row in old_rows(|bytes| format!("'\\x{}'::bytea", hex::encode(bytes))) {
                sqlx::query(sqlx::AssertSqlSafe(row))
                    .execute(&pool)
                    .await
                    .unwrap();
            }
            pool.close().await;
        }
        let upgrade = async || {
            let store = on_postgres::open_at(url.clone(), 2).await;
            store.upgrade(&key).await.unwrap();
            store.close().await;
        };
        tokio::join!(upgrade(), upgrade(), upgrade(), upgrade());
    }
    let upgraded = on_postgres::open_at(server.url("a"), 2).await;
    assert_eq!(upgraded.facts(None).await.unwrap().len(), 7);
}
