//! A sweep over the keys of a feed: windows of time, each read in one answer where that can be.
//!
//! One answer of a server is of one moment, so nothing can slip through it. A window that does not
//! fit into one is made smaller; where that cannot be (thousands of records of the same second),
//! its pages are followed, and it is read until two readings in a row bring the same: had a
//! deletion or a change shifted a record out of a reading, the next one would lack the record that
//! did so. Nothing here rests on the server's order, and a page link never outlives its window.

use az::SaturatingAs;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{RecordKey, SourceError};
use serde::{Deserialize, Serialize};

use crate::bundle::{Resource, ServerPage};
use crate::cycle::{EndlessReason, PageCycle};
use crate::fingerprint;
use crate::query::Window;

/// Readings of one window before a sweep gives up for now.
pub(crate) const MAX_READINGS: u32 = 8;
/// Seconds without a page after which a window is begun anew: its page links are old, and what
/// disturbed it has passed.
const MAX_PAUSE_SECONDS: i64 = 1800;
/// 0001-01-01, the first day FHIR can write.
const OLDEST: i64 = -62_135_596_800;
/// Longest window asked for, in seconds: about thirty years.
const MAX_SPAN: i64 = 1_000_000_000;

/// The position of a sweep. Moments are whole seconds since 1970; both ends of a window belong to
/// it, so that the rounding of no server can leave a gap between two windows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySweep {
    /// Beginning of the window; `None`: as old as there is.
    from: Option<i64>,
    /// End of the window; `None`: as new as there is.
    to: Option<i64>,
    /// The most matches the server has put on a page.
    capacity: usize,
    /// The server does not heed `_lastUpdated`, or has no stamps: everything is one window.
    undivided: bool,
    /// Whole resources are asked for: some are named by their content, or lose their stamps
    /// otherwise.
    pub whole: bool,
    /// The page of the window to read, as path and query; `None`: its first.
    pub link: Option<String>,
    /// Number of that page's matches that have been handed over.
    skip: usize,
    /// Fingerprint of those matches.
    prefix: u64,
    /// The reading under way.
    reading: WindowReading,
    /// Keys of the reading before.
    before: Option<KeyTally>,
    /// Readings of this window that have been disturbed.
    readings: u32,
    /// The moment at which the sweep was last gone on with, in seconds since 1970; 0: never.
    read_at: i64,
}

/// A reading of a window, as far as it has gone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowReading {
    tally: KeyTally,
    pages: u32,
    #[serde(rename = "circle")]
    cycle: PageCycle,
}

/// The keys of a reading: their number, and a sum over them that does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTally {
    count: u64,
    sum: u64,
}

/// Outcome of a page of the sweep, with the keys that are safe.
pub(crate) enum KeysStep {
    /// The sweep goes on.
    Go(Vec<RecordKey>),
    /// The sweep has come to its end.
    End(Vec<RecordKey>),
}

/// A server page, with the request and the settings by which it is judged.
pub(crate) struct ArrivedPage<'a> {
    pub page: &'a ServerPage,
    /// Path and query of the page's `next` link, checked.
    pub next: Option<&'a str>,
    /// Path and query of the page itself.
    pub path: &'a str,
    pub limit: usize,
    pub max_pages: u32,
    pub now: DateTime<Utc>,
}

impl KeySweep {
    pub(crate) fn window(&self) -> Window {
        Window {
            from: self.from,
            to: self.to,
        }
    }

    /// A sweep that has not begun.
    pub(crate) fn new(has_unstamped: bool) -> Self {
        Self {
            undivided: has_unstamped,
            whole: has_unstamped,
            ..Self::default()
        }
    }

    /// True before the first window was chosen.
    pub(crate) const fn is_undecided(&self) -> bool {
        let is_first = self.link.is_none() && self.skip == 0 && self.readings == 0;
        is_first && self.from.is_none() && self.to.is_none() && !self.undivided
    }

