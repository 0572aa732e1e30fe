//! The same clinic on a private MariaDB: filled from a file, and read by key as bare as
//! PostgreSQL's.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use chrono::NaiveDateTime;
use futures_util::TryStreamExt;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection};
use testbed::mariadb::MariaDb;

use crate::clinics::pages::{FEEDS, FeedQuery, LastKey, OwnedRow, count_rows};
use crate::clinics::people;
use crate::error::Error;

/// Name of the database that the queries name: in MariaDB a schema is a database.
pub(crate) const DATABASE: &str = "mis";
/// Settings: as large a cache as the benchmark's PostgreSQL has; everything else is MariaDB's
/// default, durable at every commit.
const SETTINGS: &str = "SET GLOBAL innodb_buffer_pool_size = 268435456";
const COLUMNS: &str = "id bigint NOT NULL, changed datetime NOT NULL, snils varchar(20), \
    oms varchar(20), passport varchar(20), country varchar(3)";
/// The tables: name, and the columns behind the common ones.
const TABLES: [(&str, &str); 2] = [
    (
        "vaccination",
        "vaccine varchar(20), dose smallint, doses smallint, given date, state varchar(20)",
    ),
    (
        "test",
        "kind varchar(20), result varchar(20), taken date, state varchar(20)",
    ),
];
/// A server with one clinic, and a connection to it.
pub(crate) struct MariaClinic {
    server: MariaDb,
    records: u64,
    connection: MySqlConnection,
}

impl MariaClinic {
    /// Starts a server and fills its clinic; needs room in `folder` for the rows as text meanwhile.
    pub(crate) async fn fill(folder: &Path, records: u64) -> Result<Self, Error> {
        let server = MariaDb::start().await?;
        server.execute("mysql", SETTINGS).await?;
        server.create_database(DATABASE).await?;
        let paths = TABLES.map(|(name, _)| folder.join(format!("{name}.rows")));
        write_rows(&paths[0], &paths[1], records)
            .map_err(Error::io("write the clinic's rows to a file"))?;
        for ((name, columns), path) in TABLES.iter().zip(&paths) {
            server
                .execute(DATABASE, &fill_table(name, columns, path))
                .await?;
            std::fs::remove_file(path).map_err(Error::io("remove the clinic's rows"))?;
        }
        let url = format!("{}?ssl-mode=DISABLED", server.url(DATABASE));
        let connection = MySqlConnection::connect(&url)
            .await
            .map_err(Error::MariaDb)?;
        Ok(Self {
            server,
            records,
            connection,
        })
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    /// The server's version.
    pub(crate) async fn version(&self) -> Result<String, Error> {
        Ok(self
            .server
            .execute("mysql", "SELECT version()")
            .await?
            .trim()
            .to_owned())
    }

    /// The bare loop, as at PostgreSQL. Number of rows.
    pub(crate) async fn read_by_key(&mut self) -> Result<u64, Error> {
        let mut rows = 0;
        for feed in &FEEDS {
            rows += self.read_feed(feed).await.map_err(Error::MariaDb)?;
        }
        if rows == self.records {
            return Ok(rows);
        }
        let what = format!(
            "the bare loop at MariaDB read {rows} of {} records",
            self.records
        );
        Err(Error::WrongResult(what))
    }

    async fn read_feed(&mut self, feed: &FeedQuery) -> Result<u64, sqlx::Error> {
        let first = feed.page("");
        // MariaDB would go over the whole table for a comparison of pairs; this one is a range of
        // the index.
        let behind = "WHERE q.changed_at >= ? AND (q.changed_at > ? OR q.record_id > ?)";
        let next = feed.page(behind);
        count_rows(async |last: Option<LastKey<NaiveDateTime>>| {
            let statement = match last {
                None => sqlx::query(AssertSqlSafe(first.as_str())),
                Some((at, id)) => sqlx::query(AssertSqlSafe(next.as_str()))
                    .bind(at)
                    .bind(at)
                    .bind(id),
            };
            let rows = statement.fetch(&mut self.connection);
            rows.and_then(|row| std::future::ready(OwnedRow::decode(&row, feed)))
                .try_collect()
                .await
        })
        .await
    }
}

/// Statements that make a table and fill it from a file.
fn fill_table(name: &str, columns: &str, path: &Path) -> String {
    let names: Vec<&str> = columns
        .split(", ")
        .filter_map(|column| column.split(' ').next())
        .collect();
    format!(
        "CREATE TABLE {name} ({COLUMNS}, {columns}, PRIMARY KEY (id), \
         UNIQUE KEY by_change (changed, id));\
         LOAD DATA LOCAL INFILE '{}' INTO TABLE {name} CHARACTER SET utf8mb4 \
         (id, @changed, snils, oms, passport, country, {}) \
         SET changed = replace(trim(TRAILING 'Z' FROM @changed), 'T', ' ');\n\
         ANALYZE TABLE {name};",
        path.display(),
        names.join(", ")
    )
}

/// Writes the rows to files, in COPY's text format, which LOAD DATA reads by default as well.
fn write_rows(vaccinations: &Path, tests: &Path, records: u64) -> std::io::Result<()> {
    let mut first = File::create(vaccinations)?;
    let mut second = File::create(tests)?;
    for piece in people::pieces(records, people::FILL_RECORDS) {
        first.write_all(piece.vaccinations.as_bytes())?;
        second.write_all(piece.tests.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_record_of_the_filled_clinic_is_read_over_pages() {
        let folder = tempfile::tempdir().unwrap();
        let mut clinic = MariaClinic::fill(folder.path(), 9000).await.unwrap();
        assert_eq!(clinic.read_by_key().await.unwrap(), 9000);
        let odd = "SELECT count(*) FROM test WHERE changed < '2021-07-01' OR taken IS NULL OR \
            state <> 'done'";
        assert_eq!(
            clinic.server.execute(DATABASE, odd).await.unwrap().trim(),
            "0"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
