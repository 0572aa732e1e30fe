//! PostgreSQL: sessions in the clinic's time zone, instants as text in UTC, keys cast to the
//! column's own type, row comparison an index serves.

mod failure;
mod listen;
mod rows;
mod session;
mod states;

use std::time::Duration;

use async_trait::async_trait;
use connector_kit::{CheckReport, SourceError};
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::config::{PostgresConfig, TlsMode};
use crate::driver::other_server::{Address, Answers, unless_other};
use crate::driver::{
    Driver, Failure, KeyColumns, Origin, Session, WritePrivileges, transport_warning,
    version_number,
};
use crate::settings::Tls;
use crate::statement::Syntax;
use crate::value::{Bind, Key, Kind, MAX_VALUE_LENGTH, Sql};
use listen::Listener;
use session::PostgresSession;

pub(crate) struct Postgres {
    options: PgConnectOptions,
    address: Address,
    place: String,
    transport_warning: Option<(String, String)>,
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
            // A pooler refuses what it does not know; transactions set it themselves.
            .extra_float_digits(None)
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
        let place = format!("PostgreSQL at {}:{}", config.host, config.port);
        let transport_warning = transport_warning(tls.mode, &config.host, &place);
        let connect_timeout = Duration::from_secs(config.connect_timeout_seconds.into());
        let listener = |channel: &String| {
            Listener::new(options.clone(), place.clone(), channel, connect_timeout)
        };
        let listener = config.listen.as_ref().map(listener).transpose()?;
        let address = Address {
            host: config.host.clone(),
            port: config.port,
        };
        Ok(Self {
            options,
            address,
            place,
            transport_warning,
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

    fn no_stamp(&self) -> &'static str {
        "CAST(NULL AS timestamp)"
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

    fn push_after(&self, sql: &mut Sql, columns: &KeyColumns, at: &Key, id: &Key) {
        sql.push(&format!("({}, {}) > (", columns.at, columns.id));
        self.push_key(sql, at);
        sql.push(", ");
        self.push_key(sql, id);
        sql.push(")");
    }

    fn clock_sql(&self) -> Option<&'static str> {
        // A standby has what it has replayed. Who subscribes has what the publisher's tables
        // were, and does not say of when.
        Some(
            "SELECT CAST(floor(extract(epoch FROM now())) AS text) || CASE WHEN \
             pg_is_in_recovery() THEN ' replica ' || coalesce(CAST(floor(extract(epoch FROM \
             pg_last_xact_replay_timestamp())) AS text), '') WHEN EXISTS (SELECT 1 FROM \
             pg_catalog.pg_subscription AS s WHERE s.subdbid = (SELECT d.oid FROM \
             pg_catalog.pg_database AS d WHERE d.datname = current_database())) THEN ' replica' \
             ELSE '' END",
        )
    }

    // Of both, the numbers are the server's own.
    fn origin_sql(&self, origin: &Origin, _query: &str) -> String {
        format!(
            "SELECT CASE WHEN c.relkind IN ('r', 'p', 'm') THEN 'table' ELSE 'view' END, CASE WHEN \
             pg_table_is_visible(c.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || \
             quote_ident(c.relname), quote_ident(a.attname) FROM pg_class c JOIN pg_namespace n ON \
             n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = {} AND \
             a.attnum = {}",
            origin.table, origin.column
        )
    }

    fn index_sql(&self, columns: &[Origin]) -> String {
        let mut sql = format!(
            "SELECT 'yes'::text FROM pg_index WHERE indisvalid AND indpred IS NULL AND indrelid = \
             {}",
            columns[0].table
        );
        for (place, column) in columns.iter().enumerate() {
            sql += &format!(" AND indkey[{place}] = {}", column.column);
        }
        sql
    }

    fn version_sql(&self) -> &'static str {
        "SELECT current_setting('server_version')"
    }

    fn product(&self, version: &str) -> String {
        format!("PostgreSQL {}", version_number(version))
    }

    fn write_privileges(&self) -> Option<WritePrivileges> {
        Some(WritePrivileges {
            // A superuser may change everything, also what no table shows.
            sql: "SELECT 'everything, since it is a superuser'::text WHERE \
                  current_setting('is_superuser') = 'on' \
                  UNION ALL (SELECT concat_ws(', ', \
                  CASE WHEN has_table_privilege(c.oid, 'INSERT') THEN \
                  'INSERT' END, CASE WHEN has_table_privilege(c.oid, 'UPDATE') THEN 'UPDATE' END, \
                  CASE WHEN has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' END) \
                  || ' on ' || c.oid::regclass::text \
                  FROM pg_catalog.pg_class AS c \
                  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                  WHERE current_setting('is_superuser') = 'off' \
                  AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', \
                  'information_schema') \
                  AND n.nspname NOT LIKE 'pg\\_toast%' AND (has_table_privilege(c.oid, 'INSERT') \
                  OR has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE')) \
                  ORDER BY c.oid LIMIT 3)",
            may_write: |table| Some(table.to_owned()),
        })
    }

    fn transport_warning(&self) -> Option<(String, String)> {
        self.transport_warning.clone()
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
        let session = PostgresSession::open(
            &self.options,
            self.place.clone(),
            self.zone,
            statement_timeout,
        );
        let session = unless_other(session, &self.address, Answers::AsMySql);
        Ok(Box::new(session.await?))
    }
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