    /// Goes on after a pause; one that was long begins the window anew.
    pub(crate) fn resume(&mut self, now: DateTime<Utc>) {
        if self.read_at != 0 && now.timestamp() - self.read_at > MAX_PAUSE_SECONDS {
            self.enter(self.from, self.to);
        }
        self.read_at = now.timestamp();
    }

    /// Reads the window again from its first page, because this reading was disturbed.
    pub(crate) fn again(&mut self) -> Result<(), SourceError> {
        self.readings += 1;
        if self.readings >= MAX_READINGS {
            return Err(SourceError::retry(format!(
                "records of one moment were changed or deleted, or their page links expired, each \
                 time they were listed ({MAX_READINGS} times); the sweep goes on later"
            )));
        }
        self.link = None;
        self.skip = 0;
        self.reading = WindowReading::default();
        Ok(())
    }

    /// Judges a page, and moves the sweep behind it.
    pub(crate) fn receive(&mut self, arrived: &ArrivedPage<'_>) -> Result<KeysStep, SourceError> {
        let matches = &arrived.page.matches;
        let nothing = || Ok(KeysStep::Go(Vec::new()));
        if !matches
            .get(..self.skip)
            .is_some_and(|start| self.skip == 0 || fingerprint::of_resources(start) == self.prefix)
        {
            self.again()?;
            return nothing();
        }
        if self.change_window(arrived) {
            return nothing();
        }
        self.capacity = self.capacity.max(matches.len());
        let until = self.skip.saturating_add(arrived.limit).min(matches.len());
        let keys: Vec<RecordKey> = matches[self.skip..until].iter().map(key).collect();
        self.reading.tally.add(&keys);
        if until < matches.len() {
            self.skip = until;
            self.prefix = fingerprint::of_resources(&matches[..until]);
            return Ok(KeysStep::Go(keys));
        }
        self.skip = 0;
        match arrived.next {
            Some(next) => self.go_to(arrived, next)?,
            None if self.is_whole() => return Ok(self.pass_on(matches, keys, arrived.now)),
            None => {
                self.before = Some(self.reading.tally);
                self.again()?;
            }
        }
        Ok(KeysStep::Go(keys))
    }

    /// Changes the window, or the way to ask, where a page shows that it has to be another one;
    /// returns whether it did.
    fn change_window(&mut self, arrived: &ArrivedPage<'_>) -> bool {
        let matches = &arrived.page.matches;
        let lacks_stamps = matches.iter().any(|resource| resource.stamp.is_none());
        if !self.whole
            && (lacks_stamps || matches.iter().any(|resource| resource.is_named_by_content))
        {
            self.whole = true;
            self.enter(self.from, self.to);
            return true;
        }
        let is_divided = self.from.is_some() || self.to.is_some();
        if self.undivided {
            return false;
        }
        if (is_divided && matches.iter().any(|resource| !self.covers(resource)))
            || (lacks_stamps && arrived.next.is_some())
        {
            self.undivided = true;
            self.enter(None, None);
            return true;
        }
        let is_first = self.link.is_none() && self.skip == 0 && self.readings == 0;
        if is_first
            && arrived.next.is_some()
            && !matches.is_empty()
            && matches.len() >= self.capacity
        {
            self.capacity = matches.len();
            if let Some(to) = self.smaller(matches) {
                self.enter(self.from, Some(to));
                return true;
            }
        }
        false
    }

    /// True if a resource lies in the window, give or take a second: some servers keep whole
    /// seconds.
    fn covers(&self, resource: &Resource) -> bool {
        let Some(stamp) = resource.stamp else {
            return false;
        };
        self.from.is_none_or(|from| stamp.timestamp() >= from - 1)
            && self.to.is_none_or(|to| stamp.timestamp() <= to + 1)
    }

