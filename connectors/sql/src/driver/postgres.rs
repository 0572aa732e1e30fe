//! PostgreSQL: sessions in the clinic's time zone, instants as text in UTC, keys cast to the
//! column's own type, row comparison an index serves.

use std::time::Duration;

use async_trait::async_trait;
use connector_kit::{CheckReport, SourceError};
use futures_util::TryStreamExt;
use secrecy::ExposeSecret;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, Row, SqlSafeStr, Statement, TypeInfo};

use super::failure::from_sqlx;
use super::listen::Listener;
use super::{
    Described, Driver, Failure, MANY_ROWS, MAX_VALUE_LENGTH, Session, SlowPlan, WritePrivileges,
};
use crate::config::{PostgresConfig, TlsMode};
use crate::native;
use crate::settings::Tls;
use crate::statement::Syntax;
use crate::table::Table;
use crate::value::{Bind, Key, Kind, Sql, Value};

pub(crate) struct Postgres {
    options: PgConnectOptions,
    place: String,
    unprotected: bool,
    zone: &'static str,
    listener: Option<Listener>,
}

impl Postgres {
    pub(crate) fn new(
        config: &PostgresConfig,
        password: Option<&secrecy::SecretString>,
        tls: &Tls,
    ) -> Result<Self, SourceError> {
        let mode = match tls.mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Prefer => PgSslMode::Prefer,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        };
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&config.host)
            .port(config.port)
            .database(&config.database)
            .username(&config.user)
            // Always set: the driver would otherwise take one from its environment.
            .password(password.map_or("", |password| password.expose_secret()))
            .application_name("clinic-gateway")
            .statement_cache_capacity(0)
            .ssl_mode(mode)
            .disable_statement_logging();
        if let Some(ca) = &tls.ca {
            options = options.ssl_root_cert(ca);
        }
        if let Some((certificate, key)) = &tls.client {
            options = options
                .ssl_client_cert(certificate)
                .ssl_client_key_from_pem(key.expose_secret());
        }
        let unprotected = tls.mode != TlsMode::VerifyFull && !super::is_local_host(&config.host);
        let place = format!("PostgreSQL at {}:{}", config.host, config.port);
        let connect_timeout = Duration::from_secs(config.connect_timeout_seconds.into());
        let listener = |channel: &String| {
            Listener::new(options.clone(), place.clone(), channel, connect_timeout)
        };
        let listener = config.listen.as_ref().map(listener).transpose()?;
        Ok(Self {
            options,
            place,
            unprotected,
            zone: config.time_zone.0.name(),
            listener,
        })
    }
}

#[async_trait]
impl Driver for Postgres {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn syntax(&self) -> Syntax {
        Syntax::Postgres
    }

    fn keeps_sessions(&self) -> bool {
        true
    }

    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn select(&self, column: &str, kind: Kind) -> String {
        match kind {
            Kind::Integer | Kind::Date | Kind::Timestamp | Kind::TimestampTz => column.to_owned(),
            // Without a cast, so that a column that has become a number is noticed.
            Kind::Text | Kind::FixedText => format!("left({column}, {MAX_VALUE_LENGTH})"),
            _ => self.project(column, kind),
        }
    }

    fn project(&self, column: &str, kind: Kind) -> String {
        match kind {
            Kind::Bytes => format!("substring({column} from 1 for {MAX_VALUE_LENGTH})"),
            Kind::TimestampTz => {
                format!("left(({column} AT TIME ZONE 'UTC')::text, {MAX_VALUE_LENGTH})")
            }
            _ => format!("left({column}::text, {MAX_VALUE_LENGTH})"),
        }
    }

    fn push_key(&self, sql: &mut Sql, key: &Key) {
        let number = sql.binds.len() + 1;
        let (bind, expression) = match (std::str::from_utf8(&key.value), key.kind) {
            (_, Kind::Bytes) => (hex::encode(&key.value), format!("decode(${number}, 'hex')")),
            // Only an SQL_ASCII database holds text that is not UTF-8.
            (Err(_), _) => (
                hex::encode(&key.value),
                format!("convert_from(decode(${number}, 'hex'), 'SQL_ASCII')"),
            ),
            (Ok(text), Kind::TimestampTz) => (
                text.to_owned(),
                format!("(${number}::timestamp AT TIME ZONE 'UTC')"),
            ),
            (Ok(text), kind) => (text.to_owned(), format!("${number}::{}", type_name(kind))),
        };
        sql.binds.push(Bind::Text(bind));
        sql.push(&expression);
    }

    fn push_after(&self, sql: &mut Sql, (at_column, id_column): (&str, &str), at: &Key, id: &Key) {
        sql.push(&format!("({at_column}, {id_column}) > ("));
        self.push_key(sql, at);
        sql.push(", ");
        self.push_key(sql, id);
        sql.push(")");
    }

