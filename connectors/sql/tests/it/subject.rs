//! A clinic's database as the subject of the conformance suite.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use connector_kit::Connector;
use connector_kit::conformance::{
    BIRTH_DATE, FAMILY_NAME, Hostility, QUOTED_WORD, Row, SNILS, Subject, VACCINE_CODE,
};
use connector_sql::SqlConnector;
use testbed::proxy::TcpProxy;

use crate::clinic::{Clinic, private_file, sqlite_writer};
use crate::cutter::Cutter;

/// Moscow, in whose wall-clock time the stamps are written, is so far ahead of UTC.
const ZONE: TimeDelta = TimeDelta::hours(3);
/// Bytes of a value that no bound admits.
const HUGE_BYTES: usize = 8_000_000;
const PASSWORD: &str = "read-only-1";
/// Timeouts that no pause of a busy machine reaches.
const PATIENT_SECONDS: u32 = 60;

/// A clinic's database behind a line that can be stalled, cut and broken.
pub(crate) struct SqlSubject {
    clinic: Clinic,
    /// Absent for a file.
    line: Option<Line>,
    base: tempfile::TempDir,
    hostility: Option<Hostility>,
    misconfigured: bool,
    /// Seconds that a connector waits for a connection and for a statement.
    timeout_seconds: u32,
    /// Way in which changes are noticed, as configuration names it.
    detection: &'static str,
    /// A program that holds the SQLite file locked.
    lock: Option<sqlx::SqliteConnection>,
}

struct Line {
    proxy: TcpProxy,
    cutter: Cutter,
}

impl SqlSubject {
    pub(crate) async fn new(clinic: Clinic) -> Self {
        let port = match &clinic {
            Clinic::Postgres(server, _) => Some(server.port()),
            Clinic::MariaDb(server, _) => Some(server.port()),
            Clinic::Sqlite(_) => None,
        };
        let line = match port {
            Some(port) => {
                let proxy = TcpProxy::start(port).await.unwrap();
                let cutter = Cutter::start(proxy.port()).await;
                Some(Line { proxy, cutter })
            }
            None => None,
        };
        let base = tempfile::tempdir().unwrap();
        private_file(&base.path().join("password"), PASSWORD);
        clinic.run(accounts(&clinic)).await;
        Self {
            clinic,
            line,
            base,
            hostility: None,
            misconfigured: false,
            timeout_seconds: PATIENT_SECONDS,
            detection: "stamp",
            lock: None,
        }
    }

    /// The same clinic, whose changes are noticed in another way.
    pub(crate) fn noticing_by(self, detection: &'static str) -> Self {
        Self { detection, ..self }
    }

    fn query(&self) -> String {
        let dose = match self.clinic {
            Clinic::Postgres(..) => "dose::int",
            Clinic::MariaDb(..) => "CAST(dose AS UNSIGNED) - 5",
            Clinic::Sqlite(_) => "json_extract(dose, '$.n')",
        };
        let query = format!(
            "SELECT id AS record_id, {}snils AS person_snils, vaccine AS vaccine_code, {dose} AS \
             dose_number, given AS occurred_on FROM doses",
            match self.detection {
                "stamp" => "changed AS changed_at, ",
                _ => "",
            }
        );
        if self.misconfigured {
            let query = query.replace("vaccine_code", "vaccine_kode");
            return query.replace("occurred_on", "occured_on");
        }
        query
    }

