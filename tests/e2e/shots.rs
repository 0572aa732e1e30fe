//! A clinic of one table that tests can change in every way, and what of it must be in the
//! registry.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use contract::Fact;
use registry::Reader;
use testbed::postgres::Postgres;

use crate::support::{snils, stored_facts};

/// Word for a vaccine that nobody has mapped: a row with it is refused.
pub(crate) const UNMAPPED: &str = "unmapped";

/// Facts that stand, each with how often it is there. Withdrawn ones are not counted: a record that
/// was deleted before it ever left is unknown to the registry, and one that had left is withdrawn
/// there; both say the same.
pub(crate) type Content = BTreeMap<String, u32>;

/// The table in a schema of its own, so that many clinics can share a server.
pub(crate) struct Shots<'a> {
    pub server: &'a Postgres,
    pub database: String,
    pub schema: String,
}

impl Shots<'_> {
    /// Makes the table.
    pub(crate) async fn create(&self) {
        let schema = &self.schema;
        self.sql(&format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {schema}.shot (id integer PRIMARY KEY, snils \
             text NOT NULL, \
             vaccine text NOT NULL, dose integer NOT NULL, day date NOT NULL, state text NOT NULL \
             DEFAULT 'done', \
             changed_at timestamptz NOT NULL DEFAULT clock_timestamp()); CREATE INDEX ON \
             {schema}.shot (changed_at, id);"
        ))
        .await;
    }

    /// The `[source.mis]` section; `extra` are more lines of it.
    pub(crate) fn source(&self, page_records: u32, extra: &str) -> String {
        format!(
            "[source.mis]\npage_records = {page_records}\n{extra}\n[source.mis.postgres]\nhost \
             = \"127.0.0.1\"\n\
             port = {}\ndatabase = \"{}\"\nuser = \"postgres\"\noverlap_seconds = 2\n\
             connect_timeout_seconds = 60\n\
             [source.mis.postgres.vaccinations]\nquery = \"\"\"\nSELECT id AS record_id, \
             changed_at, \
             snils AS person_snils, vaccine AS vaccine_code, dose AS dose_number, day AS \
             occurred_on, state AS status \
             FROM {}.shot\n\"\"\"\nstatus_words = {{ done = \"final\", void = \"cancelled\" }}\n",
            self.server.port(),
            self.database,
            self.schema
        )
    }

    pub(crate) async fn sql(&self, sql: &str) -> String {
        self.server
            .psql(&self.database, sql)
            .await
            .expect("the clinic's database does as it is told")
    }

    /// Adds rows; person, dose and day of each are its own, so that facts can be told apart without
    /// knowing who.
    pub(crate) async fn insert(&self, ids: std::ops::Range<u32>) {
        let mut values = String::new();
        for id in ids {
            let comma = if values.is_empty() { "" } else { "," };
            write!(
                values,
                "{comma}({id}, '{}', 'sputnik-v', {}, date '2020-12-01' + {})",
                person(id),
                1 + id % 4,
                id / 4
            )
            .expect("a text takes text");
        }
        self.sql(&format!(
            "INSERT INTO {}.shot (id, snils, vaccine, dose, day) VALUES {values}",
            self.schema
        ))
        .await;
    }

    /// What the clinic holds and the registry must: all but what is cancelled or refused.
    pub(crate) async fn content(&self) -> Content {
        let rows = self
            .sql(&format!(
                "SELECT vaccine || ' ' || dose || ' ' || day, count(*) FROM {}.shot WHERE state = \
                 'done' AND vaccine <> '{UNMAPPED}' GROUP BY 1",
                self.schema
            ))
            .await;
        let row = |line: &str| {
            line.split_once('|')
                .map(|(fact, count)| (fact.to_owned(), count.parse().expect("a count")))
        };
        rows.lines().filter_map(row).collect()
    }
}

/// The SNILS of a row's person.
pub(crate) fn person(id: u32) -> String {
    snils(501_000_000 + id)
}

/// What the registry holds.
pub(crate) async fn registry_content(reader: &Reader) -> Content {
    let mut content = Content::new();
    for stored in stored_facts(reader).await {
        let fact = match stored.fact {
            Some(Fact::Vaccination {
                vaccine,
                dose_number: Some(dose),
                occurred_on,
                ..
            }) => {
                format!("{} {dose} {occurred_on}", vaccine.as_str())
            }
            Some(Fact::Test {
                result,
                occurred_on,
                ..
            }) => format!("test {} {occurred_on}", result.as_str()),
            None => continue,
            Some(other) => format!("unexpected: {other:?}"),
        };
        *content.entry(fact).or_default() += 1;
    }
    content
}

/// Facts whose counts differ, the first ten: (fact, times at the clinic, times in the registry).
pub(crate) fn differing(clinic: &Content, registry: &Content) -> Vec<(String, u32, u32)> {
    let count = |content: &Content, fact: &String| content.get(fact).copied().unwrap_or(0);
    let mut facts: Vec<&String> = clinic.keys().chain(registry.keys()).collect();
    facts.sort();
    facts.dedup();
    facts
        .into_iter()
        .map(|fact| (fact.clone(), count(clinic, fact), count(registry, fact)))
        .filter(|(_, here, there)| here != there)
        .take(10)
        .collect()
}
