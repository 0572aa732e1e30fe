//! Benchmark of the intake of an initial load, from the queue to the receipts, beside a bare COPY
//! of the same rows in the same run.
//!
//! `cargo bench -p registry`; `INTAKE_FACTS`, `INTAKE_BATCH` (events a batch) and
//! `INTAKE_CONSUMERS` (such as `1,2,4`) change its size; with `INTAKE_WATCHED=true` PostgreSQL's
//! registry marks changed persons, as it does beside a portal. The COPY's tables have the same columns,
//! indexes and checks, and get the rows in the order in which the registry has stored them. A
//! directory is the queue.
#![expect(clippy::print_stdout, reason = "its figures are for whoever runs it")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use az::SaturatingAs;
use broker::{DirectoryConfig, QueueConfig};
use clock::{Clock, SystemClock};
use contract::{
    Body, ContentDigest, Event, Fact, OwnerToken, PartialDate, PrivateKey, Pseudonym, PublicKey,
    ReceiptSigner, RecordDigest, Scheme, Subject, Suite, TestCode, TestResult, Vaccine, Version,
    wire,
};
use registry::{
    ConsumeConfig, ConsumeStep, Keys, PostgresConfig, Reader, Registry, SecondLayerKey,
    SqliteConfig, StoreConfig, TlsMode,
};
use testbed::postgres::Postgres;

type BenchResult<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Settings of both sides' server, beside testbed's defaults.
const SERVER: [(&str, &str); 2] = [("shared_buffers", "256MB"), ("max_wal_size", "4GB")];
const TABLES: [&str; 5] = ["subject", "pseudonym", "name_set", "link", "fact"];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> BenchResult<()> {
    let facts: u64 = setting("INTAKE_FACTS", 200_000)?;
    let batch: u64 = setting("INTAKE_BATCH", 500)?;
    let consumers: String = setting("INTAKE_CONSUMERS", "1,2,4".to_owned())?;
    println!("{facts} facts of {} persons, {batch} a batch", facts / 3);
    let server = Postgres::start_with(&SERVER).await?;
    let mut last = String::new();
    for consumers in consumers.split(',') {
        let database = format!("registry_{consumers}");
        let url = Some(server.create_database(&database).await?);
        let postgres = PostgresConfig {
            url,
            tls: Some(TlsMode::Off),
            ..PostgresConfig::default()
        };
        let store = StoreConfig::Postgres(Box::new(postgres));
        let at = Database {
            server: &server,
            name: &database,
        };
        let run = intake(&store, consumers.parse()?, facts, batch, Some(at)).await?;
        run.print(&format!("PostgreSQL, {consumers} consumers"), facts);
        last = database;
    }
    copy(&server, &last, facts).await?.print("bare COPY", facts);
    let sqlite = StoreConfig::Sqlite(SqliteConfig {
        path: "registry.sqlite".into(),
    });
    intake(&sqlite, 1, facts, batch, None)
        .await?
        .print("SQLite, 1 consumer", facts);
    println!(
        "peak memory of this program: {} MiB",
        status_kib("VmHWM")? / 1024
    );
    Ok(())
}

fn setting<T: std::str::FromStr<Err: Error + Send + Sync + 'static>>(
    name: &str,
    default: T,
) -> BenchResult<T> {
    Ok(std::env::var(name)
        .ok()
        .map(|text| text.parse())
        .transpose()?
        .unwrap_or(default))
}

/// Database of a server.
#[derive(Clone, Copy)]
struct Database<'a> {
    server: &'a Postgres,
    name: &'a str,
}

/// Time that a run took.
struct Figures {
    wall: Duration,
    own_ms: u64,
    server_ms: u64,
}

impl Figures {
    fn print(&self, what: &str, facts: u64) {
        let micros = |ms: u64| ms * 1000 / facts.max(1);
        let wall_ms = self.wall.as_millis().saturating_as::<u64>().max(1);
        println!(
            "{what:<26} {:>7} facts/s   CPU a fact: own {:>3} us, server {:>3} us   ({wall_ms} ms)",
            facts * 1000 / wall_ms,
            micros(self.own_ms),
            micros(self.server_ms),
        );
    }
}

