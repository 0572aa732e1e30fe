//! Parts that measurements of running programs share: the servers, and a changed line of a
//! configuration.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::Clock;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use super::child::Background;
use super::programs::{Place, Programs};
use crate::error::Error;

/// Seconds between two runs of a source whose schedule nobody has set (`Schedule::default` of the
/// gateway).
pub(super) const DEFAULT_INTERVAL_SECONDS: u64 = 60;
/// Interval between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The tables are made by the first consumer.
const FACTS: &str = "SELECT to_regclass('fact') IS NOT NULL AS there \\gset
\\if :there
SELECT count(*) FROM fact;
\\else
SELECT 0;
\\endif";

/// Servers and programs of a measurement. The broker's queues are empty when it begins, and when it
/// has ended well.
#[derive(Clone, Copy)]
pub(super) struct Stage<'a> {
    /// Notes the moment of every commit (`track_commit_timestamp`).
    pub postgres: &'a Postgres,
    /// The broker between both programs.
    pub rabbitmq: &'a RabbitMq,
    /// The programs, and where their keys are.
    pub programs: &'a Programs,
    /// The machine's.
    pub clock: &'a dyn Clock,
    /// The folder the programs were set up in.
    pub folder: &'a Path,
}

/// A program that runs, with its name for messages.
pub(super) struct Running<'a>(pub &'a str, pub &'a mut Background);

/// Waits until a registry's database holds so many facts, while all programs go on running.
pub(super) async fn until_stored(
    postgres: &Postgres,
    clock: &dyn Clock,
    database: &str,
    (facts, limit): (u64, Duration),
    programs: &mut [Running<'_>],
) -> Result<(), Error> {
    let started = clock.elapsed();
    loop {
        for Running(name, program) in programs.iter_mut() {
            program.still_runs(name)?;
        }
        let stored = number(&postgres.psql(database, FACTS).await?)?;
        if stored >= facts {
            return Ok(());
        }
        if clock.elapsed().saturating_sub(started) > limit {
            let seconds = limit.as_secs();
            return Err(Error::WrongResult(format!(
                "after {seconds} s the registry holds {stored} of {facts} facts"
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until a gateway's outbox holds nothing that waits: everything was answered. Its last
/// status.
pub(super) async fn until_settled(
    at: &Stage<'_>,
    place: &Place,
    limit: Duration,
) -> Result<serde_json::Value, Error> {
    let started = at.clock.elapsed();
    loop {
        let status = at.programs.status(place, at.clock).await?["status"].take();
        if status["backlog"]["batches"].as_u64() == Some(0) {
            return Ok(status);
        }
        if at.clock.elapsed().saturating_sub(started) > limit {
            let backlog = &status["backlog"];
            let what = format!(
                "after {} s a gateway still waits for answers: {backlog}",
                limit.as_secs()
            );
            return Err(Error::WrongResult(what));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Puts other text in the place of a line of a configuration that is written.
pub(super) fn change_line(place: &Place, line: &str, replacement: &str) -> Result<(), Error> {
    let path = place.folder().join("config.toml");
    let text = fs::read_to_string(&path).map_err(Error::io("read a configuration"))?;
    let found = text.lines().filter(|standing| *standing == line).count();
    if found != 1 {
        return Err(Error::WrongResult(format!(
            "the configuration has {found} lines {line:?} instead of one"
        )));
    }
    let lines = text.lines().map(|standing| {
        if standing == line {
            replacement
        } else {
            standing
        }
    });
    let changed = lines.collect::<Vec<_>>().join("\n") + "\n";
    fs::write(path, changed).map_err(Error::io("change a configuration"))
}

/// A whole number that psql printed.
pub(super) fn number(text: &str) -> Result<u64, Error> {
    text.trim()
        .parse()
        .map_err(|_| Error::WrongResult(format!("psql printed {text:?} for a number")))
}

/// A moment that psql printed as microseconds since 1970.
pub(super) fn moment(text: &str) -> Result<DateTime<Utc>, Error> {
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
    fn numbers_and_moments_are_read_or_told() {
        assert_eq!(number("12\n").unwrap(), 12);
        assert_eq!(
            moment("1625119200000001").unwrap().timestamp_micros(),
            1_625_119_200_000_001
        );
        assert!(number("").is_err() && moment("yesterday").is_err());
    }
}
