//! Cost of a gateway while nothing changes at its clinic: processor time on both sides, statements,
//! memory.

use std::time::Duration;

use serde_json::Value;

use super::child::Background;
use super::live::{DEFAULT_INTERVAL_SECONDS, Stage, change_line};
use super::programs::Place;
use crate::error::Error;
use crate::processes::server_seconds;
use crate::rest;

/// Time for which the server alone is measured before the gateway starts.
const BEFORE: Duration = Duration::from_secs(20);
/// Interval between two looks at the server's log until the first run has ended, and number of
/// quiet looks that end it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const QUIET_LOOKS: u32 = 3;
/// The first run of a daemon must have ended by then.
const FIRST_RUN: Duration = Duration::from_secs(300);
const SECONDS_A_DAY: f64 = 86_400.0;

/// An unchanged clinic under the default schedule.
#[derive(Debug, Clone)]
pub(super) struct Idle {
    /// Records at the clinic.
    pub records: u64,
    /// Scheduled runs in the window that was measured.
    pub runs: u32,
    /// Processor time of the gateway in that window, percent of a core.
    pub gateway_percent: f64,
    /// Processor time of the clinic's server beyond what it costs by itself, percent of a core.
    pub server_percent: f64,
    /// Statements sent to the clinic's database a minute.
    pub statements_a_minute: f64,
    /// Most memory the gateway held at once since its start, mebibytes.
    pub peak_mib: f64,
    /// Processor time of one sweep of all keys, seconds: the gateway's and the server's.
    pub sweep_seconds: (f64, f64),
}

impl Idle {
    /// Everything on the clinic's machine, with the nightly sweep spread over its day, percent of a
    /// core.
    pub(super) fn percent_a_day(&self) -> f64 {
        let (gateway, server) = self.sweep_seconds;
        self.gateway_percent + self.server_percent + 100.0 * (gateway + server) / SECONDS_A_DAY
    }
}

/// Runs the daemon of a gateway that has synced its clinic, for so many runs of the default
/// schedule, unshortened; then one sweep. Nothing else may use the server meanwhile.
pub(super) async fn measure(
    at: &Stage<'_>,
    gateway: &Place,
    database: &str,
    records: u64,
    runs: u32,
) -> Result<Idle, Error> {
    // The nightly sweep is measured by itself, not where the night happens to fall.
    let first = "[source.clinic.policy.codes]";
    change_line(
        gateway,
        first,
        &format!("[source.clinic.sweep]\nschedule = \"never\"\n{first}"),
    )?;
    at.postgres
        .psql(
            "postgres",
            &format!("ALTER DATABASE \"{database}\" SET log_statement = 'all'"),
        )
        .await?;
    let measured = within(at, gateway, records, runs).await;
    at.postgres
        .psql(
            "postgres",
            &format!("ALTER DATABASE \"{database}\" RESET log_statement"),
        )
        .await?;
    measured
}

async fn within(at: &Stage<'_>, gateway: &Place, records: u64, runs: u32) -> Result<Idle, Error> {
    rest::until_at_rest(at.postgres, at.rabbitmq, at.clock).await?;
    let by_itself = postgres_seconds(at)?;
    tokio::time::sleep(BEFORE).await;
    let by_itself = (postgres_seconds(at)? - by_itself) / BEFORE.as_secs_f64();

    let mut daemon = at.programs.daemon(gateway)?;
    until_quiet(at, &mut daemon).await?;
    // As many runs as whole intervals, wherever in an interval it begins.
    let window = Duration::from_secs(DEFAULT_INTERVAL_SECONDS) * runs;
    let before = look(at, &mut daemon)?;
    tokio::time::sleep(window).await;
    let after = look(at, &mut daemon)?;
    daemon.end().await?;
    let statements = after.statements.saturating_sub(before.statements);
    if statements == 0 {
        return Err(Error::WrongResult(
            "a daemon asked its clinic nothing in its scheduled runs".into(),
        ));
    }
    let seconds = window.as_secs_f64();
    Ok(Idle {
        records,
        runs,
        gateway_percent: 100.0 * (after.gateway_seconds - before.gateway_seconds) / seconds,
        server_percent: (100.0
            * ((after.server_seconds - before.server_seconds) / seconds - by_itself))
            .max(0.0),
        statements_a_minute: statements as f64 * 60.0 / seconds,
        peak_mib: after.peak_bytes as f64 / f64::from(1 << 20),
        sweep_seconds: sweep(at, gateway, records).await?,
    })
}