    /// The dose of a row, which the query can calculate with or cannot.
    fn dose(&self, row: &Row) -> &'static str {
        match (&self.clinic, row.unreadable) {
            (Clinic::Postgres(..), false) => "2",
            (Clinic::Postgres(..), true) => "II",
            (Clinic::MariaDb(..), false) => "7",
            (Clinic::MariaDb(..), true) => "2",
            (Clinic::Sqlite(_), false) => "{\"n\": 2}",
            (Clinic::Sqlite(_), true) => "{",
        }
    }

    fn file(&self) -> PathBuf {
        let Clinic::Sqlite(folder) = &self.clinic else {
            panic!("only SQLite is a file")
        };
        folder.path().join("mis.db")
    }

    fn line(&self) -> &Line {
        self.line.as_ref().expect("a server has a line to it")
    }

    /// Puts a view in the table's place that fulfils a condition for every row it looks at.
    async fn hide_behind_view(&self, condition: &str) {
        let grant = match self.clinic {
            Clinic::Postgres(..) => "GRANT SELECT ON doses TO gateway",
            _ => "",
        };
        self.clinic
            .run(&format!(
                "ALTER TABLE doses RENAME TO doses_kept; CREATE VIEW doses AS SELECT * FROM \
                 doses_kept WHERE {condition}; {grant}"
            ))
            .await;
    }

    async fn remove_view(&self) {
        self.clinic
            .run("DROP VIEW doses; ALTER TABLE doses_kept RENAME TO doses")
            .await;
    }

    async fn refuse(&self) {
        let refuse = match self.clinic {
            Clinic::Postgres(..) => "REVOKE SELECT ON doses FROM gateway",
            Clinic::MariaDb(..) => "REVOKE SELECT ON mis.doses FROM gateway@'%'",
            // A file knows no accounts; a table can be taken away.
            Clinic::Sqlite(_) => "ALTER TABLE doses RENAME TO doses_kept",
        };
        self.clinic.run(refuse).await;
    }

    async fn admit(&self) {
        let admit = match self.clinic {
            Clinic::Postgres(..) => "GRANT SELECT ON doses TO gateway",
            Clinic::MariaDb(..) => "GRANT SELECT ON mis.doses TO gateway@'%'",
            Clinic::Sqlite(_) => "ALTER TABLE doses_kept RENAME TO doses",
        };
        self.clinic.run(admit).await;
    }

    /// A condition that fails for every row, with a message that quotes the row's SNILS.
    fn quoting_condition(&self) -> String {
        match self.clinic {
            Clinic::Postgres(..) => format!("(snils || ' {QUOTED_WORD}')::int > 0"),
            Clinic::MariaDb(..) => format!("fails(CONCAT(snils, ' {QUOTED_WORD}')) > 0"),
            Clinic::Sqlite(_) => format!("json_extract('{{}}', snils || ' {QUOTED_WORD}') > 0"),
        }
    }

    async fn lock_file(&mut self) {
        let mut lock = sqlite_writer(self.file().parent().unwrap()).await;
        let begin = sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut lock).await;
        begin.unwrap();
        self.lock = Some(lock);
    }
}

/// Accounts that may read, and that may write as well.
fn accounts(clinic: &Clinic) -> &'static str {
    match clinic {
        Clinic::Postgres(..) => {
            "CREATE ROLE gateway LOGIN PASSWORD 'read-only-1'; CREATE ROLE writer LOGIN PASSWORD \
             'read-only-1'"
        }
        Clinic::MariaDb(..) => {
            "CREATE USER gateway@'%' IDENTIFIED BY 'read-only-1'; CREATE USER writer@'%' \
             IDENTIFIED BY 'read-only-1'; GRANT SELECT, INSERT ON mis.* TO writer@'%';\nDELIMITER \
             //\nCREATE FUNCTION fails(message varchar(100)) RETURNS int BEGIN SIGNAL SQLSTATE \
             '45000' SET MESSAGE_TEXT = message; RETURN 1; END//\nDELIMITER ;\n"
        }
        Clinic::Sqlite(_) => "SELECT 1",
    }
}

