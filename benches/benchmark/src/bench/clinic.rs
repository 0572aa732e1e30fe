//! The clinic's database: made from nothing, and read in the two ways that show what reading costs
//! at least.

use std::hint::black_box;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use testbed::postgres::Postgres;

use super::people;
use crate::error::Error;

/// Records in a page of the bare loop.
pub(super) const LOOP_PAGE_RECORDS: u32 = 5000;

/// Query for vaccinations in the gateway's configuration.
pub(super) const VACCINATIONS: &str = "SELECT id AS record_id, changed AS changed_at, snils AS \
    person_snils, \
    oms AS person_oms, passport AS person_passport_foreign, country AS \
    person_passport_foreign_country, \
    vaccine AS vaccine_code, dose AS dose_number, doses AS series_doses, given AS occurred_on, \
    state AS status \
    FROM mis.vaccination";

/// Query for tests in the gateway's configuration.
pub(super) const TESTS: &str = "\
    SELECT id AS record_id, changed AS changed_at, snils AS person_snils, \
    oms AS person_oms, passport AS person_passport_foreign, country AS \
    person_passport_foreign_country, \
    kind AS test_code, result AS result_code, taken AS occurred_on, state AS status FROM mis.test";

/// The clinic's tables.
pub(super) const SCHEMA: &str = "CREATE SCHEMA mis;
    CREATE TABLE mis.vaccination (id bigint, changed timestamptz, snils text, oms text, passport \
    text, country text,
        vaccine text, dose smallint, doses smallint, given date, state text);
    CREATE TABLE mis.test (id bigint, changed timestamptz, snils text, oms text, passport text, \
    country text,
        kind text, result text, taken date, state text);";
/// Indexes of the clinic's tables.
pub(super) const INDEXES: &str = "CREATE UNIQUE INDEX ON mis.vaccination (changed, id);
    CREATE UNIQUE INDEX ON mis.test (changed, id);
    ALTER TABLE mis.vaccination ALTER changed SET NOT NULL, ADD PRIMARY KEY (id);
    ALTER TABLE mis.test ALTER changed SET NOT NULL, ADD PRIMARY KEY (id);";
/// Number of records that are sent to the server at once while the tables are filled.
const PIECE_RECORDS: u64 = 50_000;

/// A clinic's database and a connection to it.
pub(super) struct Clinic {
    /// Name of the database.
    pub database: String,
    /// Number of records in its tables.
    pub records: u64,
    connection: PgConnection,
}

impl Clinic {
    /// Makes a database with so many records, indexed and vacuumed, or takes the one that an
    /// earlier part made.
    pub(super) async fn at(server: &Postgres, records: u64) -> Result<Self, Error> {
        let database = format!("clinic_{records}");
        let known = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
        if server.psql("postgres", &known).await? == "1" {
            let connection = PgConnection::connect(&server.url(&database)).await?;
            return Ok(Self {
                database,
                records,
                connection,
            });
        }
        // Under another name until it is whole: a later part must not find half a clinic.
        let unfinished = format!("filling_{records}");
        server
            .psql(
                "postgres",
                &format!("DROP DATABASE IF EXISTS \"{unfinished}\""),
            )
            .await?;
        let mut connection =
            PgConnection::connect(&server.create_database(&unfinished).await?).await?;
        fill(&mut connection, records).await?;
        connection.close().await?;
        server
            .psql(
                "postgres",
                &format!("ALTER DATABASE \"{unfinished}\" RENAME TO \"{database}\""),
            )
            .await?;
        let connection = PgConnection::connect(&server.url(&database)).await?;
        Ok(Self {
            database,
            records,
            connection,
        })
    }

