//! A registry of millions of persons, made by statements over whole sets in the registry's own
//! tables.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{PrivateKey, Pseudonym, Scheme, Suite};
use eligibility::Rules;
use pass::keys::SigningKey;
use pass::{PassIdKey, Product};
use registry::passes::{DatedKey, PassKeys, PassSettings, Passes};
use registry::{Keys, PostgresConfig, Reader, SecondLayerKey, StoreConfig, TlsMode};
use secrecy::SecretBox;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testbed::postgres::Postgres;

use crate::error::Error;

/// Database of the registry.
pub(super) const DATABASE: &str = "registry";
/// Rules that are applied.
const RULES: &str = include_str!("../../../../../config/pass-rules.toml");
/// Statements that fill the tables.
const LOAD: &str = include_str!("load.sql");
/// Most persons that are asked after: each once, so that nobody finds pages in memory that another
/// look-up has just read.
const MOST_ASKED: u64 = 48_000;

/// Registry, and the persons that are asked after.
pub(super) struct City {
    pub(super) reader: Reader,
    pub(super) url: String,
    /// Persons by number, their names as a portal computes them.
    pub(super) asked: Vec<Vec<Pseudonym>>,
}

/// Time of all measurements, for which the facts are made.
pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_625_130_000, 0).unwrap_or_default()
}

impl City {
    /// Makes the tables and fills them.
    pub(super) async fn make(server: &Postgres, subjects: u64, base: &Path) -> Result<Self, Error> {
        let url = server.create_database(DATABASE).await?;
        let keys = Keys::new(
            PrivateKey::generate(),
            Vec::new(),
            SecondLayerKey::generate(),
        );
        let config = PostgresConfig {
            url: Some(url.clone()),
            tls: Some(TlsMode::Off),
            ..PostgresConfig::default()
        };
        let store = StoreConfig::Postgres(Box::new(config));
        let opened = Reader::open(&store, keys, base).await;
        let reader = opened.map_err(|error| Error::WrongResult(error.to_string()))?;
        let asked = (0..MOST_ASKED.min(subjects / 8)).map(|place| {
            // Spread over all, and of every kind.
            let number = place * (subjects / MOST_ASKED.min(subjects / 8)) + place % 4 + 1;
            (number, names(number))
        });
        let asked: Vec<(u64, Vec<Pseudonym>)> = asked.collect();
        let tables = tables_of(&reader, &asked);
        server.psql(DATABASE, &tables).await?;
        fill(&url, subjects).await?;
        Ok(Self {
            reader,
            url,
            asked: asked.into_iter().map(|(_, names)| names).collect(),
        })
    }

    /// Issue of passes, as a portal that has just started has it.
    pub(super) fn passes(&self) -> Result<Passes, Error> {
        let wrong = |error: &dyn std::fmt::Display| Error::WrongResult(error.to_string());
        let rules = Rules::parse(RULES, Path::new("pass-rules.toml"));
        let ids = PassIdKey::new(&SecretBox::new(Box::new([7; 32])));
        let key = DatedKey {
            key: SigningKey::generate(),
            products: vec![Product::City, Product::Revocations],
            from: now() - TimeDelta::days(1),
            until: now() + TimeDelta::days(100),
        };
        let settings = PassSettings {
            issuer: "RU-MOW".to_owned(),
            strips_per_day: 3,
            days_ahead: 3,
            most_per_window: 60,
            certificate_days: 90,
            individual_revocation: true,
        };
        Ok(Passes::new(
            self.reader.clone(),
            rules.map_err(|error| wrong(&error))?,
            PassKeys::new(SigningKey::generate(), ids, vec![key]),
            settings,
        ))
    }

    /// Closes the registry's connections.
    pub(super) async fn close(&self) {
        self.reader.close().await;
    }
}

/// Fills the tables, statement by statement: with millions of persons each takes minutes, longer
/// than a server's helper may.
async fn fill(url: &str, subjects: u64) -> Result<(), Error> {
    let mut connection = PgConnection::connect(url).await?;
    let load = LOAD.replace(":persons", &subjects.to_string());
    for statement in load.split(";\n").filter(|text| !text.trim().is_empty()) {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// Names of a person: one to three, as `load.sql` gives them.
fn names(number: u64) -> Vec<Pseudonym> {
    let others: &[Scheme] = match number % 4 {
        0 => &[Scheme::Oms, Scheme::PassportRu],
        2 => &[Scheme::Oms],
        3 => &[Scheme::PassportRu],
        _ => &[],
    };
    let schemes = std::iter::once(&Scheme::Snils).chain(others);
    schemes.map(|scheme| name(number, *scheme)).collect()
}

/// Name that nobody has, or that of a person.
pub(super) fn name(number: u64, scheme: Scheme) -> Pseudonym {
    let mut value = [scheme as u8; 32];
    value[..8].copy_from_slice(&number.to_be_bytes());
    Pseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch: 1,
        value,
    }
}

/// Table of the names under the second layer of those who are asked after.
fn tables_of(reader: &Reader, asked: &[(u64, Vec<Pseudonym>)]) -> String {
    let column = |names: &[Pseudonym], scheme| {
        let name = names.iter().find(|name| name.scheme == scheme);
        let value = name.and_then(|name| reader.second_layer(name));
        let value = value.map(|name| name.value);
        value.map_or_else(
            || "\\N".to_owned(),
            |value| format!("\\\\x{}", hex::encode(value)),
        )
    };
    let row = |(number, names): &(u64, Vec<Pseudonym>)| {
        let schemes = [Scheme::Snils, Scheme::Oms, Scheme::PassportRu];
        let columns = schemes.map(|scheme| column(names, scheme)).join("\t");
        format!("{number}\t{columns}\n")
    };
    let rows: String = asked.iter().map(row).collect();
    format!(
        "CREATE UNLOGGED TABLE asked (number BIGINT PRIMARY KEY, snils BYTEA, oms BYTEA,
            passport BYTEA);
        COPY asked FROM STDIN;\n{rows}\\.\n"
    )
}
