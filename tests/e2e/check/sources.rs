//! Clinics whose `check` is tried: a source of each kind, behind a directory as the queue.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use testbed::fhir::FhirServer;
use testbed::mariadb::MariaDb;
use testbed::postgres::Postgres;

use crate::cli::json;
use crate::support::{City, Clinic, directory_queue};

/// Database of a clinic, of one of the three kinds.
pub(super) enum Database {
    Postgres(Postgres),
    MariaDb(MariaDb),
    Sqlite(tempfile::TempDir),
}

impl Database {
    pub(super) async fn postgres() -> Self {
        let server = Postgres::start().await.expect("PostgreSQL starts");
        let made = server.create_database("mis").await;
        made.expect("a database is made");
        Self::Postgres(server)
    }

    pub(super) async fn mariadb() -> Self {
        let server = MariaDb::start().await.expect("MariaDB starts");
        let made = server.create_database("mis").await;
        made.expect("a database is made");
        let reader = "CREATE USER reader@'%' IDENTIFIED BY 'read-only-1'; GRANT SELECT ON mis.* \
                      TO reader@'%'";
        let made = server.execute("mis", reader).await;
        made.expect("an account is made");
        Self::MariaDb(server)
    }

    pub(super) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Runs statements as the clinic's own system would.
    pub(super) async fn run(&self, sql: &str) {
        match self {
            Self::Postgres(server) => {
                server.psql("mis", sql).await.expect("PostgreSQL obeys");
            }
            Self::MariaDb(server) => {
                server.execute("mis", sql).await.expect("MariaDB obeys");
            }
            Self::Sqlite(folder) => run_sqlite(&folder.path().join("mis.db"), sql),
        }
    }

    /// Name of its connector section.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::MariaDb(_) => "mysql",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Connector section with further settings, and a feed's section.
    pub(super) fn source(&self, settings: &str, feed: &str, query: &str) -> String {
        let connection = match self {
            Self::Postgres(server) => format!(
                "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"postgres\"",
                server.port()
            ),
            Self::MariaDb(server) => format!(
                "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"reader\"\n\
                 password = {{ file = \"mis-password\" }}",
                server.port()
            ),
            Self::Sqlite(folder) => {
                format!("path = \"{}\"", folder.path().join("mis.db").display())
            }
        };
        let kind = self.kind();
        format!(
            "[source.mis.{kind}]\n{connection}\n{settings}\n[source.mis.{kind}.{feed}]\nquery = \
             '''{query}'''\n"
        )
    }
}

fn run_sqlite(file: &Path, sql: &str) {
    let script = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
    let mut python = Command::new("python3");
    let ran = python.args(["-c", script]).arg(file).arg(sql).status();
    assert!(ran.is_ok_and(|status| status.success()), "SQLite obeys");
}

/// A clinic with one source; `top` stands before every section of its configuration.
pub(super) fn clinic(top: &str, source: &str) -> Clinic {
    let city = City::new();
    let clinic = Clinic::new(
        &city,
        &directory_queue(&city.folder.path().join("queue")),
        source,
        "",
    );
    let text = fs::read_to_string(clinic.config_path()).expect("the configuration");
    fs::write(clinic.config_path(), format!("{top}\n{text}")).expect("it is written");
    clinic.secret("mis-password", "read-only-1");
    clinic
}

/// A clinic whose source is an FHIR server.
pub(super) fn fhir_clinic(top: &str, server: &FhirServer, settings: &str) -> Clinic {
    let address = server.base_url();
    clinic(
        top,
        &format!("[source.mis.fhir]\nbase_url = \"{address}\"\n{settings}\n"),
    )
}

/// Dates that would leave as `occurred_on`, by the clinic's ids of their records.
pub(super) fn outgoing_dates(clinic: &Clinic) -> Vec<(String, String)> {
    let preview = clinic.program(&[
        "preview",
        "mis",
        "--json",
        "--from-start",
        "--records",
        "50",
    ]);
    let mut dates: Vec<_> = json(&preview)
        .as_array()
        .expect("a list of records")
        .iter()
        .map(|record| {
            let fields = record["outgoing"]["fields"].as_array().expect("fields");
            let date = fields.iter().find(|field| field["field"] == "occurred_on");
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&record["record_id_here"]),
                date.map_or(String::new(), |date| text(&date["outgoing"])),
            )
        })
        .collect();
    dates.sort();
    dates
}
