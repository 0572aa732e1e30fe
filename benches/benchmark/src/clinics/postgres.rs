//! A clinic's PostgreSQL database: made from nothing, and read in the two ways that show what
//! reading costs at least.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use testbed::postgres::Postgres;

use crate::clinics::pages::{FEEDS, FeedQuery, LastKey, OwnedRow, count_rows};
use crate::clinics::people;
use crate::clinics::{INDEXES, SCHEMA, TESTS, VACCINATIONS};
use crate::error::Error;

/// A clinic's database and a connection to it.
pub(crate) struct PostgresClinic {
    /// Name of the database.
    pub database: String,
    /// Number of records in its tables.
    pub records: u64,
    connection: PgConnection,
}

impl PostgresClinic {
    /// Makes a database with so many records, indexed and vacuumed, or takes the one that an
    /// earlier part made.
    pub(crate) async fn at(server: &Postgres, records: u64) -> Result<Self, Error> {
        let database = format!("clinic_{records}");
        let known = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
        if server.psql("postgres", &known).await? != "1" {
            create(server, &database, records).await?;
        }
        let connection = PgConnection::connect(&server.url(&database)).await?;
        Ok(Self {
            database,
            records,
            connection,
        })
    }

    /// Streams everything that the queries select out by COPY and throws it away. Number of rows.
    pub(crate) async fn copy_out(&mut self) -> Result<u64, Error> {
        let mut rows = 0;
        for query in [VACCINATIONS, TESTS] {
            let statement = format!("COPY ({query}) TO STDOUT");
            let mut stream = self.connection.copy_out_raw(&statement).await?;
            // The server sends a message for each row.
            while stream.try_next().await?.is_some() {
                rows += 1;
            }
        }
        self.check_all(rows, "COPY")
    }

    /// A bare loop of pages by key: every column decoded into a value of its own, and nothing done
    /// with it. Number of rows.
    pub(crate) async fn read_by_key(&mut self) -> Result<u64, Error> {
        let mut rows = 0;
        for feed in &FEEDS {
            rows += self.read_feed(feed).await?;
        }
        self.check_all(rows, "the bare loop")
    }

    async fn read_feed(&mut self, feed: &FeedQuery) -> Result<u64, sqlx::Error> {
        let first = feed.page("");
        let next = feed.page("WHERE (q.changed_at, q.record_id) > ($1, $2)");
        count_rows(async |last: Option<LastKey<DateTime<Utc>>>| {
            let statement = match last {
                None => sqlx::query(AssertSqlSafe(first.as_str())),
                Some((at, id)) => sqlx::query(AssertSqlSafe(next.as_str())).bind(at).bind(id),
            };
            let rows = statement.fetch(&mut self.connection);
            rows.and_then(|row| std::future::ready(OwnedRow::decode(&row, feed)))
                .try_collect()
                .await
        })
        .await
    }

    fn check_all(&self, rows: u64, how: &str) -> Result<u64, Error> {
        if rows == self.records {
            return Ok(rows);
        }
        Err(Error::WrongResult(format!(
            "{how} read {rows} of {} records",
            self.records
        )))
    }
}

/// Makes the database of a clinic.
async fn create(server: &Postgres, database: &str, records: u64) -> Result<(), Error> {
    // Under another name until it is whole: a later part must not find half a clinic.
    let unfinished = format!("filling_{records}");
    let drop = format!("DROP DATABASE IF EXISTS \"{unfinished}\"");
    server.psql("postgres", &drop).await?;
    let url = server.create_database(&unfinished).await?;
    let mut connection = PgConnection::connect(&url).await?;
    fill(&mut connection, records).await?;
    connection.close().await?;
    let rename = format!("ALTER DATABASE \"{unfinished}\" RENAME TO \"{database}\"");
    server.psql("postgres", &rename).await?;
    Ok(())
}

/// Fills tables with so many records. Frozen as they are filled: no later vacuum falls into a
/// measurement.
async fn fill(connection: &mut PgConnection, records: u64) -> Result<(), Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut *connection).await?;
    for piece in people::pieces(records, people::FILL_RECORDS) {
        let vaccinations = "COPY mis.vaccination FROM STDIN (FREEZE)";
        copy_in(connection, vaccinations, &piece.vaccinations).await?;
        let tests = "COPY mis.test FROM STDIN (FREEZE)";
        copy_in(connection, tests, &piece.tests).await?;
    }
    // What a clinic's server did long ago should not fall into the first measurement.
    for finish in ["COMMIT", INDEXES, "VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::raw_sql(finish).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Sends lines of COPY's text format.
pub(crate) async fn copy_in(
    connection: &mut PgConnection,
    statement: &str,
    lines: &str,
) -> Result<(), Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    copy.send(lines.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clinic_is_made_once_and_both_ways_read_all_of_it() {
        let server = Postgres::start().await.unwrap();
        let mut clinic = PostgresClinic::at(&server, 9000).await.unwrap();
        assert_eq!(clinic.copy_out().await.unwrap(), 9000);
        assert_eq!(clinic.read_by_key().await.unwrap(), 9000);
        server
            .psql("clinic_9000", "DELETE FROM mis.test WHERE id = 3")
            .await
            .unwrap();
        let error = PostgresClinic::at(&server, 9000)
            .await
            .unwrap()
            .read_by_key()
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("read 8999 of 9000 records"), "{error}");
    }
}
