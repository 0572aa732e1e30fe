//! A connection to MariaDB or MySQL: read-only transactions at the clinic's offset.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::TryStreamExt;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, Row, SqlSafeStr, Statement, TypeInfo};

use super::failure::{connect_failure, database_failure};
use super::rows::{has_kinds, kind_of, push};
use crate::driver::failure::from_sqlx;
use crate::driver::{Described, Failure, MANY_ROWS, Outlet, Session, SlowPlan, of_column};
use crate::table::Table;
use crate::value::{Kind, Sql};

/// A connection, and its clock.
pub(super) struct MySqlSession {
    connection: MySqlConnection,
    place: String,
    /// Offset of the session's clock from UTC, in which instants are handed on.
    offset: TimeDelta,
    is_mariadb: bool,
    statement_timeout: Duration,
    /// True where the session has other limits than when it was opened.
    has_more_time: bool,
}

/// Bytes that GROUP_CONCAT may give at least: all that are read of a list.
const MIN_LIST_BYTES: u32 = 1 << 20;

impl MySqlSession {
    /// Connects, and sets the session's limits and modes.
    pub(super) async fn open(
        options: &MySqlConnectOptions,
        place: String,
        offset: TimeDelta,
        statement_timeout: Duration,
        is_encrypted: bool,
    ) -> Result<Self, Failure> {
        let refused = |error: &dyn DatabaseError| connect_failure(error, is_encrypted);
        let connection = options
            .connect()
            .await
            .map_err(|error| from_sqlx(&error, &place, refused))?;
        let mut session = Self {
            connection,
            place,
            offset,
            is_mariadb: false,
            statement_timeout,
            has_more_time: false,
        };
        let version = session
            .fetch(&Sql::plain("SELECT VERSION()"), &[Kind::Text])
            .await?;
        let version = version
            .first()
            .and_then(|row| row.cell(0).bytes())
            .unwrap_or_default()
            .into_owned();
        session.is_mariadb = String::from_utf8_lossy(&version).contains("MariaDB");
        let limit = session.time_limit(statement_timeout);
        // Zero dates must survive the comparison with a key; under NO_ZERO_DATE the cast would make
        // NULL of them. TRADITIONAL goes as well: the server would read both out of it again. The
        // modes it stands for besides are named. MySQL cuts lists of identifiers at 1024 bytes.
        session
            .run(format!(
                "SET SESSION {limit}, SESSION group_concat_max_len = \
                 GREATEST(@@SESSION.group_concat_max_len, {MIN_LIST_BYTES}), SESSION sql_mode = REPLACE(REPLACE(REPLACE(\
                 @@SESSION.sql_mode, 'NO_ZERO_IN_DATE', ''), 'NO_ZERO_DATE', ''), 'TRADITIONAL', \
                 '')"
            ))
            .await?;
        session
            .run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned())
            .await?;
        Ok(session)
    }

    fn failure(&self, error: &sqlx::Error) -> Failure {
        from_sqlx(error, &self.place, database_failure)
    }

    /// The setting of the longest time that a statement may take.
    fn time_limit(&self, limit: Duration) -> String {
        let seconds = limit.as_secs();
        if self.is_mariadb {
            format!("max_statement_time = {seconds}")
        } else {
            format!("max_execution_time = {}", seconds * 1000)
        }
    }

    async fn columns(&mut self, query: &str) -> Result<Vec<Described>, Failure> {
        // With the statement cache off this prepares, reads the columns and closes.
        let prepared = self
            .connection
            .prepare(AssertSqlSafe(query.to_owned()).into_sql_str())
            .await;
        let statement = prepared.map_err(|error| self.failure(&error))?;
        Ok(statement
            .columns()
            .iter()
            .map(|column| Described {
                name: column.name().to_owned(),
                kind: kind_of(column),
                type_name: column.type_info().name().to_lowercase(),
                origin: of_column(column),
            })
            .collect())
    }

    async fn run(&mut self, sql: String) -> Result<(), Failure> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.connection)
            .await;
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }
}

