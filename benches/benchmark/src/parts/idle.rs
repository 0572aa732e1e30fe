//! The part `idle`: cost of a gateway while nothing changes at its clinic: processor time on both
//! sides, statements, memory.

use std::time::Duration;

use serde_json::Value;

use crate::error::Error;
use crate::parts::table::{ColumnRow, columns};
use crate::parts::waiting::DEFAULT_INTERVAL_SECONDS;
use crate::processes::child::Background;
use crate::processes::config::ProgramFolder;
use crate::results::samples::{grouped, short};
use crate::results::{PartResult, single};
use crate::session::BenchSession;

/// Scheduled runs that an idle clinic is watched for.
const RUNS: u32 = 2;

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
struct IdleFigures {
    /// Records at the clinic.
    records: u64,
    /// Processor time of the gateway in that window, percent of a core.
    gateway_percent: f64,
    /// Processor time of the clinic's server beyond what it costs by itself, percent of a core.
    server_percent: f64,
    /// Statements sent to the clinic's database a minute.
    statements_a_minute: f64,
    /// Most memory the gateway held at once since its start, mebibytes.
    peak_mib: f64,
    /// Processor time of one sweep of all keys.
    sweep: SweepSeconds,
}

impl IdleFigures {
    /// Everything on the clinic's machine, with the nightly sweep spread over its day, percent of a
    /// core.
    fn percent_a_day(&self) -> f64 {
        let SweepSeconds { gateway, server } = self.sweep;
        self.gateway_percent + self.server_percent + 100.0 * (gateway + server) / SECONDS_A_DAY
    }
}

/// Processor time of a sweep, in seconds.
#[derive(Debug, Clone, Copy)]
struct SweepSeconds {
    gateway: f64,
    server: f64,
}

/// Measures the largest clinics, unchanged.
pub(crate) async fn measure(session: &BenchSession<'_>, result: &mut PartResult) {
    let mut measured = Vec::new();
    for records in session.idle_sizes() {
        match measure_size(session, records).await {
            Ok(idle) => measured.push(idle),
            Err(error) => {
                result.fail(&format!("{records} records"), &error);
                session.purge_queues().await;
            }
        }
    }
    note(&measured, result);
}

fn note(measured: &[IdleFigures], result: &mut PartResult) {
    if let Some(largest) = measured.last() {
        let single = &mut result.single;
        single.push(single::IDLE_RECORDS, largest.records as f64);
        let percent = largest.gateway_percent + largest.server_percent;
        single.push(single::IDLE_PERCENT, percent);
    }
    let rows: [ColumnRow<IdleFigures>; 8] = [
        ("scheduled runs watched", |_| RUNS.to_string()),
        ("gateway, % of a core", |of| short(of.gateway_percent)),
        (
            "clinic's server, beyond what it takes by itself, % of a core",
            |of| short(of.server_percent),
        ),
        ("statements a minute", |of| short(of.statements_a_minute)),
        ("gateway's peak memory, MiB", |of| short(of.peak_mib)),
        ("one sweep of all keys: gateway's processor time, s", |of| {
            short(of.sweep.gateway)
        }),
        ("one sweep of all keys: server's processor time, s", |of| {
            short(of.sweep.server)
        }),
        (
            "everything, a sweep every night with it, % of a core",
            |of| short(of.percent_a_day()),
        ),
    ];
    let head = measured
        .iter()
        .map(|of| format!("{} records", grouped(&of.records.to_string())));
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
}

/// Measures a clinic of this size, with the state that `growth` left, or else one of its own.
async fn measure_size(session: &BenchSession<'_>, records: u64) -> Result<IdleFigures, Error> {
    let clinic = session.clinic(records).await?;
    let synced = session.synced.borrow_mut().remove(&records);
    let gateway = match synced {
        Some(gateway) => gateway,
        None => {
            let gateway = session.gateway(&clinic, &format!("{records}-idle"), session.queue())?;
            session.programs.sync(&gateway).await?;
            session.purge_queues().await;
            gateway
        }
    };
    let measured = measure_gateway(session, &gateway, &clinic.database, records).await;
    session.remove(gateway)?;
    measured
}

/// Runs the daemon of a gateway that has synced its clinic, for [`RUNS`] runs of the default
/// schedule, unshortened; then one sweep. Nothing else may use the server meanwhile.
async fn measure_gateway(
    session: &BenchSession<'_>,
    gateway: &ProgramFolder,
    database: &str,
    records: u64,
) -> Result<IdleFigures, Error> {
    // The nightly sweep is measured by itself, not where the night happens to fall.
    let first = "[source.clinic.policy.codes]";
    let never = format!("[source.clinic.sweep]\nschedule = \"never\"\n{first}");
    gateway.change_line(first, &never)?;
    let log = format!("ALTER DATABASE \"{database}\" SET log_statement = 'all'");
    session.postgres.psql("postgres", &log).await?;
    let measured = measure_window(session, gateway, records).await;
    let reset = format!("ALTER DATABASE \"{database}\" RESET log_statement");
    session.postgres.psql("postgres", &reset).await?;
    measured
}

