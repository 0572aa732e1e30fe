//! Dates in the clinic's zone, wherever it is written, out of every kind of instant.

use serde_json::json;
use testbed::fhir::FhirServer;

use super::sources::{Database, clinic, fhir_clinic, outgoing_dates};
use crate::cli::told;

const VLADIVOSTOK: &str = "time_zone = \"Asia/Vladivostok\"";
const SNILS: &str = "112-233-445 95";
/// Seconds since 1970 of midnight of 2 July 2021 in Vladivostok.
const MIDNIGHT: i64 = 1_625_148_000;

/// A query whose date is this expression over the instant `at`.
fn query(date: &str) -> String {
    format!(
        "SELECT id AS record_id, changed AS changed_at, '{SNILS}' AS person_snils, 'sputnik-v' AS \
         vaccine_code, {date} AS occurred_on FROM doses"
    )
}

/// Checks that the two doses, the last before midnight and the first after it, have their dates:
/// in the zone of the whole file, and in the source's own where it has one.
#[track_caller]
fn dates_follow_the_zone(database: &Database, date: &str) {
    let dates = |top: &str, own: &str| {
        let source = database.source(own, "vaccinations", &query(date));
        let clinic = clinic(top, &source);
        outgoing_dates(&clinic)
            .into_iter()
            .map(|(_, date)| date)
            .collect::<Vec<_>>()
    };
    let kind = database.kind();
    assert_eq!(
        dates(VLADIVOSTOK, ""),
        ["2021-07-01", "2021-07-02"],
        "{kind}: {date}"
    );
    assert_eq!(
        dates(VLADIVOSTOK, "time_zone = \"Europe/Moscow\""),
        ["2021-07-01", "2021-07-01"],
        "{kind}: {date}, in the source's own zone"
    );
    assert_eq!(
        dates("", "time_zone = \"Asia/Vladivostok\""),
        ["2021-07-01", "2021-07-02"],
        "{kind}: {date}, without a zone at the top"
    );
}

