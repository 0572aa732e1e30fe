//! Many gateways and several consumers at once, and the same amount through one of each: do they
//! end equal to the clinics?

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use pseudonym::KeyRing;
use secrecy::ExposeSecret;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testbed::postgres::Postgres;

use super::child::Background;
use super::clinic::{INDEXES, SCHEMA, copy_in};
use super::expected::{Clinic, Expected, ring};
use super::live::{Running, Stage, change_line, moment, number, until_settled, until_stored};
use super::people;
use super::programs::{Place, Queue, Source};
use crate::error::Error;

/// Each clinic shares one of so many of its persons with the next one.
const SHARED_ONE_OF: u64 = 10;
/// Every gateway and every consumer has connections of its own.
const POSTGRES: [(&str, &str); 4] = [
    ("shared_buffers", "256MB"),
    ("max_wal_size", "2GB"),
    ("track_commit_timestamp", "on"),
    ("max_connections", "400"),
];
/// Everything must be stored by then, and answered so long after that.
const STORED_WITHIN: Duration = Duration::from_secs(900);
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// The last commit of a fact, in microseconds since 1970.
const LAST_COMMIT: &str =
    "SELECT (extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) * 1000000)::bigint FROM fact";
/// Bytes of all the registry's tables with their indexes.
const STORED_BYTES: &str = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class \
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
const SHARED_SUBJECTS_TOLD: &str =
    "no person is known to two clinics: nothing was linked across them";

/// The same amount of facts both ways.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    /// Many gateways, several consumers.
    pub many: City,
    /// City with a single gateway and a single consumer.
    pub one: City,
}

/// Figures of a city, checked fact by fact against its clinics.
#[derive(Debug, Clone)]
pub(super) struct City {
    /// Gateways, each a process beside a clinic of its own.
    pub gateways: u32,
    /// Consumers, each a process.
    pub consumers: u32,
    /// Facts in all.
    pub facts: u64,
    /// Persons in all.
    pub persons: u64,
    /// Persons that two clinics know.
    pub shared_persons: u64,
    /// From the first program's start to the registry's last commit.
    pub took: Duration,
    /// Processor time of all gateways, microseconds a fact.
    pub gateways_us: f64,
    /// Processor time of all consumers, microseconds a fact.
    pub consumers_us: f64,
    /// The gateways' greatest memory, each at its own moment, mebibytes: of all of them.
    pub gateways_mib: f64,
    /// The same of the greediest one.
    pub greatest_mib: f64,
    /// Bytes a fact in PostgreSQL, with pseudonyms, subjects and all indexes.
    pub stored_bytes_a_fact: f64,
}

impl City {
    /// Facts a second, from the clinics to committed.
    pub(super) fn rate(&self) -> f64 {
        self.facts as f64 / self.took.as_secs_f64()
    }
}

/// Runs a city of so many clinics, and then one clinic with as many records. Fails unless each
/// registry ends equal to its clinics: every fact with its content, under all of its person's
/// pseudonyms of all clinics, nothing refused.
pub(super) async fn measure(
    at: &Stage<'_>,
    gateways: u32,
    records_each: u64,
    consumers: u32,
) -> Result<Crowd, Error> {
    let postgres = Postgres::start_with(&POSTGRES).await?;
    let at = Stage {
        postgres: &postgres,
        ..*at
    };
    let many = city(&at, "crowd", (gateways, records_each), consumers).await?;
    if gateways > 1 && many.shared_persons == 0 {
        return Err(Error::WrongResult(SHARED_SUBJECTS_TOLD.into()));
    }
    let one = city(&at, "alone", (1, u64::from(gateways) * records_each), 1).await?;
    Ok(Crowd { many, one })
}

