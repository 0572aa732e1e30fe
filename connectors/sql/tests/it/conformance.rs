//! The conformance suite on every kind of database, and what all of them do alike besides: equal
//! stamps, late rows, rows from the future, equal keys, rows without keys, other columns.

use std::collections::BTreeSet;
use std::fmt::Write;

use connector_kit::conformance::verify_all;
use connector_kit::{Connector, PageRequest, SourceError};

use crate::clinic::{Clinic, DOSES, first_page, now, run, run_at};
use crate::events::Events;
use crate::subject::SqlSubject;

/// MUSTs that need a source with pages of its own.
const NO_PAGES: [&str; 4] = [
    "page_keeps_its_limit_where_the_source_does_not",
    "same_page_again_ends",
    "pages_in_a_cycle_end",
    "pages_without_end_end",
];

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_every_must() {
    let mut subject = SqlSubject::new(Clinic::postgres().await).await;
    assert_eq!(verify_all(&mut subject).await, NO_PAGES);
}

/// MUSTs that a feed without stamps need not keep, in the order of the specification, beside those
/// that need pages.
const WITHOUT_STAMPS: [&str; 8] = [
    "page_keeps_its_limit_where_the_source_does_not",
    "resume_is_not_in_the_future",
    "run_looks_back_over_the_overlap",
    "same_page_again_ends",
    "pages_in_a_cycle_end",
    "pages_without_end_end",
    "time_comes_from_the_request",
    "stamps_that_went_back_are_followed",
];

