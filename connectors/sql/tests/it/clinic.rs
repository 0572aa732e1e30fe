//! Support of the tests: a clinic's database of any of the three kinds, runs over a feed, and
//! records in short form.

use std::path::Path;

use chrono::{DateTime, Utc};
use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Connector, Cursor, Dose, Feed, Field, KeysRequest,
    PageRequest, RecordKey, SourceError, SourceSurprise,
};
use connector_sql::{Database, MySqlConfig, PostgresConfig, SqlConnector, SqliteConfig};
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use testbed::mariadb::MariaDb;
use testbed::postgres::Postgres;

/// The moment the tests take place.
pub(crate) fn now() -> DateTime<Utc> {
    "2021-07-10T09:00:00Z".parse().unwrap()
}

/// The columns most tests need, from a table `doses`.
pub(crate) const DOSES: &str = "SELECT id AS record_id, changed AS changed_at, \
     snils AS person_snils, vaccine AS vaccine_code, given AS occurred_on FROM doses";

/// A database of any kind with a clinic's tables in it.
pub(crate) enum Clinic {
    Postgres(Postgres, String),
    MariaDb(MariaDb, String),
    Sqlite(tempfile::TempDir),
}

impl Clinic {
    pub(crate) async fn postgres() -> Self {
        let server = Postgres::start().await.unwrap();
        server.create_database("mis").await.unwrap();
        Self::Postgres(server, "mis".into())
    }

    pub(crate) async fn mariadb() -> Self {
        let server = MariaDb::start().await.unwrap();
        server.create_database("mis").await.unwrap();
        server
            .execute(
                "mis",
                "CREATE USER reader@'%' IDENTIFIED BY 'read-only-1'; GRANT SELECT ON mis.* TO \
                 reader@'%'",
            )
            .await
            .unwrap();
        Self::MariaDb(server, "mis".into())
    }

    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// An empty clinic in each kind of database.
    pub(crate) async fn of_each_database() -> [Self; 3] {
        [
            Self::sqlite(),
            Self::postgres().await,
            Self::mariadb().await,
        ]
    }

    /// Runs statements as the clinic's own system would.
    pub(crate) async fn run(&self, sql: &str) {
        match self {
            Self::Postgres(server, database) => {
                server.psql(database, sql).await.unwrap();
            }
            Self::MariaDb(server, database) => {
                server.execute(database, sql).await.unwrap();
            }
            Self::Sqlite(folder) => {
                let mut connection = sqlite_writer(folder.path()).await;
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                sqlx::Connection::close(connection).await.unwrap();
            }
        }
    }

