//! Tests of single cases, on SQLite.

use super::*;
use crate::store::sqlite::SqliteStore;

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
    assert!(
        raw.says.vaccine.is_none()
            && raw.says.occurred_on.is_none()
            && raw.says.dose_number.is_none()
    );
}

#[tokio::test]
async fn a_name_that_as_many_records_give_to_one_as_to_another_is_with_neither() {
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
    assert_eq!(persons.len(), 3);
    assert_eq!(facts[0].subject, [name(Scheme::Snils, 1)]);
    assert_eq!(facts[1].subject, [name(Scheme::Snils, 2)]);
    // One more record decides; and when it is taken back, the tie is there again.
    let (facts, _) = apply_all(&store, &[event(3, 1, mine(1))], 1).await;
    assert_eq!(facts[0].subject, [name(Scheme::Snils, 1), shared]);
    let (facts, _) = apply_all(&store, &[event(3, 2, None)], 1).await;
    assert_eq!(facts[0].subject, [name(Scheme::Snils, 1)]);
    let (facts, persons) = apply_all(&store, &[event(2, 3, None)], 1).await;
    assert_eq!((facts[0].subject.len(), persons.len()), (2, 1));
    assert_eq!(store.stats().await.unwrap().conflicts, 0);
}

#[tokio::test]
async fn a_corrected_mistake_is_undone_whenever_it_came() {
    let mine = name(Scheme::Snils, 1);
    let other = name(Scheme::PassportRu, 2);
    let mistake = event(1, 1, Some(vec![mine, other]));
    let corrected = event(1, 2, Some(vec![mine, name(Scheme::PassportRu, 1)]));
    let others = event(2, 1, Some(vec![name(Scheme::Snils, 2), other]));
    for (group, order) in [
        (1, [0, 1, 2]),
        (3, [0, 1, 2]),
        (1, [1, 0, 2]),
        (1, [1, 2, 0]),
    ] {
        let (_folder, store) = sqlite().await;
        let all = [&corrected, &mistake, &others];
        let events = order.map(|place| all[place].clone());
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
        content: [9; 16],
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
    let Applied {
        outcome, answers, ..
    } = apply(&store, &group, now()).await.unwrap();
    let expected = GroupOutcome {
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
        (1, 3)
    );
    assert_eq!(
        store.stats().await.unwrap().refusals,
        BTreeMap::from([("version-reused".to_owned(), 2)])
    );
    // Once more: the same answers, and nothing new.
    let Applied {
        outcome: again,
        answers: told,
        ..
    } = apply(&store, &group, now()).await.unwrap();
    assert_eq!((again.applied, again.unchanged, told), (0, 2, answers));
    assert_eq!(
        said(&store, &group[1].events).await[&[1; 32]],
        Some(says(1, 3))
    );
}

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
