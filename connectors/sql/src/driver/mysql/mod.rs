//! MariaDB and MySQL: sessions at the clinic's offset, values as text through CAST (zero dates
//! included), keys cast to the column's own type.

mod failure;
mod rows;
mod session;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, FixedOffset, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::config::{MySqlConfig, TlsMode};
use crate::driver::other_server::{Address, Answers, unless_other};
use crate::driver::{
    Driver, Failure, KeyColumns, Origin, Session, WritePrivileges, transport_warning, typed,
    version_number,
};
use crate::settings::Tls;
use crate::statement::Syntax;
use crate::value::{Key, Kind, MAX_VALUE_LENGTH, Sql};
use rows::shifted;
use session::MySqlSession;

pub(crate) struct MySql {
    options: MySqlConnectOptions,
    address: Address,
    place: String,
    transport_warning: Option<(String, String)>,
    offset: Option<FixedOffset>,
    /// True where a connection is encrypted or not made at all.
    is_encrypted: bool,
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
        let place = format!("MariaDB/MySQL at {}:{}", config.host, config.port);
        let transport_warning = transport_warning(tls.mode, &config.host, &place);
        let address = Address {
            host: config.host.clone(),
            port: config.port,
        };
        Self {
            options,
            address,
            place,
            transport_warning,
            offset,
            is_encrypted: !tls.mode.may_be_plain(),
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
            Kind::Bit => format!("CAST({column} AS UNSIGNED)"),
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

    fn no_stamp(&self) -> &'static str {
        "CAST(NULL AS DATETIME)"
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
    fn push_after(&self, sql: &mut Sql, columns: &KeyColumns, at: &Key, id: &Key) {
        let KeyColumns {
            at: at_column,
            id: id_column,
        } = columns;
        sql.push(&format!("{at_column} >= "));
        self.push_key(sql, at);
        sql.push(&format!(" AND ({at_column} > "));
        self.push_key(sql, at);
        sql.push(&format!(" OR {id_column} > "));
        self.push_key(sql, id);
        sql.push(")");
    }

    fn clock_sql(&self) -> Option<&'static str> {
        // Any account sees these two. A replica is read-only as a rule; one of MariaDB also knows
        // what it has taken over, in a comment that MySQL does not read.
        Some(
            "SELECT CONCAT(CAST(UNIX_TIMESTAMP() AS CHAR(20)), CASE WHEN \
             CAST(@@GLOBAL.read_only AS CHAR(20)) IN ('0', 'OFF') \
             /*M! AND @@GLOBAL.gtid_slave_pos = '' */ THEN '' ELSE ' replica' END)",
        )
    }

    // Both are asked for by name: a server that finds no name opens every table it has.
    fn origin_sql(&self, origin: &Origin, query: &str) -> String {
        let (schema, table) = names(origin);
        let typed = |name: &str| literal(&typed(name, self.quote(name), query));
        format!(
            "SELECT CASE WHEN t.TABLE_TYPE LIKE '%VIEW%' THEN 'view' WHEN c.DATA_TYPE LIKE '%text' \
             OR c.DATA_TYPE LIKE '%blob' THEN 'long' ELSE 'table' END, CONCAT(CASE WHEN \
             t.TABLE_SCHEMA = DATABASE() THEN '' ELSE {prefix} END, {}), {} FROM \
             information_schema.TABLES t CROSS JOIN information_schema.COLUMNS c WHERE \
             t.TABLE_SCHEMA = {schema} AND t.TABLE_NAME = {table} AND c.TABLE_SCHEMA = {schema} AND \
             c.TABLE_NAME = {table} AND c.COLUMN_NAME = {}",
            typed(table),
            typed(&origin.column),
            literal(&origin.column),
            prefix = literal(&format!("{}.", self.quote(schema))),
            schema = literal(schema),
            table = literal(table),
        )
    }

