//! SQLite: a file opened read-only for each page, values typed one by one, keys bound in their own
//! storage class.

mod failure;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Executor, Row, SqlSafeStr, Statement, TypeInfo, ValueRef,
};

use self::failure::{cause, database_failure};
use super::failure::{from_sqlx, io_words};
use super::{
    Described, Driver, Failure, KeyColumns, Origin, Outlet, Session, SlowPlan, WritePrivileges,
    of_column, typed, version_number,
};
use crate::statement::Syntax;
use crate::table::Table;
use crate::value::{Bind, Key, Kind, MAX_VALUE_LENGTH, Sql, Value};

/// Steps of SQLite's virtual machine between two looks at the stop flag.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

pub(crate) struct Sqlite {
    path: PathBuf,
    place: String,
}

impl Sqlite {
    pub(crate) fn new(path: PathBuf) -> Self {
        let place = format!("the SQLite file {}", path.display());
        Self { path, place }
    }
}

#[async_trait]
impl Driver for Sqlite {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn syntax(&self) -> Syntax {
        Syntax::Sqlite
    }

    // Nightly exports replace the whole file; an open handle would go on reading the old one.
    fn keeps_sessions(&self) -> bool {
        false
    }

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn select(&self, column: &str, kind: Kind) -> String {
        self.project(column, kind)
    }

    fn project(&self, column: &str, _kind: Kind) -> String {
        format!(
            "CASE WHEN typeof({column}) IN ('text', 'blob') THEN substr({column}, 1, \
             {MAX_VALUE_LENGTH}) ELSE {column} END"
        )
    }

    fn no_stamp(&self) -> &'static str {
        "NULL"
    }

    fn push_key(&self, sql: &mut Sql, key: &Key) {
        let text = std::str::from_utf8(&key.value).ok();
        let (bind, expression) = match (key.kind, text) {
            (Kind::Bytes, _) => (Bind::Bytes(key.value.clone()), "?"),
            (Kind::Integer, Some(text)) => (
                text.parse()
                    .map_or_else(|_| Bind::Text(text.to_owned()), Bind::Integer),
                "?",
            ),
            (Kind::Float, Some(text)) => (
                text.parse()
                    .map_or_else(|_| Bind::Text(text.to_owned()), Bind::Real),
                "?",
            ),
            (_, Some(text)) => (Bind::Text(text.to_owned()), "?"),
            // Text that is not UTF-8 keeps its bytes.
            (_, None) => (Bind::Bytes(key.value.clone()), "CAST(? AS TEXT)"),
        };
        sql.binds.push(bind);
        sql.push(expression);
    }

    fn push_after(&self, sql: &mut Sql, columns: &KeyColumns, at: &Key, id: &Key) {
        sql.push(&format!("({}, {}) > (", columns.at, columns.id));
        self.push_key(sql, at);
        sql.push(", ");
        self.push_key(sql, id);
        sql.push(")");
    }

    fn usable_stamp(&self, column: &str) -> Option<String> {
        // No stamp is as long as a value may be; as a key it would not fit the cursor.
        Some(format!(
            "(typeof({column}) = 'integer' OR (typeof({column}) = 'text' \
             AND length(CAST({column} AS BLOB)) < {MAX_VALUE_LENGTH}))"
        ))
    }

    fn dated_stamp(&self, column: &str) -> Option<String> {
        Some(format!(
            "(typeof({column}) <> 'text' OR {column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9]\
             [0-9]*')"
        ))
    }

    // What parts day and time, and the zone behind them; how many digits a time has changes its
    // place within its own minute only, and bounds are whole seconds without a zone.
    fn stamp_form(&self, column: &str) -> Option<String> {
        Some(format!(
            "(substr({column}, 11, 1) || ltrim(substr({column}, 12), '0123456789:.'))"
        ))
    }

    fn stamp_styles_sql(&self, column: &str, source: &str) -> Option<String> {
        let form = self.stamp_form(column)?;
        Some(format!(
            "SELECT DISTINCT typeof({column}) || CASE WHEN typeof({column}) = 'text' THEN {form} \
             ELSE '' END {source} WHERE {column} IS NOT NULL LIMIT 10"
        ))
    }

    // A file may be a copy that somebody puts there from time to time: between two of them nothing
    // new can be seen in it, however late it is. What is committed in WAL mode is in the file
    // beside it.
    async fn last_written(&self) -> Option<i64> {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let mut last = 0;
        for path in [self.path.as_os_str(), log.as_os_str()] {
            let written = tokio::fs::metadata(path).await;
            let written = written.and_then(|metadata| metadata.modified());
            let written = written.map_or(0, |at| DateTime::<Utc>::from(at).timestamp());
            last = last.max(written);
        }
        Some(last)
    }

    fn origin_sql(&self, origin: &Origin, query: &str) -> String {
        let typed = |name: &str| literal(&typed(name, self.quote(name), query));
        format!(
            "SELECT 'table', {}, {}",
            typed(&origin.table),
            typed(&origin.column)
        )
    }

    fn index_sql(&self, columns: &[Origin]) -> String {
        let table = literal(&columns[0].table);
        let mut sql =
            format!("SELECT 'yes' FROM pragma_index_list({table}) AS l WHERE l.partial = 0");
        for (place, column) in columns.iter().enumerate() {
            sql += &format!(
                " AND EXISTS (SELECT 1 FROM pragma_index_info(l.name) AS i WHERE i.seqno = {place} \
                 AND i.name = {})",
                literal(&column.column)
            );
        }
        // The key of the table itself is in no list.
        if let [column] = columns {
            sql += &format!(
                " UNION ALL SELECT 'yes' FROM pragma_table_info({table}) WHERE pk = 1 AND \
                 upper(type) = 'INTEGER' AND name = {}",
                literal(&column.column)
            );
        }
        sql
    }

    fn version_sql(&self) -> &'static str {
        "SELECT sqlite_version()"
    }

    fn product(&self, version: &str) -> String {
        format!("SQLite {}", version_number(version))
    }

    // Opened read-only: there is nothing to ask.
    fn write_privileges(&self) -> Option<WritePrivileges> {
        None
    }

    async fn open(&self, statement_timeout: Duration) -> Result<Box<dyn Session>, Failure> {
        // Looked at, not opened: closing a file of a database gives up this process's locks on it.
        let refused = match std::fs::metadata(&self.path) {
            Ok(found) if found.is_file() => None,
            Ok(_) => Some("it is no regular file".to_owned()),
            Err(error) => Some(io_words(error.kind())),
        };
        if let Some(reason) = refused {
            return Err(Failure::misconfigured(
                format!("{} cannot be opened: {reason}", self.place),
                "check `path` and its permissions",
            ));
        }
        let failure = |error: sqlx::Error| from_sqlx(&error, &self.place, database_failure);
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(true)
            .statement_cache_capacity(0)
            .busy_timeout(statement_timeout.min(Duration::from_secs(10)))
            .pragma("query_only", "ON")
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(failure)?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let mut handle = connection.lock_handle().await.map_err(failure)?;
        handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !seen.load(Ordering::Relaxed));
        drop(handle);
        Ok(Box::new(SqliteSession {
            connection,
            place: self.place.clone(),
            stop,
        }))
    }
}

