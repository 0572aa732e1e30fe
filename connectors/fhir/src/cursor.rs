//! The two texts behind a cursor: where a run is, and where the next run begins.
//!
//! A stored cursor holds one stamp, or two where patients are followed as well. Within a run the
//! cursor holds the server page being read, how much of it has been handed over, and what is needed
//! to decide at the run's end how far the stored stamp may move.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{Cursor, SourceError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bundle::{Resource, ServerPage};
use crate::circle::{Circle, Endless};

/// Marks kept of a run; beyond it every second one is dropped.
const MAX_MARKS: usize = 12;

/// What a cursor says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Position {
    /// Between runs: everything that changed up to this stamp has been handed over.
    Since(DateTime<Utc>),
    /// Between runs: the same, with the stamp up to which corrected patients have been followed.
    Both {
        records: DateTime<Utc>,
        patients: DateTime<Utc>,
    },
    /// Within a run.
    Run(Box<Run>),
    /// Within a run's second pass.
    Corrected(Box<Corrected>),
}

/// The second pass: the records of patients that changed, whether or not the records did.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Corrected {
    /// The records' stored stamp.
    pub since: DateTime<Utc>,
    /// Where the first pass would have that stamp moved.
    pub resume: Option<DateTime<Utc>>,
    /// The list of patients, as far as it has been read.
    pub list: Run,
    /// The list has been read to its end.
    pub is_listed: bool,
    /// The records of the patients read last.
    pub records: Option<Box<Run>>,
}

impl Corrected {
    /// What to store once both passes are done.
    pub(crate) fn resume(&self, now: DateTime<Utc>) -> Option<Position> {
        let moved = self.list.resume(now);
        if self.resume.is_none() && moved.is_none() {
            return None;
        }
        Some(self.stamps(moved))
    }

    /// What to store where patients cannot be followed: their stamp stays, until they can.
    pub(crate) fn resume_without_patients(&self) -> Option<Position> {
        self.resume.map(|_| self.stamps(None))
    }

    fn stamps(&self, moved: Option<DateTime<Utc>>) -> Position {
        Position::Both {
            records: self.resume.unwrap_or(self.since),
            patients: moved.or(self.list.since).unwrap_or(self.since),
        }
    }
}

/// A run under way.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// The stored stamp this run started from.
    pub since: Option<DateTime<Utc>>,
    /// The stored stamp of the patients, where one is kept.
    #[serde(default)]
    pub patients: Option<DateTime<Utc>>,
    /// Path and query of the server page to read.
    pub page: String,
    /// How many of that page's matches have been handed over.
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
    /// For some pages: when (server's clock, seconds) it was read, and its last stamp
    /// (milliseconds).
    marks: Vec<(i64, i64)>,
    /// Watches for pages that never end.
    #[serde(default)]
    circle: Circle,
    /// Why the pages are not followed any further; what they brought has been handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endless: Option<Endless>,
    /// The newest stamp at the server lies before the stored one, which therefore follows it back.
    #[serde(default)]
    pub went_back: bool,
}

impl Position {
    pub(crate) fn read(cursor: &Cursor) -> Result<Self, SourceError> {
        read_text(cursor)
    }

    pub(crate) fn write(&self) -> Result<Cursor, SourceError> {
        write_text(self)
    }
}

pub(crate) fn read_text<T: DeserializeOwned>(cursor: &Cursor) -> Result<T, SourceError> {
    serde_json::from_str(cursor.as_str()).map_err(|_| {
        SourceError::misconfigured(
            "the stored position of this feed was not written by a FHIR source",
            "was the source of this name of another kind before? read it again from the beginning \
             (sync --full)",
        )
    })
}

pub(crate) fn write_text<T: Serialize>(position: &T) -> Result<Cursor, SourceError> {
    let text = serde_json::to_string(position)
        .map_err(|_| SourceError::retry("the position in the feed cannot be written down"))?;
    let bytes = text.len();
    Cursor::new(text).ok_or_else(|| {
        SourceError::misconfigured(
            format!(
                "the FHIR server's link to the next page is too long to keep ({bytes} of {} \
                bytes)",
                Cursor::MAX_BYTES
            ),
            "have the server use short page links (a page id instead of the whole query), or list \
             fewer codes",
        )
    })
}

impl Run {
    pub(crate) fn new(since: Option<DateTime<Utc>>, page: &str, started: DateTime<Utc>) -> Self {
        Self {
            since,
            patients: None,
            page: page.to_owned(),
            skip: 0,
            prefix: fingerprint(&[]),
            pages: 1,
            started,
            latest: None,
            last: None,
            sorted: true,
            changed: None,
            shrunk: false,
            total: None,
            marks: Vec::new(),
            circle: Circle::default(),
            endless: None,
            went_back: false,
        }
    }

    /// Whether nothing of it has been handed over.
    pub(crate) fn is_fresh(&self) -> bool {
        self.pages == 1 && self.skip == 0
    }

