//! A connection to PostgreSQL: read-only transactions in the clinic's time zone.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Row, TypeInfo};

use super::failure::database_failure;
use super::rows::{has_kinds, kind_of, push};
use crate::driver::failure::from_sqlx;
use crate::driver::{Described, Failure, MANY_ROWS, Origin, Outlet, Session, SlowPlan};
use crate::table::Table;
use crate::value::{Bind, Kind, Sql};

/// A connection, and how its transactions begin.
pub(super) struct PostgresSession {
    connection: PgConnection,
    place: String,
    zone: &'static str,
    statement_timeout: Duration,
    /// Lets a database without an encoding hand over its bytes as they are; as UTF-8 it would
    /// refuse them.
    encoding: &'static str,
}

impl PostgresSession {
    /// Connects, and looks whether the database has an encoding.
    pub(super) async fn open(
        options: &PgConnectOptions,
        place: String,
        zone: &'static str,
        statement_timeout: Duration,
    ) -> Result<Self, Failure> {
        let connection = options
            .connect()
            .await
            .map_err(|error| from_sqlx(&error, &place, database_failure))?;
        let mut session = Self {
            connection,
            place,
            zone,
            statement_timeout,
            encoding: "",
        };
        if session.show("server_encoding").await? == "SQL_ASCII" {
            session.encoding = "; SET LOCAL client_encoding = 'SQL_ASCII'";
        }
        Ok(session)
    }

    fn failure(&self, error: &sqlx::Error) -> Failure {
        from_sqlx(error, &self.place, database_failure)
    }

    fn query<'q>(sql: &'q Sql, text: &'q str) -> Query<'q> {
        // Not persistent: nothing is left prepared on the clinic's server, and poolers in between
        // do not mind.
        let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false);
        for bind in &sql.binds {
            query = match bind {
                Bind::Text(text) => query.bind(text.as_str()),
                Bind::Bytes(bytes) => query.bind(bytes.as_slice()),
                Bind::Integer(number) => query.bind(*number),
                Bind::Real(number) => query.bind(*number),
            };
        }
        query
    }

    /// The value of a setting. In the simple protocol a statement is one message, which a pooler
    /// passes to one server even outside a transaction.
    async fn show(&mut self, setting: &'static str) -> Result<String, Failure> {
        let shown = sqlx::raw_sql(AssertSqlSafe(format!("SHOW {setting}")))
            .fetch_one(&mut self.connection)
            .await;
        let row = shown.map_err(|error| self.failure(&error))?;
        row.try_get_unchecked(0)
            .map_err(|error| self.failure(&error))
    }

    /// The server's names for types that the driver has none for.
    async fn name_types(&mut self, described: &mut [Described]) -> Result<(), Failure> {
        let unnamed = described
            .iter_mut()
            .filter(|column| column.type_name.parse::<u32>().is_ok());
        for column in unnamed {
            let sql = format!(
                "SELECT lower(pg_catalog.format_type({}, NULL))",
                column.type_name
            );
            let row = sqlx::raw_sql(AssertSqlSafe(sql))
                .fetch_one(&mut self.connection)
                .await;
            let row = row.map_err(|error| from_sqlx(&error, &self.place, database_failure))?;
            let name: Option<String> = row.try_get_unchecked(0).unwrap_or_default();
            column.type_name = name.unwrap_or_else(|| "unknown".to_owned());
        }
        Ok(())
    }

    async fn run(&mut self, sql: String) -> Result<(), Failure> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.connection)
            .await;
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }
}

