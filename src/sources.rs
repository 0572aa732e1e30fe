//! The clinic's systems, made ready from their configuration.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use connector_kit::{Connector, Cursor, Feed, SourceError};
use contract::Suite;
use parking_lot::Mutex;
use pseudonym::{KeyRing, Policy, Pseudonymiser};
use tokio::sync::Notify;

use crate::config::{Schedule, SourceConfig, SweepConfig};

/// A clinic system ready to be pulled.
pub struct Source {
    /// Name of the source in the configuration.
    pub name: String,
    /// Connector that fetches its records.
    pub connector: Arc<dyn Connector>,
    /// Pseudonymiser of its records.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Digest of the settings that decide how its records are read and transformed; a cursor holds
    /// for these only.
    pub settings: String,
    /// Time zone of the source, in which its instants become dates and "today" is told.
    pub time_zone: chrono_tz::Tz,
    /// Most records in one page.
    pub page_records: u32,
    /// Schedule of its pulls.
    pub schedule: Schedule,
    /// Schedule of its sweeps, and how much may be withdrawn unasked.
    pub sweep: SweepConfig,
    /// Held while the source is pulled or swept, so that neither happens twice at once, or both.
    pub run_lock: tokio::sync::Mutex<()>,
    /// Notified when the source is to be pulled; however often during a run, one run follows.
    pub wake: Notify,
    /// Notified when the source itself says that something may have changed.
    pub hint: Notify,
    /// Position in each feed up to which it was read and made durable, by a scheduled run or after
    /// a hint, since the program's start.
    reached: Mutex<HashMap<Feed, Cursor>>,
    /// Feeds that are to be swept.
    sweeps_requested: Mutex<HashSet<Feed>>,
    surprises: Mutex<HashSet<(Feed, &'static str)>>,
}

impl Source {
    /// Makes a source ready; reads its secrets, but asks its server nothing yet. Relative paths
    /// start from `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    pub fn new(
        name: &str,
        config: &SourceConfig,
        folder: &Path,
        ring: &KeyRing,
        suite: Suite,
    ) -> Result<Self, SourceError> {
        let help = "correct it in [source.NAME.policy]; `clinic-gateway schema` lists what may \
                    stand there";
        let policy = Policy::new(&config.policy)
            .map_err(|error| SourceError::misconfigured(format!("policy: {error}"), help))?;
        let pseudonymiser = Pseudonymiser::new(ring, suite, name, policy)
            .map_err(|error| SourceError::misconfigured(error.to_string(), help))?;
        let meaning = config.meaning().map_err(|_| {
            SourceError::misconfigured("the settings cannot be written as text", "report this")
        })?;
        let settings = ring.settings_digest(&format!("{} {meaning}", suite.as_str()));
        let sections = config.sections();
        let section = sections.first().ok_or_else(|| {
            SourceError::misconfigured(
                "the source has no connector section",
                "add one, for instance [source.NAME.postgres]",
            )
        })?;
        Ok(Self {
            name: name.to_owned(),
            settings,
            connector: section.config.build(folder)?,
            pseudonymiser: Arc::new(pseudonymiser),
            time_zone: config.time_zone().0,
            page_records: config.page_records(),
            schedule: config.schedule.clone(),
            sweep: config.sweep.clone(),
            run_lock: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            hint: Notify::new(),
            reached: Mutex::default(),
            sweeps_requested: Mutex::default(),
            surprises: Mutex::default(),
        })
    }

    /// Requests a sweep of every feed: each follows the feed's next pull that reaches its end.
    pub fn request_sweep(&self) {
        self.sweeps_requested.lock().extend(self.connector.feeds());
    }

    /// Requests a sweep of one feed.
    pub(crate) fn request_sweep_of(&self, feed: Feed) {
        self.sweeps_requested.lock().insert(feed);
    }

    /// Takes the request for a sweep of a feed; returns whether there was one.
    pub(crate) fn take_sweep_request(&self, feed: Feed) -> bool {
        self.sweeps_requested.lock().remove(&feed)
    }

    /// Notes the position up to which a feed was read and made durable.
    pub(crate) fn set_reached(&self, feed: Feed, cursor: Cursor) {
        self.reached.lock().insert(feed, cursor);
    }

    /// Position up to which a feed was read; `None` before the first page.
    pub(crate) fn reached(&self, feed: Feed) -> Option<Cursor> {
        self.reached.lock().get(&feed).cloned()
    }

    /// Returns whether this surprise is the first of its kind since the program's start.
    pub(crate) fn is_first_surprise(&self, feed: Feed, code: &'static str) -> bool {
        self.surprises.lock().insert((feed, code))
    }
}
