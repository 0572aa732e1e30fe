//! A measurement: a first load, a second reading of everything, and a change of one record in a
//! hundred.

use std::io::Write as _;
use std::path::Path;
use std::{fs, io};

use clock::SystemClock;
use contract::RecordDigest;

use crate::BenchArguments;
use crate::digests::{digest, scattered, state};
use crate::figures::{ResourcesUsed, peak_mib};
use crate::file::File;
use crate::stores::{Done, MeasuredStore, StoreKind};

/// Measures one store and prints lines of `value name`, for the parent process.
pub(crate) async fn run(kind: StoreKind, options: &BenchArguments) -> Done<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("outbox.db");
    let mut file = File::create(&path).await?;
    sqlx::raw_sql(kind.schema())
        .execute(&mut file.writer)
        .await?;
    file.close().await?;
    for size in &options.sizes {
        measure(kind, *size, &path, options).await?;
    }
    Ok(())
}

async fn measure(kind: StoreKind, size: u64, path: &Path, options: &BenchArguments) -> Done<()> {
    let cache_kib = match kind {
        StoreKind::RecordIndex => 4096,
        _ => options.peer_cache_kib,
    };
    let mut file = File::open(path, cache_kib).await?;
    let store = MeasuredStore::new(kind);
    let clock = SystemClock::default();
    let last_tenth = size - size / 10;

    let before = ResourcesUsed::by_now(&clock)?;
    load(&store, &mut file, 0..last_tenth, options.page).await?;
    let middle = ResourcesUsed::by_now(&clock)?;
    load(&store, &mut file, last_tenth..size, options.page).await?;
    let loaded = ResourcesUsed::by_now(&clock)?;
    print("first load", size, loaded.since(before))?;
    print("… its last tenth", size - last_tenth, loaded.since(middle))?;
    read_again(&store, &file, size, options.page).await?;
    print(
        "reading again",
        size,
        ResourcesUsed::by_now(&clock)?.since(loaded),
    )?;
    let before = ResourcesUsed::by_now(&clock)?;
    for first in pages(0..size / 100, options.page) {
        let places = first..(first + options.page).min(size / 100);
        change(
            &store,
            &mut file,
            places.map(|place| scattered(place, size)),
        )
        .await?;
    }
    print(
        "1 % changed",
        size / 100,
        ResourcesUsed::by_now(&clock)?.since(before),
    )?;

    file.close().await?;
    let mut out = io::stdout();
    let bytes = fs::metadata(path)?.len() as f64 / size as f64;
    writeln!(out, "{bytes} file, bytes/record")?;
    writeln!(out, "{} peak memory, MiB", peak_mib()?)?;
    Ok(())
}

/// Looks every record up once more; all are known.
async fn read_again(store: &MeasuredStore, file: &File, size: u64, page: u64) -> Done<()> {
    for first in pages(0..size, page) {
        let digests: Vec<_> = (first..(first + page).min(size)).map(digest).collect();
        let found = store.look_up(file, &digests).await?;
        if found.record_nos.len() != digests.len() {
            return Err("a record is missing".into());
        }
    }
    Ok(())
}

fn pages(records: std::ops::Range<u64>, page: u64) -> impl Iterator<Item = u64> {
    records.step_by(usize::try_from(page).unwrap_or(usize::MAX))
}

/// Looks every page up and appends it, as the gateway does with a table that it never read.
async fn load(
    store: &MeasuredStore,
    file: &mut File,
    records: std::ops::Range<u64>,
    page: u64,
) -> Done<()> {
    for first in pages(records.clone(), page) {
        let numbers = first..(first + page).min(records.end);
        let digests: Vec<RecordDigest> = numbers.clone().map(digest).collect();
        let found = store.look_up(file, &digests).await?;
        let states = numbers.map(|record| state(record, 1));
        let new = digests.iter().copied().zip(states);
        let new: Vec<_> = new
            .filter(|(record, _)| !found.record_nos.contains_key(record))
            .collect();
        store.append(file, &new, &found).await?;
    }
    Ok(())
}

/// Looks a page up and changes every record of it.
async fn change(
    store: &MeasuredStore,
    file: &mut File,
    records: impl Iterator<Item = u64> + Clone,
) -> Done<()> {
    let digests: Vec<RecordDigest> = records.clone().map(digest).collect();
    let found = store.look_up(file, &digests).await?;
    let changes = records
        .zip(&digests)
        .filter_map(|(number, record)| Some((*found.record_nos.get(record)?, state(number, 2))));
    let changes: Vec<_> = changes.collect();
    store.change(file, &changes).await
}

fn print(phase: &str, records: u64, used: ResourcesUsed) -> io::Result<()> {
    let each = records as f64;
    let mut out = io::stdout();
    writeln!(out, "{} {phase}, records/s", each / used.seconds)?;
    writeln!(
        out,
        "{} {phase}, processor µs/record",
        used.processor_seconds * 1e6 / each
    )?;
    writeln!(
        out,
        "{} {phase}, written bytes/record",
        used.written_bytes / each
    )
}