/// Figures of the gateway and the server at one moment.
struct Look {
    gateway_seconds: f64,
    peak_bytes: u64,
    server_seconds: f64,
    statements: u64,
}

fn look(at: &Stage<'_>, daemon: &mut Background) -> Result<Look, Error> {
    daemon.still_runs("clinic-gateway")?;
    let seen = daemon.seen().unwrap_or_default();
    Ok(Look {
        gateway_seconds: seen.processor_seconds,
        peak_bytes: seen.peak_bytes,
        server_seconds: postgres_seconds(at)?,
        statements: statements(at)?,
    })
}

/// Waits until the run at the daemon's start has come and gone.
async fn until_quiet(at: &Stage<'_>, daemon: &mut Background) -> Result<(), Error> {
    let started = at.clock.elapsed();
    let first = statements(at)?;
    let mut last = first;
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        daemon.still_runs("clinic-gateway")?;
        let now = statements(at)?;
        quiet = if now > first && now == last {
            quiet + 1
        } else {
            0
        };
        last = now;
        if at.clock.elapsed().saturating_sub(started) > FIRST_RUN {
            return Err(Error::WrongResult(
                "a daemon's first run of an unchanged clinic does not end".into(),
            ));
        }
    }
    Ok(())
}

/// Sweeps the unchanged clinic's keys once: processor seconds of the gateway and of the server.
async fn sweep(at: &Stage<'_>, gateway: &Place, records: u64) -> Result<(f64, f64), Error> {
    let before = postgres_seconds(at)?;
    let (run, sources) = at.programs.sweep(gateway, at.clock).await?;
    let feeds = sources[0]["feeds"].as_array().into_iter().flatten();
    let keys: u64 = feeds.filter_map(|feed: &Value| feed["keys"].as_u64()).sum();
    if keys != records {
        return Err(Error::WrongResult(format!(
            "a sweep went over {keys} of {records} keys"
        )));
    }
    Ok((run.processor_seconds, postgres_seconds(at)? - before))
}

fn postgres_seconds(at: &Stage<'_>) -> Result<f64, Error> {
    server_seconds("PostgreSQL", at.postgres.process_id())
}

/// Statements in the server's log so far.
fn statements(at: &Stage<'_>) -> Result<u64, Error> {
    let log = std::fs::read(at.postgres.log_file()).map_err(Error::io("read PostgreSQL's log"))?;
    Ok(count_statements(&String::from_utf8_lossy(&log)))
}

/// A statement's further lines begin with a tab, and its parameters with DETAIL.
fn count_statements(log: &str) -> u64 {
    log.lines()
        .filter(|line| line.contains("LOG:  execute ") || line.contains("LOG:  statement: "))
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_once_each() {
        let log = "2026-01-01 UTC [7] LOG:  statement: BEGIN READ ONLY; SET LOCAL x = 1; \n\
            2026-01-01 UTC [7] LOG:  execute s1: SELECT *\n\tFROM t\n\
            2026-01-01 UTC [7] DETAIL:  parameters: $1 = 'LOG'\n\
            2026-01-01 UTC [8] LOG:  checkpoint complete\n";
        assert_eq!(count_statements(log), 2);
    }

    #[test]
    fn the_nightly_sweep_is_spread_over_its_day() {
        let idle = Idle {
            records: 1,
            runs: 2,
            gateway_percent: 0.25,
            server_percent: 0.25,
            statements_a_minute: 6.0,
            peak_mib: 40.0,
            sweep_seconds: (400.0, 464.0),
        };
        assert!((idle.percent_a_day() - 1.5).abs() < 1e-9);
    }
}
