//! `cargo xtask bench`: the whole way from a clinic to the registry, beside what the machine can do
//! at best.

mod child;
mod clinic;
mod compute_limit;
mod copy_limit;
mod crowd;
mod expected;
mod figures;
mod growth;
mod idle;
mod latency;
mod live;
mod machine;
mod mariadb;
mod others;
mod people;
mod programs;
mod raw_broker;
mod report;
mod restart;
mod results;
mod sqlite_limit;
mod stages;
mod steps;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use clock::{Clock, SystemClock};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::arguments::{BenchOptions, Part};
use crate::error::Error;
use crate::say;
use clinic::Clinic;
use programs::{Place, Programs};
use results::{PartResult, name};

/// A small server's settings; `fsync` and `synchronous_commit` stay on. One of the peers reads the
/// server's log.
const POSTGRES: [(&str, &str); 4] = [
    ("shared_buffers", "256MB"),
    ("max_wal_size", "2GB"),
    ("track_commit_timestamp", "on"),
    ("wal_level", "logical"),
];
/// RabbitMQ's own rule for its memory, of which testbed's small brokers know nothing: 40 % of the
/// machine's.
const BROKER_MEMORY_PERCENT: u64 = 40;
/// Clinics above this many records are measured once.
const ONCE_ABOVE: u64 = 1_000_000;

/// Options, servers and programs that the parts work with.
struct Bench<'a> {
    clock: SystemClock,
    options: &'a BenchOptions,
    folder: &'a Path,
    postgres: Postgres,
    rabbitmq: RabbitMq,
    programs: Programs,
    /// Gateways that have synced their whole clinic, by its records, for a later part.
    synced: RefCell<BTreeMap<u64, Place>>,
}

/// Runs the parts that were asked for, tells what is known of all, and writes the page if asked to.
pub(crate) async fn bench(options: &BenchOptions) -> Result<(), Error> {
    let kept = results::folder()?;
    let failures = if options.parts.is_empty() {
        Vec::new()
    } else {
        measure(options, &kept).await?
    };
    let newest = results::newest(&[&kept, &results::tracked()])?;
    say::line(&report::tables(&newest));
    if options.write {
        results::track(&newest)?;
        say::progress(&format!("wrote {}", report::write(&newest)?.display()));
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(Error::WrongResult(format!(
        "{} measurements failed:\n{}",
        failures.len(),
        failures.join("\n")
    )))
}

/// Measures, and keeps each part's results as soon as it has ended; what failed, in words.
async fn measure(options: &BenchOptions, kept: &Path) -> Result<Vec<String>, Error> {
    let built = programs::build()?;
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .disable_cleanup(options.keep)
        .tempdir()
        .map_err(Error::io("make a temporary folder"))?;
    let clock = SystemClock::default();
    say::progress("starting a private PostgreSQL and a private RabbitMQ");
    let postgres = Postgres::start_with(&POSTGRES).await?;
    let rabbitmq = RabbitMq::start().await?;
    rabbitmq
        .set_memory_watermark(machine::memory_bytes() / 100 * BROKER_MEMORY_PERCENT)
        .await?;
    let programs = Programs::set_up(built, folder.path(), options.page_records, &clock).await?;
    let machine = machine::describe(&postgres, &rabbitmq).await?;
    let synced = RefCell::default();
    let bench = Bench {
        clock,
        options,
        folder: folder.path(),
        postgres,
        rabbitmq,
        programs,
        synced,
    };
    let settings = bench.settings().await?;
    let mut failures = Vec::new();
    for part in &options.parts {
        let mut result = PartResult::new(*part, bench.clock.now(), machine.clone());
        result.settings.clone_from(&settings);
        let started = bench.clock.elapsed();
        if let Err(error) = bench.run(&mut result).await {
            result.fail("the rest of it", &error);
            bench.purge().await;
        }
        result.seconds = bench.clock.elapsed().saturating_sub(started).as_secs_f64();
        let path = result.save(kept)?;
        say::progress(&format!(
            "{part} took {:.0} s; {}",
            result.seconds,
            path.display()
        ));
        failures.append(&mut result.failures);
    }
    if options.keep {
        say::progress(&format!("kept {}", folder.path().display()));
    }
    Ok(failures)
}

impl Bench<'_> {
    async fn run(&self, result: &mut PartResult) -> Result<(), Error> {
        say::progress(&format!("{} begins", result.part));
        self.probe(None, result)?;
        match result.part {
            Part::Stages => stages::measure(self, result).await?,
            Part::Peers => others::peers(self, result).await?,
            Part::Latency => others::latency(self, result).await?,
            Part::Crowd => others::crowd(self, result).await?,
            Part::Growth => growth::measure(self, result).await?,
            Part::Idle => others::idle(self, result).await?,
        }
        self.probe(None, result)
    }

    /// The clinic of this size.
    async fn clinic(&self, records: u64) -> Result<Clinic, Error> {
        say::progress(&format!("a clinic of {records} records"));
        Clinic::at(&self.postgres, records).await
    }

    /// Probes the disk, and notes it for the part and for the size that is measured next.
    fn probe(&self, records: Option<u64>, result: &mut PartResult) -> Result<(), Error> {
        let fsync = machine::fsync_ms(self.folder, &self.clock)?;
        let write = machine::write_mb_s(self.folder, &self.clock)?;
        let size = records.map(|records| result.sizes.entry(records).or_default());
        for figures in size.into_iter().chain([&mut result.probes]) {
            figures.push(name::FSYNC, fsync);
            figures.push(name::WRITE, write);
        }
        Ok(())
    }

    /// Settings of the programs, and the numbers behind the defaults.
    async fn settings(&self) -> Result<Vec<(String, String)>, Error> {
        let mut settings = Vec::new();
        for (what, name, set) in [
            (
                "records in a page of the gateway",
                "page_records",
                self.options.page_records,
            ),
            (
                "events in a batch, at most",
                "batch_events",
                self.options.batch_events,
            ),
        ] {
            let value = match set {
                Some(value) => format!("{value} (set for this run)"),
                None => match self.programs.default_of(name, &self.clock).await? {
                    Some(value) => format!("{value} (the default)"),
                    None => "the default".to_owned(),
                },
            };
            settings.push((what.to_owned(), value));
        }
        Ok(settings)
    }

    /// Clinics whose idle cost is measured: all above a million records, or else the largest.
    fn idle_sizes(&self) -> Vec<u64> {
        let sizes = &self.options.records;
        let large: Vec<u64> = sizes
            .iter()
            .copied()
            .filter(|records| *records >= ONCE_ABOVE)
            .collect();
        if large.is_empty() {
            sizes.last().copied().into_iter().collect()
        } else {
            large
        }
    }

    fn keep_synced(&self, records: u64, place: Place) {
        self.synced.borrow_mut().insert(records, place);
    }

    fn take_synced(&self, records: u64) -> Option<Place> {
        self.synced.borrow_mut().remove(&records)
    }
}