    fn version_sql(&self) -> &'static str {
        "SELECT current_setting('server_version')"
    }

    fn product(&self, version: &str) -> String {
        format!("PostgreSQL {version}")
    }

    fn write_privileges(&self) -> Option<WritePrivileges> {
        Some(WritePrivileges {
            sql: "SELECT count(*)::text FROM pg_catalog.pg_class AS c \
                  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                  WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', \
                  'information_schema') \
                  AND n.nspname NOT LIKE 'pg\\_toast%' AND (has_table_privilege(c.oid, 'INSERT') \
                  OR has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'))",
            may_write: |count| count != "0",
        })
    }

    fn transport_warning(&self) -> Option<(String, String)> {
        self.unprotected
            .then(|| super::transport_warning(&self.place))
    }

    async fn changed(&self) {
        match &self.listener {
            Some(listener) => listener.changed().await,
            None => std::future::pending().await,
        }
    }

    async fn check_hints(&self, report: &mut CheckReport) {
        if let Some(listener) = &self.listener {
            listener.check(report).await;
        }
    }

    async fn open(&self, statement_timeout: Duration) -> Result<Box<dyn Session>, Failure> {
        let connection = self
            .options
            .connect()
            .await
            .map_err(|error| from_sqlx(&error, &self.place, database_failure))?;
        let place = self.place.clone();
        let zone = self.zone;
        let encoding = "";
        let mut session = PostgresSession {
            connection,
            place,
            zone,
            statement_timeout,
            encoding,
            has_prepared: false,
        };
        let encoding = session
            .fetch(
                &Sql::plain("SELECT current_setting('server_encoding')"),
                &[Kind::Text],
            )
            .await?;
        if encoding
            .first()
            .is_some_and(|row| row.cell(0).value == Value::Bytes(b"SQL_ASCII"))
        {
            session.encoding = "; SET LOCAL client_encoding = 'SQL_ASCII'";
        }
        Ok(Box::new(session))
    }
}

struct PostgresSession {
    connection: PgConnection,
    place: String,
    zone: &'static str,
    statement_timeout: Duration,
    /// Lets a database without an encoding hand over its bytes as they are; as UTF-8 it would
    /// refuse them.
    encoding: &'static str,
    /// True while the driver has left a statement prepared, which it never closes with its cache
    /// off.
    has_prepared: bool,
}

impl PostgresSession {
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
             {timeout_ms}; \
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
        let tidy = if std::mem::take(&mut self.has_prepared) {
            "ROLLBACK; DEALLOCATE ALL"
        } else {
            "ROLLBACK"
        };
        self.run(tidy.to_owned()).await
    }

    async fn describe(&mut self, query: &str) -> Result<Vec<Described>, Failure> {
        let prepared = (&mut self.connection)
            .prepare(AssertSqlSafe(query.to_owned()).into_sql_str())
            .await;
        self.has_prepared = true;
        let statement = prepared.map_err(|error| self.failure(&error))?;
        Ok(statement
            .columns()
            .iter()
            .map(|column| Described {
                name: column.name().to_owned(),
                kind: kind_of(column.type_info().oid().map_or(0, |oid| oid.0)),
                type_name: column.type_info().name().to_lowercase(),
            })
            .collect())
    }

    async fn fetch(&mut self, sql: &Sql, kinds: &[Kind]) -> Result<Table, Failure> {
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
        }
        Ok(table)
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

/// True where a row's columns have the types that [`Postgres::select`] gives columns of these
/// kinds.
fn has_kinds(row: &PgRow, kinds: &[Kind]) -> bool {
    let selected = |kind| match kind {
        Kind::Integer | Kind::Date | Kind::Timestamp | Kind::TimestampTz | Kind::Bytes => kind,
        _ => Kind::Text,
    };
    let oid = |column: &sqlx::postgres::PgColumn| column.type_info().oid().map_or(0, |oid| oid.0);
    kinds
        .iter()
        .zip(row.columns())
        .all(|(kind, column)| kind_of(oid(column)) == selected(*kind))
}

/// Days from 1970 to the day PostgreSQL counts from.
const DAYS_TO_2000: i64 = 10_957;
/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Adds a value out of its binary form; what has no native form of ours is written as the server
/// writes it.
fn push(table: &mut Table, kind: Kind, bytes: Option<&[u8]>, is_typed: bool) {
    let Some(bytes) = bytes else {
        return table.push(kind, Value::Null);
    };
    match (kind, whole(bytes)) {
        (Kind::Integer, Some(number)) if is_typed => table.push(kind, Value::Whole(number)),
        (Kind::Date, Some(number)) if is_typed => push_day(table, number),
        (Kind::Timestamp | Kind::TimestampTz, Some(number)) if is_typed => {
            push_moment(table, kind, number)
        }
        _ => table.push(kind, Value::Bytes(bytes)),
    }
}

