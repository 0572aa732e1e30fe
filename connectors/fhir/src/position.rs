//! The position behind a cursor of `page`: where a run is, and where the next run begins.
//!
//! A stored cursor holds the mark of the records, and that of the patients where they are followed
//! as well; while a long run is under way, it holds what the run has reached. Within a run the
//! cursor holds the server page being read, how much of it has been handed over, and what is needed
//! to decide at the run's end how far the stored mark may move.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::export::run::ExportRun;
use crate::search_run::{Reached, SearchRun};
use crate::stamp_mark::StampMark;

/// Position in one feed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PullPosition {
    /// Between runs, as older gateways stored it: everything that changed up to this stamp has been
    /// handed over.
    Since(DateTime<Utc>),
    /// Between runs, as older gateways stored it: the same, with the stamp up to which corrected
    /// patients have been followed.
    Both {
        records: DateTime<Utc>,
        patients: DateTime<Utc>,
    },
    /// Between runs.
    Stored(StoredPosition),
    /// Within a run.
    Run(Box<SearchRun>),
    /// Within a run's second pass.
    Corrected(Box<CorrectedPass>),
    /// Within a load by export, or between two runs of it.
    Export(Box<ExportRun>),
}

/// Position at which the next run begins.
#[derive(Serialize, Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredPosition {
    pub records: Reached,
    /// `None` before patients were followed for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patients: Option<Reached>,
    /// Moment from which the patients' history is to be read for deletions; `None`: from the
    /// patients' mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_from: Option<DateTime<Utc>>,
}

impl From<PullPosition> for StoredPosition {
    fn from(position: PullPosition) -> Self {
        let mark = |stamp| Reached::Mark(StampMark::open(stamp));
        match position {
            PullPosition::Since(stamp) => Self {
                records: mark(stamp),
                ..Self::default()
            },
            PullPosition::Both { records, patients } => Self {
                records: mark(records),
                patients: Some(mark(patients)),
                deleted_from: None,
            },
            PullPosition::Stored(stored) => stored,
            PullPosition::Run(run) => Self {
                records: run.since.into(),
                patients: run.patients.map(|patients| *patients),
                deleted_from: run.deleted_from,
            },
            // What an export has brought so far shows no stamp to go on from.
            PullPosition::Export(_) => Self::default(),
            PullPosition::Corrected(pass) => Self {
                records: Some(pass.since).into(),
                patients: Some(pass.list.since.into()),
                deleted_from: pass.deleted_from,
            },
        }
    }
}

/// The second pass: the records of patients that changed, whether or not the records did.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorrectedPass {
    /// The records' stored mark.
    pub since: StampMark,
    /// The mark to store for the records, by the first pass; `None` to leave it.
    pub resume: Option<StampMark>,
    /// The list of patients, as far as it has been read.
    pub list: SearchRun,
    /// The list has been read to its end.
    pub is_listed: bool,
    /// The records of the patients read last.
    pub records: Option<Box<SearchRun>>,
    /// Positions within the run or the pass have been stored.
    #[serde(default)]
    pub is_stored: bool,
    /// Number of patients taken of those that the next one on the list brings along.
    #[serde(default)]
    pub linked_taken: usize,
    /// The history of patients, behind their list.
    #[serde(default)]
    pub deleted: DeletedPatients,
    /// Moment from which the history is to be read by the next run, as it was before this pass.
    #[serde(default)]
    pub deleted_from: Option<DateTime<Utc>>,
    /// The same moment once this pass has handed over the records of every deleted patient; `None`
    /// where it found none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_from_then: Option<DateTime<Utc>>,
}

/// A walk over the history of patients, which no list of changed ones can replace: a deleted
/// patient is in none.
#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum DeletedPatients {
    /// Still to be read, from a moment on; `None`: from the patients' mark.
    Due { from: Option<DateTime<Utc>> },
    /// Under way.
    Page(HistoryPlace),
    /// Read, or not to be had.
    Done,
}

/// Place in the history of patients.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryPlace {
    /// Path and query of the page to read.
    pub page: String,
    /// Number of that page's deletions that have been taken.
    pub skip: usize,
    /// Pages read so far.
    pub pages: u32,
}

impl Default for DeletedPatients {
    fn default() -> Self {
        Self::Due { from: None }
    }
}

impl CorrectedPass {
    /// True if nothing is left to be handed over.
    pub(crate) const fn is_done(&self) -> bool {
        self.is_listed && self.records.is_none() && matches!(self.deleted, DeletedPatients::Done)
    }

    /// The position to store once both passes are done; `None` to leave the stored one.
    pub(crate) fn resume(&self, now: DateTime<Utc>, overlap: TimeDelta) -> Option<PullPosition> {
        let moved = self.list.resume(now, overlap);
        let deleted_from = self.deleted_from_then.or(self.deleted_from);
        let is_news = self.resume.is_some() || moved.is_some() || self.deleted_from_then.is_some();
        if !is_news && !self.is_stored {
            return None;
        }
        let patients = moved.or(self.list.since).into();
        Some(self.position(patients, deleted_from))
    }

    /// The position to store while patients are followed: they are followed on from there.
    pub(crate) fn resume_within(&self) -> Option<PullPosition> {
        self.list.reached()?;
        let list = Box::new(self.list.to_store());
        Some(self.position(Reached::Partly(list), self.deleted_from))
    }

    /// The position to store where patients have not been followed (yet): their mark stays.
    pub(crate) fn resume_without_patients(&self) -> Option<PullPosition> {
        if self.resume.is_none() && !self.is_stored {
            return None;
        }
        Some(self.position(self.list.since.into(), self.deleted_from))
    }

    fn position(&self, patients: Reached, deleted_from: Option<DateTime<Utc>>) -> PullPosition {
        PullPosition::Stored(StoredPosition {
            records: Reached::Mark(self.resume.unwrap_or(self.since)),
            patients: Some(patients),
            deleted_from,
        })
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::Cursor;

    use super::*;
    use crate::cursor::{read_text, write_text};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_625_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_cursor_survives_and_a_foreign_one_is_refused() {
        let stored = r#"{"since":"2021-06-29T20:53:27Z"}"#;
        let position: PullPosition = read_text(&Cursor::new(stored).unwrap()).unwrap();
        let mark = StoredPosition::from(position).records.mark();
        assert_eq!(mark, Some(StampMark::open(at(7))), "of an older gateway");
        let both =
            r#"{"both":{"records":"2021-06-29T20:53:27Z","patients":"2021-06-29T20:53:28Z"}}"#;
        let position: PullPosition = read_text(&Cursor::new(both).unwrap()).unwrap();
        let patients = StoredPosition::from(position).patients.unwrap().mark();
        assert_eq!(patients, Some(StampMark::open(at(8))));
        let position = PullPosition::Stored(StoredPosition {
            records: Reached::Mark(StampMark::read(at(7), at(9))),
            ..StoredPosition::default()
        });
        let text = write_text(&position).unwrap();
        let again = StoredPosition::from(read_text::<PullPosition>(&text).unwrap());
        assert_eq!(again.records.mark(), Some(StampMark::read(at(7), at(9))));
        for foreign in ["", "17", r#"{"changed_at":"x"}"#, r#"{"since":"x"}"#] {
            assert!(read_text::<PullPosition>(&Cursor::new(foreign).unwrap()).is_err());
        }
        let long = SearchRun::new(None, &"x".repeat(Cursor::MAX_BYTES), at(0));
        let long = write_text(&PullPosition::Run(Box::new(long))).unwrap_err();
        assert!(long.to_string().contains("too long"), "{long}");
    }
}