async fn city(
    at: &Stage<'_>,
    name: &str,
    (clinics, records): (u32, u64),
    consumers: u32,
) -> Result<City, Error> {
    let mut expected = Expected::default();
    let mut places = Vec::new();
    let shared_keys = ring(&at.folder.join("keys"))?;
    for number in 0..clinics {
        let keys = KeyRing::from_shared(shared_keys.shared());
        let database = format!("{name}-{number}");
        fill(
            at,
            &database,
            &keys,
            (u64::from(number), records),
            &mut expected,
        )
        .await?;
        let source = Source {
            port: at.postgres.port(),
            database: database.clone(),
        };
        let queue = Queue::RabbitMq(at.rabbitmq.port());
        let place = at.programs.gateway(&database, &source, queue, None)?;
        write_ring(&place, &keys)?;
        places.push(place);
    }
    let database = format!("{name}-registry");
    let url = at.postgres.create_database(&database).await?;
    let queue = Queue::RabbitMq(at.rabbitmq.port());
    let registries: Result<Vec<Place>, Error> = (0..consumers)
        .map(|number| {
            at.programs
                .registry(&format!("{database}-{number}"), &url, queue)
        })
        .collect();
    let registries = registries?;
    checkpoint(at).await?;
    let mut city = run(at, &database, &expected, &places, &registries).await?;
    // A person is known to one clinic or to two.
    city.shared_persons =
        (u64::from(clinics) * records.div_ceil(3)).saturating_sub(expected.persons());
    compare(&registries[0], &expected).await?;
    for place in places.into_iter().chain(registries) {
        place.remove()?;
    }
    Ok(city)
}

/// Starts everything at once and waits until every fact is stored and every batch answered.
async fn run(
    at: &Stage<'_>,
    database: &str,
    expected: &Expected,
    gateways: &[Place],
    registries: &[Place],
) -> Result<City, Error> {
    let facts = expected.facts();
    let started_at = at.clock.now();
    let start = |places: &[Place], registry: bool| -> Result<Vec<Background>, Error> {
        let programs = at.programs;
        places
            .iter()
            .map(|place| {
                if registry {
                    programs.consumer(place)
                } else {
                    programs.daemon(place)
                }
            })
            .collect()
    };
    let mut consumers = start(registries, true)?;
    let mut daemons = start(gateways, false)?;
    let mut running: Vec<Running<'_>> = consumers
        .iter_mut()
        .map(|one| Running("city-registry", one))
        .collect();
    running.extend(daemons.iter_mut().map(|one| Running("clinic-gateway", one)));
    until_stored(
        at.postgres,
        at.clock,
        database,
        (facts, STORED_WITHIN),
        &mut running,
    )
    .await?;
    for place in gateways {
        until_settled(at, place, SETTLED_WITHIN).await?;
    }
    let last: DateTime<Utc> = moment(&at.postgres.psql(database, LAST_COMMIT).await?)?;
    let seen = |programs: &[Background]| {
        programs
            .iter()
            .filter_map(Background::seen)
            .collect::<Vec<_>>()
    };
    let seen_gateways = seen(&daemons);
    let seen_consumers = seen(&consumers);
    for program in daemons.into_iter().chain(consumers) {
        program.end().await?;
    }
    let stored_bytes = number(&at.postgres.psql(database, STORED_BYTES).await?)?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let peaks = || seen_gateways.iter().map(|seen| mib(seen.peak_bytes));
    let a_fact = |seconds: f64| seconds * 1e6 / facts as f64;
    Ok(City {
        gateways: u32::try_from(gateways.len()).unwrap_or(u32::MAX),
        consumers: u32::try_from(registries.len()).unwrap_or(u32::MAX),
        facts,
        persons: expected.persons(),
        shared_persons: 0,
        took: (last - started_at).to_std().unwrap_or_default(),
        gateways_us: a_fact(
            seen_gateways
                .iter()
                .map(|seen| seen.processor_seconds)
                .sum(),
        ),
        consumers_us: a_fact(
            seen_consumers
                .iter()
                .map(|seen| seen.processor_seconds)
                .sum(),
        ),
        gateways_mib: peaks().sum(),
        greatest_mib: peaks().fold(0.0, f64::max),
        stored_bytes_a_fact: stored_bytes as f64 / facts as f64,
    })
}