#[tokio::test(flavor = "multi_thread")]
async fn several_stamps_keep_every_must() {
    for clinic in [Clinic::postgres().await, Clinic::mariadb().await] {
        let mut subject = SqlSubject::new(clinic).await.noticing_by("several-stamps");
        assert_eq!(verify_all(&mut subject).await, NO_PAGES);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_keeps_every_must_of_whole_reads() {
    for clinic in [Clinic::postgres().await, Clinic::mariadb().await] {
        let mut subject = SqlSubject::new(clinic).await.noticing_by("content");
        assert_eq!(verify_all(&mut subject).await, WITHOUT_STAMPS);
    }
}

mod sqlite_by_several_stamps {
    use crate::clinic::Clinic;
    use crate::subject::SqlSubject;

    connector_kit::conformance_tests!(async {
        SqlSubject::new(Clinic::sqlite())
            .await
            .noticing_by("several-stamps")
    });
}

mod sqlite_by_content {
    use crate::clinic::Clinic;
    use crate::subject::SqlSubject;

    connector_kit::conformance_tests!(async {
        SqlSubject::new(Clinic::sqlite())
            .await
            .noticing_by("content")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_keeps_every_must() {
    let mut subject = SqlSubject::new(Clinic::mariadb().await).await;
    assert_eq!(verify_all(&mut subject).await, NO_PAGES);
}

mod sqlite {
    use crate::clinic::Clinic;
    use crate::subject::SqlSubject;

    connector_kit::conformance_tests!(SqlSubject::new(Clinic::sqlite()));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_conforms() {
    conforms(&Clinic::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_conforms() {
    conforms(&Clinic::mariadb().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_conforms() {
    conforms(&Clinic::sqlite()).await;
}

async fn conforms(clinic: &Clinic) {
    pages_end_where_the_rows_end(clinic).await;
    rows_with_one_stamp_all_come_once(clinic).await;
    a_row_committed_late_is_in_the_next_run(clinic).await;
    a_row_from_the_future_does_not_hide_those_of_today(clinic).await;
    equal_keys_stay_together(clinic).await;
    rows_without_keys_are_left_out(clinic).await;
    other_columns_start_over(clinic).await;
    crate::sweep::conforms(clinic).await;
    crate::surprises::conforms(clinic).await;
}

/// A fresh table with rows of (id, stamp).
pub(crate) async fn table(clinic: &Clinic, rows: &[(String, &str)]) {
    let mut sql = format!(
        "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id varchar(40), changed {}, snils \
         varchar(20), \
         vaccine varchar(40), given varchar(20)); CREATE INDEX doses_changed ON doses (changed, \
         id);",
        clinic.stamp_type()
    );
    if !rows.is_empty() {
        sql.push_str(&insert(rows));
    }
    clinic.run(&sql).await;
}

pub(crate) fn insert(rows: &[(String, &str)]) -> String {
    let mut sql = "INSERT INTO doses VALUES ".to_owned();
    for (index, (id, stamp)) in rows.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(
            sql,
            "{comma}('{id}', {stamp}, '112-233-445 95', 'Спутник V', '2021-07-01')"
        )
        .unwrap();
    }
    sql + ";"
}

pub(crate) fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("д-{number:03}")).collect()
}

async fn pages_end_where_the_rows_end(clinic: &Clinic) {
    let connector = clinic.connector(DOSES);
    for (rows, pages) in [(0, 1), (1, 1), (6, 1), (7, 1), (8, 2), (14, 2), (15, 3)] {
        let names = ids(0..rows);
        let stamps: Vec<String> = (0..rows)
            .map(|n| format!("'2021-07-01 10:00:{n:02}.000001'"))
            .collect();
        let rows: Vec<_> = names
            .iter()
            .cloned()
            .zip(stamps.iter().map(String::as_str))
            .collect();
        table(clinic, &rows).await;
        let found = run(&connector, None, 7).await;
        assert_eq!(found.ids, names);
        assert_eq!(found.pages, pages, "{} rows", rows.len());
        assert_eq!(found.stored.is_some(), !rows.is_empty());
    }
    let zero = connector
        .page(PageRequest {
            limit: 0,
            ..first_page(1)
        })
        .await;
    assert!(matches!(zero, Err(SourceError::Misconfigured { .. })));
}

async fn rows_with_one_stamp_all_come_once(clinic: &Clinic) {
    let mut names = ids(0..25);
    let rows: Vec<_> = names
        .iter()
        .cloned()
        .map(|id| (id, "'2021-07-01 10:00:00.123456'"))
        .collect();
    table(clinic, &rows).await;
    let connector = clinic.connector(DOSES);
    for limit in [1, 4, 5, 24, 25, 26] {
        let mut found = run(&connector, None, limit).await.ids;
        found.sort();
        names.sort();
        assert_eq!(found, names, "limit {limit}");
    }
    // The same request gives the same page.
    let first = connector.page(first_page(4)).await.unwrap();
    let second = PageRequest {
        after: first.next,
        first_of_run: false,
        ..first_page(4)
    };
    let one = connector.page(second.clone()).await.unwrap();
    let again = connector.page(second).await.unwrap();
    let ids = |page: &connector_kit::Page| {
        page.records
            .iter()
            .map(|r| r.record_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&one), ids(&again));
    assert_eq!(one.next, again.next);
}

async fn a_row_committed_late_is_in_the_next_run(clinic: &Clinic) {
    table(
        clinic,
        &[
            ("old".into(), "'2021-07-10 10:00:00.000000'"),
            ("last".into(), "'2021-07-10 11:00:00.000000'"),
        ],
    )
    .await;
    let connector = clinic.connector(DOSES);
    let first = run(&connector, None, 10).await;
    assert_eq!(first.ids, ["last", "old"]);
    clinic
        .run(&insert(&[
            ("late".into(), "'2021-07-10 10:55:00.000001'"),
            (
                "later than the overlap".into(),
                "'2021-07-10 10:54:59.000000'",
            ),
        ]))
        .await;
    let second = run(&connector, first.stored, 1).await;
    assert_eq!(second.ids, ["late", "last"]);
    clinic
        .run("UPDATE doses SET changed = '2021-07-10 11:30:00.000000' WHERE id = 'old'")
        .await;
    let third = run(&connector, second.stored, 10).await;
    assert_eq!(third.ids, ["late", "last", "old"]);
}

async fn a_row_from_the_future_does_not_hide_those_of_today(clinic: &Clinic) {
    let future = "'2099-01-01 00:00:00.000000'";
    table(
        clinic,
        &[
            ("today".into(), "'2021-07-10 11:00:00.000000'"),
            ("2099-a".into(), future),
            ("2099-b".into(), future),
        ],
    )
    .await;
    let connector = clinic.connector(DOSES);
    let first = run(&connector, None, 2).await;
    assert_eq!(first.ids, ["2099-a", "2099-b", "today"]);
    // Noon in Moscow is nine o'clock UTC: these come after the present moment of the first run.
    clinic
        .run(&insert(&[
            ("soon".into(), "'2021-07-10 12:30:00.000000'"),
            ("just before".into(), "'2021-07-10 11:58:00.000000'"),
        ]))
        .await;
    let second = run_at(
        &connector,
        first.stored,
        1,
        now() + chrono::TimeDelta::hours(1),
    )
    .await;
    let expected = ["today", "just before", "soon", "2099-a", "2099-b"];
    assert_eq!(second.ids, expected);
}

async fn equal_keys_stay_together(clinic: &Clinic) {
    let stamp = "'2021-07-01 10:00:00.000000'";
    let rows = ["a", "b", "b", "b", "c"].map(|id| (id.to_owned(), stamp));
    table(clinic, &rows).await;
    let connector = clinic.connector(DOSES);
    for limit in [3, 4, 5, 6] {
        assert_eq!(
            run(&connector, None, limit).await.ids,
            ["a", "b", "b", "b", "c"],
            "limit {limit}"
        );
    }
    let first = connector.page(first_page(2)).await.unwrap();
    assert_eq!(first.records.len(), 1);
    let rest = PageRequest {
        after: first.next,
        first_of_run: false,
        ..first_page(2)
    };
    let error = connector.page(rest).await.unwrap_err().to_string();
    assert!(
        error.contains("more than 2 rows have the same record_id"),
        "{error}"
    );
}

async fn rows_without_keys_are_left_out(clinic: &Clinic) {
    table(
        clinic,
        &[
            ("a".into(), "'2021-07-01 10:00:00.000000'"),
            ("b".into(), "NULL"),
            ("c".into(), "NULL"),
        ],
    )
    .await;
    clinic
        .run("INSERT INTO doses (id, changed) VALUES (NULL, '2021-07-02 10:00:00.000000')")
        .await;
    let connector = clinic.connector(DOSES);
    let (events, _listening) = Events::listen();
    assert_eq!(run(&connector, None, 1).await.ids, ["a"]);
    let told = events.named("rows-without-key");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("WARN") && told[0].contains(" rows=3 at_least=false"),
        "{told:?}"
    );
    run_at(&connector, None, 1, now() + chrono::TimeDelta::minutes(59)).await;
    assert_eq!(
        events.named("rows-without-key").len(),
        1,
        "not with every run: it may read the whole table"
    );
    run_at(&connector, None, 1, now() + chrono::TimeDelta::minutes(60)).await;
    assert_eq!(events.named("rows-without-key").len(), 2);
    let report = connector.check(now()).await;
    let said: BTreeSet<_> = report
        .findings
        .iter()
        .map(|finding| finding.what.as_str())
        .collect();
    assert!(
        said.contains(
            "vaccinations: 2 rows have no changed_at; only the key sweep reads such \
        rows, and does not see them change"
        ),
        "{said:?}"
    );
    assert!(
        said.contains("vaccinations: 1 row has no record_id; such rows are never read"),
        "{said:?}"
    );
}

async fn other_columns_start_over(clinic: &Clinic) {
    table(
        clinic,
        &[
            ("a".into(), "'2021-07-01 10:00:00.000000'"),
            ("b".into(), "'2021-07-05 10:00:00.000000'"),
        ],
    )
    .await;
    let stored = run(&clinic.connector(DOSES), None, 9).await.stored;
    let same = run(&clinic.connector(DOSES), stored.clone(), 9).await;
    assert_eq!(same.ids, [] as [&str; 0]);
    let more = DOSES.replace(" FROM", ", 1 AS dose_number FROM");
    assert_eq!(
        run(&clinic.connector(&more), stored, 9).await.ids,
        ["a", "b"]
    );
}
