//! Position of a load by export: its job at the server, and how far that has been read.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::stamp_mark::StampMark;

/// A load by export.
#[derive(Serialize, Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportRun {
    /// Jobs that the server has forgotten, or given up, since the run began.
    pub lost: u32,
    /// The job; `None` where one is to be begun.
    pub job: Option<ExportJob>,
}

/// A job at the server.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportJob {
    /// Path and query of its status.
    pub status: String,
    /// The server's clock when the job was begun.
    pub begun: DateTime<Utc>,
    pub stage: ExportStage,
}

/// Stage of a job.
#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ExportStage {
    /// The server is at work.
    Waiting(Waiting),
    /// The files are being read.
    Reading(Reading),
    /// Everything has been handed over: increments go on from this mark, and the job can be
    /// deleted.
    Read(Option<StampMark>),
}

/// Waiting for a job.
#[derive(Serialize, Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiting {
    /// Times that the server was asked how far it is.
    pub polls: u32,
    /// Time that is left until it is asked again, in milliseconds.
    pub left_ms: u64,
    /// Time waited so far, in milliseconds.
    pub waited_ms: u64,
}

/// Place in the files of a job.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reading {
    /// Fingerprint of the list of files.
    pub list: u64,
    /// The file that is being read, by its place on the list.
    pub file: usize,
    /// Lines of it that have been read.
    pub line: u64,
    /// Deletions of the next line that have been read.
    pub entry: usize,
    /// Pages that were made of the files.
    pub pages: u32,
    /// The greatest stamp handed over.
    pub latest: Option<DateTime<Utc>>,
}

impl Reading {
    /// The beginning of the files of a list.
    pub(crate) const fn new(list: u64) -> Self {
        Self {
            list,
            file: 0,
            line: 0,
            entry: 0,
            pages: 0,
            latest: None,
        }
    }

    /// Goes on to the next file.
    pub(crate) const fn next_file(&mut self) {
        self.file += 1;
        self.line = 0;
        self.entry = 0;
    }
}

impl ExportJob {
    /// The mark of the load, from which increments go on: as if a search had been made at the
    /// moment that the export shows. A server that tells another moment than it shows (the end of
    /// the export) is taken by the job's beginning.
    pub(crate) fn mark(
        &self,
        latest: Option<DateTime<Utc>>,
        shows: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<StampMark> {
        let read_at = shows.map_or(self.begun, |shows| shows.min(self.begun));
        let read_at = read_at.min(now);
        Some(StampMark::read(latest?.min(read_at), read_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_625_000_000 + second, 0).unwrap()
    }

    #[test]
    fn increments_begin_at_what_the_export_shows_and_never_behind_it() {
        let job = ExportJob {
            status: String::new(),
            begun: at(100),
            stage: ExportStage::Waiting(Waiting::default()),
        };
        let mark = |latest, shows, now| job.mark(Some(at(latest)), shows, at(now)).unwrap();
        assert_eq!(
            mark(50, Some(at(100)), 900),
            StampMark::read(at(50), at(100))
        );
        assert_eq!(
            mark(50, Some(at(40)), 900),
            StampMark::read(at(40), at(40)),
            "an export of last night"
        );
        assert_eq!(
            mark(500, Some(at(800)), 900),
            StampMark::read(at(100), at(100)),
            "the moment of the export's end"
        );
        assert_eq!(mark(50, None, 900), StampMark::read(at(50), at(100)));
        assert_eq!(
            mark(99, Some(at(99)), 30),
            StampMark::read(at(30), at(30)),
            "a server whose clock is ahead"
        );
        assert!(job.mark(None, Some(at(100)), at(900)).is_none());
    }

    #[test]
    fn the_form_of_stored_positions_stays() {
        for stored in [
            r#"{"lost":0,"job":null}"#,
            r#"{"lost":1,"job":{"status":"/s?1","begun":"2021-07-01T10:00:00Z","stage":{"waiting":{"polls":2,"left_ms":5,"waited_ms":9}}}}"#,
            r#"{"lost":0,"job":{"status":"/s","begun":"2021-07-01T10:00:00Z","stage":{"reading":{"list":7,"file":1,"line":2,"entry":0,"pages":3,"latest":null}}}}"#,
            r#"{"lost":0,"job":{"status":"/s","begun":"2021-07-01T10:00:00Z","stage":{"read":null}}}"#,
        ] {
            let run: ExportRun = serde_json::from_str(stored).unwrap();
            assert_eq!(serde_json::to_string(&run).unwrap(), stored);
        }
    }
}
