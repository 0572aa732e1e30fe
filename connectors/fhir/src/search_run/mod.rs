//! A walk over the pages of one search, and how far the stored stamp may move at its end.

mod order;
mod reached;

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::SourceError;
use serde::{Deserialize, Serialize};

pub(crate) use reached::Reached;

use crate::bundle::ServerPage;
use crate::cycle::{EndlessReason, PageCycle};
use crate::fingerprint;
use crate::run_window::RunWindow;
use crate::stamp_mark::StampMark;

/// Checkpoints kept of a run; beyond it every second one is dropped.
const MAX_CHECKPOINTS: usize = 12;

/// The state of a walk over the pages of one search: the records of a feed, or the patients that
/// changed. A search may begin anew further on, where the server has sorted so far.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRun {
    /// The stored mark this run started from.
    pub since: Option<StampMark>,
    /// The stored position among the patients, where one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patients: Option<Box<Reached>>,
    /// Moment from which the patients' history is read for deletions, where one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_from: Option<DateTime<Utc>>,
    /// Patients whose records the search is for; none for a search for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked_for: Vec<String>,
    /// Path and query of the server page to read.
    pub page: String,
    /// Number of that page's matches that have been handed over.
    pub skip: usize,
    /// Fingerprint of those matches.
    pub prefix: u64,
    /// Server pages read so far.
    pub pages: u32,
    /// The server's clock at the start of the run.
    pub started: DateTime<Utc>,
    /// Moment from which the present search reads; `None`: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Window that the present search is for, on a server that does not sort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<RunWindow>,
    /// The page to read is the first of its search, and no link of the server's.
    pub begins_search: bool,
    /// The greatest stamp handed over.
    latest: Option<DateTime<Utc>>,
    /// The stamp handed over last of the present search.
    last: Option<DateTime<Utc>>,
    /// False once a stamp was smaller than the one before: the server does not sort, or works on a
    /// snapshot.
    sorted: bool,
    /// Answer to the question whether the server sorts, by its self links or by stamps that rose;
    /// `None` while nothing shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sorts: Option<bool>,
    /// True once a resource came without a stamp: no search from a stamp would find such ones.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unstamped: bool,
    /// The server does not sort, and does not heed windows of time either.
    #[serde(default, skip_serializing_if = "is_false")]
    pub undivided: bool,
    /// Stamps lie further back than the server's clock explains.
    #[serde(default, skip_serializing_if = "is_false")]
    late: bool,
    /// A position within this run has been given out to be stored.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_stored: bool,
    /// The earliest moment at which, during the run, an older record may have moved to the end of
    /// the list.
    changed: Option<DateTime<Utc>>,
    /// The server's count fell during the run: something was deleted.
    shrunk: bool,
    /// The server's count at the last page.
    total: Option<u64>,
    /// For some pages, the moment of reading (server's clock, seconds since 1970) and the last
    /// stamp (milliseconds since 1970).
    #[serde(rename = "marks")]
    checkpoints: Vec<(i64, i64)>,
    #[serde(default, rename = "circle")]
    cycle: PageCycle,
    /// Reason why the pages are not followed any further; what they brought has been handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endless: Option<EndlessReason>,
    /// The newest stamp at the server lies before the stored one, which therefore follows it back.
    #[serde(default)]
    pub went_back: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over by reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl SearchRun {
    pub(crate) fn new(since: Option<StampMark>, page: &str, started: DateTime<Utc>) -> Self {
        Self {
            since,
            patients: None,
            deleted_from: None,
            asked_for: Vec::new(),
            page: page.to_owned(),
            skip: 0,
            prefix: fingerprint::of_resources(&[]),
            pages: 1,
            started,
            from: None,
            window: None,
            begins_search: true,
            latest: None,
            last: None,
            sorted: true,
            sorts: None,
            unstamped: false,
            undivided: false,
            late: false,
            is_stored: false,
            changed: None,
            shrunk: false,
            total: None,
            checkpoints: Vec::new(),
            cycle: PageCycle::default(),
            endless: None,
            went_back: false,
        }
    }

    /// The stored stamp this run started from.
    pub(crate) fn since_stamp(&self) -> Option<DateTime<Utc>> {
        self.since.map(|mark| mark.stamp)
    }

    /// Begins another search of the same run, the one at `page`.
    pub(crate) fn begin_search(
        &mut self,
        page: &str,
        from: Option<DateTime<Utc>>,
        read_at: DateTime<Utc>,
    ) {
        self.go_to(page, read_at);
        self.from = from;
        self.last = None;
        self.total = None;
        self.cycle = PageCycle::default();
        self.begins_search = true;
    }

    /// Moment up to which everything has certainly been handed over, so that a search from there
    /// goes on with the run; `None` where a search from a stamp could miss something.
    pub(crate) fn reached(&self) -> Option<DateTime<Utc>> {
        if self.went_back || self.unstamped || self.undivided || self.endless.is_some() {
            return None;
        }
        if self.window.is_some() {
            return self.from;
        }
        if !self.sorted || self.sorts != Some(true) {
            return None;
        }
        // Stamps of the future would have the rest of the run look for nothing but them.
        let last = self.last?.min(self.started);
        let last = DateTime::from_timestamp_millis(last.timestamp_millis())?;
        Some(self.from.map_or(last, |from| from.max(last)))
    }

    /// True if the first page of a search can be followed by its links: it shows some order.
    pub(crate) fn may_be_sorted(&self, first: &ServerPage) -> bool {
        self.sorted && (self.sorts_by(first) == Some(true) || order::rises(first))
    }

    /// Gives up to read by page links, of which one has expired; returns false where windows of
    /// time are no way out, or not needed.
    pub(crate) fn needs_windows(&mut self) -> bool {
        let is_hopeless = self.unstamped || self.undivided || self.endless.is_some();
        if is_hopeless || self.window.is_some() || (self.sorted && self.sorts == Some(true)) {
            return false;
        }
        self.sorted = false;
        true
    }

    /// A self link says more than stamps, which may rise by chance; that of a later page need not
    /// be about the search.
    fn sorts_by(&self, page: &ServerPage) -> Option<bool> {
        let link = if self.begins_search {
            order::of_self_link(page)
        } else {
            None
        };
        link.or(self.sorts)
            .or_else(|| order::rises(page).then_some(true))
    }

    /// Moment from which another search goes on where page links have expired; `None` where it
    /// would not come further than the present one.
    pub(crate) fn restart(&self) -> Option<DateTime<Utc>> {
        self.reached()
            .filter(|reached| self.from.is_none_or(|from| *reached > from))
    }

    /// The run as it is to be stored within it: without what only its present search needs, and
    /// without the patients, which are stored beside it.
    pub(crate) fn to_store(&self) -> Self {
        Self {
            patients: None,
            page: String::new(),
            skip: 0,
            prefix: 0,
            cycle: PageCycle::default(),
            is_stored: true,
            ..self.clone()
        }
    }

    /// True if nothing of the run has been handed over.
    pub(crate) fn is_fresh(&self) -> bool {
        self.pages == 1 && self.skip == 0
    }

    /// Refuses to follow pages that do not end; the stored stamp stays.
    pub(crate) fn check_end(&self) -> Result<(), SourceError> {
        self.endless
            .map_or(Ok(()), |endless| Err(endless.error(self.pages - 1)))
    }

    /// Looks whether going on from this page, now handed over as a whole, would come to an end;
    /// [`Self::check_end`] says so later.
    pub(crate) fn look_for_end(&mut self, page: &ServerPage, next: &str, max_pages: u32) {
        let content = (!page.matches.is_empty()).then(|| fingerprint::of_resources(&page.matches));
        let found = self
            .cycle
            .advance(fingerprint::of_text(&self.page), content);
        self.endless = if next == self.page {
            Some(EndlessReason::SamePage)
        } else if self.pages >= max_pages {
            Some(EndlessReason::TooMany)
        } else {
            found
        };
    }

    /// Notes, once everything has been handed over, whether the newest stamp is older than the
    /// stored one; returns true where that was not known before.
    pub(crate) fn note_older_stamps(&mut self) -> bool {
        let is_news = !self.went_back && self.latest.is_some() && self.latest < self.since_stamp();
        self.went_back |= is_news;
        is_news
    }

    /// Compares a page read again with what was handed over of it, and a fresh page's count with
    /// the one before.
    ///
    /// A page that no longer begins with what was handed over is handed over from its beginning:
    /// better twice than never.
    pub(crate) fn receive(&mut self, page: &ServerPage) {
        self.sorts = self.sorts_by(page);
        // Also by what is handed over later on.
        self.sorted &= order::is_rising_or_level(page);
        let unchanged = page
            .matches
            .get(..self.skip)
            .is_some_and(|start| fingerprint::of_resources(start) == self.prefix);
        if !unchanged {
            self.skip = 0;
        }
        if self.skip == 0 {
            if let (Some(before), Some(now)) = (self.total, page.total)
                && now < before
            {
                self.shrunk = true;
                let last_good = self
                    .checkpoints
                    .last()
                    .and_then(|(at, _)| DateTime::from_timestamp(*at, 0));
                self.note_change(last_good.unwrap_or(self.started));
            }
            self.total = page.total;
        }
    }

    /// Notes the matches up to `until` as handed over, behind those handed over before.
    pub(crate) fn note_handed_over(&mut self, page: &ServerPage, until: usize, overlap: TimeDelta) {
        for resource in &page.matches[self.skip..until] {
            let Some(stamp) = resource.stamp else {
                self.unstamped = true;
                continue;
            };
            self.late |= self
                .since
                .is_some_and(|since| since.is_belied_by(stamp, overlap));
            self.sorted &= self.last.is_none_or(|last| last <= stamp);
            if self.sorts.is_none() && self.last.is_some_and(|last| last < stamp) {
                self.sorts = Some(true);
            }
            self.last = Some(stamp);
            self.latest = self.latest.max(Some(stamp));
            if stamp >= self.started && !resource.is_first_version {
                self.note_change(stamp);
            }
        }
        self.skip = until;
        self.prefix = fingerprint::of_resources(&page.matches[..until]);
    }

    /// Goes on to another server page.
    pub(crate) fn go_to(&mut self, next: &str, read_at: DateTime<Utc>) {
        if let Some(last) = self.last {
            self.checkpoints
                .push((read_at.timestamp(), last.timestamp_millis()));
        }
        if self.checkpoints.len() > MAX_CHECKPOINTS {
            let mut position = 0;
            self.checkpoints.retain(|_| {
                position += 1;
                position % 2 == 1
            });
        }
        self.page = next.to_owned();
        self.begins_search = false;
        self.skip = 0;
        self.prefix = fingerprint::of_resources(&[]);
        self.pages += 1;
    }

    /// The mark the next run may start from, now that everything has been handed over; `None` to
    /// leave the stored one.
    pub(crate) fn resume(&self, now: DateTime<Utc>, overlap: TimeDelta) -> Option<StampMark> {
        let whole = self.latest?.min(self.started).min(now);
        let stamp = self.resume_stamp(whole)?;
        let read_at = self.started.min(now);
        // What lies behind a stamp that had to stay back was not read for certain.
        let mark = if self.went_back || stamp < whole {
            StampMark::open(stamp)
        } else if self.late || self.since.is_some_and(|since| since.is_late()) {
            StampMark::read_late(stamp, read_at, self.since, overlap)
        } else {
            StampMark::read(stamp, read_at)
        };
        let Some(since) = self.since else {
            return Some(mark);
        };
        let moves = mark.stamp > since.stamp
            || self.went_back
            || (mark.stamp == since.stamp && mark.begin(overlap) > since.begin(overlap));
        moves.then_some(mark)
    }

    /// The stamp of [`Self::resume`].
    ///
    /// Never behind what was stored, unless the server's own stamps went back; never past the
    /// server's clock at the start or ours now. On a server that sorts afresh for every page, a
    /// change during the run shifts later pages, so that one record may have slipped through
    /// between two of them: then the stamp goes only as far as the last page read before that
    /// change.
    fn resume_stamp(&self, whole: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.pages > 1 && self.sorted {
            match self.changed {
                Some(changed) => Some(whole.min(self.last_stamp_before(changed)?)),
                None => Some(whole),
            }
        } else {
            (self.pages == 1 || !self.shrunk).then_some(whole)
        }
    }

    /// The last stamp of the last page that was certainly read before `moment` (HTTP dates have
    /// whole seconds).
    fn last_stamp_before(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let limit = (moment - TimeDelta::seconds(1)).timestamp();
        let checkpoint = self
            .checkpoints
            .iter()
            .rev()
            .find(|(read_at, _)| *read_at < limit)?;
        DateTime::from_timestamp_millis(checkpoint.1)
    }

    fn note_change(&mut self, at: DateTime<Utc>) {
        self.changed = Some(self.changed.map_or(at, |known| known.min(at)));
    }
}

#[cfg(test)]
mod tests;