/// Makes a clinic's database, and adds what it holds to what is expected. A clinic's last persons
/// are the next one's first; every second clinic knows half of its persons by their OMS policy
/// alone, so that only another clinic's record tells that this is the person with that SNILS.
async fn fill(
    at: &Stage<'_>,
    database: &str,
    keys: &KeyRing,
    (number, records): (u64, u64),
    expected: &mut Expected,
) -> Result<(), Error> {
    let url = at.postgres.create_database(database).await?;
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    let clinic = Clinic::new(keys)?;
    let today = at.clock.now().date_naive();
    let persons = records / 3;
    let first = number * (persons - persons / SHARED_ONE_OF) * 3;
    let mut vaccinations = String::new();
    let mut tests = String::new();
    for index in first..first + records {
        let mut shot = String::new();
        let mut test = String::new();
        people::append_record(index, &mut shot, &mut test);
        let person = index / 3;
        let weak = number % 2 == 1 && person % 2 == 1;
        for (line, table) in [(shot, &mut vaccinations), (test, &mut tests)] {
            if line.is_empty() {
                continue;
            }
            let line = if weak { without_snils(&line) } else { line };
            expected.add(&clinic, person, &line, today)?;
            table.push_str(&line);
        }
    }
    copy_in(
        &mut connection,
        "COPY mis.vaccination FROM STDIN",
        &mut vaccinations,
    )
    .await?;
    copy_in(&mut connection, "COPY mis.test FROM STDIN", &mut tests).await?;
    sqlx::raw_sql(INDEXES).execute(&mut connection).await?;
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Writes out what filling the clinics left in memory, so that it does not fall into the
/// measurement. Every clinic has some hundred files, so this takes its time.
async fn checkpoint(at: &Stage<'_>) -> Result<(), Error> {
    let mut connection = PgConnection::connect(&at.postgres.admin_url()).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// The line without its SNILS where there is an OMS number beside it.
fn without_snils(line: &str) -> String {
    let mut fields: Vec<&str> = line.split('\t').collect();
    if let [_, _, snils, oms, ..] = fields.as_mut_slice()
        && *oms != "\\N"
    {
        *snils = "\\N";
    }
    fields.join("\t")
}

/// A ring of its own for a gateway: the city's pseudonym keys and another record key.
fn write_ring(place: &Place, keys: &KeyRing) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(place.folder().join("keys"));
    let written =
        opened.and_then(|mut file| file.write_all(keys.to_text().expose_secret().as_bytes()));
    written.map_err(Error::io("write a key ring"))?;
    change_line(
        place,
        "ring = { file = \"../keys\" }",
        "ring = { file = \"keys\" }",
    )
}

async fn compare(place: &Place, expected: &Expected) -> Result<(), Error> {
    let path = place.folder().join("config.toml");
    let base = fs::canonicalize(place.folder()).map_err(Error::io("find a registry's folder"))?;
    let wrong =
        |error: &dyn std::fmt::Display| Error::WrongResult(format!("the registry: {error}"));
    let config: registry::Config = settings::load(&path).map_err(|error| wrong(&error))?;
    let keys = registry::Keys::read(&config.keys, &base).map_err(|error| wrong(&error))?;
    let reader = registry::Reader::open(&config.store, keys, &base)
        .await
        .map_err(|error| wrong(&error))?;
    let compared = expected.compare(&reader).await;
    reader.close().await;
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weaker_identity_keeps_the_policy_number_and_a_passport() {
        let citizen = "1\t2021\t100-000-001 00\t7701\t\\N\t\\N\tpcr\n";
        assert_eq!(
            without_snils(citizen),
            "1\t2021\t\\N\t7701\t\\N\t\\N\tpcr\n"
        );
        let foreigner = "1\t2021\t\\N\t\\N\t10FR00000\tFRA\tpcr\n";
        assert_eq!(without_snils(foreigner), foreigner);
    }
}
