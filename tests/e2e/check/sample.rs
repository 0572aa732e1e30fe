//! What `check` tells of a sample: how many rows would leave, how many would be refused, and why.

use std::fs;

use serde_json::{Value, json};
use testbed::fhir::FhirServer;

use super::sources::{Database, clinic, fhir_clinic};
use crate::cli::{json as json_of, told, words};
use crate::support::Clinic;

const TOP: &str = "time_zone = \"Europe/Moscow\"";
const SNILS: &str = "112-233-445 95";
/// Numbers of three persons: a value is shown once three persons have it.
const THREE: [&str; 3] = [SNILS, "100-200-300 30", "207-654-303 55"];
const QUERY: &str = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, \
                     vaccine AS vaccine_code, given AS occurred_on, state AS status FROM doses";
const WORDS: &str = "status_words = { \"done\" = \"final\", \"plan\" = \"not-a-fact\", \
                     \"void\" = \"cancelled\" }\n";
const FLU: &str = "[source.mis.policy.codes.vaccines]\n\"Grippol\" = \"not-covid\"\n";

/// A statement that fills `doses`: each row has a number, its vaccine, SNILS and state.
fn filled(rows: impl Iterator<Item = [String; 3]>) -> String {
    let mut sql = "CREATE TABLE doses (id integer PRIMARY KEY, changed varchar(30), vaccine \
                   varchar(80), snils varchar(20), given varchar(20), state varchar(20)); "
        .to_owned();
    let rows: Vec<String> = rows
        .enumerate()
        .map(|(number, [vaccine, snils, state])| {
            let stamp = format!("2021-07-01 {:02}:{:02}:00", number / 60, number % 60);
            let quoted = |text: &str| match text {
                "" => "NULL".to_owned(),
                text => format!("'{text}'"),
            };
            format!(
                "({number}, '{stamp}', {}, {}, '2021-06-01', {})",
                quoted(&vaccine),
                quoted(&snils),
                quoted(&state)
            )
        })
        .collect();
    sql += &format!("INSERT INTO doses VALUES {};", rows.join(", "));
    sql
}

/// The rows of the issue: 500, of which 212 would leave.
fn five_hundred() -> impl Iterator<Item = [String; 3]> {
    (0..500)
        .map(|number| match number {
            0..120 => ["Вакцина Х", THREE[number % 3], "done"],
            120..201 => ["", SNILS, "done"],
            201..288 => ["sputnik-v", "", "done"],
            _ => ["sputnik-v", SNILS, "done"],
        })
        .map(|row| row.map(str::to_owned))
}

async fn with_rows(database: &Database, rows: impl Iterator<Item = [String; 3]>) -> Clinic {
    database.run(&filled(rows)).await;
    let query = match database {
        // PostgreSQL and MariaDB order by a moment, SQLite by its text.
        Database::Sqlite(_) => QUERY.to_owned(),
        Database::Postgres(_) => QUERY.replace("changed AS", "changed::timestamp AS"),
        Database::MariaDb(_) => QUERY.replace("changed AS", "CAST(changed AS DATETIME) AS"),
    };
    let source = database.source("", "vaccinations", &query);
    clinic(TOP, &format!("{source}{WORDS}{FLU}"))
}

/// Findings of the source's section whose text contains this.
fn findings(clinic: &Clinic, part: &str) -> Vec<Value> {
    let report = json_of(&clinic.program(&["check", "--json"]));
    let sections = report.as_array().expect("a list of sections");
    let source = sections
        .iter()
        .find(|section| section["part"] == "source mis");
    let findings = source.expect("the source's section")["findings"].clone();
    let findings = findings.as_array().expect("findings").clone();
    let says = |finding: &Value| {
        finding["what"]
            .as_str()
            .is_some_and(|what| what.contains(part))
    };
    findings.into_iter().filter(says).collect()
}

