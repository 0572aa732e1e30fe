//! Advice of `check` on indexes and units: a statement that can be typed, or a plain reason.

use connector_kit::{Connector, Level};

use crate::clinic::{Clinic, now};

/// A query whose keys are these, over a join of two tables.
fn joined(id: &str, changed: &str) -> String {
    format!(
        "SELECT {id} AS record_id, {changed} AS changed_at, p.snils AS person_snils, v.vaccine AS \
         vaccine_code, v.given AS occurred_on FROM visit v JOIN patient p ON p.id = v.patient"
    )
}

/// Advice on pages that sort, of one query: of runs, and of key sweeps.
async fn advice(clinic: &Clinic, query: &str) -> Vec<String> {
    let connector = clinic.connector(query);
    let report = connector.check(now()).await;
    let sorts = report.findings.into_iter();
    sorts
        .filter(|finding| finding.what.contains(" sorts about "))
        .filter_map(|finding| finding.help)
        .collect()
}

async fn fill(clinic: &Clinic, numbers: &str, analyze: &str) {
    let stamp = clinic.stamp_type();
    let moment = match clinic {
        Clinic::Postgres(..) => "'2021-01-01'::timestamp + n * interval '1 second'",
        Clinic::MariaDb(..) => "'2021-01-01' + INTERVAL n SECOND",
        Clinic::Sqlite(_) => "datetime('2021-01-01', n || ' seconds')",
    };
    let id = match clinic {
        Clinic::Sqlite(_) => "integer",
        _ => "int",
    };
    let rows = format!(
        "CREATE TABLE patient (id {id} PRIMARY KEY, changed {stamp}, snils varchar(20)); CREATE \
         TABLE visit (id {id} PRIMARY KEY, patient {id}, changed {stamp}, vaccine varchar(20), \
         given varchar(20), note text); INSERT INTO patient SELECT n, {moment}, '1' FROM \
         {numbers}; INSERT INTO visit SELECT n, n, {moment}, 'x', '2021-07-01', 'a' FROM \
         {numbers}; CREATE VIEW seen AS SELECT * FROM visit; {analyze}"
    );
    clinic.run(&rows).await;
}

/// Advice that holds on every kind of database.
async fn advice_is_sound(clinic: &Clinic) {
    let plain = joined("v.id", "v.changed");
    let told = advice(clinic, &plain).await;
    assert!(
        told.contains(&"CREATE INDEX visit_changed_id ON visit (changed, id)".to_owned()),
        "{told:?}"
    );
    for told in &told {
        assert!(
            !told.contains("ON visit (id)"),
            "it is the primary key: {told}"
        );
    }
    for (changed, why) in [
        (
            "p.changed",
            "changed_at is of patient, record_id of visit, and no index",
        ),
        (
            "COALESCE(v.changed, p.changed)",
            "changed_at is made by an expression",
        ),
    ] {
        let told = advice(clinic, &joined("v.id", changed)).await;
        assert!(
            told.iter().any(|told| told.contains(why)),
            "{changed}: {told:?}"
        );
        assert!(
            !told.iter().any(|told| told.contains("CREATE INDEX")),
            "{told:?}"
        );
    }
    let distinct = plain.replacen("SELECT", "SELECT DISTINCT", 1);
    let told = advice(clinic, &distinct).await;
    assert!(
        !told.is_empty()
            && told
                .iter()
                .all(|told| told.contains("makes rows of several others")),
        "{told:?}"
    );
    // What is advised can be typed, and is not advised again.
    clinic
        .run("CREATE INDEX visit_changed_id ON visit (changed, id)")
        .await;
    let told = advice(clinic, &plain).await;
    assert!(
        !told.iter().any(|told| told.contains("CREATE INDEX")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_advised_only_where_it_can_be_made_postgresql() {
    let clinic = Clinic::postgres().await;
    fill(&clinic, "generate_series(1, 20000) AS n", "ANALYZE").await;
    advice_is_sound(&clinic).await;
    let view = joined("v.id", "v.changed").replace("FROM visit", "FROM seen");
    let told = advice(&clinic, &view).await;
    assert!(
        !told.iter().any(|told| told.contains("CREATE INDEX")),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_advised_only_where_it_can_be_made_mariadb() {
    let clinic = Clinic::mariadb().await;
    let numbers = "(SELECT seq AS n FROM seq_1_to_20000) AS s";
    fill(&clinic, numbers, "ANALYZE TABLE patient, visit").await;
    advice_is_sound(&clinic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_advised_only_where_it_can_be_made_sqlite() {
    let clinic = Clinic::sqlite();
    let numbers = "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < \
                   12000) SELECT n FROM s)";
    fill(&clinic, numbers, "ANALYZE").await;
    advice_is_sound(&clinic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_in_milliseconds_are_told_as_such() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id INTEGER PRIMARY KEY, changed INTEGER, snils, vaccine, given); \
             INSERT INTO doses VALUES (1, 1625173200, '1', 'x', '2021-07-01'), (2, 1625173201, \
             '1', 'x', '2021-07-01'), (3, 1625173202, '1', 'x', '2021-07-01')",
        )
        .await;
    let said = async || {
        let report = clinic.connector(crate::clinic::DOSES).check(now()).await;
        assert!(report.worst() < Level::Error, "{report:?}");
        format!("{report:?}")
    };
    let seconds = said().await;
    assert!(!seconds.contains("since 1970"), "{seconds}");
    clinic
        .run("UPDATE doses SET changed = changed * 1000")
        .await;
    let millis = said().await;
    assert!(
        millis.contains("changed_at counts milliseconds since 1970")
            && millis.contains("/ 1000 AS changed_at")
            && !millis.contains("in the future;"),
        "{millis}"
    );
    clinic
        .run("UPDATE doses SET changed = changed * 1000")
        .await;
    let micros = said().await;
    assert!(
        micros.contains("changed_at counts microseconds since 1970")
            && micros.contains("/ 1000000 AS changed_at"),
        "{micros}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_sqlite_makes_of_numbers_are_doubted() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id INTEGER PRIMARY KEY, changed, snils, vaccine, given); INSERT \
             INTO doses VALUES (1, '2021-07-01', '1', 'x', 1625173200)",
        )
        .await;
    for (date, doubted) in [
        (
            "date(given, 'unixepoch')",
            Some("it is the day in UTC, not in Europe/Moscow"),
        ),
        (
            "date(given, 'unixepoch', 'localtime')",
            Some("the day in this machine's zone"),
        ),
        ("strftime('%Y-%m-%dT%H:%M:%SZ', given, 'unixepoch')", None),
        ("given", None),
    ] {
        let query = crate::clinic::DOSES.replace("given AS", &format!("{date} AS"));
        let feed = format!("[vaccinations]\nquery = '''{query}'''\n");
        let report = clinic.connector_with(&feed).unwrap().check(now()).await;
        let said = format!("{report:?}");
        match doubted {
            Some(words) => assert!(said.contains(words), "{date}: {said}"),
            None => assert!(
                !said.contains("comes as text without a zone"),
                "{date}: {said}"
            ),
        }
    }
}
