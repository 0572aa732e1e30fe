//! The administrator's SELECT, and what a clinic's database may hold.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;

use connector_kit::{Connector as _, Feed, KeysRequest, PageRequest, SourceError};
use connector_sql::{MySqlConfig, PostgresConfig, SqlConnector, SqliteConfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::records;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
});

/// The columns of `sql_cells`, in the order of an input's lines.
const COLUMNS: [&str; 9] = [
    "record_id",
    "changed_at",
    "occurred_on",
    "dose_number",
    "vaccine_code",
    "person_snils",
    "person_passport_foreign",
    "person_passport_foreign_country",
    "status",
];

/// Where relative paths start from: nothing is there.
const NOWHERE: &str = "/nonexistent";

/// Most rows of an input.
const MAX_ROWS: usize = 6;

/// Reads one query by the rules of each kind of database.
pub fn sql_statement(bytes: &[u8]) -> bool {
    let Ok(query) = std::str::from_utf8(bytes) else {
        return false;
    };
    let feed = json!({ "query": query });
    let server =
        json!({ "host": "localhost", "database": "mis", "user": "reader", "vaccinations": feed });
    let file = json!({ "path": "mis.sqlite", "vaccinations": feed });
    let accepted = [
        accepts(postgres(&settings(server.clone()))),
        accepts(mysql(&settings(server))),
        accepts(sqlite(&settings(file))),
    ];
    accepted.contains(&true)
}

fn settings<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("settings as in config/sources")
}

/// Prepares a PostgreSQL source, without talking to the server.
pub(crate) fn postgres(config: &PostgresConfig) -> Result<SqlConnector, SourceError> {
    let _runtime = RUNTIME.enter();
    SqlConnector::postgres(config, Path::new(NOWHERE))
}

/// Prepares a MySQL source, without talking to the server.
pub(crate) fn mysql(config: &MySqlConfig) -> Result<SqlConnector, SourceError> {
    let _runtime = RUNTIME.enter();
    SqlConnector::mysql(config, Path::new(NOWHERE))
}

/// Prepares an SQLite source, without opening the file.
pub(crate) fn sqlite(config: &SqliteConfig) -> Result<SqlConnector, SourceError> {
    SqlConnector::sqlite(config, Path::new(NOWHERE))
}

/// Whether a source could be prepared; if not, the error is a sentence.
pub(crate) fn accepts(source: Result<SqlConnector, SourceError>) -> bool {
    source
        .map_err(|error| assert!(error.to_string().len() < 4096, "an error is a sentence"))
        .is_ok()
}

/// Rows of an SQLite database, out of text: a line a cell, in the order of `COLUMNS`; an empty line
/// begins a row. The first letter of a cell is its type: `t` text, `b` blob (both as bytes), `i`
/// whole number, `r` number, else NULL.
///
/// Every page, the keys and the rows by their ids agree with each other, and all of it can be
/// pseudonymised.
pub fn sql_cells(bytes: &[u8]) -> bool {
    let rows: Vec<String> = rows(bytes).iter().map(|row| select(row)).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // An empty file is an empty database, and the rows stand in the query.
    File::create(folder.path().join("mis.sqlite")).expect("the folder is new");
    let config: SqliteConfig = settings(json!({
        "path": "mis.sqlite",
        "time_zone": "Europe/Moscow",
        "vaccinations": {
            "query": rows.join("\nUNION ALL\n"),
            "status_words": { "done": "final", "": "final", "cancelled": "cancelled" },
        },
    }));
    let source = SqlConnector::sqlite(&config, folder.path()).expect("the query is plain");
    RUNTIME.block_on(read(&source)) > 0
}

fn rows(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut rows = vec![Vec::new()];
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.is_empty() && rows.len() < MAX_ROWS {
            rows.push(Vec::new());
        } else if let Some(row) = rows.last_mut() {
            row.push(line);
        }
    }
    rows
}

fn select(row: &[&[u8]]) -> String {
    let cells = COLUMNS.iter().enumerate().map(|(at, name)| {
        let cell = row.get(at).copied().unwrap_or_default();
        format!("{} AS {name}", literal(cell))
    });
    format!("SELECT {}", cells.collect::<Vec<_>>().join(", "))
}

fn literal(cell: &[u8]) -> String {
    let Some((kind, value)) = cell.split_first() else {
        return "NULL".into();
    };
    let text = std::str::from_utf8(value).unwrap_or_default();
    match kind {
        b't' => format!("CAST(x'{}' AS TEXT)", hex::encode(value)),
        b'b' => format!("x'{}'", hex::encode(value)),
        b'i' => text.parse::<i64>().map_or_else(
            |_| "0".into(),
            |number| match number {
                // SQLite takes the digits alone for a real number.
                i64::MIN => "(-9223372036854775807 - 1)".into(),
                number => number.to_string(),
            },
        ),
        b'r' => text.parse::<f64>().map_or_else(
            |_| "0.5".into(),
            |number| match number {
                number if number.is_infinite() => "9e999".into(),
                number if number.is_nan() => "NULL".into(),
                number => format!("{number:e}"),
            },
        ),
        _ => "NULL".into(),
    }
}

/// Reads everything there is in every way; returns how many records would leave.
async fn read(source: &SqlConnector) -> usize {
    let feed = Feed::Vaccinations;
    let now = records::now();
    let mut paged = BTreeSet::new();
    let mut leave = 0;
    let mut after = None;
    let mut first_of_run = true;
    for _ in 0..2 * MAX_ROWS {
        let request = PageRequest {
            feed,
            after: after.take(),
            first_of_run,
            hinted: false,
            limit: 4,
            now,
        };
        let Ok(page) = source.page(request).await else {
            return 0;
        };
        paged.extend(
            page.records
                .iter()
                .map(|record| (record.record_id.clone(), record.stamp)),
        );
        leave += records::through(page.records);
        (after, first_of_run) = (page.next, false);
        if after.is_none() {
            break;
        }
    }
    assert!(after.is_none(), "the pages of {MAX_ROWS} rows do not end");
    let mut keys = BTreeSet::new();
    for _ in 0..2 * MAX_ROWS {
        let request = KeysRequest {
            feed,
            after: after.take(),
            limit: 4,
            now,
        };
        let Ok(page) = source.keys(request).await else {
            return leave;
        };
        keys.extend(page.keys.into_iter().map(|key| (key.record_id, key.stamp)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(after.is_none(), "the keys of {MAX_ROWS} rows do not end");
    assert!(
        paged.is_subset(&keys),
        "a sweep would withdraw what a pull sends: {:?}",
        paged.difference(&keys)
    );
    let ids: Vec<String> = keys
        .iter()
        .map(|(id, _)| id.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if let Ok(fetched) = source.fetch(feed, &ids, now).await {
        let fetched: BTreeSet<_> = fetched
            .iter()
            .map(|record| (record.record_id.clone(), record.stamp))
            .collect();
        assert!(
            fetched.is_subset(&keys),
            "other ids or stamps by id: {:?}",
            fetched.difference(&keys)
        );
    }
    leave
}
