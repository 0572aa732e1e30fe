//! Lines of the audit log: starts, stops, keys, clients, counts; never an element.

mod changes;
mod tally;

use std::sync::atomic::{AtomicBool, Ordering};

use audit::{AuditError, Log};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;

pub(crate) use changes::record_changes;
use tally::{Tallies, Tally};

use crate::refusal::Refusal;

/// Recorder of the service. Counting is done in memory; writing waits for the disk.
#[derive(Debug)]
pub(crate) struct Recorder {
    log: Mutex<Log>,
    tallies: Mutex<Tallies>,
    /// Names of the clients, in the order of the configuration.
    names: Vec<String>,
    is_failing: AtomicBool,
}

/// Line of what a client did in an hour or a part of one.
#[derive(Serialize)]
struct HourDetails<'a> {
    /// `None`: whoever showed a certificate that no client has.
    client: Option<&'a str>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    #[serde(flatten)]
    tally: &'a Tally,
}

impl Recorder {
    /// Takes the open log, and counts from now on.
    pub(crate) fn new(log: Log, names: Vec<String>, now: DateTime<Utc>) -> Self {
        Self {
            log: Mutex::new(log),
            tallies: Mutex::new(Tallies::new(names.len(), now)),
            names,
            is_failing: AtomicBool::new(false),
        }
    }

    /// Returns whether the last line could not be written; nothing is evaluated meanwhile.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Counts evaluated elements of a client.
    pub(crate) fn evaluated(&self, client: usize, elements: u64) {
        self.tallies.lock().of(Some(client)).evaluated(elements);
    }

    /// Counts a refusal; `None` where no client of the configuration was known.
    pub(crate) fn refused(&self, client: Option<usize>, refusal: Refusal) {
        self.tallies.lock().of(client).refused(refusal);
    }

    /// Writes the tallies where an hour has ended since they were written, or the log failed.
    ///
    /// # Errors
    /// [`AuditError`]; what was not written is kept.
    pub(crate) fn step(&self, now: DateTime<Utc>) -> Result<(), AuditError> {
        if self.is_failing() {
            self.line(now, "written-again", &json!({}))?;
            return self.flush(now);
        }
        let begun = hour_of(self.tallies.lock().from());
        if hour_of(now) == begun {
            return Ok(());
        }
        self.flush(now)
    }

    /// Writes that a client has reached its ceiling, and what it did until now.
    pub(crate) fn ceiling_reached(
        &self,
        client: usize,
        ceiling: u32,
        now: DateTime<Utc>,
    ) -> Result<(), AuditError> {
        self.flush(now)?;
        let details = json!({ "client": self.names[client], "daily_ceiling": ceiling });
        self.line(now, "ceiling-reached", &details)
    }

    /// Writes one line.
    pub(crate) fn line(
        &self,
        now: DateTime<Utc>,
        event: &str,
        details: &impl Serialize,
    ) -> Result<(), AuditError> {
        let written = self.log.lock().append(now, event, details);
        self.is_failing.store(written.is_err(), Ordering::Relaxed);
        written.map(drop)
    }

    /// Writes all tallies, each as a line, and begins new ones.
    pub(crate) fn flush(&self, now: DateTime<Utc>) -> Result<(), AuditError> {
        let (from, taken) = self.tallies.lock().take(now);
        let mut left = taken.into_iter();
        while let Some((client, tally)) = left.next() {
            let details = HourDetails {
                client: client.map(|client| self.names[client].as_str()),
                from,
                until: now,
                tally: &tally,
            };
            if let Err(error) = self.line(now, "hour", &details) {
                let unwritten = std::iter::once((client, tally)).chain(left);
                self.tallies.lock().put_back(from, unwritten);
                return Err(error);
            }
        }
        Ok(())
    }
}

fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time)
}