/// A number of two, four or eight bytes.
fn whole(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a, b] => Some(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).into()),
        _ => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
    }
}

fn push_day(table: &mut Table, number: i64) {
    let days = number + DAYS_TO_2000;
    match i32::try_from(days) {
        Ok(days) if native::is_usual_day(days.into()) => table.push(Kind::Date, Value::Days(days)),
        _ if number == i64::from(i32::MAX) => table.push(Kind::Date, Value::Bytes(b"infinity")),
        _ if number == i64::from(i32::MIN) => table.push(Kind::Date, Value::Bytes(b"-infinity")),
        _ => table.push(Kind::Date, Value::Bytes(native::day_text(days).as_bytes())),
    }
}

fn push_moment(table: &mut Table, kind: Kind, number: i64) {
    let days = number.div_euclid(DAY_MICROS) + DAYS_TO_2000;
    let rest = number.rem_euclid(DAY_MICROS);
    match number {
        i64::MAX => table.push(kind, Value::Bytes(b"infinity")),
        i64::MIN => table.push(kind, Value::Bytes(b"-infinity")),
        _ if native::is_usual_day(days) => {
            table.push(kind, Value::Micros(days * DAY_MICROS + rest))
        }
        _ => table.push(
            kind,
            Value::Bytes(native::moment_text(days, rest).as_bytes()),
        ),
    }
}

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

/// The type's name for a cast.
fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "int8",
        Kind::Decimal => "numeric",
        Kind::Uuid => "uuid",
        Kind::Date => "date",
        Kind::Timestamp => "timestamp",
        Kind::FixedText => "bpchar",
        _ => "text",
    }
}

/// The built-in types by their fixed numbers (`pg_type.dat`).
fn kind_of(oid: u32) -> Kind {
    match oid {
        16 => Kind::Boolean,
        17 => Kind::Bytes,
        20 | 21 | 23 => Kind::Integer,
        25 | 1043 => Kind::Text,
        1042 => Kind::FixedText,
        700 | 701 => Kind::Float,
        1082 => Kind::Date,
        1114 => Kind::Timestamp,
        1184 => Kind::TimestampTz,
        1700 => Kind::Decimal,
        2950 => Kind::Uuid,
        _ => Kind::Other,
    }
}

pub(super) fn database_failure(error: &dyn DatabaseError) -> Failure {
    let code = error.code().unwrap_or_default().into_owned();
    let code = code.as_str();
    let wrong =
        |what: &str, help: &str| Failure::misconfigured(format!("{what} (SQLSTATE {code})"), help);
    match code {
        "28P01" => wrong(
            "the server refuses the password",
            "check `user` and what `password` points to",
        ),
        "28000" => wrong(
            "the server does not let this account in",
            "check `user`, and that pg_hba.conf admits it from this machine with this tls.mode",
        ),
        "3D000" => wrong("the server has no such database", "check `database`"),
        "42501" => wrong(
            "the account may not read something in the query",
            "grant it SELECT (and USAGE on the schema)",
        )
        .naming(error.message()),
        "42P01" => wrong(
            "the query names a table that does not exist",
            "check the table's name and schema",
        )
        .naming(error.message()),
        "42703" => wrong(
            "the query names a column that does not exist",
            "check the column's name and its table",
        )
        .naming(error.message()),
        "42883" | "42804" | "42846" => wrong(
            "the query mixes types or calls an unknown function",
            "add a cast, or check the function's name",
        )
        .naming(error.message()),
        "42601" => {
            wrong("the query has a syntax error", "run it in psql first").naming(error.message())
        }
        "25006" => wrong("the query writes", "write a plain SELECT"),
        "57014" => Failure::retry(format!(
            "the statement was stopped at statement_timeout_seconds (SQLSTATE {code}); an index \
             on what changed_at and record_id stand for helps"
        )),
        "53300" => Failure::retry(format!(
            "the server has no free connection (SQLSTATE {code})"
        )),
        _ => match code.get(..2).unwrap_or_default() {
            "0A" | "22" | "23" | "25" | "26" | "28" | "3D" | "3F" | "42" | "44" => wrong(
                "the query fails",
                "run it in psql: a cast or a calculation may not suit every row",
            )
            .of_data(code.starts_with("22")),
            _ => Failure::retry(format!(
                "the server is not able to answer now (SQLSTATE {code})"
            )),
        },
    }
}
