//! One clinic system: which connector, how often, under which policy.

use connector_fhir::FhirConfig;
use pseudonym::PolicyConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A `[source.NAME]` section; exactly one of the connector sections must be there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// When it is pulled.
    #[serde(default, skip_serializing)]
    pub schedule: Schedule,
    /// Most records in one page, 1 to 10000; memory use grows with it.
    #[serde(default = "default_page_records", skip_serializing)]
    pub page_records: u32,
    /// How local codes are read and how far dates are generalised.
    #[serde(default)]
    pub policy: PolicyConfig,
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    pub postgres: Option<connector_sql::PostgresConfig>,
    /// A MariaDB or MySQL database.
    #[cfg(feature = "mysql")]
    pub mysql: Option<connector_sql::MySqlConfig>,
    /// An SQLite file.
    pub sqlite: Option<connector_sql::SqliteConfig>,
    /// A FHIR R4 server.
    pub fhir: Option<FhirConfig>,
}

const fn default_page_records() -> u32 {
    1000
}

/// When a source is pulled; runs of one source never overlap, and a tick during a run is not piled up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// `{ every-seconds = 60 }`: this many seconds after the program's start, and again (1 to 86400).
    EverySeconds(u64),
    /// `{ cron = "0 */5 * * * *" }`: second, minute, hour, day of month, month, day of week, in `time_zone`.
    Cron(String),
}

impl Default for Schedule {
    fn default() -> Self {
        Self::EverySeconds(60)
    }
}

impl SourceConfig {
    /// The names of the connector sections that are present; exactly one is right.
    #[must_use]
    pub fn connectors(&self) -> Vec<&'static str> {
        let mut present = Vec::new();
        #[cfg(feature = "postgres")]
        present.extend(self.postgres.as_ref().map(|_| "postgres"));
        #[cfg(feature = "mysql")]
        present.extend(self.mysql.as_ref().map(|_| "mysql"));
        present.extend(self.sqlite.as_ref().map(|_| "sqlite"));
        present.extend(self.fhir.as_ref().map(|_| "fhir"));
        present
    }

    /// Everything that decides which records are read and what becomes of them, as text: when it changes, the source is
    /// read from its beginning. Schedule and page size are not part of it.
    ///
    /// # Errors
    /// None in practice: the section was read from text and can be written as text.
    pub fn meaning(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}