    /// An earlier end for the window, after its first page has shown how its records lie: where
    /// they are sorted, the page's last second, else the middle one.
    fn smaller(&self, matches: &[Resource]) -> Option<i64> {
        let mut seconds: Vec<i64> = matches
            .iter()
            .filter_map(|resource| resource.stamp)
            .map(|stamp| stamp.timestamp())
            .collect();
        let is_sorted = seconds.is_sorted();
        seconds.sort_unstable();
        let last = seconds.last().copied().filter(|_| is_sorted);
        let middle = seconds.get(seconds.len() / 2).copied();
        let least = match self.from {
            Some(from) => Some(from + 1),
            None => seconds.first().map(|first| first - 1),
        };
        let fits = |end: &i64| {
            self.from.is_none_or(|from| *end > from)
                && self.to.is_none_or(|to| *end < to)
                && *end >= OLDEST
        };
        [last, middle, least].into_iter().flatten().find(fits)
    }

    fn go_to(&mut self, arrived: &ArrivedPage<'_>, next: &str) -> Result<(), SourceError> {
        let reading = &mut self.reading;
        reading.pages += 1;
        let matches = &arrived.page.matches;
        let content = (!matches.is_empty()).then(|| fingerprint::of_resources(matches));
        let found = reading
            .cycle
            .advance(fingerprint::of_text(arrived.path), content);
        let endless = if next == arrived.path {
            Some(EndlessReason::SamePage)
        } else if reading.pages >= arrived.max_pages {
            Some(EndlessReason::TooMany)
        } else {
            found
        };
        match endless {
            Some(endless) => Err(endless.error(reading.pages)),
            None => {
                self.link = Some(next.to_owned());
                Ok(())
            }
        }
    }

    /// True if the reading that has come to its end certainly lacks nothing.
    fn is_whole(&self) -> bool {
        self.link.is_none() || self.before == Some(self.reading.tally)
    }

    /// Goes on to the next window, as wide as will probably fit on a page.
    fn pass_on(
        &mut self,
        matches: &[Resource],
        keys: Vec<RecordKey>,
        now: DateTime<Utc>,
    ) -> KeysStep {
        let Some(end) = self.to else {
            return KeysStep::End(keys);
        };
        let oldest = matches
            .iter()
            .filter_map(|resource| resource.stamp)
            .map(|stamp| stamp.timestamp())
            .min();
        let begin = self.from.or(oldest).unwrap_or(end).min(end);
        let span = (end - begin).clamp(1, MAX_SPAN);
        let count = self.reading.tally.count.saturating_as::<i64>();
        let wanted = self.capacity.saturating_as::<i64>().max(1);
        // Three quarters of a page, from how dense this window was; at most eight times as wide.
        let widest = span.saturating_mul(8);
        let wider = span
            .saturating_mul(wanted)
            .saturating_mul(3)
            .checked_div(count.saturating_mul(4))
            .unwrap_or(widest)
            .clamp(1, widest)
            .min(MAX_SPAN);
        let next = end.saturating_add(wider);
        let is_last = DateTime::from_timestamp(next, 0)
            .is_none_or(|next| next >= now - TimeDelta::seconds(1));
        self.enter(Some(end), (!is_last).then_some(next));
        KeysStep::Go(keys)
    }

    fn enter(&mut self, from: Option<i64>, to: Option<i64>) {
        *self = Self {
            from,
            to,
            capacity: self.capacity,
            undivided: self.undivided,
            whole: self.whole,
            read_at: self.read_at,
            ..Self::default()
        };
    }
}

impl KeyTally {
    fn add(&mut self, keys: &[RecordKey]) {
        for key in keys {
            self.count += 1;
            let stamp = key.stamp.unwrap_or_default();
            self.sum = self
                .sum
                .wrapping_add(fingerprint::of_text(&format!("{stamp} {}", key.record_id)));
        }
    }
}

fn key(resource: &Resource) -> RecordKey {
    RecordKey {
        record_id: resource.record_id.clone(),
        stamp: resource.stamp_micros(),
    }
}
