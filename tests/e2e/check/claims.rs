//! The examples in `config/sources` keep what their comments say.

use std::fs;
use std::path::{Path, PathBuf};

use super::sources::{Database, clinic};
use crate::cli::told;

const TOP: &str = "time_zone = \"Europe/Moscow\"";

fn example(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/sources/{kind}.toml"));
    fs::read_to_string(path).expect("the example")
}

/// The example with the address of a database of the tests.
fn source(database: &Database) -> String {
    let text = example(database.kind());
    match database {
        Database::Postgres(server) => text
            .replace("port = 5432", &format!("port = {}", server.port()))
            .replace("\"gateway_reader\"", "\"postgres\"")
            .replace("password = { file = \"mis-password\" }\n", ""),
        Database::MariaDb(server) => text
            .replace("port = 3306", &format!("port = {}", server.port()))
            .replace("\"gateway_reader\"", "\"reader\""),
        Database::Sqlite(folder) => text.replace(
            "/srv/mis/mis.db",
            &folder.path().join("mis.db").display().to_string(),
        ),
    }
}

async fn known_words_are_known(database: &Database) {
    let rows = "CREATE TABLE patient (id integer PRIMARY KEY, snils varchar(20), oms varchar(20)); \
                CREATE TABLE vaccination (id integer PRIMARY KEY, changed_at STAMP, patient_id \
                integer, vaccine varchar(40), dose integer, given_on DATE_TYPE, state \
                varchar(20)); INSERT INTO patient VALUES (1, '112-233-445 95', NULL); INSERT INTO \
                vaccination VALUES (1, '2021-07-01 10:00:00', 1, 'Gam-COVID-Vac', 1, \
                '2021-07-01', 'done'), (2, '2021-07-01 10:01:00', 1, 'Спутник V', 1, \
                '2021-07-01', 'done'), (3, '2021-07-01 10:02:00', 1, 'XM6SZ8', 1, '2021-07-01', \
                'done'), (4, '2021-07-01 10:03:00', 1, '208', 1, '2021-07-01', 'done'), (5, \
                '2021-07-01 10:04:00', 1, 'Gam-COVID-Vac', 1, '2021-07-01', 'cancelled'), (6, \
                '2021-07-01 10:05:00', 1, 'Gam-COVID-Vac', 1, '2021-07-01', 'planned')";
    let types = match database {
        Database::Postgres(_) => ["timestamp", "date"],
        Database::MariaDb(_) => ["datetime", "date"],
        Database::Sqlite(_) => ["text", "text"],
    };
    let [stamp, date] = types;
    let rows = rows.replace("STAMP", stamp).replace("DATE_TYPE", date);
    database.run(&rows).await;
    let text = source(database);
    told(
        &clinic(TOP, &text).program(&["check"]),
        0,
        &[
            "vaccinations: of 6 rows 3 would leave, 1 would be refused: 1 unknown vaccine (1 \
             vaccine that is long or rare, not shown × 1); 1 cancelled, so taken back, 1 no facts (yet)",
        ],
    );
    let of_cvx = "CASE WHEN v.vaccine = '208' THEN 'http://hl7.org/fhir/sid/cvx' END AS \
                  vaccine_system, v.vaccine    AS vaccine_code";
    let text = text.replace("v.vaccine    AS vaccine_code", of_cvx);
    told(
        &clinic(TOP, &text).program(&["check"]),
        0,
        &["vaccinations: of 6 rows 4 would leave, 0 would be refused"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_example_for_postgresql_says_is_known_is_known() {
    known_words_are_known(&Database::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_example_for_mariadb_says_is_known_is_known() {
    known_words_are_known(&Database::mariadb().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_example_for_sqlite_says_is_known_is_known() {
    let database = Database::sqlite();
    known_words_are_known(&database).await;
    let feed = |name: &str, columns: &str| {
        format!(
            "[source.mis.sqlite.{name}]\nquery = '''SELECT id AS record_id, changed_at AS \
             changed_at, '112-233-445 95' AS person_snils, given_on AS occurred_on, {columns} FROM \
             vaccination'''\n"
        )
    };
    let text = format!(
        "{}{}{}",
        source(&database),
        feed(
            "tests",
            "'94500-6' AS test_code, '260373001' AS result_code"
        ),
        feed("recoveries", "'U07.1' AS diagnosis_code")
    );
    told(
        &clinic(TOP, &text).program(&["check"]),
        0,
        &[
            "tests: of 6 rows 6 would leave, 0 would be refused",
            "recoveries: of 6 rows 6 would leave, 0 would be refused",
        ],
    );
}

/// Every setting that an example shows in a comment, in the place of the comment: lines that are
/// settings, and other values behind `# or`.
fn with_comments_taken_up(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut variants = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let setting = line
            .strip_prefix("# ")
            .filter(|setting| {
                setting.contains(" = ") && toml::from_str::<toml::Table>(setting).is_ok()
            })
            .map(str::to_owned);
        let value = line.split_once(" # or ").map(|(setting, other)| {
            let key = setting.split(" = ").next().unwrap_or_default();
            let end = other.rfind(['}', '"']).expect("a value");
            format!("{key} = {}", &other[..=end])
        });
        for taken_up in setting.into_iter().chain(value) {
            let mut variant = lines.clone();
            variant[place] = &taken_up;
            variants.push(variant.join("\n"));
        }
    }
    variants
}

#[test]
fn settings_shown_in_comments_can_be_taken_up() {
    let mut tried = 0;
    for kind in ["postgres", "mysql", "sqlite", "fhir"] {
        for variant in with_comments_taken_up(&example(kind)) {
            // Loading panics, naming the fault.
            let _loaded = clinic(TOP, &variant).load();
            tried += 1;
        }
    }
    assert!(tried >= 12, "only {tried} settings stand in comments");
}

/// Files that a page names in backticks, below folders where they are looked for.
fn files_named(page: &str, folders: &[&str]) -> Vec<(String, bool)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(page)).expect("the page");
    let spans = text.split('`').skip(1).step_by(2);
    let names = spans.filter(|span| {
        let is_path = |char: char| char.is_ascii_alphanumeric() || "/._-".contains(char);
        span.chars().all(is_path)
            && (span.contains('/') || span.ends_with(".rs"))
            && !span.contains("KIND")
    });
    let there = |name: &str| {
        let mut places = folders.iter().map(|folder| root.join(folder).join(name));
        places.any(|place: PathBuf| place.exists())
    };
    names.map(|name| (name.to_owned(), there(name))).collect()
}

#[test]
fn files_that_the_connectors_page_names_are_there() {
    let folders = ["", "connectors/sql/src", "connectors/fhir/src"];
    let named = files_named("docs/connectors.md", &folders);
    let new = ["config.rs", "connector.rs", "check.rs", "tests/it"];
    let missing: Vec<_> = named
        .iter()
        .filter(|(name, there)| !there && !new.contains(&name.as_str()))
        .collect();
    assert!(named.len() > 8 && missing.is_empty(), "{missing:?}");
}
