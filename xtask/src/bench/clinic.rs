//! The clinic's database: made from nothing, and read in the two ways that show what reading costs at least.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};
use testbed::postgres::Postgres;

use super::people;
use crate::error::Error;

/// Records in a page, for the gateway and for the bare loop.
pub const PAGE_RECORDS: u32 = 1000;

/// What the gateway is configured with for vaccinations.
pub const VACCINATIONS: &str = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, \
    oms AS person_oms, passport AS person_passport_foreign, country AS person_passport_foreign_country, \
    vaccine AS vaccine_code, dose AS dose_number, doses AS series_doses, given AS occurred_on, state AS status \
    FROM mis.vaccination";

/// What the gateway is configured with for tests.
pub const TESTS: &str = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, \
    oms AS person_oms, passport AS person_passport_foreign, country AS person_passport_foreign_country, \
    kind AS test_code, result AS result_code, taken AS occurred_on, state AS status FROM mis.test";

const SCHEMA: &str = "CREATE SCHEMA mis;
    CREATE TABLE mis.vaccination (id bigint, changed timestamptz, snils text, oms text, passport text, country text,
        vaccine text, dose smallint, doses smallint, given date, state text);
    CREATE TABLE mis.test (id bigint, changed timestamptz, snils text, oms text, passport text, country text,
        kind text, result text, taken date, state text);";
const INDEXES: &str = "CREATE UNIQUE INDEX ON mis.vaccination (changed, id);
    CREATE UNIQUE INDEX ON mis.test (changed, id);
    ALTER TABLE mis.vaccination ALTER changed SET NOT NULL, ALTER id SET NOT NULL;
    ALTER TABLE mis.test ALTER changed SET NOT NULL, ALTER id SET NOT NULL;";
/// What is sent to the server at once while the tables are filled.
const PIECE_RECORDS: u64 = 10_000;

/// A clinic's database and a connection to it.
pub struct Clinic {
    /// Its name.
    pub database: String,
    /// How many records it holds.
    pub records: u64,
    connection: PgConnection,
}

impl Clinic {
    /// Makes a database with so many records, indexed and vacuumed.
    pub async fn fill(server: &Postgres, records: u64) -> Result<Self, Error> {
        let database = format!("clinic_{records}");
        let url = server.create_database(&database).await?;
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
        let (mut vaccinations, mut tests) = (String::new(), String::new());
        for start in (0..records).step_by(usize::try_from(PIECE_RECORDS).unwrap_or(1)) {
            (start..records.min(start + PIECE_RECORDS))
                .for_each(|index| people::append_record(index, &mut vaccinations, &mut tests));
            copy_in(&mut connection, "COPY mis.vaccination FROM STDIN", &mut vaccinations).await?;
            copy_in(&mut connection, "COPY mis.test FROM STDIN", &mut tests).await?;
        }
        sqlx::raw_sql(INDEXES).execute(&mut connection).await?;
        // What a clinic's server did long ago should not fall into the first measurement.
        for tidying in ["VACUUM ANALYZE", "CHECKPOINT"] {
            sqlx::raw_sql(tidying).execute(&mut connection).await?;
        }
        Ok(Self { database, records, connection })
    }

    /// The floor: everything the queries select, streamed out by COPY and thrown away. How many rows came.
    pub async fn copy_out(&mut self) -> Result<u64, Error> {
        let mut rows = 0;
        for query in [VACCINATIONS, TESTS] {
            let statement = format!("COPY ({query}) TO STDOUT");
            let mut stream = self.connection.copy_out_raw(&statement).await?;
            // The server sends a message for each row.
            while stream.try_next().await?.is_some() {
                rows += 1;
            }
        }
        self.all(rows, "COPY")
    }

    /// A bare loop of pages by key, everything fetched and nothing done with it. How many rows came.
    pub async fn read_by_key(&mut self) -> Result<u64, Error> {
        let mut rows = 0;
        for query in [VACCINATIONS, TESTS] {
            rows += self.read_feed(query).await?;
        }
        self.all(rows, "the bare loop")
    }

    async fn read_feed(&mut self, query: &str) -> Result<u64, Error> {
        let page = |condition: &str| {
            format!(
                "SELECT * FROM ({query}) AS q {condition} ORDER BY q.changed_at, q.record_id LIMIT {PAGE_RECORDS}"
            )
        };
        let (first, next) = (page(""), page("WHERE (q.changed_at, q.record_id) > ($1, $2)"));
        let mut rows = sqlx::query(AssertSqlSafe(first)).fetch_all(&mut self.connection).await?;
        let mut count = 0;
        while let Some(last) = rows.last() {
            count += rows.len() as u64;
            let (id, at): (i64, DateTime<Utc>) = (last.try_get(0)?, last.try_get(1)?);
            let statement = sqlx::query(AssertSqlSafe(next.as_str())).bind(at).bind(id);
            rows = statement.fetch_all(&mut self.connection).await?;
        }
        Ok(count)
    }

    fn all(&self, rows: u64, how: &str) -> Result<u64, Error> {
        if rows == self.records {
            return Ok(rows);
        }
        Err(Error::WrongResult(format!("{how} read {rows} of {} records", self.records)))
    }
}

async fn copy_in(connection: &mut PgConnection, statement: &str, lines: &mut String) -> Result<(), Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(lines.as_bytes()).await?;
    copy.finish().await?;
    lines.clear();
    Ok(())
}
