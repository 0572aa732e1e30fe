//! The example clinics of `config/clinics` whose tables are joined, filled with invented persons,
//! and their queries read once each as bare as can be.

use std::fmt::Write as _;
use std::hint::black_box;

use futures_util::{Stream, TryStreamExt};
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Decode, Row, ValueRef};
use testbed::mariadb::MariaDb;
use testbed::postgres::Postgres;

use crate::error::Error;

/// Kind of server that a schema is for, as a section of the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
}

/// A schema that a clinic's system may have, and the configuration that reads it.
pub(crate) struct Schema {
    /// Name of the source, and of the database.
    pub name: &'static str,
    /// Words for the table of the report.
    pub title: &'static str,
    /// Server that it is for.
    pub engine: Engine,
    ddl: &'static str,
    fill: &'static str,
    config: &'static str,
}

macro_rules! example {
    ($file:literal) => {
        include_str!(concat!("../../../../../config/clinics/", $file))
    };
}

/// The schemas that are measured.
pub(crate) const SCHEMAS: [Schema; 3] = [
    Schema {
        name: "outbreak",
        title: "outbreak system, PostgreSQL: four tables joined",
        engine: Engine::Postgres,
        ddl: example!("outbreak-postgres.sql"),
        fill: include_str!("outbreak.sql"),
        config: example!("outbreak-postgres.toml"),
    },
    Schema {
        name: "records",
        title: "record system, MariaDB: attributes and values",
        engine: Engine::MariaDb,
        ddl: example!("records-mariadb.sql"),
        fill: include_str!("records.sql"),
        config: example!("records-mariadb.toml"),
    },
    Schema {
        name: "tracker",
        title: "tracker, PostgreSQL: values as jsonb",
        engine: Engine::Postgres,
        ddl: example!("tracker-postgres.sql"),
        fill: include_str!("tracker.sql"),
        config: example!("tracker-postgres.toml"),
    },
];

/// Records that each person has.
const RECORDS_OF_A_PERSON: u64 = 4;

/// A filled clinic.
pub(crate) struct SchemaClinic<'a> {
    /// Its schema.
    pub schema: &'a Schema,
    /// Number of its records.
    pub records: u64,
    server: Server<'a>,
}

enum Server<'a> {
    Postgres(&'a Postgres),
    MariaDb(MariaDb),
}

impl<'a> SchemaClinic<'a> {
    /// Makes and fills the database; `records` is rounded down to whole persons.
    pub(crate) async fn fill(
        schema: &'a Schema,
        postgres: &'a Postgres,
        records: u64,
    ) -> Result<Self, Error> {
        let persons = records / RECORDS_OF_A_PERSON;
        let fill = schema
            .fill
            .replace("{persons}", &persons.to_string())
            .replace("{doses}", &(3 * persons).to_string());
        let server = match schema.engine {
            Engine::Postgres => {
                postgres.create_database(schema.name).await?;
                postgres.psql(schema.name, schema.ddl).await?;
                postgres.psql(schema.name, &fill).await?;
                Server::Postgres(postgres)
            }
            Engine::MariaDb => {
                let server = MariaDb::start().await?;
                let cache = "SET GLOBAL innodb_buffer_pool_size = 268435456";
                server.execute("mysql", cache).await?;
                server.create_database(schema.name).await?;
                server.execute(schema.name, schema.ddl).await?;
                server.execute(schema.name, &fill).await?;
                Server::MariaDb(server)
            }
        };
        Ok(Self {
            schema,
            records: persons * RECORDS_OF_A_PERSON,
            server,
        })
    }

    /// The sections of the example's configuration that concern its source, with this server's
    /// address.
    pub(crate) fn source(&self) -> String {
        let config = self.schema.config;
        let begins = config.find("[source.").unwrap_or_default();
        let mut source = String::new();
        for line in config[begins..].lines() {
            let line = match line.split_once(" = ") {
                Some(("port", _)) => format!("port = {}", self.port()),
                Some(("user", _)) => {
                    format!("user = \"{}\"\ntls = {{ mode = \"disable\" }}", self.user())
                }
                Some(("password", _)) => continue,
                _ => line.to_owned(),
            };
            // Writing into a String cannot fail.
            let _ = writeln!(source, "{line}");
        }
        source
    }

    fn port(&self) -> u16 {
        match &self.server {
            Server::Postgres(server) => server.port(),
            Server::MariaDb(server) => server.port(),
        }
    }

