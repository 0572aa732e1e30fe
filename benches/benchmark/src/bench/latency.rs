//! Time that a single fact takes from its commit at the clinic to its commit at the registry, while
//! facts keep coming.

use std::collections::HashMap;
use std::time::Duration;

use connector_kit::Feed;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::clinic::{INDEXES, SCHEMA};
use super::expected::Clinic;
use super::live::{
    DEFAULT_INTERVAL_SECONDS, Running, Stage, change_line, moment, number, until_stored,
};
use super::people;
use super::programs::{Queue, Source};
use crate::error::Error;
use crate::processes::Seen;

/// Connections that write at once, as several registrars do: what begins first does not always
/// commit first.
const WRITERS: u64 = 4;
/// The statement trigger that an administrator who allows listening installs.
const TELLING: &str = "CREATE FUNCTION mis.tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NOTIFY facts; RETURN NULL; END $$;
    CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON mis.vaccination
        FOR EACH STATEMENT EXECUTE FUNCTION mis.tell();
    CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON mis.test
        FOR EACH STATEMENT EXECUTE FUNCTION mis.tell();";
const INSERT: &str = "INSERT INTO mis.vaccination \
    (id, changed, snils, oms, passport, country, vaccine, dose, doses, given, state) \
    VALUES ($1, now(), $2, $3, $4, $5, $6, $7::text::smallint, $8::text::smallint, \
    $9::text::date, $10)";
/// When a row was committed, in microseconds since 1970.
const COMMITTED: &str = "(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint";
/// Longest time that a listening gateway may take for a fact that comes alone: far less than its
/// schedule's interval.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// Way in which the gateway learns of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The source's `listen` is set, and a trigger notifies; the schedule is the default one.
    Listening,
    /// By the default schedule alone.
    Polling,
}

/// Latencies from commit to commit, of every single fact.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    /// Number of facts that were timed.
    pub facts: u64,
    /// Number of facts that the clinic really committed a second.
    pub achieved_per_second: f64,
    /// Half of them took at most this, milliseconds.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// All of them.
    pub max_ms: f64,
    /// Seconds between two scheduled runs.
    pub interval_seconds: u64,
    /// Processor time of the gateway, percent of a core, while facts came.
    pub gateway_percent: f64,
    /// Most memory the gateway held at once, mebibytes.
    pub gateway_peak_mib: f64,
}

