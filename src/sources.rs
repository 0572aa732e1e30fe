//! The list of connectors this program has: a configured source in, a ready one out.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use connector_fhir::FhirConnector;
use connector_kit::{Connector, Cursor, Feed, SourceError};
use connector_sql::SqlConnector;
use contract::Suite;
use pseudonym::{KeyRing, Policy, Pseudonymiser};
use tokio::sync::Notify;

use crate::config::{Schedule, SourceConfig, SweepConfig};

/// A clinic system ready to be pulled.
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// How its records are fetched.
    pub connector: Arc<dyn Connector>,
    /// How they become events.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Digest of the settings that decide what its records become; a cursor holds for these only.
    pub settings: String,
    /// Most records in one page.
    pub page_records: u32,
    /// When it is pulled.
    pub schedule: Schedule,
    /// When its keys are swept, and how much may be withdrawn unasked.
    pub sweep: SweepConfig,
    /// Held while it is pulled or swept: never both at once, and neither twice.
    pub turn: tokio::sync::Mutex<()>,
    /// Rung when it is to be pulled; rings during a run come to one run after it.
    pub wake: Notify,
    /// Rung when the source itself says that something may have changed.
    pub hint: Notify,
    /// How far each feed was read, by a scheduled run or after a hint, since the program's start.
    reached: Mutex<HashMap<Feed, Cursor>>,
    sweep_due: AtomicBool,
    surprises: Mutex<HashSet<(Feed, &'static str)>>,
}

impl Source {
    /// The next pull that reaches its end is followed by a sweep.
    pub fn request_sweep(&self) {
        self.sweep_due.store(true, Ordering::Relaxed);
    }

    /// Whether a sweep was asked for; takes the wish away.
    pub(crate) fn take_sweep_request(&self) -> bool {
        self.sweep_due.swap(false, Ordering::Relaxed)
    }

    /// Notes how far a feed was read and made durable.
    pub(crate) fn reach(&self, feed: Feed, cursor: Cursor) {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(feed, cursor);
    }

    /// How far a feed was read.
    pub(crate) fn reached(&self, feed: Feed) -> Option<Cursor> {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&feed)
            .cloned()
    }

    /// Whether this surprise is the first of its kind since the program's start.
    pub(crate) fn is_news(&self, feed: Feed, code: &'static str) -> bool {
        self.surprises
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((feed, code))
    }
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
    let help =
        "correct it in [source.NAME.policy]; `clinic-gateway schema` lists what may stand there";
    let policy = Policy::new(&config.policy)
        .map_err(|error| SourceError::misconfigured(format!("policy: {error}"), help))?;
    let pseudonymiser = Pseudonymiser::new(ring, suite, name, policy)
        .map_err(|error| SourceError::misconfigured(error.to_string(), help))?;
    let meaning = config.meaning().map_err(|_| {
        SourceError::misconfigured("the settings cannot be written as text", "report this")
    })?;
    let settings = ring.settings_digest(&format!("{} {meaning}", suite.as_str()));
    Ok(Source {
        name: name.to_owned(),
        settings,
        connector: connector(config, base)?,
        pseudonymiser: Arc::new(pseudonymiser),
        page_records: config.page_records(),
        schedule: config.schedule.clone(),
        sweep: config.sweep.clone(),
        turn: tokio::sync::Mutex::new(()),
        wake: Notify::new(),
        hint: Notify::new(),
        reached: Mutex::default(),
        sweep_due: AtomicBool::new(false),
        surprises: Mutex::default(),
    })
}

/// Every kind of connector, one line each.
fn connector(config: &SourceConfig, base: &Path) -> Result<Arc<dyn Connector>, SourceError> {
    #[cfg(feature = "postgres")]
    if let Some(postgres) = &config.postgres {
        return Ok(Arc::new(SqlConnector::postgres(postgres, base)?));
    }
    #[cfg(feature = "mysql")]
    if let Some(mysql) = &config.mysql {
        return Ok(Arc::new(SqlConnector::mysql(mysql, base)?));
    }
    if let Some(sqlite) = &config.sqlite {
        return Ok(Arc::new(SqlConnector::sqlite(sqlite, base)?));
    }
    if let Some(fhir) = &config.fhir {
        return Ok(Arc::new(FhirConnector::new(fhir.clone(), base)?));
    }
    Err(SourceError::misconfigured(
        "the source has no connector section",
        "add one, for instance [source.NAME.postgres]",
    ))
}
