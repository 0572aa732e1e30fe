//! A run of the benchmark: its parts in turn, their results kept, and the page composed.

use std::path::Path;
use std::sync::Arc;

use clock::{Clock, SystemClock};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::arguments::{BenchOptions, Part};
use crate::error::Error;
use crate::machine;
use crate::parts::{self, passes};
use crate::print;
use crate::processes::build;
use crate::processes::programs::Programs;
use crate::report;
use crate::results::{PartResult, store};
use crate::session::{BenchSession, Servers};
use passes::RegistryServer;

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

/// Runs the parts that were asked for, prints what is known of all, and writes the page if asked
/// to.
pub(crate) async fn run(options: &BenchOptions) -> Result<(), Error> {
    let kept = store::untracked_folder()?;
    let failures = if options.parts.is_empty() {
        Vec::new()
    } else {
        measure(options, &kept).await?
    };
    let newest = store::newest(&[&kept, &store::tracked_folder()])?;
    print::result(&report::tables(&newest));
    if options.write {
        store::track(&newest)?;
        print::progress(&format!("wrote {}", report::write(&newest)?.display()));
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

/// Measures, and keeps each part's results as soon as it has ended. Returns the failures in words.
async fn measure(options: &BenchOptions, kept: &Path) -> Result<Vec<String>, Error> {
    let chosen = |wanted: fn(Part) -> bool| -> Vec<Part> {
        let parts = options.parts.iter().copied();
        parts.filter(|part| wanted(*part)).collect()
    };
    let in_process = chosen(|part| matches!(part, Part::Relay | Part::Rekey));
    let of_programs = chosen(|part| !matches!(part, Part::Relay | Part::Rekey | Part::Passes));
    let mut failures = Vec::new();
    if !of_programs.is_empty() {
        failures.append(&mut measure_programs(options, &of_programs, kept).await?);
    }
    if !in_process.is_empty() {
        failures.append(&mut measure_in_process(options, &in_process, kept).await?);
    }
    if options.parts.contains(&Part::Passes) {
        failures.append(&mut measure_passes(options, kept).await?);
    }
    Ok(failures)
}

/// Measures the parts that run the programs' libraries in this process.
async fn measure_in_process(
    options: &BenchOptions,
    parts: &[Part],
    kept: &Path,
) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
    let servers = Servers {
        clock: Arc::new(SystemClock::default()),
        options,
        folder: folder.path(),
        postgres: Postgres::start_with(&POSTGRES).await?,
        rabbitmq: start_rabbitmq().await?,
    };
    let machine = machine::describe(&servers.postgres, Some(&servers.rabbitmq)).await?;
    let mut failures = Vec::new();
    for part in parts {
        print::progress(&format!("{part} begins"));
        let mut result = PartResult::new(*part, servers.clock.now(), machine.clone());
        let load_before = machine::load_average();
        let started = servers.clock.elapsed();
        machine::probe_disk(servers.folder, &*servers.clock, &mut result.probes)?;
        if let Err(error) = parts::run_in_process(&servers, &mut result).await {
            result.fail("the rest of it", &error);
        }
        machine::probe_disk(servers.folder, &*servers.clock, &mut result.probes)?;
        result.seconds = (servers.clock.elapsed().saturating_sub(started)).as_secs_f64();
        note_load(&load_before, &mut result);
        keep(&result, kept)?;
        failures.append(&mut result.failures);
    }
    Ok(failures)
}

/// Notes how busy the machine was.
fn note_load(before: &str, result: &mut PartResult) {
    let after = machine::load_average();
    result.settings.push((
        "processes that ran or wanted a processor, the benchmark's with them (load average)".into(),
        format!("{before} when it began, {after} when it ended"),
    ));
}

/// Measures the part that needs neither program nor broker.
async fn measure_passes(options: &BenchOptions, kept: &Path) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
    let clock = SystemClock::default();
    let server = Postgres::start_with(&passes::POSTGRES).await?;
    let machine = machine::describe(&server, None).await?;
    let mut result = PartResult::new(Part::Passes, clock.now(), machine);
    let started = clock.elapsed();
    let registry = RegistryServer {
        clock: &clock,
        folder: folder.path(),
        server,
    };
    for _ in 0..2 {
        machine::probe_disk(folder.path(), &clock, &mut result.probes)?;
    }
    if let Err(error) = passes::measure(&registry, options.subjects, &mut result).await {
        result.fail("the rest of it", &error);
    }
    result.seconds = clock.elapsed().saturating_sub(started).as_secs_f64();
    keep(&result, kept)?;
    Ok(result.failures)
}

fn keep(result: &PartResult, kept: &Path) -> Result<(), Error> {
    let path = store::save(result, kept)?;
    print::progress(&format!(
        "{} took {:.0} s; {}",
        result.part,
        result.seconds,
        path.display()
    ));
    Ok(())
}

async fn start_rabbitmq() -> Result<RabbitMq, Error> {
    let rabbitmq = RabbitMq::start().await?;
    rabbitmq
        .set_memory_watermark(machine::memory_bytes() / 100 * BROKER_MEMORY_PERCENT)
        .await?;
    Ok(rabbitmq)
}

/// Measures the parts that run the programs.
async fn measure_programs(
    options: &BenchOptions,
    parts: &[Part],
    kept: &Path,
) -> Result<Vec<String>, Error> {
    let built = build::build()?;
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .disable_cleanup(options.keep)
        .tempdir()
        .map_err(Error::io("make a temporary folder"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    print::progress("starting a private PostgreSQL and a private RabbitMQ");
    let postgres = Postgres::start_with(&POSTGRES).await?;
    let rabbitmq = start_rabbitmq().await?;
    let programs = Programs::set_up(
        built,
        folder.path(),
        options.page_records,
        Arc::clone(&clock),
    )
    .await?;
    let machine = machine::describe(&postgres, Some(&rabbitmq)).await?;
    let session = BenchSession {
        clock,
        options,
        folder: folder.path(),
        postgres,
        rabbitmq,
        programs,
        synced: std::cell::RefCell::default(),
    };
    let settings = session.settings().await?;
    let mut failures = Vec::new();
    for part in parts {
        let mut result = PartResult::new(*part, session.clock.now(), machine.clone());
        result.settings.clone_from(&settings);
        measure_part(&session, &mut result).await;
        keep(&result, kept)?;
        failures.append(&mut result.failures);
    }
    if options.keep {
        print::progress(&format!("kept {}", folder.path().display()));
    }
    Ok(failures)
}

async fn measure_part(session: &BenchSession<'_>, result: &mut PartResult) {
    let started = session.clock.elapsed();
    let load_before = machine::load_average();
    if let Err(error) = parts::run(session, result).await {
        result.fail("the rest of it", &error);
        session.purge_queues().await;
    }
    note_load(&load_before, result);
    result.seconds = session.since(started).as_secs_f64();
}
