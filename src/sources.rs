//! The list of connectors this program has: a configured source in, a ready one out.

use std::path::Path;
use std::sync::Arc;

use connector_fhir::FhirConnector;
use connector_kit::{Connector, SourceError};
use connector_sql::SqlConnector;
use contract::Suite;
use pseudonym::{KeyRing, Policy, Pseudonymiser};

use crate::config::{Schedule, SourceConfig};

/// A clinic system ready to be pulled.
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// How its records are fetched.
    pub connector: Box<dyn Connector>,
    /// How they become events.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Digest of the settings that decide what its records become; a cursor holds for these only.
    pub settings: String,
    /// Most records in one page.
    pub page_records: u32,
    /// When it is pulled.
    pub schedule: Schedule,
}

/// Makes a source ready; reads its secrets, but asks its server nothing yet.
///
/// # Errors
/// [`SourceError::Misconfigured`], saying what to change.
pub fn build(
    name: &str,
    config: &SourceConfig,
    base: &Path,
    ring: &KeyRing,
    suite: Suite,
) -> Result<Source, SourceError> {
    let help = "correct it in [source.NAME.policy]; `clinic-gateway schema` lists what may stand there";
    let policy = Policy::new(&config.policy)
        .map_err(|error| SourceError::misconfigured(format!("policy: {error}"), help))?;
    let pseudonymiser = Pseudonymiser::new(ring, suite, name, policy)
        .map_err(|error| SourceError::misconfigured(error.to_string(), help))?;
    let meaning = config
        .meaning()
        .map_err(|_| SourceError::misconfigured("the settings cannot be written as text", "report this"))?;
    let settings = ring.settings_digest(&format!("{} {meaning}", suite.as_str()));
    Ok(Source {
        name: name.to_owned(),
        settings,
        connector: connector(config, base)?,
        pseudonymiser: Arc::new(pseudonymiser),
        page_records: config.page_records,
        schedule: config.schedule.clone(),
    })
}

/// Every kind of connector, one line each.
fn connector(config: &SourceConfig, base: &Path) -> Result<Box<dyn Connector>, SourceError> {
    #[cfg(feature = "postgres")]
    if let Some(postgres) = &config.postgres {
        return Ok(Box::new(SqlConnector::postgres(postgres, base)?));
    }
    #[cfg(feature = "mysql")]
    if let Some(mysql) = &config.mysql {
        return Ok(Box::new(SqlConnector::mysql(mysql, base)?));
    }
    if let Some(sqlite) = &config.sqlite {
        return Ok(Box::new(SqlConnector::sqlite(sqlite, base)?));
    }
    if let Some(fhir) = &config.fhir {
        return Ok(Box::new(FhirConnector::new(fhir.clone(), base)?));
    }
    Err(SourceError::misconfigured(
        "the source has no connector section",
        "add one, for instance [source.NAME.postgres]",
    ))
}
