//! Instruction counts of the path of every record: each step on one page of 1000 records, and the
//! rules about persons on one component at their limits, under callgrind.
//!
//! `scripts/test-instructions` runs it and holds the counts against `limits.toml`.

#![expect(
    missing_docs,
    unused_qualifications,
    reason = "gungraun's macros write functions of their own"
)]

use std::hint::black_box;

use connector_kit::{ClinicRecord, Feed};
use contract::{AnswerKey, Event, Opened, PrivateKey, RecordDigest, SealedBatch, Sealer, wire};
use draft::Draft;
use gungraun::prelude::{library_benchmark, library_benchmark_group, main};
use gungraun::{Callgrind, LibraryBenchmarkConfig};
use linking::{Component, Persons};
use pseudonym::Pseudonymiser;

fn record_ids() -> Vec<String> {
    hotpath::page()
        .into_iter()
        .map(|record| record.record_id)
        .collect()
}

/// A sealer that has sealed before, as all but the first have.
fn used_sealer() -> Sealer {
    let mut sealer = Sealer::new(&hotpath::registry_key().public());
    sealer
        .seal(&hotpath::events())
        .expect("a page fits a batch");
    sealer
}

fn sealed() -> SealedBatch {
    used_sealer()
        .seal(&hotpath::events())
        .expect("a page fits a batch")
        .0
}

fn encoded() -> Vec<u8> {
    wire::encode(&hotpath::events())
}

// Identifiers, codes and dates to drafts, with every pseudonym, record digest and content digest.
#[library_benchmark]
#[bench::page(hotpath::pseudonymiser(), hotpath::page())]
fn pseudonymise(pseudonymiser: Pseudonymiser, records: Vec<ClinicRecord>) -> Vec<Draft> {
    let drafts = records
        .into_iter()
        .filter_map(|record| hotpath::draft(&pseudonymiser, record));
    black_box(drafts.collect())
}

// What a sweep does with each id.
#[library_benchmark]
#[bench::page(hotpath::pseudonymiser(), record_ids())]
fn record_digests(pseudonymiser: Pseudonymiser, ids: Vec<String>) -> Vec<RecordDigest> {
    black_box(
        ids.iter()
            .map(|id| pseudonymiser.record_digest(Feed::Tests, id))
            .collect(),
    )
}

#[library_benchmark]
#[bench::page(hotpath::events())]
fn encode(events: Vec<Event>) -> (Vec<u8>, Vec<Event>) {
    (black_box(wire::encode(&events)), events)
}

// Encode, compress, encrypt.
#[library_benchmark]
#[bench::page(used_sealer(), hotpath::events())]
fn seal(mut sealer: Sealer, events: Vec<Event>) -> (SealedBatch, AnswerKey, Sealer, Vec<Event>) {
    let (batch, key) = black_box(sealer.seal(&events)).expect("a page fits a batch");
    (batch, key, sealer, events)
}

// Decrypt, decompress.
#[library_benchmark]
#[bench::page(hotpath::registry_key(), sealed())]
fn open(key: PrivateKey, batch: SealedBatch) -> Opened {
    black_box(key.open(&batch.bytes)).expect("sealed to this key")
}

#[library_benchmark]
#[bench::page(encoded())]
fn decode(encoded: Vec<u8>) -> Vec<Result<Event, wire::Refused>> {
    black_box(wire::decode(&encoded)).expect("a batch")
}

// Finds the persons of one component.
#[library_benchmark]
#[bench::at_its_limits(hotpath::component::component_at_its_limits())]
fn persons(component: Component) -> (Persons, Component) {
    let found = linking::persons(&component, &hotpath::component::RULES);
    (black_box(found), component)
}

library_benchmark_group!(
    name = hot_path,
    benchmarks = [
        pseudonymise,
        record_digests,
        encode,
        seal,
        open,
        decode,
        persons
    ]
);
// Caches are not simulated: their misses depend on where the allocator happens to put things.
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = hot_path
);
