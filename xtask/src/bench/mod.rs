//! `cargo xtask bench`: the whole way from a clinic to the registry, beside what the machine can do at best.

mod child;
mod clinic;
mod figures;
mod machine;
mod people;
mod programs;
mod raw_broker;
mod report;

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::{Clock, SystemClock};
use serde_json::Value;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::arguments::BenchOptions;
use crate::error::Error;
use crate::say;
use child::Run;
use clinic::Clinic;
use figures::{Samples, short};
use programs::{Place, Programs, Queue, Source};
use report::Report;

/// A small server's settings; `fsync` and `synchronous_commit` stay on.
const POSTGRES: [(&str, &str); 3] =
    [("shared_buffers", "256MB"), ("max_wal_size", "2GB"), ("track_commit_timestamp", "on")];
/// When the registry's last fact was committed, in microseconds since 1970.
const LAST_COMMIT: &str =
    "SELECT (extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) * 1000000)::bigint FROM fact";
/// The queues of the gateway's default configuration: facts, and dead letters.
const QUEUES: [&str; 2] = ["clinic.facts", "clinic.facts.dead"];
/// How often a running gateway's status is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What one size of clinic came to.
#[derive(Debug, Default)]
pub struct Measured {
    /// Records at the clinic.
    pub records: u64,
    /// Sealed batches they make.
    pub batches: u64,
    /// Bytes of these.
    pub sealed_bytes: u64,
    /// COPY to nowhere, records a second.
    pub floor: Samples,
    /// The bare loop of pages by key, records a second.
    pub keyset: Samples,
    /// The bare publishing loop, records a second.
    pub raw: Samples,
    /// The gateway.
    pub gateway: Figures,
    /// The registry.
    pub registry: Figures,
    /// `sync` of an unchanged clinic, seconds.
    pub again_seconds: Samples,
    /// `sync --full` of an unchanged clinic, records a second.
    pub full: Samples,
    /// `sweep` of an unchanged clinic, records a second.
    pub sweep: Samples,
    /// `reconcile` with a registry that holds everything, records a second.
    pub reconcile: Samples,
    /// From a broker that is back to an empty outbox, seconds.
    pub drain_seconds: Samples,
    /// The bare publishing loop, seconds.
    pub raw_seconds: Samples,
    /// The disk's probe, milliseconds.
    pub fsync_ms: Samples,
}

/// What is measured of a program.
#[derive(Debug, Default)]
pub struct Figures {
    /// Records a second.
    pub rate: Samples,
    /// Most memory held at once, mebibytes.
    pub peak_mib: Samples,
    /// Processor time a record, microseconds.
    pub processor_us: Samples,
}

impl Figures {
    fn push(&mut self, records: u64, took: Duration, run: &Run) {
        self.rate.push(rate(records, took));
        self.peak_mib.push(run.peak_bytes as f64 / f64::from(1 << 20));
        self.processor_us.push(run.processor_seconds * 1e6 / records as f64);
    }
}

struct Bench<'a> {
    clock: SystemClock,
    options: &'a BenchOptions,
    folder: &'a Path,
    postgres: Postgres,
    rabbitmq: RabbitMq,
    programs: Programs,
}

/// Runs the benchmark and prints its report.
pub async fn bench(options: &BenchOptions) -> Result<(), Error> {
    let built = programs::build()?;
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .disable_cleanup(options.keep)
        .tempdir()
        .map_err(Error::io("make a temporary folder"))?;
    let clock = SystemClock::default();
    say::progress("starting a private PostgreSQL and a private RabbitMQ");
    let (postgres, rabbitmq) = (Postgres::start_with(&POSTGRES).await?, RabbitMq::start().await?);
    let programs = Programs::set_up(built, folder.path(), &clock).await?;
    let bench = Bench { clock, options, folder: folder.path(), postgres, rabbitmq, programs };
    let mut sizes = Vec::with_capacity(options.records.len());
    for records in &options.records {
        sizes.push(bench.measure(*records).await?);
    }
    let machine = machine::describe(&bench.postgres, &bench.rabbitmq).await?;
    let report = Report { machine, options, sizes: &sizes };
    say::line(&report.tables());
    if options.write {
        say::progress(&format!("wrote {}", report.write()?.display()));
    }
    if options.keep {
        say::progress(&format!("kept {}", folder.path().display()));
    }
    Ok(())
}