/// Fills a queue, then times the registry over it, from the first step to the last commit.
async fn intake(
    store: &StoreConfig,
    consumers: usize,
    facts: u64,
    batch: u64,
    database: Option<Database<'_>>,
) -> BenchResult<Figures> {
    let server = database.map(|database| database.server);
    let folder = tempfile::tempdir()?;
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let private = PrivateKey::generate();
    fill_queue(&queue, folder.path(), &private.public(), facts, batch).await?;
    let keys = Keys::new(private, Vec::new(), SecondLayerKey::generate())
        .with_receipt_key(ReceiptSigner::generate());
    let reader = Reader::open(store, keys, folder.path()).await?;
    if let Some(database) = database.filter(|_| setting("INTAKE_WATCHED", false).unwrap_or(false)) {
        let watch = "INSERT INTO pass_watch (id) VALUES (1)";
        database.server.psql(database.name, watch).await?;
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let settings = ConsumeConfig::default();
    let first = Registry::new(
        reader.clone(),
        &queue,
        settings,
        folder.path(),
        Arc::clone(&clock),
    )?;
    let mut all = vec![first];
    while all.len() < consumers {
        all.push(all[0].additional_consumer()?);
    }
    let own = own_ms()?;
    let theirs = server_ms(server)?;
    let begun = clock.elapsed();
    let applied = Arc::new(AtomicUsize::new(0));
    let mut running = tokio::task::JoinSet::new();
    for mut registry in all {
        let applied = Arc::clone(&applied);
        let clock = Arc::clone(&clock);
        running.spawn(async move {
            let target = usize::try_from(facts)?;
            while applied.load(Ordering::Acquire) < target {
                if let ConsumeStep::Done { outcome, .. } =
                    registry.consume_ahead(clock.now()).await?
                {
                    applied.fetch_add(outcome.applied, Ordering::AcqRel);
                }
            }
            let ended = clock.elapsed();
            registry.close().await;
            BenchResult::Ok(ended)
        });
    }
    // The others may still be waiting for a batch.
    let mut ended = Duration::MAX;
    while let Some(one) = running.join_next().await {
        ended = ended.min(one??);
    }
    let figures = Figures {
        wall: ended.saturating_sub(begun),
        own_ms: own_ms()? - own,
        server_ms: server_ms(server)? - theirs,
    };
    reader.close().await;
    Ok(figures)
}

/// Copies the rows of `database` once more, into empty tables that the registry has made.
async fn copy(server: &Postgres, database: &str, facts: u64) -> BenchResult<Figures> {
    let folder = tempfile::tempdir()?;
    let url = Some(server.create_database("bare").await?);
    let postgres = PostgresConfig {
        url,
        tls: Some(TlsMode::Off),
        ..PostgresConfig::default()
    };
    let keys = Keys::new(
        PrivateKey::generate(),
        Vec::new(),
        SecondLayerKey::generate(),
    );
    Reader::open(
        &StoreConfig::Postgres(Box::new(postgres)),
        keys,
        folder.path(),
    )
    .await?
    .close()
    .await;
    let file = |table: &str| folder.path().join(table).display().to_string();
    for table in TABLES {
        server
            .psql(
                database,
                &format!("\\copy {table} to '{}' (format binary)\n", file(table)),
            )
            .await?;
    }
    let clock = SystemClock::default();
    let own = own_ms()?;
    let theirs = server_ms(Some(server))?;
    let begun = clock.elapsed();
    for table in TABLES {
        server
            .psql(
                "bare",
                &format!("\\copy {table} from '{}' (format binary)\n", file(table)),
            )
            .await?;
    }
    let figures = Figures {
        wall: clock.elapsed().saturating_sub(begun),
        own_ms: own_ms()? - own,
        server_ms: server_ms(Some(server))? - theirs,
    };
    let stored = server.psql("bare", "SELECT count(*) FROM fact").await?;
    assert_eq!(stored.trim(), facts.to_string());
    Ok(figures)
}

/// Sends the doses of everybody first, two a person, then a test for each: later facts meet known
/// persons.
async fn fill_queue(
    queue: &QueueConfig,
    base: &Path,
    key: &PublicKey,
    facts: u64,
    batch: u64,
) -> BenchResult<()> {
    let publisher = broker::publisher(queue, base)?;
    let doses = facts / 3 * 2;
    let mut next = 0;
    while next < facts {
        let end = (next + batch).min(facts);
        let event = |number: u64| {
            let person = if number < doses {
                number / 2
            } else {
                number - doses
            };
            event(number, person, number < doses)
        };
        let events = (next..end)
            .map(event)
            .collect::<BenchResult<Vec<Event>>>()?;
        publisher
            .publish(&key.seal(&wire::encode(&events))?.0)
            .await?;
        next = end;
    }
    publisher.close().await;
    Ok(())
}

fn event(number: u64, person: u64, dose: bool) -> BenchResult<Event> {
    let pseudonym = |scheme, salt| Pseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch: 1,
        value: digest(person, salt),
    };
    let subject = Subject::new(vec![pseudonym(Scheme::Snils, 1), pseudonym(Scheme::Oms, 2)]);
    let occurred_on: PartialDate =
        format!("2021-{:02}-{:02}", 1 + person % 6, 1 + person % 28).parse()?;
    let fact = if dose {
        let dose_number = Some(if number.is_multiple_of(2) { 1 } else { 2 });
        Fact::Vaccination {
            vaccine: Vaccine::SputnikV,
            dose_number,
            series_doses: Some(2),
            occurred_on,
        }
    } else {
        Fact::Test {
            test: TestCode::RnaRespiratory,
            result: TestResult::NotDetected,
            occurred_on,
        }
    };
    let mut content = [0; 16];
    content.copy_from_slice(&digest(number, 4)[..16]);
    Ok(Event {
        record: RecordDigest(digest(number, 3)),
        version: Version::new(1).ok_or("1 is a version")?,
        content: ContentDigest(content),
        owner: OwnerToken(content),
        body: Body::Asserted {
            subject: subject.ok_or("two pseudonyms are a subject")?,
            fact,
        },
    })
}