#[async_trait]
impl Session for MySqlSession {
    async fn begin(&mut self) -> Result<(), Failure> {
        self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY".to_owned())
            .await
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.run("ROLLBACK".to_owned()).await?;
        if self.has_more_time {
            self.has_more_time = false;
            let limit = self.time_limit(self.statement_timeout);
            self.run(format!(
                "SET SESSION {limit}, SESSION net_write_timeout = DEFAULT"
            ))
            .await?;
        }
        Ok(())
    }

    // A server that cannot get rid of a row for `net_write_timeout` breaks off.
    async fn give_time(&mut self, limit: Duration) -> Result<(), Failure> {
        self.has_more_time = true;
        let seconds = limit.as_secs();
        let limit = self.time_limit(limit);
        self.run(format!(
            "SET SESSION {limit}, SESSION net_write_timeout = {seconds}"
        ))
        .await
    }

    async fn describe(&mut self, query: &str) -> Result<Vec<Described>, Failure> {
        let mut described = self.columns(query).await?;
        let is_bytes = |column: &&mut Described| column.kind == Kind::Bytes;
        let in_bytes: Vec<&mut Described> = described.iter_mut().filter(is_bytes).collect();
        if in_bytes.is_empty() {
            return Ok(described);
        }
        // MariaDB describes its UUID like BINARY; what is made of it by CONCAT is text.
        let quoted =
            |column: &&mut Described| format!("CONCAT(q.`{}`)", column.name.replace('`', "``"));
        let made: Vec<String> = in_bytes.iter().map(quoted).collect();
        let made = self
            .columns(&format!(
                "SELECT {} FROM (\n{query}\n) AS q",
                made.join(", ")
            ))
            .await?;
        for (column, _) in in_bytes
            .into_iter()
            .zip(made)
            .filter(|(_, made)| made.kind == Kind::Text)
        {
            (column.kind, column.type_name) = (Kind::Uuid, "uuid".to_owned());
        }
        Ok(described)
    }

    async fn read(
        &mut self,
        sql: &Sql,
        kinds: &[Kind],
        mut outlet: Option<&mut Outlet>,
    ) -> Result<Option<Table>, Failure> {
        let failure = |error: &sqlx::Error| from_sqlx(error, &self.place, database_failure);
        let mut table = Table::default();
        // The protocol of text: one round trip, nothing prepared, and zero dates as they are.
        let mut rows = sqlx::raw_sql(AssertSqlSafe(sql.text.as_str())).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(|error| failure(&error))? {
            if sql.is_typed && table.is_empty() && !has_kinds(&row, kinds) {
                return Err(Failure::other_columns());
            }
            for (ordinal, kind) in kinds.iter().enumerate() {
                let bytes: Option<&[u8]> = row
                    .try_get_unchecked(ordinal)
                    .map_err(|error| failure(&error))?;
                push(&mut table, *kind, bytes, self.offset);
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
        // The text protocol gives every column of EXPLAIN as text, whatever the version makes of
        // it.
        let explain = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN {}", sql.text)));
        let rows = explain
            .fetch_all(&mut self.connection)
            .await
            .map_err(|error| self.failure(&error))?;
        let text = |row: &MySqlRow, column: &str| -> Option<String> {
            row.try_get_unchecked::<Option<String>, _>(column)
                .ok()
                .flatten()
        };
        let sorts = rows
            .iter()
            .any(|row| text(row, "Extra").is_some_and(|extra| extra.contains("filesort")));
        let largest = rows
            .iter()
            .filter_map(|row| Some((text(row, "rows")?.parse::<u64>().ok()?, text(row, "table"))))
            .max_by_key(|(rows, _)| *rows);
        Ok(largest
            .filter(|(rows, _)| sorts && *rows >= MANY_ROWS)
            .map(|(rows, table)| SlowPlan {
                rows: Some(rows),
                table,
            }))
    }
}
