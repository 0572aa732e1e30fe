//! One clinic system: which connector, how often, under which policy.

use connector_fhir::FhirConfig;
use pseudonym::PolicyConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Schedule;

/// A `[source.NAME]` section; exactly one of the connector sections must be there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// When it is pulled.
    #[serde(default, skip_serializing)]
    pub schedule: Schedule,
    /// Most records in one page, 1 to 10000; memory use grows with it. 3000 from a database, 1000
    /// from a FHIR server, whose resources are long.
    #[serde(default, skip_serializing)]
    pub page_records: Option<u32>,
    /// When its keys are swept, and how much may be withdrawn unasked.
    #[serde(default, skip_serializing)]
    pub sweep: SweepConfig,
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

/// The `[source.NAME.sweep]` section: all keys are read, so that what was deleted at the source is
/// withdrawn, and what its change stamps did not tell is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SweepConfig {
    /// When; every night by default. A sweep follows the next pull that reaches its end.
    pub schedule: Schedule,
    /// A sweep that would withdraw more of a feed than this share stops and asks, 0 to 100.
    pub max_withdrawn_percent: u8,
    /// So few may always be withdrawn, whatever share they are.
    pub always_allowed: u32,
}

impl Default for SweepConfig {
    fn default() -> Self {
        Self {
            schedule: Schedule::Cron("0 30 2 * * *".to_owned()),
            max_withdrawn_percent: 5,
            always_allowed: 10,
        }
    }
}

impl SourceConfig {
    /// Most records in one page, as configured or by the kind of source.
    #[must_use]
    pub fn page_records(&self) -> u32 {
        self.page_records
            .unwrap_or(if self.fhir.is_some() { 1000 } else { 3000 })
    }

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

    /// Everything that decides which records are read and what becomes of them, as text: when it
    /// changes, the source is read from its beginning. Schedule and page size are not part of it.
    ///
    /// # Errors
    /// None in practice: the section was read from text and can be written as text.
    pub fn meaning(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}
