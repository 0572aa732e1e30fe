//! Benchmark of a change of names to a new key of the key services, beside bare multiplications of
//! as many elements on all cores in the same run.
//!
//! `cargo bench -p registry --bench rekey`; `REKEY_PERSONS` changes its size. Each person has two
//! names and one fact.
#![expect(clippy::print_stdout, reason = "its figures are for whoever runs it")]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig};
use clock::{Clock, SystemClock};
use contract::{
    Body, ContentDigest, Event, Fact, OwnerToken, PartialDate, PrivateKey, Pseudonym, PublicKey,
    RecordDigest, Scheme, Subject, Suite, TestCode, TestResult, Version, wire,
};
use oprf::{Element, Factor};
use registry::{
    ConsumeConfig, Keys, PostgresConfig, Reader, Registry, Rekeying, SecondLayerKey, SqliteConfig,
    StoreConfig, TlsMode,
};
use testbed::postgres::Postgres;

type BenchResult<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Persons of a batch.
const BATCH: usize = 500;

/// Compressed generator of ristretto255 (RFC 9496, appendix A.1).
const GENERATOR: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> BenchResult<()> {
    let persons = match std::env::var("REKEY_PERSONS") {
        Ok(text) => text.parse()?,
        Err(_) => 50_000,
    };
    let elements = elements(2 * persons)?;
    println!("{} names of {persons} persons", elements.len());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let bare = bare(&elements, clock.as_ref())?;
    print("bare multiplications", elements.len(), bare, bare);
    let sqlite = StoreConfig::Sqlite(SqliteConfig {
        path: "registry.sqlite".into(),
    });
    let took = rekey(&sqlite, &elements, &clock).await?;
    print("SQLite", elements.len(), took, bare);
    let server = Postgres::start_with(&[("shared_buffers", "256MB"), ("max_wal_size", "4GB")]);
    let server = server.await?;
    let postgres = StoreConfig::Postgres(Box::new(PostgresConfig {
        url: Some(server.create_database("registry").await?),
        tls: Some(TlsMode::Off),
        ..PostgresConfig::default()
    }));
    let took = rekey(&postgres, &elements, &clock).await?;
    print("PostgreSQL", elements.len(), took, bare);
    Ok(())
}

fn print(what: &str, names: usize, took: Duration, bare: Duration) {
    let micros = took.as_micros().max(1);
    println!(
        "{what:<22} {:>7} names/s ({} ms): {:.2} of bare multiplication",
        names as u128 * 1_000_000 / micros,
        took.as_millis(),
        bare.as_secs_f64() / took.as_secs_f64()
    );
}

fn elements(count: usize) -> BenchResult<Vec<Element>> {
    let mut generator = [0; 32];
    hex::decode_to_slice(GENERATOR, &mut generator)?;
    let mut last = Element::from_bytes(generator).ok_or("the generator is an element")?;
    let step = Factor::derive(b"elements of the benchmark", &[9; 32]);
    let mut next = || {
        last = last.times(&step);
        last
    };
    Ok((0..count).map(|_| next()).collect())
}

fn change() -> Factor {
    Factor::derive(b"change of the benchmark", &[7; 32])
}

/// Time that the multiplications take alone, on all cores.
fn bare(elements: &[Element], clock: &dyn Clock) -> BenchResult<Duration> {
    let factor = change();
    let cores = std::thread::available_parallelism()?.get();
    let begun = clock.elapsed();
    std::thread::scope(|scope| {
        for part in elements.chunks(elements.len().div_ceil(cores)) {
            let factor = &factor;
            scope.spawn(move || {
                for element in part {
                    black_box(element.times(factor));
                }
            });
        }
    });
    Ok(clock.elapsed().saturating_sub(begun))
}

/// Stores the persons, and times the change of their names.
async fn rekey(
    store: &StoreConfig,
    elements: &[Element],
    clock: &Arc<dyn Clock>,
) -> BenchResult<Duration> {
    let folder = tempfile::tempdir()?;
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let private = PrivateKey::generate();
    fill_queue(&queue, folder.path(), &private.public(), elements).await?;
    let second_layer = SecondLayerKey::generate();
    let rekeying = Rekeying::new(&second_layer, 1, 2, &change());
    let keys = Keys::new(private, Vec::new(), second_layer)
        .with_open_epochs(vec![1, 2])
        .with_rekeyings(vec![rekeying]);
    let reader = Reader::open(store, keys, folder.path()).await?;
    let settings = ConsumeConfig::default();
    let shared = Arc::clone(clock);
    let mut registry = Registry::new(reader.clone(), &queue, settings, folder.path(), shared)?;
    let (outcome, _) = registry.drain().await?;
    assert_eq!(outcome.applied, elements.len() / 2, "every fact is stored");
    registry.close().await;
    let begun = clock.elapsed();
    reader.rekey(1, 2, clock.now(), |_| {}).await?;
    let took = clock.elapsed().saturating_sub(begun);
    reader.close().await;
    Ok(took)
}

async fn fill_queue(
    queue: &QueueConfig,
    base: &Path,
    key: &PublicKey,
    elements: &[Element],
) -> BenchResult<()> {
    let publisher = broker::publisher(queue, base)?;
    let persons: Vec<&[Element]> = elements.chunks_exact(2).collect();
    for (place, batch) in persons.chunks(BATCH).enumerate() {
        let first = place * BATCH;
        let events = (first..).zip(batch);
        let events = events.map(|(number, names)| event(number, names));
        let events = events.collect::<BenchResult<Vec<Event>>>()?;
        let sealed = key.seal(&wire::encode(&events))?.0;
        publisher.publish(&sealed).await?;
    }
    publisher.close().await;
    Ok(())
}

fn event(number: usize, names: &[Element]) -> BenchResult<Event> {
    let schemes = [Scheme::Snils, Scheme::Oms].into_iter().zip(names);
    let names = schemes.map(|(scheme, element)| Pseudonym {
        scheme,
        suite: Suite::Voprf,
        epoch: 1,
        value: element.to_bytes(),
    });
    let subject = Subject::new(names.collect()).ok_or("two names are a subject")?;
    let occurred_on: PartialDate = "2021-06-01".parse()?;
    let mut record = RecordDigest([9; 32]);
    record.0[..8].copy_from_slice(&number.to_be_bytes());
    Ok(Event {
        record,
        version: Version::new(1).ok_or("1 is a version")?,
        content: ContentDigest([2; 16]),
        owner: OwnerToken([3; 16]),
        body: Body::Asserted {
            subject,
            fact: Fact::Test {
                test: TestCode::RnaRespiratory,
                result: TestResult::NotDetected,
                occurred_on,
            },
        },
    })
}