/// Checks that `check` says which zone counts, why, and what an instant becomes in it.
#[track_caller]
fn check_tells_the_zone(database: &Database, date: &str) {
    let source = |own: &str| database.source(own, "vaccinations", &query(date));
    let inherited = clinic(VLADIVOSTOK, &source(""));
    told(
        &inherited.program(&["check"]),
        0,
        &[
            "the clinic's time zone is Asia/Vladivostok",
            "instants become dates in Asia/Vladivostok (time_zone at the top of the file)",
            "vaccinations: occurred_on is an instant: for example 2021-07-01T14:00:00Z becomes \
             2021-07-02 (00:00 in Asia/Vladivostok)",
        ],
    );
    let own = clinic(VLADIVOSTOK, &source("time_zone = \"Europe/Moscow\""));
    told(
        &own.program(&["check"]),
        0,
        &[
            "instants become dates in Europe/Moscow (time_zone of this source)",
            "becomes 2021-07-01",
        ],
    );
    let none = clinic("", &source(""));
    told(
        &none.program(&["check"]),
        0,
        &[
            "no time_zone is written: Europe/Moscow is assumed",
            "write the clinic's zone at the top of the file",
            "instants become dates in Europe/Moscow (assumed, since no time_zone is written)",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_of_postgresql_have_the_clinics_date() {
    let database = Database::postgres().await;
    let rows = "CREATE TABLE doses (id int PRIMARY KEY, changed timestamptz, at timestamptz); \
                INSERT INTO doses VALUES (1, '2021-07-03 10:00Z', '2021-07-01 \
                23:59:59.999999+10'), (2, '2021-07-03 10:01Z', '2021-07-02 00:00+10'); \
                ALTER DATABASE mis SET TimeZone = 'America/New_York'";
    database.run(rows).await;
    for date in [
        "at",
        "at::date",
        "to_char(at, 'DD.MM.YYYY')",
        "at::text",
        "at::timestamp",
    ] {
        dates_follow_the_zone(&database, date);
    }
    check_tells_the_zone(&database, "at");
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_of_mariadb_have_the_clinics_date() {
    let database = Database::mariadb().await;
    let rows = format!(
        "SET SESSION time_zone = '+00:00'; CREATE TABLE doses (id int PRIMARY KEY, changed \
         timestamp(6) NOT NULL, at timestamp(6) NOT NULL, seconds bigint); INSERT INTO doses \
         VALUES (1, '2021-07-03 10:00', '2021-07-01 13:59:59.999999', {}), (2, '2021-07-03 \
         10:01', '2021-07-01 14:00:00', {MIDNIGHT}); SET GLOBAL time_zone = '-05:00'",
        MIDNIGHT - 1
    );
    database.run(&rows).await;
    for date in [
        "at",
        "DATE(at)",
        "COALESCE(at, changed)",
        "DATE_FORMAT(at, '%Y-%m-%d')",
        "DATE(FROM_UNIXTIME(seconds))",
    ] {
        dates_follow_the_zone(&database, date);
    }
    check_tells_the_zone(&database, "at");
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_of_sqlite_have_the_clinics_date() {
    let database = Database::sqlite();
    let rows = format!(
        "CREATE TABLE doses (id INTEGER PRIMARY KEY, changed TEXT, at INTEGER); INSERT INTO doses \
         VALUES (1, '2021-07-03T10:00:00Z', {}), (2, '2021-07-03T10:01:00Z', {MIDNIGHT})",
        MIDNIGHT - 1
    );
    database.run(&rows).await;
    for date in [
        "at",
        "at * 1000",
        "at * 1000000 + 1",
        "strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch')",
        "strftime('%Y-%m-%d %H:%M:%S+05:00', at + 18000, 'unixepoch')",
        "strftime('%d.%m.%Y %H:%M:%SZ', at, 'unixepoch')",
    ] {
        dates_follow_the_zone(&database, date);
    }
    check_tells_the_zone(&database, "at");
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_of_fhir_have_the_clinics_date() {
    let server = FhirServer::start().await.expect("the FHIR server starts");
    server.put(
        json!({ "resourceType": "Patient", "id": "a", "identifier": [{ "system":
                "https://fhir.ru/ig/core/systems/snils", "value": SNILS }] }),
        "2021-06-01T00:00:00Z",
    );
    for (id, at) in [
        ("1", "2021-07-01T13:59:59.999Z"),
        ("2", "2021-07-01T14:00:00Z"),
        ("3", "2021-07-01T16:59:59+03:00"),
        ("4", "2021-07-02T00:00:00+10:00"),
    ] {
        server.put(
            json!({ "resourceType": "Immunization", "id": id, "status": "completed",
                    "occurrenceDateTime": at, "patient": { "reference": "Patient/a" },
                    "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx",
                                                  "code": "208" }] } }),
            "2021-07-03T00:00:00Z",
        );
    }
    let dates = |top: &str, own: &str| {
        let dates = outgoing_dates(&fhir_clinic(top, &server, own));
        dates.into_iter().map(|(_, date)| date).collect::<Vec<_>>()
    };
    let vladivostok = ["2021-07-01", "2021-07-02", "2021-07-01", "2021-07-02"];
    assert_eq!(dates(VLADIVOSTOK, ""), vladivostok);
    assert_eq!(dates("", VLADIVOSTOK), vladivostok);
    let moscow = ["2021-07-01"; 4];
    assert_eq!(dates(VLADIVOSTOK, "time_zone = \"Europe/Moscow\""), moscow);
    told(
        &fhir_clinic(VLADIVOSTOK, &server, "").program(&["check"]),
        0,
        &[
            "instants become dates in Asia/Vladivostok (time_zone at the top of the file)",
            "vaccinations: occurred_on is an instant: for example 2021-07-01T14:00:00Z becomes \
             2021-07-02 (00:00 in Asia/Vladivostok)",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn midnights_of_another_zone_are_doubted() {
    let database = Database::postgres().await;
    let rows = "CREATE TABLE doses (id int PRIMARY KEY, changed timestamptz, at timestamptz); \
                INSERT INTO doses SELECT n, now(), '2021-07-01 00:00+10'::timestamptz + n * \
                interval '1 day' FROM generate_series(1, 20) n";
    database.run(rows).await;
    let source = database.source("", "vaccinations", &query("at"));
    told(
        &clinic("time_zone = \"Europe/Moscow\"", &source).program(&["check"]),
        0,
        &[
            "most occurred_on are at 17:00 by the clock of Europe/Moscow",
            "midnights of another time zone",
            "correct time_zone",
        ],
    );
    let right = told(&clinic(VLADIVOSTOK, &source).program(&["check"]), 0, &[]);
    assert!(!right.contains("by the clock of"), "{right}");
}