#[async_trait(?Send)]
impl Subject for SqlSubject {
    async fn reset(&mut self) {
        self.end().await;
        self.misconfigured = false;
        self.timeout_seconds = PATIENT_SECONDS;
        let text = match self.clinic {
            Clinic::MariaDb(..) => "longtext",
            _ => "text",
        };
        let grant = match self.clinic {
            Clinic::Postgres(..) => {
                "GRANT SELECT ON doses TO gateway, writer; GRANT INSERT ON doses TO writer"
            }
            Clinic::MariaDb(..) => "GRANT SELECT ON mis.doses TO gateway@'%'",
            Clinic::Sqlite(_) => "",
        };
        self.clinic
            .run(&format!(
                "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id varchar(40) PRIMARY KEY, \
                 changed {} NOT NULL, snils varchar(20), family varchar(40), born varchar(20), \
                 vaccine {text}, given varchar(20), dose varchar(20)); CREATE INDEX doses_changed \
                 ON doses (changed, id); {grant}",
                self.clinic.stamp_type()
            ))
            .await;
    }

    async fn shorten_timeouts(&mut self) {
        self.timeout_seconds = 1;
    }

    async fn connector(&self) -> Box<dyn Connector> {
        let timeout = self.timeout_seconds;
        let user = match self.hostility {
            Some(Hostility::WriteAccess) => "writer",
            _ => "gateway",
        };
        let server = |line: &Line| {
            format!(
                "host = '127.0.0.1'\nport = {}\ndatabase = 'mis'\nuser = '{user}'\npassword = {{ \
                 file = 'password' }}\nconnect_timeout_seconds = {timeout}\n",
                line.cutter.port
            )
        };
        let place = self.line.as_ref().map(server);
        let place = place.unwrap_or_else(|| format!("path = '{}'\n", self.file().display()));
        let changes = match self.detection {
            "several-stamps" => {
                "changes = { doses = 'SELECT id AS record_id, changed AS changed_at FROM doses \
                 WHERE changed > :since' }\n"
            }
            _ => "",
        };
        let detection = self.detection;
        let feed = format!(
            "[vaccinations]\nquery = '''{}'''\nchange_detection = '{detection}'\n{changes}",
            self.query()
        );
        let toml = format!("{place}statement_timeout_seconds = {timeout}\n{feed}");
        let base = self.base.path();
        let connector = match self.clinic {
            Clinic::Postgres(..) => SqlConnector::postgres(&toml::from_str(&toml).unwrap(), base),
            Clinic::MariaDb(..) => SqlConnector::mysql(&toml::from_str(&toml).unwrap(), base),
            Clinic::Sqlite(_) => SqlConnector::sqlite(&toml::from_str(&toml).unwrap(), base),
        };
        Box::new(connector.unwrap())
    }

    async fn put(&mut self, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
        let value = |row: &Row| {
            let stamp = (row.stamp + ZONE).format("%Y-%m-%d %H:%M:%S.000000");
            format!(
                "('{}', '{stamp}', '{SNILS}', '{FAMILY_NAME}', '{BIRTH_DATE}', '{VACCINE_CODE}', \
                 '2021-06-01', '{}')",
                row.name,
                self.dose(row)
            )
        };
        let values: Vec<String> = rows.iter().map(value).collect();
        let delete = format!("DELETE FROM doses WHERE id IN ('{}')", names.join("', '"));
        let insert = format!("INSERT INTO doses VALUES {}", values.join(", "));
        self.clinic.run(&format!("{delete}; {insert}")).await;
    }

    async fn delete(&mut self, names: &[String]) {
        let names = names.join("', '");
        self.clinic
            .run(&format!("DELETE FROM doses WHERE id IN ('{names}')"))
            .await;
    }

    async fn contents(&mut self) -> String {
        let rows = "SELECT * FROM doses ORDER BY id";
        match &self.clinic {
            Clinic::Postgres(server, database) => {
                let tables = "SELECT relname FROM pg_class WHERE relnamespace = \
                              'public'::regnamespace ORDER BY relname";
                let sql = format!("{rows}; {tables}");
                server.psql(database, &sql).await.unwrap()
            }
            Clinic::MariaDb(server, database) => {
                let sql = format!("{rows}; SHOW TABLES");
                server.execute(database, &sql).await.unwrap()
            }
            Clinic::Sqlite(_) => format!("{:?}", std::fs::read(self.file()).unwrap()),
        }
    }