async fn the_number_to_judge(database: &Database) {
    let clinic = with_rows(database, five_hundred()).await;
    told(
        &clinic.program(&["check"]),
        0,
        &[
            "vaccinations: HALF OR MORE WOULD BE REFUSED: of 500 rows 212 would leave, 288 would \
             be refused: 201 unknown vaccine (\"Вакцина Х\" 120, (empty) 81), 87 no identifier",
            "add it to the vaccine codes of the configuration",
            "vaccinations: vaccine «Вакцина Х» × 120: not known",
            "write \"Вакцина Х\" = \"…\" under [source.mis.policy.codes.vaccines]",
        ],
    );
    let told_of = findings(&clinic, "of 500 rows");
    assert_eq!(told_of.len(), 1, "{told_of:?}");
    assert_eq!(told_of[0]["level"], "warning");
    assert!(
        !clinic.folder.path().join("state/outbox.db").exists(),
        "nothing is stored"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_ends_in_a_number_that_a_person_can_judge_on_postgresql() {
    the_number_to_judge(&Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_ends_in_a_number_that_a_person_can_judge_on_mariadb() {
    the_number_to_judge(&Database::mariadb().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_ends_in_a_number_that_a_person_can_judge_on_sqlite() {
    let database = Database::sqlite();
    the_number_to_judge(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_ring_the_sample_is_judged_all_the_same() {
    let database = Database::sqlite();
    let clinic = with_rows(&database, five_hundred()).await;
    fs::remove_file(clinic.folder.path().join("keys")).expect("the ring is gone");
    told(
        &clinic.program(&["check"]),
        78,
        &["keys", "of 500 rows 212 would leave, 288 would be refused"],
    );
    let offline = words(&clinic.program(&["check", "--offline"]));
    assert!(!offline.contains("would leave"), "{offline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_fact_or_not_ours_is_counted_as_such() {
    let database = Database::sqlite();
    let rows = (0..10).map(|number| {
        let row = match number {
            0..4 => ["sputnik-v", SNILS, "done"],
            4 | 5 => ["sputnik-v", SNILS, "plan"],
            6 => ["sputnik-v", SNILS, "void"],
            7 | 8 => ["Grippol", "", "done"],
            _ => ["sputnik-v", SNILS, "ENTERED_IN_ERROR"],
        };
        row.map(str::to_owned)
    });
    let clinic = with_rows(&database, rows).await;
    let said = told(
        &clinic.program(&["check"]),
        0,
        &[
            "vaccinations: of 10 rows 4 would leave, 1 would be refused: 1 unknown status \
             (1 status that is long or rare, not shown × 1); 1 cancelled, so taken back, 2 no facts (yet), 2 not about \
             COVID-19",
            "add it to status_words of its feed",
        ],
    );
    assert!(!said.contains("HALF OR MORE"), "{said}");
    database
        .run("UPDATE doses SET state = 'done' WHERE id = 9")
        .await;
    let good = findings(&clinic, "of 10 rows 5 would leave, 0 would be refused");
    assert_eq!(good[0]["level"], "ok", "{good:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_which_nothing_would_leave_is_a_warning_whatever_the_reason() {
    let database = Database::sqlite();
    let rows = (0..10).map(|_| ["sputnik-v", SNILS, "done"].map(str::to_owned));
    let clinic = with_rows(&database, rows).await;
    let good = findings(&clinic, "of 10 rows 10 would leave, 0 would be refused");
    assert_eq!(good[0]["level"], "ok", "{good:?}");
    for (change, counts) in [
        (
            "state = 'plan'",
            "nothing would leave: of 10 rows 0 would leave, 0 would be refused; 10 no facts (yet)",
        ),
        (
            "state = CASE WHEN id < 9 THEN 'plan' ELSE 'void' END",
            "nothing would leave: of 10 rows 0 would leave, 0 would be refused; 1 cancelled, so \
             taken back, 9 no facts (yet)",
        ),
        (
            "state = 'void'",
            "nothing would leave: of 10 rows 0 would leave, 0 would be refused; 10 cancelled, so \
             taken back",
        ),
        (
            "state = 'done', vaccine = 'Grippol'",
            "nothing would leave: of 10 rows 0 would leave, 0 would be refused; 10 not about \
             COVID-19",
        ),
        (
            "state = 'done', vaccine = 'sputnik-v', snils = NULL",
            "HALF OR MORE WOULD BE REFUSED: nothing would leave: of 10 rows 0 would leave, 10 \
             would be refused: 10 no identifier",
        ),
    ] {
        database.run(&format!("UPDATE doses SET {change}")).await;
        let nothing = findings(&clinic, counts);
        assert_eq!(nothing.len(), 1, "{change}: {nothing:?}");
        assert_eq!(nothing[0]["level"], "warning", "{nothing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_rows_are_among_the_sample_and_each_row_once() {
    let database = Database::postgres().await;
    let rows = |bad: std::ops::Range<usize>, all| {
        (0..all).map(move |number| {
            let vaccine = if bad.contains(&number) {
                "Neu"
            } else {
                "sputnik-v"
            };
            [vaccine, THREE[number % 3], "done"].map(str::to_owned)
        })
    };
    let clinic = with_rows(&database, rows(900..1000, 1000)).await;
    told(
        &clinic.program(&["check"]),
        0,
        &["of 500 rows 400 would leave, 100 would be refused: 100 unknown vaccine (\"Neu\" 100)"],
    );
    database.run("DELETE FROM doses WHERE id >= 400").await;
    told(
        &clinic.program(&["check"]),
        0,
        &["of 400 rows 400 would leave, 0 would be refused"],
    );
    // A row that the server cannot hand over does not hide what the others come to.
    database
        .run("UPDATE doses SET given = NULL; UPDATE doses SET given = '0' WHERE id IN (0, 399)")
        .await;
    let text = fs::read_to_string(clinic.config_path()).expect("the configuration");
    let text = text.replace(
        "given AS occurred_on",
        "CASE WHEN given IS NULL THEN DATE '2021-06-01' ELSE DATE '2021-06-01' + 1 / given::int \
         END AS occurred_on",
    );
    fs::write(clinic.config_path(), text).expect("it is written");
    told(
        &clinic.program(&["check"]),
        0,
        &["of 400 rows 398 would leave, 2 would be refused"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_values_are_named_that_are_short_and_that_three_persons_have() {
    let database = Database::sqlite();
    let rows = (0..80).map(|number| {
        let vaccine = match number {
            0..30 => "112-233-445 95".to_owned(),
            30..50 => format!("\u{1b}[31m{}", "x".repeat(80)),
            50..77 => format!("VAX-{}", number / 3),
            _ => format!("Of Petrova {number}"),
        };
        [vaccine, THREE[number % 3].to_owned(), "done".to_owned()]
    });
    let clinic = with_rows(&database, rows).await;
    let said = told(
        &clinic.program(&["check"]),
        0,
        &[
            "of 80 rows 0 would leave, 80 would be refused: 80 unknown vaccine (",
            "\"VAX-17\" 3",
            "that are long or rare, not shown × ",
        ],
    );
    for hidden in ["112-233-445", "\u{1b}", &"x".repeat(60), "Petrova"] {
        assert!(!said.contains(hidden), "{hidden} in {said}");
    }
    let block = told(
        &clinic.program(&["codes", "mis", "--read"]),
        0,
        &[
            "# \"VAX-17\" = \"…\"",
            "# × 3 of the 80 records read",
            "which the configuration has already",
        ],
    );
    assert!(!block.contains("Petrova"), "{block}");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_dead_letters_are_told_until_they_are_mapped() {
    let database = Database::sqlite();
    let rows = (0..10).map(|number| {
        let vaccine = match number {
            0..6 => "Щука-КоВ",
            6 => "Of Petrova",
            _ => "sputnik-v",
        };
        [vaccine, THREE[number % 3], "done"].map(str::to_owned)
    });
    let clinic = with_rows(&database, rows).await;
    told(
        &clinic.program(&["codes", "mis"]),
        0,
        &["nothing of it has been read yet", "codes mis --read"],
    );
    let pass = ["sync", "--wait-receipts", "0"];
    clinic.program(&pass);
    let what = "vaccine «Щука-КоВ» × 6: not known; write \"Щука-КоВ\" = \"…\" under \
                [source.mis.policy.codes.vaccines]";
    told(
        &clinic.program(&["status"]),
        0,
        &[what, "1 more value, long or rare, not shown"],
    );
    let by_value = ["dead-letters", "list", "--by", "value"];
    told(
        &clinic.program(&by_value),
        0,
        &[what, "1 vaccine that is long or rare, not shown × 1"],
    );
    let letters = json_of(&clinic.program(&["dead-letters", "list", "--json"]));
    let letters = letters.as_array().expect("letters");
    let shown = letters
        .iter()
        .filter(|letter| letter["value"] == "Щука-КоВ");
    assert_eq!((letters.len(), shown.count()), (7, 6));
    let block = told(
        &clinic.program(&["codes", "mis"]),
        0,
        &["# × 6 rows refused", "# \"Щука-КоВ\" = \"…\""],
    );
    let outbox = fs::read(clinic.folder.path().join("state/outbox.db")).expect("the outbox");
    for word in ["Щука", "Petrova"] {
        let rests = outbox
            .windows(word.len())
            .any(|part| part == word.as_bytes());
        assert!(!rests, "{word} rests readable");
    }
    assert!(!block.contains("Petrova"), "{block}");

    let text = fs::read_to_string(clinic.config_path()).expect("the configuration");
    let text = text.replace(
        "\"Grippol\" =",
        "\"Щука-КоВ\" = \"not-covid\"\n\"Grippol\" =",
    );
    fs::write(clinic.config_path(), text).expect("it is written");
    told(
        &clinic.program(&["codes", "mis"]),
        0,
        &["1 more value is known by the configuration as it is now, and 6 rows are still refused"],
    );
    clinic.program(&pass);
    let after = words(&clinic.program(&["codes", "mis"]));
    assert!(
        !after.contains("known by the configuration") && after.contains("1 value that"),
        "{after}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_stamp_are_a_warning() {
    for database in [Database::postgres().await, Database::sqlite()] {
        let rows = (0..20).map(|_| ["sputnik-v", SNILS, "done"].map(str::to_owned));
        let clinic = with_rows(&database, rows).await;
        database
            .run("UPDATE doses SET changed = NULL WHERE id < 3")
            .await;
        told(
            &clinic.program(&["check"]),
            0,
            &[
                "3 rows have no changed_at; only the key sweep reads such rows",
                "of 20 rows 20 would leave, 0 would be refused",
            ],
        );
        database.run("UPDATE doses SET changed = NULL").await;
        let said = told(
            &clinic.program(&["check"]),
            0,
            &["20 rows have no changed_at"],
        );
        assert!(!said.contains("returns no row"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fhir_servers_sample_is_judged() {
    let server = FhirServer::start().await.expect("the FHIR server starts");
    for (id, snils) in ["a", "b", "c"].into_iter().zip(THREE) {
        server.put(
            json!({ "resourceType": "Patient", "id": id, "identifier": [{ "system":
                    "https://fhir.ru/ig/core/systems/snils", "value": snils }] }),
            "2021-06-01T00:00:00Z",
        );
    }
    for number in 0..300 {
        let (code, status, patient) = match number {
            0..100 => ("208", "completed", "a"),
            100..150 => ("999", "completed", ["a", "b", "c"][number % 3]),
            150..160 => ("208", "in-progress", ["a", "b", "c"][number % 3]),
            160..200 => ("208", "completed", "nobody"),
            200..210 => ("208", "not-done", "a"),
            // Influenza.
            _ => ("140", "completed", "a"),
        };
        server.put(
            json!({ "resourceType": "Immunization", "id": format!("i{number}"), "status": status,
                    "occurrenceDateTime": "2021-06-02",
                    "patient": { "reference": format!("Patient/{patient}") },
                    "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx",
                                                  "code": code }] } }),
            &format!("2021-07-01T{:02}:{:02}:00Z", number / 60, number % 60),
        );
    }
    let clinic = fhir_clinic(TOP, &server, "feeds = [\"vaccinations\"]");
    told(
        &clinic.program(&["check"]),
        0,
        &[
            "vaccinations: HALF OR MORE WOULD BE REFUSED: of 300 rows 100 would leave, 100 would \
             be refused: 50 unknown vaccine (\"http://hl7.org/fhir/sid/cvx|999\" 50), 40 no \
             identifier, 10 unknown status (\"in-progress\" 10); 10 no facts (yet), 90 not about \
             COVID-19",
        ],
    );
}