    /// Looks whether going on from this page, now handed over as a whole, would come to an end.
    pub(crate) fn watch(&mut self, page: &ServerPage, next: &str, max_pages: u32) {
        let content = (!page.matches.is_empty()).then(|| fingerprint(&page.matches));
        let turned = self.circle.turn(fingerprint_of(&self.page), content);
        self.endless = if next == self.page {
            Some(Endless::SamePage)
        } else if self.pages >= max_pages {
            Some(Endless::TooMany)
        } else {
            turned
        };
    }

    /// Notes, once everything has been handed over, whether the newest of it is older than what was
    /// stored.
    ///
    /// True where that was not known before.
    pub(crate) fn look_back(&mut self) -> bool {
        let is_news = !self.went_back && self.latest.is_some() && self.latest < self.since;
        self.went_back |= is_news;
        is_news
    }

    /// Compares a page read again with what was handed over of it, and a fresh page's count with
    /// the one before.
    ///
    /// A page that no longer begins with what was handed over is handed over from its beginning:
    /// better twice than never.
    pub(crate) fn arrive(&mut self, page: &ServerPage) {
        let unchanged = page
            .matches
            .get(..self.skip)
            .is_some_and(|start| fingerprint(start) == self.prefix);
        if !unchanged {
            self.skip = 0;
        }
        if self.skip == 0 {
            if let (Some(before), Some(now)) = (self.total, page.total)
                && now < before
            {
                self.shrunk = true;
                let last_good = self
                    .marks
                    .last()
                    .and_then(|(at, _)| DateTime::from_timestamp(*at, 0));
                self.note_change(last_good.unwrap_or(self.started));
            }
            self.total = page.total;
        }
    }

    /// Notes what is handed over now, behind what was handed over of this page before.
    pub(crate) fn hand_over(&mut self, page: &ServerPage, until: usize) {
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
        self.prefix = fingerprint(&page.matches[..until]);
    }

    /// Goes on to another server page.
    pub(crate) fn turn(&mut self, next: &str, read_at: DateTime<Utc>) {
        if let Some(last) = self.last {
            self.marks
                .push((read_at.timestamp(), last.timestamp_millis()));
        }
        if self.marks.len() > MAX_MARKS {
            let mut place = 0;
            self.marks.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        self.page = next.to_owned();
        self.skip = 0;
        self.prefix = fingerprint(&[]);
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
                stamp = stamp.min(self.before(changed)?);
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
    fn before(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let limit = (moment - TimeDelta::seconds(1)).timestamp();
        let mark = self
            .marks
            .iter()
            .rev()
            .find(|(read_at, _)| *read_at < limit)?;
        DateTime::from_timestamp_millis(mark.1)
    }

    fn note_change(&mut self, at: DateTime<Utc>) {
        self.changed = Some(self.changed.map_or(at, |known| known.min(at)));
    }
}

pub(crate) fn fingerprint_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn fingerprint(resources: &[Resource]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for resource in resources {
        (&resource.record_id, resource.stamp).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

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
    fn run(pages: &[ServerPage]) -> Run {
        let mut run = Run::new(Some(at(1)), "/p0", at(1000));
        for (number, page) in pages.iter().enumerate() {
            if number > 0 {
                run.turn("/p", at(1000 + 10 * (i64::try_from(number).unwrap() - 1)));
            }
            run.arrive(page);
            run.hand_over(page, page.matches.len());
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
        let mut run = Run::new(None, "/p", at(1000));
        run.arrive(&before);
        run.hand_over(&before, 2);
        run.arrive(&before);
        assert_eq!(run.skip, 2);
        run.arrive(&page(
            &[("b", 20, false), ("c", 30, false), ("a", 1001, false)],
            3,
        ));
        assert_eq!(run.skip, 0);
    }

    #[test]
    fn marks_stay_few_and_keep_the_last() {
        let pages: Vec<_> = (0..500).map(|n| page(&[("a", n, false)], 500)).collect();
        let done = run(&pages);
        assert!(done.marks.len() <= MAX_MARKS, "{}", done.marks.len());
        let text = Position::Run(Box::new(done)).write().unwrap();
        assert!(text.as_str().len() < 1000, "{}", text.as_str().len());
    }

    #[test]
    fn a_cursor_survives_and_a_foreign_one_is_refused() {
        let text = Position::Since(at(7)).write().unwrap();
        assert!(matches!(Position::read(&text).unwrap(), Position::Since(stamp) if stamp == at(7)));
        for foreign in ["", "17", r#"{"changed_at":"x"}"#, r#"{"since":"x"}"#] {
            assert!(Position::read(&Cursor::new(foreign).unwrap()).is_err());
        }
        let long = Position::Run(Box::new(Run::new(None, &"x".repeat(4096), at(0))))
            .write()
            .unwrap_err();
        assert!(long.to_string().contains("too long"), "{long}");
    }
}