    const fn user(&self) -> &'static str {
        match self.schema.engine {
            Engine::Postgres => "postgres",
            Engine::MariaDb => "root",
        }
    }

    /// The queries of the feeds, as the configuration has them.
    fn queries(&self) -> Result<Vec<String>, Error> {
        let kind = match self.schema.engine {
            Engine::Postgres => "postgres",
            Engine::MariaDb => "mysql",
        };
        let config: toml::Value = toml::from_str(self.schema.config)
            .map_err(|error| Error::WrongResult(format!("an example's configuration: {error}")))?;
        let section = &config["source"][self.schema.name][kind];
        let feeds = ["vaccinations", "tests", "recoveries"];
        Ok(feeds
            .iter()
            .filter_map(|feed| section.get(feed)?.get("query")?.as_str())
            .map(str::to_owned)
            .collect())
    }

    /// Streams the queries once, every column decoded into an owned text and dropped. Number of
    /// rows.
    pub(crate) async fn stream(&self) -> Result<u64, Error> {
        let queries = self.queries()?;
        let rows = match &self.server {
            Server::Postgres(server) => {
                let mut connection = PgConnection::connect(&server.url(self.schema.name)).await?;
                let mut rows = 0;
                for query in queries {
                    let stream = sqlx::raw_sql(AssertSqlSafe(query)).fetch(&mut connection);
                    rows += drain(stream).await?;
                }
                connection.close().await?;
                rows
            }
            Server::MariaDb(server) => {
                let url = format!("{}?ssl-mode=DISABLED", server.url(self.schema.name));
                let connected = MySqlConnection::connect(&url).await;
                let mut connection = connected.map_err(Error::MariaDb)?;
                let mut rows = 0;
                for query in queries {
                    let stream = sqlx::raw_sql(AssertSqlSafe(query)).fetch(&mut connection);
                    rows += drain(stream).await.map_err(Error::MariaDb)?;
                }
                connection.close().await.map_err(Error::MariaDb)?;
                rows
            }
        };
        if rows == self.records {
            return Ok(rows);
        }
        Err(Error::WrongResult(format!(
            "the queries of {} have {rows} instead of {} rows",
            self.schema.name, self.records
        )))
    }

    /// Waits until every connection to the database has ended: the server counts what one has read
    /// when it ends, which may be after its client has gone.
    async fn wait_for_counts(&self, server: &Postgres) -> Result<(), Error> {
        let others = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND backend_type = 'client backend' \
            AND pid <> pg_backend_pid()";
        while server.psql(self.schema.name, others).await?.trim() != "0" {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Rows that the server has read from tables and indexes so far, as it counts them itself.
    pub(crate) async fn rows_read(&self) -> Result<u64, Error> {
        let answer = match &self.server {
            Server::Postgres(server) => {
                self.wait_for_counts(server).await?;
                let count = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) \
                    FROM pg_stat_user_tables";
                server.psql(self.schema.name, count).await?
            }
            Server::MariaDb(server) => {
                let count = "SELECT sum(variable_value) FROM information_schema.global_status \
                    WHERE variable_name IN ('handler_read_first', 'handler_read_key', \
                    'handler_read_last', 'handler_read_next', 'handler_read_prev', \
                    'handler_read_rnd', 'handler_read_rnd_next')";
                server.execute(self.schema.name, count).await?
            }
        };
        // MariaDB sums as a floating-point number.
        let count = answer.trim().parse::<f64>();
        let count = count.map_err(|_| Error::WrongResult("a server counts no rows".into()))?;
        Ok(az::saturating_cast(count))
    }
}

/// Takes every row, decodes its columns into owned texts, and drops them.
async fn drain<R: Row>(
    mut rows: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
) -> Result<u64, sqlx::Error>
where
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database>,
{
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        let mut texts: Vec<Option<String>> = Vec::with_capacity(row.len());
        for column in 0..row.len() {
            // In the protocol of text a value comes as its text, whatever its type.
            let is_null = row.try_get_raw(column)?.is_null();
            texts.push(
                (!is_null)
                    .then(|| row.try_get_unchecked(column))
                    .transpose()?,
            );
        }
        black_box(texts);
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_schema_is_filled_and_its_queries_give_all_its_records() {
        let postgres = Postgres::start().await.unwrap();
        for schema in &SCHEMAS {
            let clinic = SchemaClinic::fill(schema, &postgres, 403).await.unwrap();
            assert_eq!(clinic.records, 400, "{}", schema.name);
            let before = clinic.rows_read().await.unwrap();
            assert_eq!(clinic.stream().await.unwrap(), 400, "{}", schema.name);
            let read = clinic.rows_read().await.unwrap() - before;
            assert!(read >= 400, "{}: {read}", schema.name);
            let source = clinic.source();
            assert!(!source.contains("password"), "{source}");
            assert!(
                source.starts_with(&format!("[source.{}]", schema.name)),
                "{source}"
            );
        }
    }
}
