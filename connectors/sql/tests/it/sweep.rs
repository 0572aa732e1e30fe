//! Keys and single rows by their ids, alike in every kind of database: nothing skipped, every id
//! finds its row again.

use connector_kit::{Connector, KeysRequest, MAX_FETCH_IDS, RecordStatus, SourceError};

use crate::clinic::{Clinic, DOSES, fetch, first_keys, now, one_row_is_one_row, run, sweep};
use crate::conformance::{ids, insert, table};

pub(crate) async fn conforms(clinic: &Clinic) {
    keys_end_where_the_rows_end(clinic).await;
    rows_without_a_stamp_are_listed_and_fetched(clinic).await;
    doubled_ids_are_never_skipped(clinic).await;
    fetch_gives_what_is_there_now(clinic).await;
}

const STAMP: &str = "'2021-07-01 10:00:00.000001'";

async fn keys_end_where_the_rows_end(clinic: &Clinic) {
    let connector = clinic.connector(DOSES);
    for rows in [0, 1, 6, 7, 8, 14, 15] {
        let names = ids(0..rows);
        let rows: Vec<_> = names.iter().cloned().map(|id| (id, STAMP)).collect();
        table(clinic, &rows).await;
        let keys = sweep(&connector, 7).await;
        assert_eq!(
            keys.iter()
                .map(|key| key.record_id.clone())
                .collect::<Vec<_>>(),
            names
        );
        assert!(
            keys.iter()
                .all(|key| key.stamp == Some(1_625_133_600_000_001)),
            "{keys:?}"
        );
        assert_eq!(one_row_is_one_row(&connector, "doses").await, names);
    }
    let zero = connector
        .keys(KeysRequest {
            limit: 0,
            ..first_keys(1)
        })
        .await;
    assert!(matches!(zero, Err(SourceError::Misconfigured { .. })));
    let too_many = vec![String::new(); MAX_FETCH_IDS + 1];
    let too_many = connector
        .fetch(connector_kit::Feed::Vaccinations, &too_many, now())
        .await;
    assert!(matches!(too_many, Err(SourceError::Misconfigured { .. })));
    let other = connector
        .fetch(connector_kit::Feed::Tests, &[], now())
        .await;
    assert!(matches!(other, Err(SourceError::Misconfigured { .. })));
}

async fn rows_without_a_stamp_are_listed_and_fetched(clinic: &Clinic) {
    table(
        clinic,
        &[
            ("a".into(), "NULL"),
            ("b".into(), STAMP),
            ("c".into(), "NULL"),
        ],
    )
    .await;
    clinic
        .run(&format!(
            "INSERT INTO doses (id, changed) VALUES (NULL, {STAMP}), (NULL, NULL)"
        ))
        .await;
    let connector = clinic.connector(DOSES);
    assert_eq!(run(&connector, None, 9).await.ids, ["b"]);
    for limit in [1, 2, 3, 4] {
        let keys: Vec<_> = sweep(&connector, limit)
            .await
            .into_iter()
            .map(|key| (key.record_id, key.stamp))
            .collect();
        let stamp = Some(1_625_133_600_000_001);
        assert_eq!(
            keys,
            [("a".into(), None), ("b".into(), stamp), ("c".into(), None)]
        );
    }
    let found = fetch(&connector, &["c", "a"]).await;
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|row| row.stamp.is_none() && row.status == RecordStatus::Final)
    );
}

