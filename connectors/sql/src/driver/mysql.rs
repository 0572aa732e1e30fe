//! MariaDB and MySQL: sessions at the clinic's offset, values as text through CAST (zero dates
//! included), keys cast to the column's own type.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, FixedOffset, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use futures_util::TryStreamExt;
use secrecy::ExposeSecret;
use sqlx::error::DatabaseError;
use sqlx::mysql::{
    MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow, MySqlSslMode,
};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, Row, SqlSafeStr, Statement, TypeInfo};

use super::failure::from_sqlx;
use super::mysql_rows::{has_kinds, kind_of, push, shifted};
use super::{
    Described, Driver, Failure, MANY_ROWS, MAX_VALUE_LENGTH, Session, SlowPlan, WritePrivileges,
};
use crate::config::{MySqlConfig, TlsMode};
use crate::settings::Tls;
use crate::statement::Syntax;
use crate::table::Table;
use crate::value::{Key, Kind, Sql};

pub(crate) struct MySql {
    options: MySqlConnectOptions,
    place: String,
    unprotected: bool,
    offset: Option<FixedOffset>,
}

impl MySql {
    pub(crate) fn new(
        config: &MySqlConfig,
        password: Option<&secrecy::SecretString>,
        tls: &Tls,
    ) -> Self {
        let mode = match tls.mode {
            TlsMode::Disable => MySqlSslMode::Disabled,
            TlsMode::Prefer => MySqlSslMode::Preferred,
            TlsMode::Require => MySqlSslMode::Required,
            TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
        };
        let offset = constant_offset(config.time_zone.0);
        // The session keeps the server's SQL mode, for which the administrator's query was written.
        let mut options = MySqlConnectOptions::new()
            .port(config.port)
            .database(&config.database)
            .username(&config.user)
            .statement_cache_capacity(0)
            .charset("utf8mb4")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(offset.unwrap_or(Utc.fix()).to_string())
            .ssl_mode(mode)
            .disable_statement_logging();
        options = if config.host.starts_with('/') {
            options.socket(&config.host)
        } else {
            options.host(&config.host)
        };
        if let Some(password) = password {
            options = options.password(password.expose_secret());
        }
        if let Some(ca) = &tls.ca {
            options = options.ssl_ca(ca);
        }
        if let Some((certificate, key)) = &tls.client {
            options = options
                .ssl_client_cert(certificate)
                .ssl_client_key_from_pem(key.expose_secret());
        }
        let unprotected = tls.mode != TlsMode::VerifyFull && !super::is_local_host(&config.host);
        let place = format!("MariaDB/MySQL at {}:{}", config.host, config.port);
        Self {
            options,
            place,
            unprotected,
            offset,
        }
    }

    fn offset(&self) -> TimeDelta {
        self.offset.map_or(TimeDelta::zero(), |offset| {
            TimeDelta::seconds(offset.local_minus_utc().into())
        })
    }
}

/// The zone's offset, if its clocks have not changed since 2020 and will not before 2040. In a
/// session that follows changing clocks the keys of the repeated hour would be ambiguous; a fixed
/// offset needs no zone tables on the server.
fn constant_offset(zone: Tz) -> Option<FixedOffset> {
    const FIRST_DAY_OF_2020: i64 = 1_577_836_800;
    let offset = |week: i64| {
        let at = DateTime::from_timestamp(FIRST_DAY_OF_2020 + week * 7 * 86_400, 0)?;
        Some(zone.offset_from_utc_datetime(&at.naive_utc()).fix())
    };
    let first = offset(0)?;
    // What every version of the server takes.
    let accepted = (-12 * 3600..=13 * 3600).contains(&first.local_minus_utc());
    (accepted && (0..20 * 52).all(|week| offset(week) == Some(first))).then_some(first)
}

