//! A city: its gateways and consumers run at once, and are compared with their clinics.

use std::fmt::Display;
use std::fs;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testbed::postgres::Postgres;

use crate::clinics::expected::ExpectedFacts;
use crate::error::Error;
use crate::parts::crowd::CitySize;
use crate::parts::crowd::clinics::{self, FilledClinics};
use crate::parts::waiting::{
    NamedProgram, StoredFacts, last_commit, number, wait_until_settled, wait_until_stored,
};
use crate::processes::child::Background;
use crate::processes::config::ProgramFolder;
use crate::processes::figures::ProcessFigures;
use crate::session::BenchSession;

/// Longest time until everything is stored.
const STORED_WITHIN: Duration = Duration::from_secs(900);
/// Longest time after that until every batch is answered.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// Bytes of all the registry's tables with their indexes.
const STORED_BYTES: &str = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class \
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";

/// Figures of a city, checked fact by fact against its clinics.
#[derive(Debug, Clone)]
pub(crate) struct CityFigures {
    /// Facts in all.
    pub facts: u64,
    /// Persons in all.
    pub persons: u64,
    /// Persons that two clinics know.
    pub shared_persons: u64,
    /// Time from the first program's start to the registry's last commit.
    pub took: Duration,
    /// Processor time of all gateways, microseconds a fact.
    pub gateways_us: f64,
    /// Processor time of all consumers, microseconds a fact.
    pub consumers_us: f64,
    /// Greatest memory of each gateway at its own moment, summed up, in MiB.
    pub gateways_mib: f64,
    /// Greatest memory of a single gateway, in MiB.
    pub greatest_mib: f64,
    /// Bytes a fact in PostgreSQL, with pseudonyms, subjects and all indexes.
    pub stored_bytes_a_fact: f64,
}

/// Figures of a city's processes at the end of their work.
struct RunFigures {
    took: Duration,
    gateways: Vec<ProcessFigures>,
    consumers: Vec<ProcessFigures>,
}

/// Makes a city, runs it and compares its registry with its clinics.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    postgres: &Postgres,
    size: &CitySize,
) -> Result<CityFigures, Error> {
    let FilledClinics { gateways, expected } = clinics::create(session, postgres, size).await?;
    let database = format!("{}-registry", size.name);
    let url = postgres.create_database(&database).await?;
    let registries: Vec<ProgramFolder> = (0..size.consumers)
        .map(|number| {
            let name = format!("{database}-{number}");
            session.programs.registry(&name, &url, session.queue())
        })
        .collect::<Result<_, _>>()?;
    checkpoint(postgres).await?;
    let facts = expected.facts();
    let stored = StoredFacts {
        postgres,
        database: &database,
        facts,
        limit: STORED_WITHIN,
    };
    let run = run(session, stored, &gateways, &registries).await?;
    let stored_bytes = number(&postgres.psql(&database, STORED_BYTES).await?)?;
    compare(&registries[0], &expected).await?;
    for folder in gateways.into_iter().chain(registries) {
        folder.remove()?;
    }
    let us_a_fact = |processes: &[ProcessFigures]| {
        let seconds: f64 = processes.iter().map(|of| of.processor_seconds).sum();
        seconds * 1e6 / facts as f64
    };
    let peaks = || run.gateways.iter().map(ProcessFigures::peak_mib);
    // A person is known to one clinic or to two.
    let known = u64::from(size.gateways) * size.records_each.div_ceil(3);
    Ok(CityFigures {
        facts,
        persons: expected.persons(),
        shared_persons: known.saturating_sub(expected.persons()),
        took: run.took,
        gateways_us: us_a_fact(&run.gateways),
        consumers_us: us_a_fact(&run.consumers),
        gateways_mib: peaks().sum(),
        greatest_mib: peaks().fold(0.0, f64::max),
        stored_bytes_a_fact: stored_bytes as f64 / facts as f64,
    })
}

/// Starts everything at once and waits until every fact is stored and every batch answered.
async fn run(
    session: &BenchSession<'_>,
    stored: StoredFacts<'_>,
    gateways: &[ProgramFolder],
    registries: &[ProgramFolder],
) -> Result<RunFigures, Error> {
    let StoredFacts {
        postgres, database, ..
    } = stored;
    let programs = &session.programs;
    let started_at = session.clock.now();
    let mut consumers = start_all(registries, |folder| programs.start_registry(folder))?;
    let mut daemons = start_all(gateways, |folder| programs.start_gateway(folder))?;
    let mut running: Vec<NamedProgram<'_>> = consumers
        .iter_mut()
        .map(|one| NamedProgram("city-registry", one))
        .collect();
    let named_daemons = daemons
        .iter_mut()
        .map(|one| NamedProgram("clinic-gateway", one));
    running.extend(named_daemons);
    wait_until_stored(session, stored, &mut running).await?;
    for gateway in gateways {
        wait_until_settled(session, gateway, SETTLED_WITHIN).await?;
    }
    let took = last_commit(postgres, database).await? - started_at;
    let figures = RunFigures {
        took: took.to_std().unwrap_or_default(),
        gateways: daemons.iter().filter_map(Background::figures).collect(),
        consumers: consumers.iter().filter_map(Background::figures).collect(),
    };
    for program in daemons.into_iter().chain(consumers) {
        program.end().await?;
    }
    Ok(figures)
}

fn start_all(
    folders: &[ProgramFolder],
    start: impl Fn(&ProgramFolder) -> Result<Background, Error>,
) -> Result<Vec<Background>, Error> {
    folders.iter().map(start).collect()
}

/// Writes out what filling the clinics left in memory, so that it does not fall into the
/// measurement. Every clinic has some hundred files, so this takes its time.
async fn checkpoint(postgres: &Postgres) -> Result<(), Error> {
    let mut connection = PgConnection::connect(&postgres.admin_url()).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn compare(registry: &ProgramFolder, expected: &ExpectedFacts) -> Result<(), Error> {
    let base = fs::canonicalize(registry.path()).map_err(Error::io("find a registry's folder"))?;
    let config: registry::Config = settings::load(&registry.config()).map_err(wrong)?;
    let keys = registry::Keys::read(&config.keys, &base).map_err(wrong)?;
    let reader = registry::Reader::open(&config.store, keys, &base)
        .await
        .map_err(wrong)?;
    let compared = expected.compare(&reader).await;
    reader.close().await;
    compared
}

fn wrong(error: impl Display) -> Error {
    Error::WrongResult(format!("the registry: {error}"))
}