impl Bench<'_> {
    /// Everything about one size of clinic.
    async fn measure(&self, records: u64) -> Result<Measured, Error> {
        say::progress(&format!("{records} records: filling the clinic's database"));
        let mut clinic = Clinic::fill(&self.postgres, records).await?;
        let batches = self.harvest(&clinic).await?;
        let sealed_bytes = batches.iter().map(|batch| batch.len() as u64).sum();
        let mut measured =
            Measured { records, batches: batches.len() as u64, sealed_bytes, ..Measured::default() };
        for repetition in 1..=self.options.repetitions {
            self.limits(&mut clinic, &batches, &mut measured).await?;
            let name = format!("{records}-{repetition}");
            let gateway = self.deliver(&clinic, &name, &mut measured).await?;
            let (registry, database) = self.store(&name, &mut measured).await?;
            self.compare(&gateway, &registry, &mut measured).await?;
            self.postgres.psql("postgres", &format!("DROP DATABASE \"{database}\"")).await?;
            self.done(registry)?;
            self.repeat(gateway, &mut measured).await?;
            self.drain(&clinic, &name, &mut measured).await?;
            say::progress(&format!(
                "{records} records, repetition {repetition} of {}: gateway {}/s, registry {}/s",
                self.options.repetitions,
                short(measured.gateway.rate.last()),
                short(measured.registry.rate.last())
            ));
        }
        Ok(measured)
    }

    /// The clinic's sealed batches, as a gateway puts them into a directory.
    async fn harvest(&self, clinic: &Clinic) -> Result<Vec<Vec<u8>>, Error> {
        let place = self.gateway(clinic, &format!("{}-harvest", clinic.records), Queue::Directory)?;
        let (_, summary) = self.programs.sync(&place, false, &self.clock).await?;
        expect_all_sent(&summary, clinic.records)?;
        let read = || -> std::io::Result<Vec<Vec<u8>>> {
            let entries = std::fs::read_dir(place.folder().join("queue/incoming"))?;
            entries.map(|entry| std::fs::read(entry?.path())).collect()
        };
        let batches = read().map_err(Error::io("read the queue directory"))?;
        self.done(place)?;
        Ok(batches)
    }

    /// What reading and publishing cost at least.
    async fn limits(
        &self,
        clinic: &mut Clinic,
        batches: &[Vec<u8>],
        measured: &mut Measured,
    ) -> Result<(), Error> {
        measured.fsync_ms.push(machine::fsync_ms(self.folder, &self.clock)?);
        let records = clinic.records;
        let started = self.clock.elapsed();
        clinic.copy_out().await?;
        let copied = self.clock.elapsed();
        clinic.read_by_key().await?;
        let read = self.clock.elapsed();
        measured.floor.push(rate(records, copied.saturating_sub(started)));
        measured.keyset.push(rate(records, read.saturating_sub(copied)));
        let published = raw_broker::publish_all(&self.rabbitmq.amqp_url(), batches, &self.clock).await?;
        measured.raw.push(rate(records, published));
        measured.raw_seconds.push(published.as_secs_f64());
        Ok(())
    }

    /// The gateway: from the source to broker-confirmed.
    async fn deliver(&self, clinic: &Clinic, name: &str, measured: &mut Measured) -> Result<Place, Error> {
        let place =
            self.gateway(clinic, &format!("{name}-gateway"), Queue::RabbitMq(self.rabbitmq.port()))?;
        let (run, summary) = self.programs.sync(&place, false, &self.clock).await?;
        expect_all_sent(&summary, clinic.records)?;
        measured.gateway.push(clinic.records, run.took, &run);
        Ok(place)
    }

    /// The registry: from the queue to committed; nothing may be missing. Where it is, and its database.
    async fn store(&self, name: &str, measured: &mut Measured) -> Result<(Place, String), Error> {
        let database = format!("registry-{name}");
        let url = self.postgres.create_database(&database).await?;
        let queue = Queue::RabbitMq(self.rabbitmq.port());
        let place = self.programs.registry(&format!("{name}-registry"), &url, queue)?;
        let run = self.programs.drain(&place, &self.clock).await?;
        let facts = self.programs.facts(&place, &self.clock).await?;
        if facts != measured.records {
            let what = format!("the registry holds {facts} facts of {} records", measured.records);
            return Err(Error::WrongResult(what));
        }
        // The program goes on waiting for a while before it takes the queue for empty; that is no work.
        let took = self.last_commit(&database).await? - run.started_at;
        measured.registry.push(measured.records, took.to_std().unwrap_or_default(), &run);
        for queue in QUEUES {
            let left = self.rabbitmq.queue_depth(queue).await?;
            if left > 0 {
                return Err(Error::WrongResult(format!("{left} batches are left in the queue {queue}")));
            }
        }
        Ok((place, database))
    }

    /// The gateway asks a registry that holds everything whether it does.
    async fn compare(&self, gateway: &Place, registry: &Place, measured: &mut Measured) -> Result<(), Error> {
        let mut consumer = self.programs.consumer(registry)?;
        let (run, answer) = self.programs.reconcile(gateway, &self.clock).await?;
        consumer.still_runs("city-registry")?;
        consumer.end().await?;
        expect(
            "records that are equal at the registry",
            count(&answer["report"], "equal"),
            measured.records,
        )?;
        measured.reconcile.push(rate(measured.records, run.took));
        Ok(())
    }

    /// Everything lies in the outbox when the broker comes back.
    async fn drain(&self, clinic: &Clinic, name: &str, measured: &mut Measured) -> Result<(), Error> {
        let place = self.gateway(clinic, &format!("{name}-drain"), Queue::RabbitMq(self.rabbitmq.port()))?;
        self.rabbitmq.stop_app().await?;
        let mut daemon = self.programs.daemon(&place)?;
        let waiting =
            async |place| Ok::<_, Error>(self.programs.status(place, &self.clock).await?["status"].clone());
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            daemon.still_runs("clinic-gateway")?;
            // Before its first page there is no outbox to look into.
            let Ok(status) = waiting(&place).await else { continue };
            if count(&status["backlog"], "events") == measured.records {
                break;
            }
        }
        self.rabbitmq.start_app().await?;
        let back = self.clock.now();
        let status = loop {
            daemon.still_runs("clinic-gateway")?;
            let status = waiting(&place).await?;
            if count(&status["backlog"], "batches") == 0 {
                break status;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        daemon.end().await?;
        let last = status["publisher"]["last_delivered_at"].as_str().and_then(|moment| moment.parse().ok());
        let last: DateTime<Utc> =
            last.ok_or_else(|| Error::WrongResult("the status does not tell of the last delivery".into()))?;
        measured.drain_seconds.push((last - back).as_seconds_f64());
        self.rabbitmq.ctl(&["purge_queue", QUEUES[0]]).await?;
        self.done(place)
    }

    async fn last_commit(&self, database: &str) -> Result<DateTime<Utc>, Error> {
        let answer = self.postgres.psql(database, LAST_COMMIT).await?;
        let moment = answer.parse().ok().and_then(DateTime::from_timestamp_micros);
        moment.ok_or_else(|| Error::WrongResult("PostgreSQL does not tell when a fact was committed".into()))
    }

    /// The same gateway again: nothing has changed, so nothing may be sent.
    async fn repeat(&self, gateway: Place, measured: &mut Measured) -> Result<(), Error> {
        let (again, summary) = self.programs.sync(&gateway, false, &self.clock).await?;
        expect_nothing_sent(&summary)?;
        measured.again_seconds.push(again.took.as_secs_f64());
        let (full, summary) = self.programs.sync(&gateway, true, &self.clock).await?;
        expect_nothing_sent(&summary)?;
        expect("unchanged records", count(&summary, "unchanged"), measured.records)?;
        measured.full.push(rate(measured.records, full.took));
        let (swept, sources) = self.programs.sweep(&gateway, &self.clock).await?;
        let feeds: Vec<&Value> = sources[0]["feeds"].as_array().into_iter().flatten().collect();
        expect("keys swept", feeds.iter().map(|feed| count(feed, "keys")).sum(), measured.records)?;
        for name in ["reread", "withdrawn"] {
            let found = feeds.iter().map(|feed| count(feed, name)).sum();
            expect(&format!("records {name} by a sweep of an unchanged clinic"), found, 0)?;
        }
        measured.sweep.push(rate(measured.records, swept.took));
        self.done(gateway)
    }

    fn gateway(&self, clinic: &Clinic, name: &str, queue: Queue) -> Result<Place, Error> {
        let source = Source { port: self.postgres.port(), database: clinic.database.clone() };
        self.programs.gateway(name, &source, queue, self.options.batch_events)
    }

    fn done(&self, place: Place) -> Result<(), Error> {
        if self.options.keep { Ok(()) } else { place.remove() }
    }
}

fn rate(records: u64, took: Duration) -> f64 {
    records as f64 / took.as_secs_f64()
}

fn count(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or(u64::MAX)
}

fn expect_all_sent(summary: &Value, records: u64) -> Result<(), Error> {
    expect("refused records", count(summary, "refused"), 0)?;
    expect("new records", count(summary, "new"), records)?;
    expect("batches left in the outbox", count(summary, "batches_waiting"), 0)
}

fn expect_nothing_sent(summary: &Value) -> Result<(), Error> {
    for name in ["new", "corrected", "withdrawn", "refused", "batches_delivered"] {
        expect(&format!("{name} of an unchanged clinic"), count(summary, name), 0)?;
    }
    Ok(())
}

fn expect(what: &str, found: u64, expected: u64) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::WrongResult(format!("{what}: {found} instead of {expected}")))
}