#[async_trait]
impl Session for PostgresSession {
    fn has_raw_text(&self) -> bool {
        !self.encoding.is_empty()
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        let timeout_ms = self.statement_timeout.as_millis();
        // In the clinic's zone, so that `::date` and to_char() in the query mean the clinic's day.
        let zone = self.zone.replace('\'', "''");
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = \
             {timeout_ms}; SET LOCAL extra_float_digits = 2; \
             SET LOCAL idle_in_transaction_session_timeout = {timeout_ms}; \
             SET LOCAL client_min_messages = error; SET LOCAL TimeZone = '{zone}'; SET LOCAL \
             DateStyle = 'ISO, YMD'; SET LOCAL bytea_output = 'hex'{}; \
             SAVEPOINT page",
            self.encoding
        );
        let done = sqlx::raw_sql(AssertSqlSafe(begin))
            .execute(&mut self.connection)
            .await;
        let unknown_zone = |error: &sqlx::Error| {
            error
                .as_database_error()
                .is_some_and(|error| error.code().as_deref() == Some("22023"))
        };
        done.map(|_| ()).map_err(|error| match &error {
            error if unknown_zone(error) => Failure::misconfigured(
                format!("{} does not know the time zone {}", self.place, self.zone),
                "write an older name of the zone in `time_zone`, or update the server's time zone \
                 data",
            ),
            error => self.failure(error),
        })
    }

    async fn recover(&mut self) -> Result<(), Failure> {
        self.run("ROLLBACK TO SAVEPOINT page".to_owned()).await
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.run("ROLLBACK".to_owned()).await
    }

    // One row of NULLs has the query's columns, and needs none of its rows. In the simple protocol
    // nothing is prepared: behind a pooler another client may meet what is left prepared.
    async fn describe(&mut self, query: &str) -> Result<Vec<Described>, Failure> {
        let sql =
            format!("SELECT q.* FROM (SELECT 1) AS one LEFT JOIN (\n{query}\n) AS q ON FALSE");
        let row = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_one(&mut self.connection)
            .await;
        let row = row.map_err(|error| self.failure(&error))?;
        let mut described: Vec<Described> = row
            .columns()
            .iter()
            .map(|column| {
                let oid = column.type_info().oid().map_or(0, |oid| oid.0);
                let known = column.type_info().name().to_lowercase();
                let kind = kind_of(oid);
                Described {
                    name: column.name().to_owned(),
                    kind,
                    type_name: if kind == Kind::Other {
                        oid.to_string()
                    } else {
                        known
                    },
                    origin: column
                        .relation_id()
                        .zip(column.relation_attribute_no())
                        .map(|(table, column)| Origin {
                            table: table.0.to_string(),
                            column: column.to_string(),
                        }),
                }
            })
            .collect();
        self.name_types(&mut described).await?;
        Ok(described)
    }

    // A server that knows how looks whether the connection is still there.
    async fn give_time(&mut self, limit: Duration) -> Result<(), Failure> {
        let millis = limit.as_millis();
        self.run(format!(
            "SET LOCAL statement_timeout = {millis}; SELECT set_config(name, '5s', true) FROM \
             pg_catalog.pg_settings WHERE name = 'client_connection_check_interval'"
        ))
        .await
    }

    async fn read(
        &mut self,
        sql: &Sql,
        kinds: &[Kind],
        mut outlet: Option<&mut Outlet>,
    ) -> Result<Option<Table>, Failure> {
        let failure = |error: &sqlx::Error| from_sqlx(error, &self.place, database_failure);
        let mut table = Table::default();
        let mut rows = Self::query(sql, &sql.text).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(|error| failure(&error))? {
            if sql.is_typed && table.is_empty() && !has_kinds(&row, kinds) {
                return Err(Failure::other_columns());
            }
            for (ordinal, kind) in kinds.iter().enumerate() {
                let bytes: Option<&[u8]> = row
                    .try_get_unchecked(ordinal)
                    .map_err(|error| failure(&error))?;
                push(&mut table, *kind, bytes, sql.is_typed);
            }
            table.end_row();
            if let Some(outlet) = &mut outlet
                && !outlet.offer(&mut table).await
            {
                return Ok(None);
            }
        }
        Ok(Some(table))
    }

    async fn slow_plan(&mut self, sql: &Sql) -> Result<Option<SlowPlan>, Failure> {
        let explain = format!("EXPLAIN (FORMAT JSON) {}", sql.text);
        let row = Self::query(sql, &explain)
            .fetch_optional(&mut self.connection)
            .await;
        let row = row.map_err(|error| self.failure(&error))?;
        let text: Option<Vec<u8>> = row.and_then(|row| row.try_get_unchecked(0).ok());
        let plan: serde_json::Value = text
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Ok(sort_of_many(&plan[0]["Plan"]))
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// The first full sort of many rows in a plan, and the table below it.
fn sort_of_many(node: &serde_json::Value) -> Option<SlowPlan> {
    let rows = node["Plan Rows"].as_u64().unwrap_or(0);
    if node["Node Type"] == "Sort" && rows >= MANY_ROWS {
        return Some(SlowPlan {
            rows: Some(rows),
            table: relation(node),
        });
    }
    node["Plans"].as_array()?.iter().find_map(sort_of_many)
}

fn relation(node: &serde_json::Value) -> Option<String> {
    let own = node["Relation Name"].as_str().map(str::to_owned);
    own.or_else(|| node["Plans"].as_array()?.iter().find_map(relation))
}