/// 32 bytes that look random (splitmix64).
fn digest(number: u64, salt: u64) -> [u8; 32] {
    let mut state = number
        .wrapping_mul(8)
        .wrapping_add(salt)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes
}

/// Processor time of this program, in milliseconds.
fn own_ms() -> BenchResult<u64> {
    Ok(ProcessTicks::read(Path::new("/proc/self"))?.own * TICK_MS)
}

/// Processor time of the server with all its processes, also those that have ended, in
/// milliseconds.
fn server_ms(server: Option<&Postgres>) -> BenchResult<u64> {
    let Some(main) = server.and_then(Postgres::process_id) else {
        return Ok(0);
    };
    let mut ticks = ProcessTicks::read(&Path::new("/proc").join(main.to_string()))?.with_children;
    for entry in std::fs::read_dir("/proc")? {
        // One that ended meanwhile counts with the main process from now on.
        if let Ok(process) = ProcessTicks::read(&entry?.path())
            && process.parent == u64::from(main)
        {
            ticks += process.own;
        }
    }
    Ok(ticks * TICK_MS)
}

/// Length of a tick of the kernel's process times, in milliseconds.
const TICK_MS: u64 = 10;

/// Processor time of a process, in ticks, out of `/proc/PID/stat` (proc_pid_stat(5)).
struct ProcessTicks {
    parent: u64,
    own: u64,
    /// Own ticks and those of ended children.
    with_children: u64,
}

impl ProcessTicks {
    fn read(process: &Path) -> BenchResult<Self> {
        let stat = std::fs::read_to_string(process.join("stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("a process has a name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<u64>().ok())
        };
        let sum = |range: std::ops::Range<usize>| range.filter_map(number).sum::<u64>();
        Ok(Self {
            parent: number(1).unwrap_or(0),
            own: sum(11..13),
            with_children: sum(11..15),
        })
    }
}

fn status_kib(field: &str) -> BenchResult<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with(field))
        .ok_or("a process has a size")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .ok_or("a size is a number")?
        .parse()?)
}
