//! The part `latency`: time that a single fact takes from its commit at the clinic to its commit at
//! the registry, while facts keep coming.

mod facts;
mod timings;

use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::clinics::{INDEXES, SCHEMA};
use crate::error::Error;
use crate::parts::table::{ColumnRow, columns};
use crate::parts::waiting::{
    DEFAULT_INTERVAL_SECONDS, NamedProgram, StoredFacts, wait_until_stored,
};
use crate::processes::config::{ClinicServer, ProgramFolder};
use crate::results::samples::{grouped, short};
use crate::results::{PartResult, single};
use crate::session::BenchSession;
use facts::FactRate;
use timings::Timings;

/// Facts that are written while latency is measured.
const RATE: FactRate = FactRate {
    facts_per_second: 1000,
    seconds: 60,
};
/// The statement trigger that an administrator who allows listening installs.
const NOTIFY: &str = "CREATE FUNCTION mis.tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NOTIFY facts; RETURN NULL; END $$;
    CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON mis.vaccination
        FOR EACH STATEMENT EXECUTE FUNCTION mis.tell();
    CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON mis.test
        FOR EACH STATEMENT EXECUTE FUNCTION mis.tell();";
/// Longest time that a listening gateway may take for a fact that comes alone: far less than its
/// schedule's interval.
const NOTIFIED_WITHIN: Duration = Duration::from_secs(30);
/// Time between two scheduled runs of a source.
const INTERVAL: Duration = Duration::from_secs(DEFAULT_INTERVAL_SECONDS);

/// Way in which the gateway learns of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FactNotice {
    /// The source's `listen` is set, and a trigger notifies; the schedule is the default one.
    Listening,
    /// By the default schedule alone.
    Polling,
}

/// Latencies from commit to commit, of every single fact.
#[derive(Debug, Clone)]
struct Latency {
    notice: FactNotice,
    facts: u64,
    /// Number of facts that the clinic really committed a second.
    achieved_per_second: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Processor time of the gateway, percent of a core, while facts came.
    gateway_percent: f64,
    /// Most memory the gateway held at once, in MiB.
    gateway_peak_mib: f64,
}

impl Latency {
    fn of(
        notice: FactNotice,
        timings: &Timings,
        gateway_seconds: f64,
        gateway_peak_mib: f64,
    ) -> Self {
        let wrote_for = timings.wrote_for.as_secs_f64();
        Self {
            notice,
            facts: RATE.facts(),
            achieved_per_second: RATE.facts() as f64 / wrote_for,
            p50_ms: timings.quantile(50),
            p90_ms: timings.quantile(90),
            p99_ms: timings.quantile(99),
            max_ms: timings.quantile(100),
            gateway_percent: 100.0 * gateway_seconds / wrote_for,
            gateway_peak_mib,
        }
    }
}

/// Measures a listening source, and one that is read by the default schedule.
pub(crate) async fn measure(session: &BenchSession<'_>, result: &mut PartResult) {
    let mut measured = Vec::new();
    for notice in [FactNotice::Listening, FactNotice::Polling] {
        match measure_notice(session, notice).await {
            Ok(latency) => measured.push(latency),
            Err(error) => {
                result.fail(&format!("{notice:?}"), &error);
                session.purge_queues().await;
            }
        }
    }
    note(&measured, result);
}

fn note(measured: &[Latency], result: &mut PartResult) {
    for latency in measured {
        result
            .single
            .push(single::INTERVAL, DEFAULT_INTERVAL_SECONDS as f64 * 1000.0);
        match latency.notice {
            FactNotice::Listening => result.single.push(single::LATENCY_P99, latency.p99_ms),
            FactNotice::Polling => result.single.push(single::POLLED_MAX, latency.max_ms),
        }
    }
    let rows: [ColumnRow<Latency>; 8] = [
        ("facts", |of| grouped(&of.facts.to_string())),
        ("committed at the clinic, facts/s", |of| {
            short(of.achieved_per_second)
        }),
        ("half of them within, ms", |of| short(of.p50_ms)),
        ("9 of 10 within, ms", |of| short(of.p90_ms)),
        ("**99 of 100 within, ms**", |of| short(of.p99_ms)),
        ("all within, ms", |of| short(of.max_ms)),
        ("gateway's processor time, % of a core", |of| {
            short(of.gateway_percent)
        }),
        ("gateway's peak memory, MiB", |of| {
            short(of.gateway_peak_mib)
        }),
    ];
    let head = measured.iter().map(|latency| match latency.notice {
        FactNotice::Listening => "listening source".to_owned(),
        FactNotice::Polling => format!("polled every {DEFAULT_INTERVAL_SECONDS} s"),
    });
    result.table = columns(head, &rows, &measured.iter().collect::<Vec<_>>());
}