    /// The column type of a change stamp with microseconds.
    pub(crate) fn stamp_type(&self) -> &'static str {
        match self {
            Self::Postgres(..) => "timestamp",
            Self::MariaDb(..) => "datetime(6)",
            Self::Sqlite(_) => "text",
        }
    }

    /// TOML of the connection, without feeds.
    pub(crate) fn connection(&self) -> String {
        match self {
            Self::Postgres(server, database) => format!(
                "host = '127.0.0.1'\nport = {}\ndatabase = '{database}'\nuser = 'postgres'\n\
                 connect_timeout_seconds = 60\nstatement_timeout_seconds = 60\n",
                server.port()
            ),
            Self::MariaDb(server, database) => format!(
                "host = '127.0.0.1'\nport = {}\ndatabase = '{database}'\nuser = 'reader'\n\
                 password = {{ env = 'CONNECTOR_SQL_TEST_PASSWORD' }}\n\
                 connect_timeout_seconds = 60\nstatement_timeout_seconds = 60\n",
                server.port()
            ),
            Self::Sqlite(folder) => {
                format!(
                    "path = '{}'\nstatement_timeout_seconds = 60\n",
                    folder.path().join("mis.db").display()
                )
            }
        }
    }

    /// A connector with further settings and feeds in TOML.
    pub(crate) fn connector_with(&self, settings: &str) -> Result<SqlConnector, SourceError> {
        let toml = format!("{}{settings}", self.connection());
        let base = tempfile::tempdir().unwrap();
        match self {
            Self::Postgres(..) => SqlConnector::postgres(
                &toml::from_str::<PostgresConfig>(&toml).unwrap(),
                base.path(),
            ),
            Self::MariaDb(..) => {
                let path = base.path().join("password");
                private_file(&path, "read-only-1");
                let toml = toml.replace("env = 'CONNECTOR_SQL_TEST_PASSWORD'", "file = 'password'");
                SqlConnector::mysql(&toml::from_str::<MySqlConfig>(&toml).unwrap(), base.path())
            }
            Self::Sqlite(_) => {
                SqlConnector::sqlite(&toml::from_str::<SqliteConfig>(&toml).unwrap(), base.path())
            }
        }
    }

    /// The database as `init` looks at it.
    pub(crate) fn database(&self) -> Database {
        let toml = self.connection();
        let base = tempfile::tempdir().unwrap();
        match self {
            Self::Postgres(..) => Database::postgres(
                &toml::from_str::<PostgresConfig>(&toml).unwrap(),
                base.path(),
            ),
            Self::MariaDb(..) => {
                private_file(&base.path().join("password"), "read-only-1");
                let toml = toml.replace("env = 'CONNECTOR_SQL_TEST_PASSWORD'", "file = 'password'");
                Database::mysql(&toml::from_str::<MySqlConfig>(&toml).unwrap(), base.path())
            }
            Self::Sqlite(_) => {
                Database::sqlite(&toml::from_str::<SqliteConfig>(&toml).unwrap(), base.path())
            }
        }
        .unwrap()
    }

    /// A connector with one feed of vaccinations.
    pub(crate) fn connector(&self, query: &str) -> SqlConnector {
        self.connector_with(&format!("[vaccinations]\nquery = '''{query}'''\n"))
            .unwrap()
    }
}

/// Writes a file only its owner may read.
pub(crate) fn private_file(path: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) async fn sqlite_writer(folder: &Path) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.join("mis.db"))
        .create_if_missing(true);
    options.connect().await.unwrap()
}

/// Result of a run.
pub(crate) struct Run {
    /// Record ids in the order they came.
    pub ids: Vec<String>,
    pub records: Vec<ClinicRecord>,
    /// Cursor that a gateway would have stored at its end.
    pub stored: Option<Cursor>,
    pub pages: usize,
    pub surprises: Vec<SourceSurprise>,
}

/// Makes a whole run from a stored cursor, as the gateway does.
pub(crate) async fn run(connector: &SqlConnector, stored: Option<Cursor>, limit: u32) -> Run {
    run_at(connector, stored, limit, now()).await
}

pub(crate) async fn run_at(
    connector: &SqlConnector,
    stored: Option<Cursor>,
    limit: u32,
    now: DateTime<Utc>,
) -> Run {
    let feed = connector.feeds()[0];
    let mut run = Run {
        ids: vec![],
        records: vec![],
        stored: stored.clone(),
        pages: 0,
        surprises: vec![],
    };
    let mut request = PageRequest {
        feed,
        after: stored,
        first_of_run: true,
        hinted: false,
        limit,
        now,
    };
    loop {
        let page = connector.page(request.clone()).await.unwrap();
        assert!(
            page.records.len() <= limit as usize,
            "a page over its limit"
        );
        run.pages += 1;
        assert!(run.pages < 1000, "the run does not end");
        run.ids
            .extend(page.records.iter().map(|record| record.record_id.clone()));
        run.records.extend(page.records);
        run.surprises.extend(page.surprise);
        run.stored = page.resume.or(run.stored);
        match page.next {
            Some(next) => {
                request = PageRequest {
                    after: Some(next),
                    first_of_run: false,
                    ..request
                }
            }
            None => return run,
        }
    }
}

/// The first page of a run.
pub(crate) fn first_page(limit: u32) -> PageRequest {
    PageRequest {
        feed: Feed::Vaccinations,
        after: None,
        first_of_run: true,
        hinted: false,
        limit,
        now: now(),
    }
}