async fn measure_window(
    session: &BenchSession<'_>,
    gateway: &ProgramFolder,
    records: u64,
) -> Result<IdleFigures, Error> {
    session.wait_for_idle_servers().await?;
    let by_itself = session.postgres_seconds()?;
    tokio::time::sleep(BEFORE).await;
    let by_itself = (session.postgres_seconds()? - by_itself) / BEFORE.as_secs_f64();

    let mut daemon = session.programs.start_gateway(gateway)?;
    wait_for_first_run(session, &mut daemon).await?;
    // As many runs as whole intervals, wherever in an interval it begins.
    let window = Duration::from_secs(DEFAULT_INTERVAL_SECONDS) * RUNS;
    let before = look(session, &mut daemon)?;
    tokio::time::sleep(window).await;
    let after = look(session, &mut daemon)?;
    daemon.end().await?;
    let statements = after.statements.saturating_sub(before.statements);
    if statements == 0 {
        return Err(Error::WrongResult(
            "a daemon asked its clinic nothing in its scheduled runs".into(),
        ));
    }
    let seconds = window.as_secs_f64();
    Ok(IdleFigures {
        records,
        gateway_percent: 100.0 * (after.gateway_seconds - before.gateway_seconds) / seconds,
        server_percent: (100.0
            * ((after.server_seconds - before.server_seconds) / seconds - by_itself))
            .max(0.0),
        statements_a_minute: statements as f64 * 60.0 / seconds,
        peak_mib: after.peak_mib,
        sweep: sweep(session, gateway, records).await?,
    })
}

/// Figures of the gateway and the server at one moment.
struct Look {
    gateway_seconds: f64,
    peak_mib: f64,
    server_seconds: f64,
    statements: u64,
}

fn look(session: &BenchSession<'_>, daemon: &mut Background) -> Result<Look, Error> {
    daemon.check_running("clinic-gateway")?;
    let figures = daemon.figures().unwrap_or_default();
    Ok(Look {
        gateway_seconds: figures.processor_seconds,
        peak_mib: figures.peak_mib(),
        server_seconds: session.postgres_seconds()?,
        statements: statements(session)?,
    })
}

/// Waits until the run at the daemon's start has come and gone.
async fn wait_for_first_run(
    session: &BenchSession<'_>,
    daemon: &mut Background,
) -> Result<(), Error> {
    let started = session.clock.elapsed();
    let first = statements(session)?;
    let mut last = first;
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        daemon.check_running("clinic-gateway")?;
        let now = statements(session)?;
        quiet = if now > first && now == last {
            quiet + 1
        } else {
            0
        };
        last = now;
        if session.since(started) > FIRST_RUN {
            return Err(Error::WrongResult(
                "a daemon's first run of an unchanged clinic does not end".into(),
            ));
        }
    }
    Ok(())
}

/// Sweeps the unchanged clinic's keys once.
async fn sweep(
    session: &BenchSession<'_>,
    gateway: &ProgramFolder,
    records: u64,
) -> Result<SweepSeconds, Error> {
    let before = session.postgres_seconds()?;
    let (run, sources) = session.programs.sweep(gateway).await?;
    let feeds = sources[0]["feeds"].as_array().into_iter().flatten();
    let keys: u64 = feeds.filter_map(|feed: &Value| feed["keys"].as_u64()).sum();
    if keys != records {
        return Err(Error::WrongResult(format!(
            "a sweep went over {keys} of {records} keys"
        )));
    }
    Ok(SweepSeconds {
        gateway: run.figures.processor_seconds,
        server: session.postgres_seconds()? - before,
    })
}

/// Statements in the server's log so far.
fn statements(session: &BenchSession<'_>) -> Result<u64, Error> {
    let log =
        std::fs::read(session.postgres.log_file()).map_err(Error::io("read PostgreSQL's log"))?;
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
        let idle = IdleFigures {
            records: 1,
            gateway_percent: 0.25,
            server_percent: 0.25,
            statements_a_minute: 6.0,
            peak_mib: 40.0,
            sweep: SweepSeconds {
                gateway: 400.0,
                server: 464.0,
            },
        };
        assert!((idle.percent_a_day() - 1.5).abs() < 1e-9);
    }
}
