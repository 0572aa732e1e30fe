//! Waiting for running programs, and reading what psql prints.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use testbed::postgres::Postgres;

use crate::error::Error;
use crate::processes::child::Background;
use crate::processes::config::ProgramFolder;
use crate::session::BenchSession;

/// Seconds between two runs of a source whose schedule nobody has set (`Schedule::default` of the
/// gateway).
pub(crate) const DEFAULT_INTERVAL_SECONDS: u64 = 60;
/// Interval between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Number of facts at the registry; the tables are made by the first consumer.
const FACTS: &str = "SELECT to_regclass('fact') IS NOT NULL AS there \\gset
\\if :there
SELECT count(*) FROM fact;
\\else
SELECT 0;
\\endif";
/// Moment of the last commit of a fact, in microseconds since 1970.
const LAST_COMMIT: &str =
    "SELECT (extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) * 1000000)::bigint FROM fact";

/// A program that runs, with its name for errors.
pub(crate) struct NamedProgram<'a>(pub &'a str, pub &'a mut Background);

/// Facts that a registry's database must hold in time.
pub(crate) struct StoredFacts<'a> {
    /// Server of the database.
    pub postgres: &'a Postgres,
    /// Name of the database.
    pub database: &'a str,
    /// Number of facts.
    pub facts: u64,
    /// Longest wait for them.
    pub limit: Duration,
}

/// Waits until a registry's database holds so many facts, while all programs go on running.
pub(crate) async fn wait_until_stored(
    session: &BenchSession<'_>,
    stored: StoredFacts<'_>,
    programs: &mut [NamedProgram<'_>],
) -> Result<(), Error> {
    let StoredFacts {
        postgres,
        database,
        facts,
        limit,
    } = stored;
    let started = session.clock.elapsed();
    loop {
        for NamedProgram(name, program) in programs.iter_mut() {
            program.check_running(name)?;
        }
        let found = number(&postgres.psql(database, FACTS).await?)?;
        if found >= facts {
            return Ok(());
        }
        if session.since(started) > limit {
            let seconds = limit.as_secs();
            return Err(Error::WrongResult(format!(
                "after {seconds} s the registry holds {found} of {facts} facts"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until no batch waits in a gateway's outbox: everything was answered.
pub(crate) async fn wait_until_settled(
    session: &BenchSession<'_>,
    gateway: &ProgramFolder,
    limit: Duration,
) -> Result<(), Error> {
    let started = session.clock.elapsed();
    loop {
        let status: Value = session.programs.status(gateway).await?;
        let backlog = &status["backlog"];
        if backlog["batches"].as_u64() == Some(0) {
            return Ok(());
        }
        if session.since(started) > limit {
            let seconds = limit.as_secs();
            return Err(Error::WrongResult(format!(
                "after {seconds} s a gateway still waits for answers: {backlog}"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Moment at which the last fact of a registry was committed.
pub(crate) async fn last_commit(
    postgres: &Postgres,
    database: &str,
) -> Result<DateTime<Utc>, Error> {
    moment(&postgres.psql(database, LAST_COMMIT).await?)
}

/// Reads a whole number that psql printed.
pub(crate) fn number(text: &str) -> Result<u64, Error> {
    text.trim()
        .parse()
        .map_err(|_| Error::WrongResult(format!("psql printed {text:?} for a number")))
}

/// Reads a moment that psql printed as microseconds since 1970.
pub(crate) fn moment(text: &str) -> Result<DateTime<Utc>, Error> {
    let read = text
        .trim()
        .parse()
        .ok()
        .and_then(DateTime::from_timestamp_micros);
    read.ok_or_else(|| Error::WrongResult(format!("psql printed {text:?} for a moment")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_moments_are_read_or_refused() {
        assert_eq!(number("12\n").unwrap(), 12);
        assert_eq!(
            moment("1625119200000001").unwrap().timestamp_micros(),
            1_625_119_200_000_001
        );
        assert!(number("").is_err() && moment("yesterday").is_err());
    }
}