    fn index_sql(&self, columns: &[Origin]) -> String {
        let (schema, table) = names(&columns[0]);
        let mut sql = format!(
            "SELECT 'yes' FROM (SELECT INDEX_NAME, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX \
             SEPARATOR '\n') AS c FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND \
             TABLE_NAME = {} AND SUB_PART IS NULL GROUP BY INDEX_NAME) AS i WHERE ",
            literal(schema),
            literal(table)
        );
        let begins: Vec<&str> = columns.iter().map(|one| one.column.as_str()).collect();
        let begins = format!("{}\n", begins.join("\n"));
        sql += &format!(
            "LEFT(CONCAT(c, '\n'), CHAR_LENGTH({0})) = {0}",
            literal(&begins)
        );
        sql
    }

    fn version_sql(&self) -> &'static str {
        "SELECT VERSION()"
    }

    fn product(&self, version: &str) -> String {
        if version.contains("MariaDB") {
            format!("MariaDB {}", version_number(version))
        } else {
            format!("MySQL {}", version_number(version))
        }
    }

    fn write_privileges(&self) -> Option<WritePrivileges> {
        Some(WritePrivileges {
            sql: "SHOW GRANTS",
            may_write: grants_writing,
        })
    }

    fn transport_warning(&self) -> Option<(String, String)> {
        self.transport_warning.clone()
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
        let place = self.place.clone();
        let session = MySqlSession::open(
            &self.options,
            place,
            self.offset(),
            statement_timeout,
            self.is_encrypted,
        );
        let session = unless_other(session, &self.address, Answers::AsPostgres);
        Ok(Box::new(session.await?))
    }
}

/// Names of an origin's schema and table.
fn names(origin: &Origin) -> (&str, &str) {
    origin.table.split_once('.').unwrap_or(("", &origin.table))
}

/// Text as a literal that can be nothing else, whatever stands in it.
fn literal(text: &str) -> String {
    format!("CONVERT(_utf8mb4 X'{}' USING utf8mb3)", hex::encode(text))
}

/// Reads one line of SHOW GRANTS: what it lets somebody write, and where.
fn grants_writing(grant: &str) -> Option<String> {
    const WRITING: [&str; 6] = [
        "ALL PRIVILEGES",
        "INSERT",
        "UPDATE",
        "DELETE",
        "DROP",
        "ALTER",
    ];
    let (privileges, rest) = grant.strip_prefix("GRANT ")?.split_once(" ON ")?;
    // Behind the account a line may hold a password's hash.
    let (place, account) = rest.split_once(" TO ").unwrap_or((rest, ""));
    let granted: Vec<&str> = WRITING
        .into_iter()
        .filter(|word| {
            let is_word =
                |one: &str| one.trim() == *word || one.trim().starts_with(&format!("{word} ("));
            privileges.split(',').any(is_word)
        })
        .collect();
    let to = if account.trim_matches('`').starts_with("PUBLIC") {
        ", as PUBLIC may"
    } else {
        ""
    };
    (!granted.is_empty()).then(|| format!("{} on {place}{to}", granted.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_that_writes_is_named_with_its_place_and_no_more() {
        for (grant, expected) in [
            (
                "GRANT USAGE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*A1'",
                None,
            ),
            ("GRANT SELECT ON `mis`.* TO `r`@`%`", None),
            (
                "GRANT SELECT, INSERT, DELETE HISTORY ON `test`.* TO PUBLIC",
                Some("INSERT on `test`.*, as PUBLIC may"),
            ),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*A1' WITH GRANT \
                 OPTION",
                Some("ALL PRIVILEGES on *.*"),
            ),
            (
                "GRANT SELECT, UPDATE (`a`) ON `mis`.`doses` TO `r`@`%`",
                Some("UPDATE on `mis`.`doses`"),
            ),
            ("GRANT `clinic_role` TO `r`@`%`", None),
        ] {
            assert_eq!(grants_writing(grant).as_deref(), expected, "{grant}");
        }
    }

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