/// A clinic and a registry on the same server, with the programs between them.
struct Setup {
    clinic_database: String,
    clinic_url: String,
    registry_database: String,
    gateway: ProgramFolder,
    registry: ProgramFolder,
}

/// Writes facts at the steady rate into a clinic, one a transaction, and times each.
async fn measure_notice(session: &BenchSession<'_>, notice: FactNotice) -> Result<Latency, Error> {
    let setup = set_up(session, notice).await?;
    let mut consumer = session.programs.start_registry(&setup.registry)?;
    let mut daemon = session.programs.start_gateway(&setup.gateway)?;
    let running = &mut [
        NamedProgram("city-registry", &mut consumer),
        NamedProgram("clinic-gateway", &mut daemon),
    ];
    let uncounted = warm_up(session, &setup, notice, running).await?;

    let figures = |running: &[NamedProgram<'_>]| running[1].1.figures().unwrap_or_default();
    let before = figures(running);
    facts::insert_all(session, &setup.clinic_url, uncounted, RATE).await?;
    let after = figures(running);
    let last = INTERVAL * 2 + Duration::from_secs(60);
    wait(session, &setup, uncounted + RATE.facts(), last, running).await?;
    let last_figures = figures(running);
    daemon.end().await?;
    consumer.end().await?;

    let Setup {
        clinic_database,
        registry_database,
        gateway,
        registry,
        ..
    } = setup;
    let timings = timings::timings(
        session,
        &clinic_database,
        &registry_database,
        uncounted,
        RATE.facts(),
    )
    .await?;
    session.drop_database(&clinic_database).await?;
    gateway.remove()?;
    session.drop_database(&registry_database).await?;
    registry.remove()?;
    let processor = after.processor_seconds - before.processor_seconds;
    Ok(Latency::of(
        notice,
        &timings,
        processor,
        last_figures.peak_mib(),
    ))
}

async fn set_up(session: &BenchSession<'_>, notice: FactNotice) -> Result<Setup, Error> {
    let word = if notice == FactNotice::Listening {
        "listening"
    } else {
        "polling"
    };
    let postgres = &session.postgres;
    let clinic_database = format!("latency-clinic-{word}");
    let registry_database = format!("latency-registry-{word}");
    let clinic_url = postgres.create_database(&clinic_database).await?;
    let mut connection = PgConnection::connect(&clinic_url).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    sqlx::raw_sql(INDEXES).execute(&mut connection).await?;
    let source = ClinicServer::postgres(postgres.port(), &clinic_database);
    let gateway = session.programs.gateway(
        &format!("latency-gateway-{word}"),
        &source,
        session.queue(),
        None,
    )?;
    if notice == FactNotice::Listening {
        sqlx::raw_sql(NOTIFY).execute(&mut connection).await?;
        let section = "[source.clinic.postgres]";
        gateway.change_line(section, &format!("{section}\nlisten = \"facts\""))?;
    }
    facts::insert(&mut connection, 0).await?;
    connection.close().await?;
    let url = postgres.create_database(&registry_database).await?;
    let name = format!("latency-city-{word}");
    let registry = session.programs.registry(&name, &url, session.queue())?;
    Ok(Setup {
        clinic_database,
        clinic_url,
        registry_database,
        gateway,
        registry,
    })
}

/// Sends the first facts through, which are not counted: one is there when the programs start, and
/// a listening gateway is notified of another. Returns their number.
async fn warm_up(
    session: &BenchSession<'_>,
    setup: &Setup,
    notice: FactNotice,
    running: &mut [NamedProgram<'_>],
) -> Result<u64, Error> {
    wait(session, setup, 1, INTERVAL * 2, running).await?;
    if notice == FactNotice::Polling {
        return Ok(1);
    }
    let mut connection = PgConnection::connect(&setup.clinic_url).await?;
    facts::insert(&mut connection, 1).await?;
    connection.close().await?;
    wait(session, setup, 2, NOTIFIED_WITHIN, running).await?;
    Ok(2)
}

/// Waits until the registry holds so many facts.
async fn wait(
    session: &BenchSession<'_>,
    setup: &Setup,
    facts: u64,
    limit: Duration,
    running: &mut [NamedProgram<'_>],
) -> Result<(), Error> {
    let stored = StoredFacts {
        postgres: &session.postgres,
        database: &setup.registry_database,
        facts,
        limit,
    };
    wait_until_stored(session, stored, running).await
}