struct SqliteSession {
    connection: SqliteConnection,
    place: String,
    /// Set when the session is dropped, as it is at a timeout: the statement in the worker thread
    /// then stops.
    stop: Arc<AtomicBool>,
}

impl Drop for SqliteSession {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl SqliteSession {
    fn failure(&self, error: &sqlx::Error) -> Failure {
        from_sqlx(error, &self.place, database_failure)
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), Failure> {
        let done = sqlx::raw_sql(sql).execute(&mut self.connection).await;
        done.map(|_| ()).map_err(|error| self.failure(&error))
    }
}

#[async_trait]
impl Session for SqliteSession {
    fn has_raw_text(&self) -> bool {
        true
    }

    async fn begin(&mut self) -> Result<(), Failure> {
        self.run("BEGIN").await
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.run("ROLLBACK").await
    }

    async fn describe(&mut self, query: &str) -> Result<Vec<Described>, Failure> {
        let prepared = (&mut self.connection)
            .prepare(AssertSqlSafe(query.to_owned()).into_sql_str())
            .await;
        let statement = prepared.map_err(|error| self.failure(&error))?;
        Ok(statement
            .columns()
            .iter()
            .map(|column| Described {
                name: column.name().to_owned(),
                kind: Kind::Dynamic,
                type_name: "decided value by value".to_owned(),
                origin: of_column(column),
            })
            .collect())
    }

    // Nothing stops a statement here but its own session's end.
    async fn give_time(&mut self, _limit: Duration) -> Result<(), Failure> {
        Ok(())
    }

    async fn read(
        &mut self,
        sql: &Sql,
        kinds: &[Kind],
        mut outlet: Option<&mut Outlet>,
    ) -> Result<Option<Table>, Failure> {
        let mut query = sqlx::query(AssertSqlSafe(sql.text.as_str())).persistent(false);
        for bind in &sql.binds {
            query = match bind {
                Bind::Text(text) => query.bind(text.as_str()),
                Bind::Bytes(bytes) => query.bind(bytes.as_slice()),
                Bind::Integer(number) => query.bind(*number),
                Bind::Real(number) => query.bind(*number),
            };
        }
        let failure =
            |error: &sqlx::Error| from_sqlx(error, &self.place, database_failure).of(cause(error));
        let mut table = Table::default();
        let mut rows = query.fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(|error| failure(&error))? {
            for ordinal in 0..kinds.len() {
                push(&mut table, &row, ordinal).map_err(|error| failure(&error))?;
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
        let explain = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.text)));
        let rows = explain
            .fetch_all(&mut self.connection)
            .await
            .map_err(|error| self.failure(&error))?;
        let steps: Vec<String> = rows
            .iter()
            .filter_map(|row| row.try_get_unchecked("detail").ok())
            .collect();
        let sorts = steps
            .iter()
            .any(|step| step.contains("USE TEMP B-TREE FOR ORDER BY"));
        let table = steps
            .iter()
            .find_map(|step| step.strip_prefix("SCAN ")?.split(' ').next())
            .map(str::to_owned);
        Ok(sorts.then_some(SlowPlan { rows: None, table }))
    }
}

/// Text as a literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Adds a value as its storage class says.
fn push(table: &mut Table, row: &SqliteRow, ordinal: usize) -> Result<(), sqlx::Error> {
    let class = row.try_get_raw(ordinal)?.type_info().into_owned();
    match class.name() {
        "INTEGER" => table.push(Kind::Integer, Value::Whole(row.try_get_unchecked(ordinal)?)),
        "REAL" => {
            let number: f64 = row.try_get_unchecked(ordinal)?;
            table.push(Kind::Float, Value::Bytes(format!("{number:?}").as_bytes()));
        }
        "TEXT" => table.push(Kind::Text, Value::Bytes(row.try_get_unchecked(ordinal)?)),
        "BLOB" => table.push(Kind::Bytes, Value::Bytes(row.try_get_unchecked(ordinal)?)),
        _ => table.push(Kind::Dynamic, Value::Null),
    }
    Ok(())
}
