//! The position behind a cursor of `page`: where a run is, and where the next run begins.
//!
//! A stored cursor holds one stamp, or two where patients are followed as well. Within a run the
//! cursor holds the server page being read, how much of it has been handed over, and what is needed
//! to decide at the run's end how far the stored stamp may move.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::search_run::SearchRun;

/// Position in one feed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PullPosition {
    /// Between runs: everything that changed up to this stamp has been handed over.
    Since(DateTime<Utc>),
    /// Between runs: the same, with the stamp up to which corrected patients have been followed.
    Both {
        records: DateTime<Utc>,
        patients: DateTime<Utc>,
    },
    /// Within a run.
    Run(Box<SearchRun>),
    /// Within a run's second pass.
    Corrected(Box<CorrectedPass>),
}

/// The second pass: the records of patients that changed, whether or not the records did.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorrectedPass {
    /// The records' stored stamp.
    pub since: DateTime<Utc>,
    /// The stamp to store for the records, by the first pass; `None` to leave it.
    pub resume: Option<DateTime<Utc>>,
    /// The list of patients, as far as it has been read.
    pub list: SearchRun,
    /// The list has been read to its end.
    pub is_listed: bool,
    /// The records of the patients read last.
    pub records: Option<Box<SearchRun>>,
}

impl CorrectedPass {
    /// The position to store once both passes are done; `None` to leave the stored one.
    pub(crate) fn resume(&self, now: DateTime<Utc>) -> Option<PullPosition> {
        let moved = self.list.resume(now);
        if self.resume.is_none() && moved.is_none() {
            return None;
        }
        Some(self.stamps(moved))
    }

    /// The position to store where patients cannot be followed: their stamp stays, until they can.
    pub(crate) fn resume_without_patients(&self) -> Option<PullPosition> {
        self.resume.map(|_| self.stamps(None))
    }

    fn stamps(&self, moved: Option<DateTime<Utc>>) -> PullPosition {
        PullPosition::Both {
            records: self.resume.unwrap_or(self.since),
            patients: moved.or(self.list.since).unwrap_or(self.since),
        }
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
        let text = write_text(&PullPosition::Since(at(7))).unwrap();
        assert!(matches!(read_text(&text), Ok(PullPosition::Since(stamp)) if stamp == at(7)));
        for foreign in ["", "17", r#"{"changed_at":"x"}"#, r#"{"since":"x"}"#] {
            assert!(read_text::<PullPosition>(&Cursor::new(foreign).unwrap()).is_err());
        }
        let long = SearchRun::new(None, &"x".repeat(4096), at(0));
        let long = write_text(&PullPosition::Run(Box::new(long))).unwrap_err();
        assert!(long.to_string().contains("too long"), "{long}");
    }
}