/// Writes so many facts a second for so long into a clinic, one a transaction, and times each.
///
/// A fact is matched exactly: its record digest at the registry is the keyed digest of the clinic's
/// row id, and the keys are the benchmark's own. Both databases are on one server, so one clock
/// notes both commits.
pub(super) async fn measure(
    at: &Stage<'_>,
    reading: Reading,
    facts_per_second: u32,
    seconds: u32,
) -> Result<Latency, Error> {
    let word = if reading == Reading::Listening {
        "listening"
    } else {
        "polling"
    };
    let clinic = format!("latency-clinic-{word}");
    let registry = format!("latency-registry-{word}");
    let url = at.postgres.create_database(&clinic).await?;
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    sqlx::raw_sql(INDEXES).execute(&mut connection).await?;
    let queue = Queue::RabbitMq(at.rabbitmq.port());
    let source = Source {
        port: at.postgres.port(),
        database: clinic.clone(),
    };
    let gateway = at
        .programs
        .gateway(&format!("latency-gateway-{word}"), &source, queue, None)?;
    if reading == Reading::Listening {
        sqlx::raw_sql(TELLING).execute(&mut connection).await?;
        let section = "[source.clinic.postgres]";
        change_line(&gateway, section, &format!("{section}\nlisten = \"facts\""))?;
    }
    let stored = at.postgres.create_database(&registry).await?;
    let city = at
        .programs
        .registry(&format!("latency-city-{word}"), &stored, queue)?;

    insert(&mut connection, 0).await?;
    let mut consumer = at.programs.consumer(&city)?;
    let mut daemon = at.programs.daemon(&gateway)?;
    let interval = Duration::from_secs(DEFAULT_INTERVAL_SECONDS);
    let running = &mut [
        Running("city-registry", &mut consumer),
        Running("clinic-gateway", &mut daemon),
    ];
    until_stored(at.postgres, at.clock, &registry, (1, interval * 2), running).await?;
    let mut warm = 1;
    if reading == Reading::Listening {
        insert(&mut connection, warm).await?;
        warm += 1;
        until_stored(
            at.postgres,
            at.clock,
            &registry,
            (warm, TOLD_WITHIN),
            running,
        )
        .await?;
    }
    connection.close().await?;

    let facts = u64::from(facts_per_second) * u64::from(seconds);
    let seen = |running: &[Running<'_>]| running[1].1.seen().unwrap_or_default();
    let before = seen(running);
    let writers =
        (0..WRITERS).map(|writer| write(at, &url, (warm + writer, warm + facts), facts_per_second));
    futures_util::future::try_join_all(writers).await?;
    let after = seen(running);
    let last = interval * 2 + Duration::from_secs(60);
    until_stored(
        at.postgres,
        at.clock,
        &registry,
        (warm + facts, last),
        running,
    )
    .await?;
    let Seen { peak_bytes, .. } = seen(running);
    daemon.end().await?;
    consumer.end().await?;

    let took = latencies(at, &clinic, &registry, (warm, facts)).await?;
    for (database, place) in [(&clinic, gateway), (&registry, city)] {
        at.postgres
            .psql(
                "postgres",
                &format!("DROP DATABASE \"{database}\" WITH (FORCE)"),
            )
            .await?;
        place.remove()?;
    }
    let achieved = facts as f64 / took.wrote_for.as_secs_f64();
    let processor = after.processor_seconds - before.processor_seconds;
    Ok(Latency {
        facts,
        achieved_per_second: achieved,
        p50_ms: took.quantile(50),
        p90_ms: took.quantile(90),
        p99_ms: took.quantile(99),
        max_ms: took.quantile(100),
        interval_seconds: DEFAULT_INTERVAL_SECONDS,
        gateway_percent: 100.0 * processor / took.wrote_for.as_secs_f64(),
        gateway_peak_mib: peak_bytes as f64 / f64::from(1 << 20),
    })
}

/// Inserts every [`WRITERS`]-th fact from the first to before the last, each when it is due.
async fn write(
    at: &Stage<'_>,
    url: &str,
    (first, end): (u64, u64),
    facts_per_second: u32,
) -> Result<(), Error> {
    let mut connection = PgConnection::connect(url).await?;
    let started = at.clock.elapsed();
    let step = usize::try_from(WRITERS).unwrap_or(1);
    for (turn, fact) in (first..end).step_by(step).enumerate() {
        let due = turn as f64 * WRITERS as f64 / f64::from(facts_per_second);
        let due = started + Duration::from_secs_f64(due);
        tokio::time::sleep(due.saturating_sub(at.clock.elapsed())).await;
        insert(&mut connection, fact).await?;
    }
    connection.close().await?;
    Ok(())
}

/// The first dose of person number `fact`, stamped with its transaction's time.
async fn insert(connection: &mut PgConnection, fact: u64) -> Result<(), Error> {
    let mut line = String::new();
    let mut none = String::new();
    people::append_record(fact * 3, &mut line, &mut none);
    let mut fields = line
        .trim_end()
        .split('\t')
        .map(|field| (field != "\\N").then_some(field));
    let id = fields
        .next()
        .flatten()
        .and_then(|id| id.parse::<i64>().ok())
        .unwrap_or_default();
    let mut query = sqlx::query(INSERT).bind(id);
    // The stamp in the line is an invented one.
    for field in fields.skip(1) {
        query = query.bind(field);
    }
    query.execute(connection).await?;
    Ok(())
}

/// Times that the facts took, sorted, and the time for which the clinic wrote.
struct Took {
    milliseconds: Vec<f64>,
    wrote_for: Duration,
}

impl Took {
    /// Time that the given per cent of the facts took at most (the nearest rank).
    fn quantile(&self, percent: usize) -> f64 {
        let rank = (self.milliseconds.len() * percent).div_ceil(100);
        self.milliseconds
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// Matches the clinic's rows with the registry's facts; the first `warm` facts are not counted.
async fn latencies(
    at: &Stage<'_>,
    clinic: &str,
    registry: &str,
    (warm, facts): (u64, u64),
) -> Result<Took, Error> {
    let rows = at
        .postgres
        .psql(
            clinic,
            &format!("SELECT id, {COMMITTED} FROM mis.vaccination"),
        )
        .await?;
    let query = format!("SELECT encode(record, 'hex'), {COMMITTED} FROM fact");
    let stored = at.postgres.psql(registry, &query).await?;
    let stored: HashMap<&str, &str> = stored
        .lines()
        .filter_map(|line| line.split_once('|'))
        .collect();
    let keys = Clinic::read(&at.folder.join("keys"))?;
    let mut milliseconds = Vec::new();
    let mut moments = Vec::new();
    for (id, committed) in rows.lines().filter_map(|line| line.split_once('|')) {
        if number(id)? <= warm * 3 {
            continue;
        }
        let record = keys.record(Feed::Vaccinations, id);
        let arrived = stored.get(record.to_hex().as_str());
        let arrived = arrived
            .ok_or_else(|| Error::WrongResult("a fact never came to the registry".into()))?;
        let committed = moment(committed)?;
        milliseconds.push((moment(arrived)? - committed).as_seconds_f64() * 1000.0);
        moments.push(committed);
    }
    if milliseconds.len() as u64 != facts {
        let what = format!("{} facts were timed instead of {facts}", milliseconds.len());
        return Err(Error::WrongResult(what));
    }
    milliseconds.sort_by(f64::total_cmp);
    moments.sort_unstable();
    let wrote_for = moments
        .last()
        .zip(moments.first())
        .map(|(last, first)| *last - *first);
    Ok(Took {
        milliseconds,
        wrote_for: wrote_for
            .and_then(|took| took.to_std().ok())
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let took = Took {
            milliseconds: (1..=200).map(f64::from).collect(),
            wrote_for: Duration::ZERO,
        };
        assert_eq!(
            [50, 90, 99, 100].map(|percent| took.quantile(percent)),
            [100.0, 180.0, 198.0, 200.0]
        );
        let one = Took {
            milliseconds: vec![7.0],
            wrote_for: Duration::ZERO,
        };
        assert_eq!(one.quantile(1), 7.0);
    }
}
