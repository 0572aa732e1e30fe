//! The clinic's systems, made ready from their configuration.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use connector_kit::{Connector, Cursor, Feed, SourceError};
use contract::Suite;
use parking_lot::{Mutex, RwLock};
use pseudonym::{CodesFile, KeyRing, Policy, Pseudonymiser};
use tokio::sync::Notify;

use crate::codes_file::WatchedCodes;
use crate::config::{OnRefusedCorrection, Schedule, SourceConfig, SweepConfig};

/// A clinic system ready to be pulled.
pub struct Source {
    /// Name of the source in the configuration.
    pub name: String,
    /// Connector that fetches its records.
    pub connector: Arc<dyn Connector>,
    /// How its records are read and transformed at present; changes only between runs.
    reading: RwLock<Arc<Reading>>,
    /// Digest of its settings in the configuration.
    configured: String,
    /// File with more of its codes.
    pub(crate) codes_file: Option<Arc<WatchedCodes>>,
    /// Time zone of the source, in which its instants become dates and "today" is told.
    pub time_zone: chrono_tz::Tz,
    /// Most records in one page.
    pub page_records: u32,
    /// Schedule of its pulls.
    pub schedule: Schedule,
    /// Schedule of its sweeps, and how much may be withdrawn unasked.
    pub sweep: SweepConfig,
    /// Treatment of older versions of records whose row cannot be sent any more.
    pub on_refused_correction: OnRefusedCorrection,
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
    /// Codes of the failures of those feeds whose last run failed.
    failing: Mutex<HashMap<Feed, &'static str>>,
}

/// Way in which the records of a source are read and transformed.
struct Reading {
    pseudonymiser: Arc<Pseudonymiser>,
    /// Digests of the settings that decide it, in the order of [`Feed::ALL`].
    settings: [String; Feed::ALL.len()],
}

impl Reading {
    fn new(pseudonymiser: Pseudonymiser, configured: &str, codes: Option<&CodesFile>) -> Self {
        let settings = Feed::ALL.map(|feed| match codes {
            Some(codes) => pseudonymiser.settings_with_codes(configured, &codes.meaning_for(feed)),
            None => configured.to_owned(),
        });
        Self {
            pseudonymiser: Arc::new(pseudonymiser),
            settings,
        }
    }
}

/// Change that a feed's run shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunChange {
    /// Run that ended as the one before.
    None,
    /// Run that failed, after a good one or one that failed otherwise.
    Fails,
    /// Good run after one that failed.
    WorksAgain,
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
        let path = config.policy.codes_file.as_ref();
        let (codes_file, policy, codes) = match path.map(|path| folder.join(path)) {
            None => {
                let policy = Policy::new(&config.policy).map_err(|error| {
                    SourceError::misconfigured(format!("policy: {error}"), help)
                })?;
                (None, policy, None)
            }
            Some(path) => {
                let what = format!("policy.codes_file: {}", path.display());
                let (watched, policy, codes) =
                    WatchedCodes::open(path, &config.policy).map_err(|error| {
                        let help = "correct the file; docs/codes.md says what stands in it";
                        SourceError::misconfigured(format!("{what}: {error}"), help)
                    })?;
                (Some(Arc::new(watched)), policy, Some(codes))
            }
        };
        let pseudonymiser = Pseudonymiser::new(ring, suite, name, policy)
            .map_err(|error| SourceError::misconfigured(error.to_string(), help))?;
        let meaning = config.meaning().map_err(|_| {
            SourceError::misconfigured("the settings cannot be written as text", "report this")
        })?;
        let configured = ring.settings_digest(&format!("{} {meaning}", suite.as_str()));
        let reading = Reading::new(pseudonymiser, &configured, codes.as_ref());
        let sections = config.sections();
        let section = sections.first().ok_or_else(|| {
            SourceError::misconfigured(
                "the source has no connector section",
                "add one, for instance [source.NAME.postgres]",
            )
        })?;
        Ok(Self {
            name: name.to_owned(),
            connector: section.config.build(folder)?,
            reading: RwLock::new(Arc::new(reading)),
            configured,
            codes_file,
            time_zone: config.time_zone().0,
            page_records: config.page_records(),
            schedule: config.schedule.clone(),
            sweep: config.sweep.clone(),
            on_refused_correction: config.on_refused_correction,
            run_lock: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            hint: Notify::new(),
            reached: Mutex::default(),
            sweeps_requested: Mutex::default(),
            surprises: Mutex::default(),
            failing: Mutex::default(),
        })
    }

    /// Pseudonymiser of its records.
    #[must_use]
    pub fn pseudonymiser(&self) -> Arc<Pseudonymiser> {
        Arc::clone(&self.reading.read().pseudonymiser)
    }

    /// Digest of the settings that decide how a feed's records are read and transformed; a cursor
    /// holds for these only.
    pub(crate) fn settings(&self, feed: Feed) -> String {
        let place = Feed::ALL.iter().position(|listed| *listed == feed);
        let place = place.expect("ALL lists every feed");
        self.reading.read().settings[place].clone()
    }

    /// Reads records by another policy from now on. No run of the source may be under way.
    pub(crate) fn read_by(&self, policy: Policy, codes: Option<&CodesFile>) {
        let pseudonymiser = self.pseudonymiser().with_policy(policy);
        let reading = Reading::new(pseudonymiser, &self.configured, codes);
        *self.reading.write() = Arc::new(reading);
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

    /// Notes the end of a feed's run, with the code of its failure; returns what has changed.
    pub(crate) fn note_run(&self, feed: Feed, failure: Option<&'static str>) -> RunChange {
        let mut failing = self.failing.lock();
        let before = match failure {
            Some(code) => failing.insert(feed, code),
            None => failing.remove(&feed),
        };
        match (before, failure) {
            (before, Some(_)) if before != failure => RunChange::Fails,
            (Some(_), None) => RunChange::WorksAgain,
            _ => RunChange::None,
        }
    }

    /// Returns whether this surprise is the first of its kind since the program's start.
    pub(crate) fn is_first_surprise(&self, feed: Feed, code: &'static str) -> bool {
        self.surprises.lock().insert((feed, code))
    }
}
