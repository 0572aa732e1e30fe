//! The clinic's systems, made ready from their configuration.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connector_kit::{ChangeNotice, Connector, Cursor, Feed, SourceError, SweepReads};
use contract::Suite;
use futures_util::FutureExt as _;
use outbox::SweepKind;
use parking_lot::{Mutex, RwLock};
use pseudonym::{
    CodesFile, FactRelease, KeyRing, MAX_BLINDED, Policy, Pseudonymiser, Suites, fact_kind,
};
use tokio::sync::{MutexGuard, Notify};

use crate::codes_file::WatchedCodes;
use crate::config::{OnRefusedCorrection, Schedule, SourceConfig, SweepConfig};
use crate::sweep::{Ledger, Pace};

/// A clinic system ready to be pulled.
pub struct Source {
    /// Name of the source in the configuration.
    pub name: String,
    /// Connector that fetches its records.
    pub connector: Arc<dyn Connector>,
    /// How its records are read and transformed at present; changes only between runs.
    reading: RwLock<Arc<Reading>>,
    /// Digests of its settings in the configuration, in the order of [`Feed::ALL`].
    configured: [String; Feed::ALL.len()],
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
    /// Pace of its sweeps.
    pub(crate) pace: Pace,
    /// What its sweeps owe and have done.
    pub(crate) sweeps: Ledger,
    /// Held while the source is pulled or swept, so that neither happens twice at once, or both.
    run_lock: tokio::sync::Mutex<()>,
    /// Number of runs that wait for the lock.
    waiting: AtomicUsize,
    /// Notified when the source is to be pulled; however often during a run, one run follows.
    pub wake: Notify,
    /// Notified when the source itself says that something may have changed.
    pub hint: Notify,
    /// Position in each feed up to which it was read and made durable, by a scheduled run or after
    /// a hint, since the program's start.
    reached: Mutex<HashMap<Feed, Cursor>>,
    surprises: Mutex<HashSet<(Feed, &'static str)>>,
    /// Codes of the failures of those feeds whose last run failed.
    failing: Mutex<HashMap<Feed, &'static str>>,
}

/// Most records in one page: with key services no more than one request has places, since a page
/// leaves as a whole, and a ceiling that is smaller than what a page needs would stop the feed.
fn page_records(configured: u32, suite: Suite) -> u32 {
    match suite {
        Suite::Hmac | Suite::HmacStreebog => configured,
        Suite::Voprf => configured.min(u32::try_from(MAX_BLINDED).unwrap_or(u32::MAX)),
    }
}

/// Way in which the records of a source are read and transformed.
struct Reading {
    pseudonymiser: Arc<Pseudonymiser>,
    /// Digests of the settings that decide it, in the order of [`Feed::ALL`].
    settings: [String; Feed::ALL.len()],
}

impl Reading {
    fn new(
        pseudonymiser: Pseudonymiser,
        configured: &[String; Feed::ALL.len()],
        codes: Option<&CodesFile>,
    ) -> Self {
        let mut settings = configured.clone();
        if let Some(codes) = codes {
            for (settings, feed) in settings.iter_mut().zip(Feed::ALL) {
                let meaning = codes.meaning_for(feed);
                *settings = pseudonymiser.settings_with_codes(settings, &meaning);
            }
        }
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
    /// Makes a source ready, whose facts leave by the release policy; reads its secrets, but asks
    /// its server nothing yet. Relative paths start from `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    pub fn new(
        name: &str,
        config: &SourceConfig,
        folder: &Path,
        ring: &KeyRing,
        suites: Suites,
        release: &FactRelease,
    ) -> Result<Self, SourceError> {
        let help = format!(
            "correct it in [source.{name}.policy]; `clinic-gateway schema` lists what may stand \
             there"
        );
        let path = config.policy.codes_file.as_ref();
        let (codes_file, policy, codes) = match path.map(|path| folder.join(path)) {
            None => {
                let policy = Policy::new(&config.policy).map_err(|error| {
                    SourceError::misconfigured(format!("policy: {error}"), &*help)
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
        let pseudonymiser = Pseudonymiser::new(ring, suites, name, policy)
            .map_err(|error| SourceError::misconfigured(error.to_string(), help))?
            .with_release(release.clone());
        let meaning = config.meaning().map_err(|_| {
            SourceError::misconfigured("the settings cannot be written as text", "report this")
        })?;
        let configured = Feed::ALL.map(|feed| {
            // Nothing is added by a policy that releases everything, so that feeds that were read
            // before there was one are not read again.
            let released = release.meaning_for(fact_kind(feed));
            let released = released.map_or_else(String::new, |text| format!(" release {text}"));
            ring.settings_digest(&format!("{} {meaning}{released}", suites.meaning()))
        });
        let reading = Reading::new(pseudonymiser, &configured, codes.as_ref());
        let sections = config.sections();
        let section = sections.first().ok_or_else(|| {
            SourceError::misconfigured(
                "the source has no connector section",
                format!("add one, for instance [source.{name}.postgres]"),
            )
        })?;
        let connector = section.config.build(folder)?;
        verify_sweeps(name, connector.as_ref(), &config.sweep)?;
        Ok(Self {
            name: name.to_owned(),
            connector,
            reading: RwLock::new(Arc::new(reading)),
            configured,
            codes_file,
            time_zone: config.time_zone().0,
            page_records: page_records(config.page_records(), suites.suite),
            schedule: config.schedule.clone(),
            sweep: config.sweep.clone(),
            pace: Pace::new(&config.sweep),
            sweeps: Ledger::default(),
            on_refused_correction: config.on_refused_correction,
            run_lock: tokio::sync::Mutex::new(()),
            waiting: AtomicUsize::new(0),
            wake: Notify::new(),
            hint: Notify::new(),
            reached: Mutex::default(),
            surprises: Mutex::default(),
            failing: Mutex::default(),
        })
    }

    /// Waits until nobody else reads the source; a sweep that is under way gives way.
    pub(crate) async fn lock_for_run(&self) -> MutexGuard<'_, ()> {
        let _waiting = Waiting::new(&self.waiting);
        self.run_lock.lock().await
    }

    /// Returns whether a run of the source waits for the end of the present one.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
            || is_notified(&self.wake)
            || is_notified(&self.hint)
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
        for feed in self.connector.feeds() {
            self.sweeps.ask(feed, self.sweep_kind(feed));
        }
    }

    /// Kind of the feed's sweeps, where nobody asks for more.
    pub(crate) fn sweep_kind(&self, feed: Feed) -> SweepKind {
        match self.connector.sweep_reads(feed) {
            SweepReads::Stamps => SweepKind::Keys,
            SweepReads::Contents => SweepKind::Contents,
        }
    }

    /// What shows a pull of the feed that a row has changed.
    pub(crate) fn notices(&self, feed: Feed) -> outbox::ChangeNotice {
        match self.connector.notices(feed) {
            ChangeNotice::Stamp => outbox::ChangeNotice::Stamp,
            ChangeNotice::SeveralStamps => outbox::ChangeNotice::SeveralStamps,
            ChangeNotice::Files => outbox::ChangeNotice::Files,
            ChangeNotice::Contents => outbox::ChangeNotice::Contents,
        }
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

/// Run that waits for the lock of its source.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns whether the notification waits for somebody, and leaves it there.
fn is_notified(notify: &Notify) -> bool {
    let is_notified = notify.notified().now_or_never().is_some();
    if is_notified {
        notify.notify_one();
    }
    is_notified
}

/// Refuses a feed whose changes nobody would ever notice.
fn verify_sweeps(
    name: &str,
    connector: &dyn Connector,
    sweep: &SweepConfig,
) -> Result<(), SourceError> {
    let is_noticed_by_sweeps = |feed: &Feed| connector.notices(*feed) == ChangeNotice::Contents;
    let mut feeds = connector.feeds().into_iter();
    match feeds.find(is_noticed_by_sweeps) {
        Some(feed) if sweep.schedule == Schedule::Never => Err(SourceError::misconfigured(
            format!(
                "{feed}: nothing but a content sweep shows that a row has changed, and \
                 sweep.schedule is \"never\": no change would ever be noticed"
            ),
            format!(
                "set schedule in [source.{name}.sweep], for instance {{ cron = \"0 30 2 * * *\" }}"
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::testing::{Rows, RowsConnector};

    #[test]
    fn a_feed_that_only_sweeps_notice_needs_a_schedule_of_sweeps() {
        let rows = Arc::new(Rows::default());
        let connector = RowsConnector(Arc::clone(&rows));
        let never = SweepConfig {
            schedule: Schedule::Never,
            ..SweepConfig::default()
        };
        assert!(verify_sweeps("clinic", &connector, &never).is_ok());
        rows.reads_contents.store(true, Ordering::Relaxed);
        let refused =
            verify_sweeps("clinic", &connector, &never).expect_err("no change would be noticed");
        let words = "no change would ever be noticed";
        assert!(refused.to_string().contains(words), "{refused}");
        assert!(verify_sweeps("clinic", &connector, &SweepConfig::default()).is_ok());
    }

    #[test]
    fn a_notification_that_waits_is_seen_and_left_there() {
        let notify = Notify::new();
        assert!(!is_notified(&notify));
        notify.notify_one();
        assert!(is_notified(&notify) && is_notified(&notify));
        assert!(notify.notified().now_or_never().is_some());
        assert!(!is_notified(&notify));
    }
}