#[async_trait]
impl Driver for MySql {
    fn kind(&self) -> &'static str {
        "mysql"
    }

    fn syntax(&self) -> Syntax {
        Syntax::MySql
    }

    fn keeps_sessions(&self) -> bool {
        true
    }

    fn quote(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn select(&self, column: &str, kind: Kind) -> String {
        match kind {
            Kind::Integer
            | Kind::Unsigned
            | Kind::Decimal
            | Kind::Date
            | Kind::Timestamp
            | Kind::TimestampTz
            | Kind::Year => column.to_owned(),
            Kind::Text => format!("LEFT({column}, {MAX_VALUE_LENGTH})"),
            _ => self.project(column, kind),
        }
    }

    // LEFT makes text of everything.
    fn witness(&self, column: &str, kind: Kind) -> Option<String> {
        (kind == Kind::Text).then(|| format!("IF(FALSE, {column}, NULL)"))
    }

    fn project(&self, column: &str, kind: Kind) -> String {
        match kind {
            Kind::Bytes => format!("LEFT({column}, {MAX_VALUE_LENGTH})"),
            _ => format!("LEFT(CAST({column} AS CHAR), {MAX_VALUE_LENGTH})"),
        }
    }

    fn push_key(&self, sql: &mut Sql, key: &Key) {
        let mut text = String::from_utf8_lossy(&key.value).into_owned();
        if key.kind == Kind::TimestampTz {
            text = shifted(&text, self.offset());
        }
        // No column has more decimal places, and more are an error.
        let scale = text
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len().min(30));
        // In hexadecimal it can be nothing but a value. It stands in the statement itself: what is
        // prepared costs a round trip, and closing it leaves a packet unanswered, behind which the
        // next one waits for 40 ms.
        let bytes = if key.kind == Kind::Bytes {
            hex::encode(&key.value)
        } else {
            hex::encode(&text)
        };
        let literal = if key.kind == Kind::Bytes {
            format!("X'{bytes}'")
        } else {
            format!("_utf8mb4 X'{bytes}'")
        };
        sql.push(&match key.kind {
            Kind::Integer => format!("CAST({literal} AS SIGNED)"),
            Kind::Unsigned => format!("CAST({literal} AS UNSIGNED)"),
            Kind::Decimal => format!("CAST({literal} AS DECIMAL(65, {scale}))"),
            Kind::Date => format!("CAST({literal} AS DATE)"),
            Kind::Timestamp | Kind::TimestampTz => format!("CAST({literal} AS DATETIME(6))"),
            _ => literal,
        });
    }

    // A row comparison would read the whole index here; the first half of this one begins at the
    // right place.
    fn push_after(&self, sql: &mut Sql, (at_column, id_column): (&str, &str), at: &Key, id: &Key) {
        sql.push(&format!("{at_column} >= "));
        self.push_key(sql, at);
        sql.push(&format!(" AND ({at_column} > "));
        self.push_key(sql, at);
        sql.push(&format!(" OR {id_column} > "));
        self.push_key(sql, id);
        sql.push(")");
    }

    fn version_sql(&self) -> &'static str {
        "SELECT VERSION()"
    }

    fn product(&self, version: &str) -> String {
        if version.contains("MariaDB") {
            format!("MariaDB {version}")
        } else {
            format!("MySQL {version}")
        }
    }

    fn write_privileges(&self) -> Option<WritePrivileges> {
        Some(WritePrivileges {
            sql: "SHOW GRANTS",
            may_write: grants_writing,
        })
    }

    fn transport_warning(&self) -> Option<(String, String)> {
        self.unprotected
            .then(|| super::transport_warning(&self.place))
    }

    fn other_zones(&self) -> Option<[&'static str; 3]> {
        let zones = [
            "SET time_zone = '-12:00'",
            "SET time_zone = '+12:00'",
            "SET time_zone = '+00:00'",
        ];
        self.offset.is_none().then_some(zones)
    }

    async fn open(&self, statement_timeout: Duration) -> Result<Box<dyn Session>, Failure> {
        let failure = |error: sqlx::Error| from_sqlx(&error, &self.place, database_failure);
        let connection = self.options.connect().await.map_err(failure)?;
        let mut session = MySqlSession {
            connection,
            place: self.place.clone(),
            offset: self.offset(),
        };
        let version = session
            .fetch(&Sql::plain("SELECT VERSION()"), &[Kind::Text])
            .await?;
        let version = version
            .first()
            .and_then(|row| row.cell(0).bytes())
            .unwrap_or_default()
            .into_owned();
        let seconds = statement_timeout.as_secs();
        let limit = if String::from_utf8_lossy(&version).contains("MariaDB") {
            format!("max_statement_time = {seconds}")
        } else {
            format!("max_execution_time = {}", seconds * 1000)
        };
        // Zero dates must survive the comparison with a key; under NO_ZERO_DATE the cast would make
        // NULL of them. TRADITIONAL goes as well: the server would read both out of it again. The
        // modes it stands for besides are named.
        session
            .run(format!(
                "SET SESSION {limit}, SESSION sql_mode = REPLACE(REPLACE(REPLACE(\
                 @@SESSION.sql_mode, 'NO_ZERO_IN_DATE', ''), 'NO_ZERO_DATE', ''), 'TRADITIONAL', \
                 '')"
            ))
            .await?;
        session
            .run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned())
            .await?;
        Ok(Box::new(session))
    }
}

