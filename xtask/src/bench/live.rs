//! What measurements of running programs share: the servers, a changed line of a configuration, and processor time.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::Clock;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use super::child::{Background, TICKS_A_SECOND};
use super::programs::{Place, Programs};
use crate::error::Error;

/// Seconds between two runs of a source whose schedule nobody has set (`Schedule::default` of the gateway).
pub const DEFAULT_INTERVAL_SECONDS: u64 = 60;
/// How often something is looked at that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The tables are made by the first consumer.
const FACTS: &str = "SELECT to_regclass('fact') IS NOT NULL AS there \\gset
\\if :there
SELECT count(*) FROM fact;
\\else
SELECT 0;
\\endif";

/// What a measurement works with. The broker's queues are empty when it begins, and when it has ended well.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
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
pub struct Running<'a>(pub &'a str, pub &'a mut Background);

/// Waits until a registry's database holds so many facts, while all programs go on running.
pub async fn until_stored(
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

/// Waits until a gateway's outbox holds nothing that waits: everything was answered. Its last status.
pub async fn until_settled(
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
            let what = format!("after {} s a gateway still waits for answers: {backlog}", limit.as_secs());
            return Err(Error::WrongResult(what));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Puts other text in the place of a line of a configuration that is written.
pub fn change_line(place: &Place, line: &str, replacement: &str) -> Result<(), Error> {
    let path = place.folder().join("config.toml");
    let text = fs::read_to_string(&path).map_err(Error::io("read a configuration"))?;
    let found = text.lines().filter(|standing| *standing == line).count();
    if found != 1 {
        return Err(Error::WrongResult(format!(
            "the configuration has {found} lines {line:?} instead of one"
        )));
    }
    let lines = text.lines().map(|standing| if standing == line { replacement } else { standing });
    let changed = lines.collect::<Vec<_>>().join("\n") + "\n";
    fs::write(path, changed).map_err(Error::io("change a configuration"))
}

/// A whole number that psql printed.
pub fn number(text: &str) -> Result<u64, Error> {
    text.trim().parse().map_err(|_| Error::WrongResult(format!("psql printed {text:?} for a number")))
}

/// A moment that psql printed as microseconds since 1970.
pub fn moment(text: &str) -> Result<DateTime<Utc>, Error> {
    let read = text.trim().parse().ok().and_then(DateTime::from_timestamp_micros);
    read.ok_or_else(|| Error::WrongResult(format!("psql printed {text:?} for a moment")))
}

/// Processor time of a server's process and all its children so far, ended ones included, in seconds.
pub fn processor_seconds_of_all(process: u32) -> Result<f64, Error> {
    let refused = || Error::io("look into /proc");
    let own = fs::read_to_string(format!("/proc/{process}/stat")).map_err(refused())?;
    let mut seconds = ticks(&own, 4).unwrap_or_default();
    for entry in fs::read_dir("/proc").map_err(refused())? {
        let name = entry.map_err(refused())?.file_name();
        if !name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // It may have ended since it was listed; its time is then its parent's, at the next look.
        let stat = fs::read_to_string(Path::new("/proc").join(name).join("stat")).unwrap_or_default();
        if parent(&stat) == Some(process) {
            seconds += ticks(&stat, 2).unwrap_or_default();
        }
    }
    Ok(seconds)
}

/// The same of the server with this name, which may have ended.
pub fn server_seconds(name: &str, process: Option<u32>) -> Result<f64, Error> {
    processor_seconds_of_all(process.ok_or_else(|| Error::WrongResult(format!("{name} has ended")))?)
}

/// The first so many of utime, stime, cutime and cstime of `/proc/PID/stat`, in seconds.
fn ticks(stat: &str, fields: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let ticks = rest.split(' ').skip(11).take(fields).map(|field| field.parse::<u32>().ok());
    Some(f64::from(ticks.sum::<Option<u32>>()?) / TICKS_A_SECOND)
}

fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_and_of_its_ended_children_is_read() {
        let stat = "7 (a) b) S 41 7 7 0 -1 4194560 900 0 0 0 150 25 300 25 20 0 3 0 5 6 7";
        assert_eq!((ticks(stat, 2), ticks(stat, 4), parent(stat)), (Some(1.75), Some(5.0), Some(41)));
        assert_eq!((ticks("", 2), parent("")), (None, None));
    }

    #[test]
    fn numbers_and_moments_are_read_or_told() {
        assert_eq!(number("12\n").unwrap(), 12);
        assert_eq!(moment("1625119200000001").unwrap().timestamp_micros(), 1_625_119_200_000_001);
        assert!(number("").is_err() && moment("yesterday").is_err());
    }
}