async fn doubled_ids_are_never_skipped(clinic: &Clinic) {
    let rows = ["a", "b", "b", "b", "c"].map(|id| (id.to_owned(), STAMP));
    table(clinic, &rows).await;
    clinic
        .run("UPDATE doses SET changed = NULL WHERE id = 'b'")
        .await;
    clinic
        .run(&insert(&[("b".into(), "'2021-07-03 10:00:00.5'")]))
        .await;
    let connector = clinic.connector(DOSES);
    for limit in [4, 5, 6, 7] {
        let names: Vec<_> = sweep(&connector, limit)
            .await
            .into_iter()
            .map(|key| key.record_id)
            .collect();
        assert_eq!(names, ["a", "b", "b", "b", "b", "c"], "limit {limit}");
    }
    let stamps: Vec<_> = fetch(&connector, &["b"])
        .await
        .into_iter()
        .map(|row| row.stamp.is_some())
        .collect();
    assert_eq!(
        stamps,
        [false, true],
        "equal rows once, and the newest last"
    );
    let first = connector.keys(first_keys(2)).await.unwrap();
    let rest = KeysRequest {
        after: first.next,
        ..first_keys(2)
    };
    let error = connector.keys(rest).await.unwrap_err().to_string();
    assert!(
        error.contains("more than 2 rows have the same record_id"),
        "{error}"
    );
}

async fn fetch_gives_what_is_there_now(clinic: &Clinic) {
    table(clinic, &[("a".into(), STAMP), ("b".into(), STAMP)]).await;
    let connector = clinic.connector(DOSES);
    for none in [
        &[][..],
        &["A"],
        &["a "],
        &["", "\0", "ab", "日本", "' OR 1 = 1 --", "42", "6162"],
    ] {
        assert!(fetch(&connector, none).await.is_empty(), "{none:?}");
    }
    clinic
        .run("DELETE FROM doses WHERE id = 'b'; UPDATE doses SET vaccine = 'other' WHERE id = 'a'")
        .await;
    let found = fetch(&connector, &["b", "a", "a"]).await;
    assert_eq!(
        found.iter().map(crate::clinic::short).collect::<Vec<_>>(),
        ["a Final 112-233-445 95 other - 2021-07-01"]
    );
}