/// Reads one line of SHOW GRANTS.
fn grants_writing(grant: &str) -> bool {
    let privileges = grant.split(" ON ").next().unwrap_or_default();
    [
        "ALL PRIVILEGES",
        "INSERT",
        "UPDATE",
        "DELETE",
        "DROP",
        "ALTER",
    ]
    .iter()
    .any(|word| privileges.contains(word))
}

struct MySqlSession {
    connection: MySqlConnection,
    place: String,
    /// What the session's clock is ahead of UTC, in which instants are handed on.
    offset: TimeDelta,
}

impl MySqlSession {
    fn failure(&self, error: &sqlx::Error) -> Failure {
        from_sqlx(error, &self.place, database_failure)
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
        self.run("ROLLBACK".to_owned()).await
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

    async fn fetch(&mut self, sql: &Sql, kinds: &[Kind]) -> Result<Table, Failure> {
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
        }
        Ok(table)
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

fn database_failure(error: &dyn DatabaseError) -> Failure {
    let number = error
        .try_downcast_ref::<MySqlDatabaseError>()
        .map_or(0, MySqlDatabaseError::number);
    let wrong =
        |what: &str, help: &str| Failure::misconfigured(format!("{what} (error {number})"), help);
    match number {
        1045 | 1698 => wrong(
            "the server refuses the account or its password",
            "check `user` and what `password` points to",
        ),
        1130 | 1129 | 3118 | 1820 | 1862 | 4151 => wrong(
            "the server does not let this account in from here",
            "let its administrator unlock it for this machine",
        ),
        1044 => wrong(
            "the account may not use this database",
            "check `database`, and grant the account SELECT on it",
        ),
        1049 => wrong("the server has no such database", "check `database`"),
        1142 | 1143 | 1356 | 1370 => wrong(
            "the account may not read something in the query",
            "grant it SELECT",
        )
        .naming(error.message()),
        1146 | 1109 => wrong(
            "the query names a table that does not exist",
            "check the table's name and database",
        )
        .naming(error.message()),
        1054 => wrong(
            "the query names a column that does not exist",
            "check the column's name and its table",
        )
        .naming(error.message()),
        1060 => wrong(
            "the query gives two columns one name",
            "give each column an alias of its own",
        )
        .naming(error.message()),
        1064 => wrong(
            "the query has a syntax error",
            "run it in the mysql client first",
        )
        .naming(error.message()),
        1267 | 1270 | 1271 => wrong(
            "the query mixes character sets or collations",
            "add COLLATE to one side, or convert it",
        )
        .of_data(true),
        1792 | 1290 => wrong("the query writes", "write a plain SELECT"),
        1969 | 3024 | 1317 => Failure::retry(format!(
            "the statement was stopped at statement_timeout_seconds (error {number}); an index on \
             what changed_at and record_id stand for helps"
        )),
        1040 | 1203 | 1226 => Failure::retry(format!(
            "the server has no free connection (error {number})"
        )),
        _ => match error.code().as_deref().and_then(|state| state.get(..2)) {
            Some(class @ ("22" | "42")) => wrong(
                "the query fails",
                "run it in the mysql client: it may not suit every row",
            )
            .of_data(class == "22"),
            _ => Failure::retry(format!(
                "the server is not able to answer now (error {number})"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_clinics_offset_where_its_clocks_never_change() {
        let offset = |zone: Tz| constant_offset(zone).map(|offset| offset.to_string());
        assert_eq!(offset(Tz::Europe__Moscow).as_deref(), Some("+03:00"));
        assert_eq!(offset(Tz::Asia__Kolkata).as_deref(), Some("+05:30"));
        assert_eq!(offset(Tz::Europe__Berlin), None);
        assert_eq!(
            offset(Tz::Europe__Volgograd),
            None,
            "changed in December 2020"
        );
        assert_eq!(
            offset(Tz::Pacific__Kiritimati),
            None,
            "+14:00 is refused by some servers"
        );
    }
}
