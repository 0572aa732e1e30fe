//! What remembering a record costs as the outbox grows: `cargo bench -p outbox -- 100000 1000000`.
//!
//! The drafts are withdrawals of what was never sent: remembered like any other, but nothing is
//! sealed. Linux only, since processor time and bytes written are read from /proc; bytes count
//! where the temporary folder is on a disk.

use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use chrono::DateTime;
use clock::{Clock as _, SystemClock};
use contract::{Body, ContentDigest, Draft, FactKind, PrivateKey, RecordDigest};
use outbox::{Outbox, OutboxOptions, PageCommit, Pulled};

const PAGE: u64 = 5000;

/// Clock ticks of /proc in a second.
const TICKS: f64 = 100.0;

/// Records measured at the end of each size.
const MEASURED: u64 = 100_000;

/// What the process has used up to now.
struct Used {
    seconds: f64,
    processor_seconds: f64,
    written_bytes: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sizes: Vec<u64> = env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![100_000, 1_000_000]
    } else {
        sizes
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&sizes))
}

async fn measure(sizes: &[u64]) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let clock = SystemClock::default();
    let path = folder.path().join("outbox.db");
    let key = PrivateKey::generate();
    let open = || {
        Outbox::open(
            &path,
            OutboxOptions::new(key.public(), "bench"),
            DateTime::UNIX_EPOCH,
        )
    };
    let mut outbox = open().await?;
    let mut out = io::stdout();
    writeln!(
        out,
        "{:>10} {:>22} {:>12} {:>12} {:>10} {:>9}",
        "records", "of", "records/s", "cpu us", "bytes", "MiB"
    )?;
    let mut records = 0;
    let begun = Used::by_now(&clock)?;
    for size in sizes {
        let from = size.saturating_sub(MEASURED).max(records);
        load(&outbox, records..from).await?;
        let before = Used::by_now(&clock)?;
        load(&outbox, from..*size).await?;
        before.tell(&clock, *size, "the last new", size - from)?;
        begun.tell(&clock, *size, "all new", *size)?;
        records = *size;
        let before = Used::by_now(&clock)?;
        load(&outbox, 0..records.min(MEASURED)).await?;
        before.tell(&clock, *size, "unchanged", records.min(MEASURED))?;
        let before = Used::by_now(&clock)?;
        look_up(&outbox, 0..records.min(MEASURED)).await?;
        before.tell(&clock, *size, "keys of a sweep", records.min(MEASURED))?;
        let before = Used::by_now(&clock)?;
        outbox.close().await?;
        outbox = open().await?;
        load(&outbox, 0..1).await?;
        before.tell(&clock, *size, "closing and opening", 1)?;
    }
    writeln!(out, "the file has {} bytes", fs::metadata(&path)?.len())?;
    Ok(())
}

async fn load(outbox: &Outbox, records: std::ops::Range<u64>) -> Result<(), outbox::OutboxError> {
    let mut first = records.start;
    while first < records.end {
        let last = (first + PAGE).min(records.end);
        outbox
            .commit_page(page((first..last).map(draft).collect()))
            .await?;
        first = last;
    }
    Ok(())
}

async fn look_up(
    outbox: &Outbox,
    records: std::ops::Range<u64>,
) -> Result<(), outbox::OutboxError> {
    for first in records.clone().step_by(5000) {
        let keys: Vec<_> = (first..(first + PAGE).min(records.end))
            .map(|record| (digest(record), stamp(record)))
            .collect();
        outbox.sweep_look_up("bench", "tests", &keys).await?;
    }
    Ok(())
}

fn page(drafts: Vec<Pulled>) -> PageCommit {
    PageCommit {
        source: "bench".into(),
        feed: "tests".into(),
        drafts,
        refused: Vec::new(),
        accepted_record_ids: Vec::new(),
        resume: Some("here".into()),
        read_in: None,
        sweep: None,
        now: DateTime::UNIX_EPOCH,
    }
}

fn draft(record: u64) -> Pulled {
    let body = Body::Withdrawn {
        kind: FactKind::Test,
    };
    let draft = Draft {
        record: digest(record),
        content: ContentDigest([7; 16]),
        body,
        only_if_sent: true,
    };
    Pulled {
        draft,
        stamp: stamp(record),
    }
}

fn stamp(record: u64) -> Option<i64> {
    Some(1_625_140_800_000_000 + record.cast_signed())
}

/// Spread like a real digest.
fn digest(record: u64) -> RecordDigest {
    let mut bytes = [0; 32];
    for (place, chunk) in (1..).zip(bytes.as_chunks_mut::<8>().0) {
        let mut mixed = record
            .wrapping_mul(4)
            .wrapping_add(place)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        *chunk = (mixed ^ (mixed >> 31)).to_be_bytes();
    }
    RecordDigest(bytes)
}

impl Used {
    fn by_now(clock: &SystemClock) -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let ticks = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(11)
            .take(2);
        let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        let written_bytes = figure("/proc/self/io", "write_bytes:")?;
        Ok(Self {
            seconds: clock.elapsed().as_secs_f64(),
            processor_seconds: ticks / TICKS,
            written_bytes,
        })
    }

    fn tell(&self, clock: &SystemClock, size: u64, of: &str, records: u64) -> io::Result<()> {
        let now = Self::by_now(clock)?;
        let each = |used: f64| used / records as f64;
        let rate = records as f64 / (now.seconds - self.seconds);
        let processor_us = each(now.processor_seconds - self.processor_seconds) * 1e6;
        let bytes = each(now.written_bytes - self.written_bytes);
        let mib = figure("/proc/self/status", "VmHWM:")? / 1024.0;
        writeln!(
            io::stdout(),
            "{size:>10} {of:>22} {rate:>12.0} {processor_us:>12.2} {bytes:>10.0} {mib:>9.0}"
        )
    }
}

fn figure(file: &str, name: &str) -> io::Result<f64> {
    let text = fs::read_to_string(Path::new(file))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    Ok(line
        .split_whitespace()
        .next()
        .and_then(|figure| figure.parse().ok())
        .unwrap_or(0.0))
}