/// The first keys of a sweep.
pub(crate) fn first_keys(limit: u32) -> KeysRequest {
    KeysRequest {
        feed: Feed::Vaccinations,
        after: None,
        limit,
        now: now(),
    }
}

/// All keys, page by page.
pub(crate) async fn sweep(connector: &SqlConnector, limit: u32) -> Vec<RecordKey> {
    let mut keys = vec![];
    let mut request = first_keys(limit);
    loop {
        let page = connector.keys(request.clone()).await.unwrap();
        assert!(page.keys.len() <= limit as usize, "a page over its limit");
        assert!(
            request.after.is_none() || page.next != request.after,
            "the sweep stands still"
        );
        keys.extend(page.keys);
        assert!(keys.len() < 100_000, "the sweep does not end");
        match page.next {
            Some(next) => request.after = Some(next),
            None => return keys,
        }
    }
}

/// The rows with these ids.
pub(crate) async fn fetch(connector: &SqlConnector, ids: &[&str]) -> Vec<ClinicRecord> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    connector
        .fetch(Feed::Vaccinations, &ids, now())
        .await
        .unwrap()
}

/// Checks that every row has one and the same id and stamp in a page, in the keys and fetched by
/// its id; returns the ids.
pub(crate) async fn one_row_is_one_row(connector: &SqlConnector, what: &str) -> Vec<String> {
    let pulled = run(connector, None, 1000).await.records;
    let mut in_pages: Vec<_> = pulled
        .iter()
        .map(|row| (row.record_id.clone(), row.stamp))
        .collect();
    in_pages.sort();
    let ids: Vec<&str> = in_pages.iter().map(|(id, _)| id.as_str()).collect();
    for limit in [3, 4, 1000] {
        let mut listed: Vec<_> = sweep(connector, limit)
            .await
            .into_iter()
            .map(|key| (key.record_id, key.stamp))
            .collect();
        listed.sort();
        assert_eq!(listed, in_pages, "keys of {what}, limit {limit}");
    }
    let mut fetched: Vec<_> = fetch(connector, &ids)
        .await
        .into_iter()
        .map(|row| (row.record_id.clone(), row.stamp))
        .collect();
    fetched.sort();
    assert_eq!(fetched, in_pages, "fetched from {what}");
    for id in &ids {
        assert!(
            fetch(connector, &[id])
                .await
                .iter()
                .all(|row| row.record_id == *id),
            "{id} of {what}"
        );
    }
    ids.iter().map(|id| (*id).to_owned()).collect()
}

pub(crate) fn date(date: &Field<ClinicDate>) -> String {
    match date {
        Field::Missing => "missing".into(),
        Field::Invalid(fault) => format!("{fault:?}"),
        Field::Value(ClinicDate::Year(year)) => format!("{year}"),
        Field::Value(ClinicDate::Month(year, month)) => format!("{year}-{month}"),
        Field::Value(ClinicDate::Day(day)) => day.to_string(),
    }
}

/// A vaccination in short: id, status, identifiers, code, dose, date.
pub(crate) fn short(record: &ClinicRecord) -> String {
    let ClinicFact::Vaccination {
        vaccine,
        dose_number,
        occurred_on,
        ..
    } = &record.fact
    else {
        panic!("not a vaccination");
    };
    let people: Vec<&str> = record
        .person
        .identifiers
        .iter()
        .map(|one| one.value.expose_secret())
        .collect();
    let dose = match dose_number {
        Field::Missing => "-".into(),
        Field::Value(Dose::Number(number)) => number.to_string(),
        Field::Value(Dose::Word(word)) => format!("«{word}»"),
        Field::Invalid(fault) => format!("{fault:?}"),
    };
    let codes: Vec<&str> = vaccine.iter().map(|coding| coding.code.as_str()).collect();
    format!(
        "{} {:?} {}{} {} {dose} {}",
        record.record_id,
        record.status,
        people.join("+"),
        if record.person.unreadable { "!" } else { "" },
        codes.join("+"),
        date(occurred_on)
    )
}
