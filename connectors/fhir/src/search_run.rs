//! A walk over the pages of one search, and how far the stored stamp may move at its end.

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::SourceError;
use serde::{Deserialize, Serialize};

use crate::bundle::ServerPage;
use crate::cycle::{EndlessReason, PageCycle};
use crate::fingerprint;

/// Checkpoints kept of a run; beyond it every second one is dropped.
const MAX_CHECKPOINTS: usize = 12;

/// The state of a walk over the pages of one search: the records of a feed, or the patients that
/// changed.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRun {
    /// The stored stamp this run started from.
    pub since: Option<DateTime<Utc>>,
    /// The stored stamp of the patients, where one is kept.
    #[serde(default)]
    pub patients: Option<DateTime<Utc>>,
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
    /// The greatest stamp handed over.
    latest: Option<DateTime<Utc>>,
    /// The stamp handed over last.
    last: Option<DateTime<Utc>>,
    /// False once a stamp was smaller than the one before: the server does not sort, or works on a
    /// snapshot.
    sorted: bool,
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

impl SearchRun {
    pub(crate) fn new(since: Option<DateTime<Utc>>, page: &str, started: DateTime<Utc>) -> Self {
        Self {
            since,
            patients: None,
            page: page.to_owned(),
            skip: 0,
            prefix: fingerprint::of_resources(&[]),
            pages: 1,
            started,
            latest: None,
            last: None,
            sorted: true,
            changed: None,
            shrunk: false,
            total: None,
            checkpoints: Vec::new(),
            cycle: PageCycle::default(),
            endless: None,
            went_back: false,
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
        let is_news = !self.went_back && self.latest.is_some() && self.latest < self.since;
        self.went_back |= is_news;
        is_news
    }

    /// Compares a page read again with what was handed over of it, and a fresh page's count with
    /// the one before.
    ///
    /// A page that no longer begins with what was handed over is handed over from its beginning:
    /// better twice than never.
    pub(crate) fn receive(&mut self, page: &ServerPage) {
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
    pub(crate) fn note_handed_over(&mut self, page: &ServerPage, until: usize) {
        for resource in &page.matches[self.skip..until] {
            let Some(stamp) = resource.stamp else {
                continue;
            };
            self.sorted &= self.last.is_none_or(|last| last <= stamp);
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
        self.skip = 0;
        self.prefix = fingerprint::of_resources(&[]);
        self.pages += 1;
    }

    /// The stamp the next run may start from, now that everything has been handed over; `None` to
    /// leave it.
    ///
    /// Never behind what was stored, unless the server's own stamps went back; never past the
    /// server's clock at the start or ours now. On a server that sorts afresh for every page, a
    /// change during the run shifts later pages, so that one record may have slipped through
    /// between two of them: then the stamp goes only as far as the last page read before that
    /// change.
    pub(crate) fn resume(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut stamp = self.latest?.min(self.started).min(now);
        if self.pages > 1 && self.sorted {
            if let Some(changed) = self.changed {
                stamp = stamp.min(self.last_stamp_before(changed)?);
            }
        } else if self.pages > 1 && self.shrunk {
            return None;
        }
        self.since
            .is_none_or(|since| since < stamp || self.went_back)
            .then_some(stamp)
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
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::bundle::Resource;
    use crate::cursor::write_text;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_625_000_000 + second, 0).unwrap()
    }

    fn page(records: &[(&str, i64, bool)], total: u64) -> ServerPage {
        let resource = |(id, second, first): &(&str, i64, bool)| Resource {
            record_id: (*id).to_owned(),
            id: Some((*id).to_owned()),
            full_url: None,
            stamp: Some(at(*second)),
            is_named_by_content: false,
            is_first_version: *first,
            json: RawValue::from_string("{}".into()).unwrap(),
        };
        ServerPage {
            matches: records.iter().map(resource).collect(),
            patients: Vec::new(),
            next: None,
            total: Some(total),
            has_others: false,
        }
    }

    /// Hands over pages read ten seconds apart, beginning at second 1000.
    fn run(pages: &[ServerPage]) -> SearchRun {
        let mut run = SearchRun::new(Some(at(1)), "/p0", at(1000));
        for (number, page) in pages.iter().enumerate() {
            if number > 0 {
                run.go_to("/p", at(1000 + 10 * (i64::try_from(number).unwrap() - 1)));
            }
            run.receive(page);
            run.note_handed_over(page, page.matches.len());
        }
        run
    }

    #[test]
    fn an_undisturbed_run_moves_to_its_greatest_stamp() {
        let done = run(&[
            page(&[("a", 10, false), ("b", 20, false)], 3),
            page(&[("c", 30, false)], 3),
        ]);
        assert_eq!(done.resume(at(2000)), Some(at(30)));
        assert_eq!(
            done.resume(at(25)),
            Some(at(25)),
            "never past our own clock"
        );
        assert_eq!(
            run(&[page(&[("a", 1500, true)], 1)]).resume(at(2000)),
            Some(at(1000)),
            "nor past the server's"
        );
        assert_eq!(
            run(&[page(&[("a", 1, true)], 1)]).resume(at(2000)),
            None,
            "nothing new"
        );
        assert_eq!(run(&[page(&[], 0)]).resume(at(2000)), None);
        let unsorted = run(&[
            page(&[("b", 20, false), ("a", 10, false)], 3),
            page(&[("c", 15, false)], 3),
        ]);
        assert_eq!(unsorted.resume(at(2000)), Some(at(20)));
    }

    #[test]
    fn a_change_during_the_run_holds_the_stamp_at_the_last_safe_page() {
        let pages = |first_version| {
            [
                page(&[("a", 10, false)], 4),
                page(&[("b", 20, false)], 4),
                page(&[("c", 30, false)], 4),
                page(&[("a", 1015, first_version)], 4),
            ]
        };
        assert_eq!(
            run(&pages(false)).resume(at(2000)),
            Some(at(20)),
            "the page read at 1010 is safe, 1020 is not"
        );
        assert_eq!(
            run(&pages(true)).resume(at(2000)),
            Some(at(1000)),
            "a new record shifts nothing"
        );
        let early = run(&[page(&[("a", 10, false)], 2), page(&[("a", 1000, false)], 2)]);
        assert_eq!(
            early.resume(at(2000)),
            None,
            "no page is certainly older than the change"
        );
    }

    #[test]
    fn a_deletion_during_the_run_holds_the_stamp() {
        let sorted = run(&[
            page(&[("a", 10, false)], 4),
            page(&[("b", 20, false)], 4),
            page(&[("d", 40, false)], 3),
        ]);
        assert_eq!(sorted.resume(at(2000)), Some(at(10)));
        let unsorted = run(&[page(&[("b", 20, false)], 3), page(&[("a", 10, false)], 2)]);
        assert_eq!(unsorted.resume(at(2000)), None);
    }

    #[test]
    fn a_page_that_changed_between_two_reads_is_handed_over_again() {
        let before = page(&[("a", 10, false), ("b", 20, false), ("c", 30, false)], 3);
        let mut run = SearchRun::new(None, "/p", at(1000));
        run.receive(&before);
        run.note_handed_over(&before, 2);
        run.receive(&before);
        assert_eq!(run.skip, 2);
        run.receive(&page(
            &[("b", 20, false), ("c", 30, false), ("a", 1001, false)],
            3,
        ));
        assert_eq!(run.skip, 0);
    }

    #[test]
    fn checkpoints_stay_few_and_keep_the_last() {
        let pages: Vec<_> = (0..500).map(|n| page(&[("a", n, false)], 500)).collect();
        let done = run(&pages);
        assert!(
            done.checkpoints.len() <= MAX_CHECKPOINTS,
            "{}",
            done.checkpoints.len()
        );
        let text = write_text(&done).unwrap();
        assert!(text.as_str().len() < 990, "{}", text.as_str().len());
    }

    #[test]
    fn the_form_of_stored_cursors_stays() {
        let stored = r#"{"since":null,"patients":null,"page":"/p","skip":0,"prefix":1,"pages":2,
            "started":"2021-07-01T10:00:00Z","latest":null,"last":null,"sorted":true,
            "changed":null,"shrunk":false,"total":3,"marks":[[10,20]],
            "circle":{"link":5,"content":6,"steps":0,"until":1,"repeated":0,"empty":0},
            "went_back":false}"#
            .replace("\n            ", "");
        let run: SearchRun = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&run).unwrap(), stored);
    }
}