    /// The floor: everything the queries select, streamed out by COPY and thrown away. How many
    /// rows came.
    pub(super) async fn copy_out(&mut self) -> Result<u64, Error> {
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

    /// A bare loop of pages by key: every column decoded into a value of its own, and nothing done
    /// with it. How many rows.
    pub(super) async fn read_by_key(&mut self) -> Result<u64, Error> {
        let mut rows = self.read_feed(VACCINATIONS, Owned::vaccination).await?;
        rows += self.read_feed(TESTS, Owned::test).await?;
        self.all(rows, "the bare loop")
    }

    async fn read_feed(
        &mut self,
        query: &str,
        decode: fn(&PgRow) -> Result<Owned, sqlx::Error>,
    ) -> Result<u64, Error> {
        let page = |condition: &str| {
            format!(
                "SELECT * FROM ({query}) AS q {condition} \
                 ORDER BY q.changed_at, q.record_id LIMIT {LOOP_PAGE_RECORDS}"
            )
        };
        let first = page("");
        let next = page("WHERE (q.changed_at, q.record_id) > ($1, $2)");
        let mut count = 0;
        let mut last = None;
        loop {
            let statement = match last {
                None => sqlx::query(AssertSqlSafe(first.as_str())),
                Some((at, id)) => sqlx::query(AssertSqlSafe(next.as_str())).bind(at).bind(id),
            };
            let rows = statement.fetch(&mut self.connection);
            let page: Vec<Owned> = rows
                .and_then(|row| std::future::ready(decode(&row)))
                .try_collect()
                .await?;
            let Some(row) = page.last() else {
                return Ok(count);
            };
            last = Some((row.changed_at, row.id));
            count += page.len() as u64;
            black_box(page);
        }
    }

    fn all(&self, rows: u64, how: &str) -> Result<u64, Error> {
        if rows == self.records {
            return Ok(rows);
        }
        Err(Error::WrongResult(format!(
            "{how} read {rows} of {} records",
            self.records
        )))
    }
}

/// A row as a program that does something with it would hold it.
struct Owned {
    id: i64,
    changed_at: DateTime<Utc>,
    _identifiers: [Option<String>; 4],
    _words: [String; 3],
    _numbers: [i16; 2],
    _day: NaiveDate,
}

impl Owned {
    fn vaccination(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            _words: [row.try_get(6)?, row.try_get(10)?, String::new()],
            _numbers: [row.try_get(7)?, row.try_get(8)?],
            _day: row.try_get(9)?,
            ..Self::begin(row)?
        })
    }

    fn test(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            _words: [row.try_get(6)?, row.try_get(7)?, row.try_get(9)?],
            _day: row.try_get(8)?,
            ..Self::begin(row)?
        })
    }

    /// The columns that both kinds have.
    fn begin(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get(0)?,
            changed_at: row.try_get(1)?,
            _identifiers: [
                row.try_get(2)?,
                row.try_get(3)?,
                row.try_get(4)?,
                row.try_get(5)?,
            ],
            _words: Default::default(),
            _numbers: [0; 2],
            _day: NaiveDate::default(),
        })
    }
}

/// Tables of so many records. Frozen as they are filled: no later vacuum falls into a measurement.
async fn fill(connection: &mut PgConnection, records: u64) -> Result<(), Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut *connection).await?;
    let mut vaccinations = String::new();
    let mut tests = String::new();
    for start in (0..records).step_by(usize::try_from(PIECE_RECORDS).unwrap_or(1)) {
        (start..records.min(start + PIECE_RECORDS))
            .for_each(|index| people::append_record(index, &mut vaccinations, &mut tests));
        copy_in(
            connection,
            "COPY mis.vaccination FROM STDIN (FREEZE)",
            &mut vaccinations,
        )
        .await?;
        copy_in(connection, "COPY mis.test FROM STDIN (FREEZE)", &mut tests).await?;
    }
    // What a clinic's server did long ago should not fall into the first measurement.
    for finish in ["COMMIT", INDEXES, "VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::raw_sql(finish).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Sends lines of COPY's text format, and empties them.
pub(super) async fn copy_in(
    connection: &mut PgConnection,
    statement: &str,
    lines: &mut String,
) -> Result<(), Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(lines.as_bytes()).await?;
    copy.finish().await?;
    lines.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clinic_is_made_once_and_both_ways_read_all_of_it() {
        let server = Postgres::start().await.unwrap();
        let mut clinic = Clinic::at(&server, 9000).await.unwrap();
        assert_eq!(clinic.copy_out().await.unwrap(), 9000);
        assert_eq!(clinic.read_by_key().await.unwrap(), 9000);
        server
            .psql("clinic_9000", "DELETE FROM mis.test WHERE id = 3")
            .await
            .unwrap();
        let error = Clinic::at(&server, 9000)
            .await
            .unwrap()
            .read_by_key()
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("read 8999 of 9000 records"), "{error}");
    }
}
