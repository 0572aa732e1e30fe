//! The same clinic on a private MariaDB: filled from a file, and read by key as bare as
//! PostgreSQL's.

use std::fmt::Write as _;
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use chrono::{NaiveDate, NaiveDateTime};
use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use testbed::mariadb::MariaDb;

use super::clinic::{LOOP_PAGE_RECORDS, TESTS, VACCINATIONS};
use super::people;
use crate::error::Error;

/// Name of the database that the queries name: in MariaDB a schema is a database.
pub(super) const DATABASE: &str = "mis";
/// Settings: as large a cache as the benchmark's PostgreSQL has; everything else is MariaDB's
/// default, durable at every commit.
const SETTINGS: &str = "SET GLOBAL innodb_buffer_pool_size = 268435456";
const COLUMNS: &str = "id bigint NOT NULL, changed datetime NOT NULL, snils varchar(20), oms \
    varchar(20), \
    passport varchar(20), country varchar(3)";
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
/// Records that are put together in memory before they go to the file.
const PIECE_RECORDS: u64 = 50_000;

/// A server with one clinic, and a connection to it.
pub(super) struct MariaClinic {
    server: MariaDb,
    records: u64,
    connection: MySqlConnection,
}

impl MariaClinic {
    /// Starts a server and fills its clinic; needs room in `folder` for the rows as text meanwhile.
    pub(super) async fn fill(folder: &Path, records: u64) -> Result<Self, Error> {
        let server = MariaDb::start().await?;
        server.execute("mysql", SETTINGS).await?;
        server.create_database(DATABASE).await?;
        let paths = TABLES.map(|(name, _)| folder.join(format!("{name}.rows")));
        write_rows(&paths[0], &paths[1], records)
            .map_err(Error::io("write the clinic's rows to a file"))?;
        for ((name, columns), path) in TABLES.iter().zip(&paths) {
            let mut sql = format!(
                "CREATE TABLE {name} ({COLUMNS}, {columns}, PRIMARY KEY (id), UNIQUE KEY \
                 by_change (changed, id));"
            );
            let names: Vec<&str> = columns
                .split(", ")
                .filter_map(|column| column.split(' ').next())
                .collect();
            // Writing into a String cannot fail.
            let _ = write!(
                sql,
                "LOAD DATA LOCAL INFILE '{}' INTO TABLE {name} CHARACTER SET utf8mb4 \
                 (id, @changed, snils, oms, passport, country, {}) \
                 SET changed = replace(trim(TRAILING 'Z' FROM @changed), 'T', ' ');\nANALYZE \
                 TABLE {name};",
                path.display(),
                names.join(", ")
            );
            server.execute(DATABASE, &sql).await?;
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
    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }

    /// The server's version.
    pub(super) async fn version(&self) -> Result<String, Error> {
        Ok(self
            .server
            .execute("mysql", "SELECT version()")
            .await?
            .trim()
            .to_owned())
    }

    /// The bare loop, as at PostgreSQL. How many rows came.
    pub(super) async fn read_by_key(&mut self) -> Result<u64, Error> {
        let mut rows = self
            .read_feed(VACCINATIONS, Owned::vaccination)
            .await
            .map_err(Error::MariaDb)?;
        rows += self
            .read_feed(TESTS, Owned::test)
            .await
            .map_err(Error::MariaDb)?;
        if rows == self.records {
            return Ok(rows);
        }
        let what = format!(
            "the bare loop at MariaDB read {rows} of {} records",
            self.records
        );
        Err(Error::WrongResult(what))
    }

    async fn read_feed(
        &mut self,
        query: &str,
        decode: fn(&MySqlRow) -> Result<Owned, sqlx::Error>,
    ) -> Result<u64, sqlx::Error> {
        let page = |condition: &str| {
            format!(
                "SELECT * FROM ({query}) AS q {condition} \
                 ORDER BY q.changed_at, q.record_id LIMIT {LOOP_PAGE_RECORDS}"
            )
        };
        // MariaDB would go over the whole table for a comparison of pairs; this one is a range of
        // the index.
        let next = "WHERE q.changed_at >= ? AND (q.changed_at > ? OR q.record_id > ?)";
        let first = page("");
        let next = page(next);
        let mut count = 0;
        let mut last = None;
        loop {
            let statement = match last {
                None => sqlx::query(AssertSqlSafe(first.as_str())),
                Some((at, id)) => sqlx::query(AssertSqlSafe(next.as_str()))
                    .bind(at)
                    .bind(at)
                    .bind(id),
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
}

/// A row as a program that does something with it would hold it.
struct Owned {
    id: i64,
    changed_at: NaiveDateTime,
    _identifiers: [Option<String>; 4],
    _words: [String; 3],
    _numbers: [i16; 2],
    _day: NaiveDate,
}

impl Owned {
    fn vaccination(row: &MySqlRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            _words: [row.try_get(6)?, row.try_get(10)?, String::new()],
            _numbers: [row.try_get(7)?, row.try_get(8)?],
            _day: row.try_get(9)?,
            ..Self::begin(row)?
        })
    }

    fn test(row: &MySqlRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            _words: [row.try_get(6)?, row.try_get(7)?, row.try_get(9)?],
            _day: row.try_get(8)?,
            ..Self::begin(row)?
        })
    }

    /// The columns that both kinds have.
    fn begin(row: &MySqlRow) -> Result<Self, sqlx::Error> {
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

/// COPY's text format is also what LOAD DATA reads by default.
fn write_rows(vaccinations: &Path, tests: &Path, records: u64) -> std::io::Result<()> {
    let mut first = File::create(vaccinations)?;
    let mut second = File::create(tests)?;
    let mut vaccinations = String::new();
    let mut tests = String::new();
    for start in (0..records).step_by(usize::try_from(PIECE_RECORDS).unwrap_or(1)) {
        (start..records.min(start + PIECE_RECORDS))
            .for_each(|index| people::append_record(index, &mut vaccinations, &mut tests));
        first.write_all(vaccinations.as_bytes())?;
        second.write_all(tests.as_bytes())?;
        vaccinations.clear();
        tests.clear();
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