/// Every row of a table with one kind of id.
async fn every_id_is_found(clinic: &Clinic, id: &str, values: &[&str], expected: &[&str]) {
    let rows: Vec<String> = values.iter().map(|value| format!("({value})")).collect();
    clinic
        .run(&format!(
            "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id {id}, changed {} DEFAULT \
             '2021-07-01 10:00:00', \
             snils varchar(20), vaccine varchar(20), given date); INSERT INTO doses (id) VALUES {}",
            clinic.stamp_type(),
            rows.join(", ")
        ))
        .await;
    let connector = clinic.connector(DOSES);
    let found = one_row_is_one_row(&connector, id).await;
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{id}");
    for stranger in [
        "no such id",
        "-77",
        "77",
        "7.7",
        "1e2",
        "ff77",
        "",
        "日本",
        "NaN",
        "0b6e2b3c-9d0a-4d6f-8a3e-1f2d3c4b5a60",
    ] {
        if !expected.contains(&stranger) {
            assert!(
                fetch(&connector, &[stranger]).await.is_empty(),
                "{stranger} in {id}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_id_finds_its_row_again_in_postgres() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE COLLATION loose (provider = icu, deterministic = false, locale = \
             'und-u-ks-level1'); \
             CREATE COLLATION russian (provider = icu, locale = 'ru-RU'); CREATE DOMAIN number AS \
             varchar(9)",
        )
        .await;
    let uuid = "0b6e2b3c-9d0a-4d6f-8a3e-1f2d3c4b5a69";
    for (id, values, expected) in [
        ("smallint", &["-2", "9", "10"][..], &["-2", "9", "10"][..]),
        (
            "bigint",
            &["-9223372036854775808", "9007199254740993"],
            &["-9223372036854775808", "9007199254740993"],
        ),
        (
            "numeric",
            &["9", "10.50", "-5.00", "10.5"],
            &["9", "10.50", "-5.00", "10.5"],
        ),
        ("numeric(20,2)", &["42", "1.5"], &["42", "1.50"]),
        ("uuid", &["'0B6E2B3C-9D0A-4D6F-8A3E-1F2D3C4B5A69'"], &[uuid]),
        (
            "bytea",
            &["'\\x00'", "'\\x00ff'", "''"],
            &["00", "00ff", ""],
        ),
        ("char(5)", &["'a'", "'a b'"], &["a", "a b"]),
        (
            "text COLLATE \"C\"",
            &["'B'", "' 7'", "'7 '", "'б'"],
            &["B", " 7", "7 ", "б"],
        ),
        (
            "text COLLATE russian",
            &["'ё'", "'е'", "'Е'"],
            &["ё", "е", "Е"],
        ),
        (
            "text COLLATE loose",
            &["'a'", "'A'", "'á'", "'b'"],
            &["a", "A", "á", "b"],
        ),
        ("number", &["'007'", "'7x'"], &["007", "7x"]),
    ] {
        every_id_is_found(&clinic, id, values, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_id_finds_its_row_again_in_mariadb() {
    let clinic = Clinic::mariadb().await;
    for (id, values, expected) in [
        ("int", &["-2", "9", "10"][..], &["-2", "9", "10"][..]),
        (
            "bigint unsigned",
            &["9", "18446744073709551615"],
            &["9", "18446744073709551615"],
        ),
        (
            "decimal(30,3)",
            &["9", "10.5", "-5"],
            &["9", "10.500", "-5.000"],
        ),
        (
            "binary(4)",
            &["x'00'", "x'7fff'"],
            &["00000000", "7fff0000"],
        ),
        (
            "varbinary(4)",
            &["x'00'", "x'0000'", "''"],
            &["00", "0000", ""],
        ),
        ("char(5)", &["'a'", "'a b'"], &["a", "a b"]),
        (
            "uuid",
            &["'0B6E2B3C-9D0A-4D6F-8A3E-1F2D3C4B5A69'"],
            &["0b6e2b3c-9d0a-4d6f-8a3e-1f2d3c4b5a69"],
        ),
        (
            "varchar(9) COLLATE utf8mb4_bin",
            &["'B'", "'a'", "'a '", "'б'"],
            &["B", "a", "a ", "б"],
        ),
        (
            "varchar(9) COLLATE utf8mb4_general_ci",
            &["'a'", "'A'", "'á'", "'b'"],
            &["a", "A", "á", "b"],
        ),
        (
            "varchar(9) CHARACTER SET cp1251",
            &["'№ 1'", "'А'", "'а'"],
            &["№ 1", "А", "а"],
        ),
    ] {
        every_id_is_found(&clinic, id, values, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_id_finds_its_row_again_in_sqlite() {
    let clinic = Clinic::sqlite();
    let mixed = [
        "9",
        "10.5",
        "'10'",
        "'b'",
        "'B'",
        "x'00'",
        "x'ff'",
        "'7 '",
        "1e300",
        "42.0",
        "-1.0",
        "9223372036854775807",
    ];
    for (id, values, expected) in [
        (
            "INTEGER PRIMARY KEY",
            &["9", "9223372036854775807"][..],
            &["9", "9223372036854775807"][..],
        ),
        (
            "TEXT COLLATE NOCASE",
            &["'a'", "'A'", "'7'", "8"],
            &["a", "A", "7", "8"],
        ),
        (
            "NUMERIC",
            &["9", "'10'", "'x'", "10.5"],
            &["9", "10", "x", "10.5"],
        ),
        (
            "BLOB",
            &["x'00'", "x'6162'", "'ab'", "CAST(x'98' AS TEXT)"],
            &["00", "6162", "ab", "98"],
        ),
        (
            "",
            &mixed,
            &[
                "9",
                "10.5",
                "10",
                "b",
                "B",
                "00",
                "ff",
                "7 ",
                "1e300",
                "42",
                "-1.0",
                "9223372036854775807",
            ],
        ),
    ] {
        every_id_is_found(&clinic, id, values, expected).await;
    }
}
