//! Audit log of the portal: where it is, a command between its two lines, and a line of each hour's
//! requests in numbers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit::{AuditError, append_shared};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use clock::Clock;
use parking_lot::Mutex;
use program::Failure;
use program::audit_log::{AuditedCommand, failure, look};
use serde::Serialize;
use telemetry::HealthPart;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::config_file::LoadedConfig;
use crate::portal::CityPortal;
use crate::tally::RequestTally;

/// Event of a line of requests.
const HOUR: &str = "hour";

/// Pause between two looks whether an hour has ended.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Folder of the log; `None` where none is kept.
pub(super) fn folder(loaded: &LoadedConfig) -> Option<PathBuf> {
    let audit = loaded.config.audit.as_ref()?;
    Some(loaded.base.join(&audit.folder))
}

/// Does a command between its two lines of the log.
pub(super) async fn audited(
    name: &'static str,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
    work: impl AsyncFnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let command = AuditedCommand {
        folder: folder(loaded),
        name: Some(name),
        clock,
    };
    command.run(async |_| work().await).await
}

/// Looks at the log for `check`: a sentence on it.
pub(super) fn check(loaded: &LoadedConfig) -> Result<String, Failure> {
    match folder(loaded) {
        Some(folder) => look(&folder),
        None => Ok("no audit log is kept, as there is no [audit]".to_owned()),
    }
}

/// Details of a line of requests.
#[derive(Serialize)]
struct HourDetails<'a> {
    /// Id of the process, as the lines of its start and end have it.
    process: u32,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    requests: &'a RequestTally,
}

/// Writer of the lines of requests. What could not be written is kept, and stands in a later line.
pub(super) struct RequestLines {
    folder: PathBuf,
    from: DateTime<Utc>,
    unwritten: RequestTally,
    is_failing: bool,
}

impl RequestLines {
    /// Writer that counts from now on.
    pub(super) fn new(folder: PathBuf, now: DateTime<Utc>) -> Self {
        Self {
            folder,
            from: now,
            unwritten: RequestTally::default(),
            is_failing: false,
        }
    }

    /// Writes what was counted where an hour has ended since the last line, or that line failed.
    ///
    /// # Errors
    /// [`AuditError`]; what was not written is kept.
    pub(super) fn step(
        &mut self,
        counted: RequestTally,
        now: DateTime<Utc>,
    ) -> Result<(), AuditError> {
        self.unwritten.add(counted);
        match self.is_failing || hour_of(now) != hour_of(self.from) {
            true => self.write(now),
            false => Ok(()),
        }
    }

    /// Writes the last line, of what was counted until now.
    ///
    /// # Errors
    /// [`Failure`]: it could not be written.
    pub(super) fn finish(
        &mut self,
        counted: RequestTally,
        now: DateTime<Utc>,
    ) -> Result<(), Failure> {
        self.unwritten.add(counted);
        let written = self.write(now);
        written.map_err(|error| {
            failure(&error).after("the last requests were answered, and are not written down")
        })
    }

    /// Writes what was counted, if anything was.
    fn write(&mut self, now: DateTime<Utc>) -> Result<(), AuditError> {
        if !self.unwritten.is_empty() {
            let details = HourDetails {
                process: std::process::id(),
                from: self.from,
                until: now,
                requests: &self.unwritten,
            };
            let written = append_shared(&self.folder, now, HOUR, &details);
            self.is_failing = written.is_err();
            written?;
        }
        self.unwritten = RequestTally::default();
        self.from = now;
        Ok(())
    }
}

fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time)
}

/// Writes a line of requests after each hour, until `stop` is cancelled.
pub(super) async fn write_hours(
    lines: Arc<Mutex<RequestLines>>,
    portal: Arc<CityPortal>,
    health: HealthPart,
    stop: CancellationToken,
) {
    let mut was_failing = false;
    health.set_ready();
    while !stop.is_cancelled() {
        let now = portal.clock.now();
        let counted = portal.take_tally();
        let writer = Arc::clone(&lines);
        // A disk that is slow keeps no citizen waiting.
        let stepped = spawn_blocking(move || writer.lock().step(counted, now)).await;
        match stepped {
            Ok(Err(error)) => {
                if !was_failing {
                    let event = "audit-failed";
                    tracing::warn!(event, %error, "requests are counted in memory meanwhile");
                }
                health.set_unready(error.to_string());
                was_failing = true;
            }
            Ok(Ok(())) if was_failing => {
                tracing::info!(
                    event = "audit-written-again",
                    "the audit log can be written"
                );
                health.set_ready();
                was_failing = false;
            }
            // The second is the end of the program.
            Ok(Ok(())) | Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use audit::verify;

    use super::*;
    use crate::outcome::RequestOutcome;
    use crate::route_names::{CODES, STATUS};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn one(route: &'static str) -> RequestTally {
        let mut tally = RequestTally::default();
        tally.count(route, RequestOutcome::Answered);
        tally
    }

    fn details(folder: &tempfile::TempDir) -> Vec<serde_json::Value> {
        let path = folder.path().join("audit/audit-2026-12.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = |line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            assert_eq!(line["event"], HOUR);
            line["details"].clone()
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn an_hour_has_one_line_and_an_empty_hour_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = at("2026-12-04T12:10:00Z");
        let mut lines = RequestLines::new(folder.path().join("audit"), start);
        let mut step = |tally, time| lines.step(tally, at(time)).expect("it can be written");
        step(one(STATUS), "2026-12-04T12:20:00Z");
        step(one(STATUS), "2026-12-04T12:59:59Z");
        assert_eq!(details(&folder).len(), 0);
        step(one(CODES), "2026-12-04T13:00:05Z");
        step(RequestTally::default(), "2026-12-04T14:00:05Z");
        step(one(CODES), "2026-12-04T14:30:00Z");
        let last = lines.finish(one(CODES), at("2026-12-04T14:40:00Z"));
        last.expect("it can be written");
        let details = details(&folder);
        assert_eq!(details.len(), 2, "{details:?}");
        assert_eq!(details[0]["from"], "2026-12-04T12:10:00Z");
        assert_eq!(details[0]["until"], "2026-12-04T13:00:05Z");
        assert_eq!(details[0]["requests"][STATUS]["answered"], 2);
        assert_eq!(details[0]["requests"][CODES]["answered"], 1);
        assert_eq!(details[1]["from"], "2026-12-04T14:00:05Z");
        assert_eq!(details[1]["requests"][CODES]["answered"], 2);
        verify(&folder.path().join("audit"), None).expect("the log is whole");
    }

    #[test]
    fn what_cannot_be_written_is_kept_and_written_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("audit");
        fs::write(&log, "a file in the way").expect("a file");
        let mut lines = RequestLines::new(log.clone(), at("2026-12-04T12:10:00Z"));
        let failed = lines.step(one(STATUS), at("2026-12-04T13:00:00Z"));
        failed.expect_err("the file is in the way");
        fs::remove_file(&log).expect("it is in the way no more");
        let written = lines.step(one(STATUS), at("2026-12-04T13:00:10Z"));
        written.expect("it can be written");
        let details = details(&folder);
        assert_eq!(details.len(), 1, "{details:?}");
        assert_eq!(details[0]["from"], "2026-12-04T12:10:00Z");
        assert_eq!(details[0]["requests"][STATUS]["answered"], 2);
    }
}
