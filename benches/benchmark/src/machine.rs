//! Description of what the figures depend on: the machine, its disk, and the versions of what runs
//! on it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use clock::Clock;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::error::Error;
use crate::results::{Figures, Samples, name};

/// Writes of the disk's probe.
const FSYNCS: usize = 50;
const FSYNC_BYTES: usize = 4096;
/// The probe of long writes: enough that the disk's own cache does not take all of it.
const WRITES: usize = 512;
const WRITE_BYTES: usize = 1 << 20;

/// The machine and the versions, as rows of a table: name and value; without a broker's version
/// where none is used.
pub(crate) async fn describe(
    postgres: &Postgres,
    rabbitmq: Option<&RabbitMq>,
) -> Result<Vec<(String, String)>, Error> {
    let cores = processors();
    let model = value_of("/proc/cpuinfo", "model name");
    let gibibytes = (memory_bytes() + (1 << 29)) >> 30;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = postgres.psql("postgres", "SHOW server_version").await?;
    let broker = match rabbitmq {
        Some(rabbitmq) => rabbitmq.ctl(&["version"]).await?,
        None => String::new(),
    };
    let compiler = Command::new("rustc")
        .arg("-V")
        .output()
        .map_err(Error::io("run rustc"))?;
    let profile = if cfg!(debug_assertions) {
        "debug: these figures say nothing"
    } else {
        "release"
    };
    let rows = [
        ("processor", format!("{cores} cores, {model}")),
        ("memory", format!("{gibibytes} GiB")),
        ("kernel", format!("Linux {}", kernel.trim())),
        ("PostgreSQL", version),
        (
            "RabbitMQ",
            broker.lines().last().unwrap_or_default().to_owned(),
        ),
        (
            "compiler",
            String::from_utf8_lossy(&compiler.stdout).trim().to_owned(),
        ),
        ("build", profile.to_owned()),
        ("commit", commit()),
    ];
    let known = rows.into_iter().filter(|(_, value)| !value.is_empty());
    Ok(known
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// Commit that was measured, as far as git knows.
fn commit() -> String {
    let git = |words: &[&str]| {
        let asked = Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(words)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        asked.status.success().then_some(text)
    };
    let changed = git(&["status", "--porcelain"]).is_some_and(|files| !files.is_empty());
    let suffix = if changed { ", with changes" } else { "" };
    git(&["rev-parse", "--short", "HEAD"]).map_or_else(|| "unknown".into(), |hash| hash + suffix)
}

/// Number of processors that may be used.
pub(crate) fn processors() -> f64 {
    std::thread::available_parallelism().map_or(f64::NAN, |cores| cores.get() as f64)
}

/// Average number of processes that ran or wanted a processor in the last minute, in words.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average = text.split(' ').next().unwrap_or_default();
    if average.is_empty() {
        return "unknown".to_owned();
    }
    average.to_owned()
}

/// Memory of the machine, in bytes; 0 if it is unknown.
pub(crate) fn memory_bytes() -> u64 {
    let kibibytes = value_of("/proc/meminfo", "MemTotal");
    kibibytes
        .trim_end_matches(" kB")
        .parse::<u64>()
        .map_or(0, |number| number * 1024)
}

/// The value behind the first `name:` of a file in /proc.
fn value_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    line.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

/// Probes the disk below `folder`.
pub(crate) fn probe_disk(
    folder: &Path,
    clock: &dyn Clock,
    probes: &mut Figures,
) -> Result<(), Error> {
    probes.push(name::FSYNC, fsync_ms(folder, clock)?);
    probes.push(name::WRITE, write_mb_s(folder, clock)?);
    Ok(())
}

/// Median time that the disk below `folder` takes to make 4 KiB durable, in milliseconds.
pub(crate) fn fsync_ms(folder: &Path, clock: &dyn Clock) -> Result<f64, Error> {
    let path = folder.join("fsync-probe");
    let refused = || Error::io("write the disk's probe");
    let mut file = File::create(&path).map_err(refused())?;
    let mut samples = Samples::default();
    for _ in 0..FSYNCS {
        let started = clock.elapsed();
        file.write_all(&[7; FSYNC_BYTES])
            .and_then(|()| file.sync_all())
            .map_err(refused())?;
        samples.push(clock.elapsed().saturating_sub(started).as_secs_f64() * 1000.0);
    }
    fs::remove_file(path).map_err(refused())?;
    Ok(samples.median())
}

/// Rate at which the disk below `folder` takes a long file, to the end of its fsync, in megabytes
/// (10^6 bytes) a second.
pub(crate) fn write_mb_s(folder: &Path, clock: &dyn Clock) -> Result<f64, Error> {
    let path = folder.join("write-probe");
    let refused = || Error::io("write the disk's probe");
    let piece = vec![7; WRITE_BYTES];
    let started = clock.elapsed();
    let mut file = File::create(&path).map_err(refused())?;
    for _ in 0..WRITES {
        file.write_all(&piece).map_err(refused())?;
    }
    file.sync_all().map_err(refused())?;
    let took = clock.elapsed().saturating_sub(started).as_secs_f64();
    fs::remove_file(path).map_err(refused())?;
    Ok((WRITES * WRITE_BYTES) as f64 / 1e6 / took)
}
