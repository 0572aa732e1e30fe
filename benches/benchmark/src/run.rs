//! A run of the benchmark: its parts in turn, their results kept, and the page composed.

use std::path::Path;
use std::sync::Arc;

use clock::{Clock, SystemClock};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::arguments::BenchOptions;
use crate::error::Error;
use crate::machine;
use crate::parts;
use crate::print;
use crate::processes::build;
use crate::processes::programs::Programs;
use crate::report;
use crate::results::{PartResult, store};
use crate::session::BenchSession;

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
    let built = build::build()?;
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .disable_cleanup(options.keep)
        .tempdir()
        .map_err(Error::io("make a temporary folder"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    print::progress("starting a private PostgreSQL and a private RabbitMQ");
    let postgres = Postgres::start_with(&POSTGRES).await?;
    let rabbitmq = RabbitMq::start().await?;
    rabbitmq
        .set_memory_watermark(machine::memory_bytes() / 100 * BROKER_MEMORY_PERCENT)
        .await?;
    let programs = Programs::set_up(
        built,
        folder.path(),
        options.page_records,
        Arc::clone(&clock),
    )
    .await?;
    let machine = machine::describe(&postgres, &rabbitmq).await?;
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
    for part in &options.parts {
        let mut result = PartResult::new(*part, session.clock.now(), machine.clone());
        result.settings.clone_from(&settings);
        measure_part(&session, &mut result).await;
        let path = store::save(&result, kept)?;
        print::progress(&format!(
            "{part} took {:.0} s; {}",
            result.seconds,
            path.display()
        ));
        failures.append(&mut result.failures);
    }
    if options.keep {
        print::progress(&format!("kept {}", folder.path().display()));
    }
    Ok(failures)
}

async fn measure_part(session: &BenchSession<'_>, result: &mut PartResult) {
    let started = session.clock.elapsed();
    if let Err(error) = parts::run(session, result).await {
        result.fail("the rest of it", &error);
        session.purge_queues().await;
    }
    result.seconds = session.since(started).as_secs_f64();
}