    async fn begin(&mut self, hostility: Hostility) {
        self.hostility = Some(hostility);
        let is_file = self.line.is_none();
        match hostility {
            Hostility::Away if is_file => self.lock_file().await,
            Hostility::Away => self.line().proxy.cut(),
            Hostility::Refused => self.refuse().await,
            Hostility::Silent if is_file => {
                let endless = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                               SELECT count(*) FROM n) > 0";
                self.hide_behind_view(endless).await;
            }
            Hostility::Silent => self.line().proxy.stall(),
            Hostility::Dripping => self.line().proxy.limit(Some(100)),
            Hostility::Truncated if is_file => {
                let whole = std::fs::read(self.file()).unwrap();
                std::fs::write(self.base.path().join("whole.db"), &whole).unwrap();
                std::fs::write(self.file(), &whole[..whole.len() / 2]).unwrap();
            }
            Hostility::Truncated => self.line().cutter.cut(true),
            Hostility::Huge => {
                let huge = match self.clinic {
                    Clinic::Sqlite(_) => format!("hex(zeroblob({}))", HUGE_BYTES / 2),
                    _ => format!("repeat('x', {HUGE_BYTES})"),
                };
                self.clinic
                    .run(&format!(
                        "UPDATE doses SET vaccine = {huge} WHERE id = 'r-002'"
                    ))
                    .await;
            }
            Hostility::QuotesValues => self.hide_behind_view(&self.quoting_condition()).await,
            Hostility::WriteAccess
            | Hostility::IgnoresPageSize
            | Hostility::SamePageAgain
            | Hostility::PagesInCycle
            | Hostility::PagesWithoutEnd => {}
        }
    }

    async fn end(&mut self) {
        let is_file = self.line.is_none();
        match self.hostility.take() {
            Some(Hostility::Away) if is_file => self.lock = None,
            Some(Hostility::Away | Hostility::Silent) if !is_file => self.line().proxy.restore(),
            Some(Hostility::Dripping) => self.line().proxy.limit(None),
            Some(Hostility::Refused) => self.admit().await,
            Some(Hostility::Truncated) if is_file => {
                std::fs::copy(self.base.path().join("whole.db"), self.file()).unwrap();
            }
            Some(Hostility::Truncated) => self.line().cutter.cut(false),
            Some(Hostility::Huge) => {
                let usual = format!("UPDATE doses SET vaccine = '{VACCINE_CODE}'");
                self.clinic.run(&usual).await;
            }
            Some(Hostility::QuotesValues | Hostility::Silent) => self.remove_view().await,
            _ => {}
        }
    }

    async fn misconfigure(&mut self) -> [String; 2] {
        self.misconfigured = true;
        ["`vaccine_code`".to_owned(), "`occurred_on`".to_owned()]
    }

    fn cannot(&self, hostility: Hostility) -> Option<&'static str> {
        match hostility {
            Hostility::IgnoresPageSize
            | Hostility::SamePageAgain
            | Hostility::PagesInCycle
            | Hostility::PagesWithoutEnd => {
                Some("a database makes no pages: the connector's own statement bounds each of them")
            }
            Hostility::WriteAccess if self.line.is_none() => {
                Some("a file is opened read-only, whoever may write it")
            }
            Hostility::Dripping if self.line.is_none() => Some("no network lies before a file"),
            _ => None,
        }
    }

    fn need_not_keep(&self, id: &str) -> Option<&'static str> {
        let of_increments = [
            "resume_is_not_in_the_future",
            "run_looks_back_over_the_overlap",
            "time_comes_from_the_request",
            "stamps_that_went_back_are_followed",
        ];
        (self.detection == "content" && of_increments.contains(&id))
            .then_some("what changes after the first load is noticed by sweeps alone")
    }

    fn overlap(&self) -> TimeDelta {
        TimeDelta::minutes(5)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(300)
    }
}
