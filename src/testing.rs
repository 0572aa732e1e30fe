//! Support for the tests of this crate: a gateway over a source that a test controls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use clock::ManualClock;
use connector_kit::{
    CheckReport, ClinicDate, ClinicFact, ClinicRecord, Coding, Connector, Cursor, Feed, Field,
    Identifier, IdentifierKind, KeysPage, KeysRequest, Page, PageRequest, Person, RecordKey,
    RecordStatus, SourceError,
};
use contract::{PrivateKey, ReceiptSigner};
use parking_lot::{Mutex, MutexGuard};
use pseudonym::KeyRing;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::config::{self, LoadedConfig};
use crate::gateway::{Gateway, read_ring};
use crate::pull::{Counters, FeedRun};
use crate::run::{RunSummary, SourceRun};
use crate::sources::Source;

/// A source's rows with their stamps, by id, and the ways in which it misbehaves.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub rows: Mutex<BTreeMap<u32, i64>>,
    /// True while the source is away.
    pub away: AtomicBool,
    /// Feeds beside the vaccinations.
    pub other_feeds: Mutex<Vec<Feed>>,
    /// Feeds that are broken while the others are not, each with its failure.
    pub broken: Mutex<Vec<(Feed, SourceError)>>,
    /// Feeds whose pages were asked for, in turn.
    pub asked_feeds: Mutex<Vec<Feed>>,
    /// Rows that lists of keys leave out.
    pub unlisted: Mutex<BTreeSet<u32>>,
    /// Rows for which a question by id fails.
    pub unanswered: Mutex<BTreeSet<u32>>,
    /// True for a source that goes away when it is asked by id.
    pub leaves_when_asked: AtomicBool,
    /// Ids that were asked for, question by question.
    pub asked_ids: Mutex<Vec<Vec<String>>>,
    /// True while the source hands out the same pages again and again.
    pub endless: AtomicBool,
    /// Number of pages asked for.
    pub asked: AtomicU64,
    /// Limit of the last page.
    pub limit: AtomicU32,
    /// Notified to make the source hint.
    pub hints: tokio::sync::Notify,
    /// Number of pages asked for after a hint.
    pub hinted: AtomicU64,
}

impl Rows {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, i64>> {
        self.rows.lock()
    }

    /// Takes the list of feeds whose pages were asked for since the last call.
    pub(crate) fn take_asked(&self) -> Vec<Feed> {
        std::mem::take(&mut self.asked_feeds.lock())
    }

    fn works(&self, feed: Feed) -> Result<(), SourceError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(SourceError::retry("the source is away"));
        }
        let broken = self.broken.lock();
        let failure = broken.iter().find(|(broken, _)| *broken == feed);
        failure.map_or(Ok(()), |(_, failure)| Err(failure.clone()))
    }

    fn page_of(&self, after: Option<&Cursor>, limit: u32) -> (Vec<(u32, i64)>, Option<Cursor>) {
        let from = after.map_or(0, |cursor| cursor.as_str().parse().expect("our own cursor"));
        let limit = usize::try_from(limit).expect("small");
        let page: Vec<_> = self
            .lock()
            .range(from..)
            .take(limit)
            .map(|(id, stamp)| (*id, *stamp))
            .collect();
        let next = page
            .last()
            .map(|(id, _)| id + 1)
            .filter(|_| page.len() == limit);
        let next = if self.endless.load(Ordering::Relaxed) {
            Some(from.max(1) % 3 + 1)
        } else {
            next
        };
        (
            page,
            next.map(|next| Cursor::new(next.to_string()).expect("short")),
        )
    }
}

/// Id of a row whose vaccine is unknown, so that its record cannot be sent.
pub(crate) const UNSENDABLE: u32 = 999_999;

/// Id of a row whose fact lies in the future until 2021-07-10.
pub(crate) const IN_JULY: u32 = 888_888;

/// Makes the record of one vaccination of a person of its own.
pub(crate) fn record(id: u32, stamp: i64) -> ClinicRecord {
    ClinicRecord {
        record_id: id.to_string(),
        status: RecordStatus::Final,
        person: Person {
            identifiers: vec![Identifier {
                kind: IdentifierKind::PassportForeign,
                value: format!("YA{}", 4_417_000 + id).into(),
                country: Some("IT".into()),
            }],
            unreadable: false,
        },
        fact: ClinicFact::Vaccination {
            vaccine: vec![Coding::local(if id == UNSENDABLE {
                "неизвестная"
            } else {
                "sputnik-v"
            })],
            dose_number: Field::Value(1.into()),
            series_doses: Field::Missing,
            occurred_on: Field::Value(ClinicDate::Day(if id == IN_JULY {
                chrono::NaiveDate::from_ymd_opt(2021, 7, 10).expect("a day")
            } else {
                chrono::NaiveDate::from_ymd_opt(2021, 6, 10).expect("a day")
            })),
        },
        stamp: Some(stamp),
    }
}

/// Makes the record of a person of its own in a feed.
fn record_of(feed: Feed, id: u32, stamp: i64) -> ClinicRecord {
    let day = chrono::NaiveDate::from_ymd_opt(2021, 6, 10).expect("a day");
    let occurred_on = Field::Value(ClinicDate::Day(day));
    let record = record(id, stamp);
    let fact = match feed {
        Feed::Vaccinations => return record,
        Feed::Tests => ClinicFact::Test {
            test: vec![Coding::local("pcrcovid19")],
            result: vec![Coding::local("negative")],
            occurred_on,
        },
        Feed::Recoveries => ClinicFact::Recovery {
            diagnosis: vec![Coding::local("U07.1")],
            began_on: Field::Missing,
            occurred_on,
        },
    };
    ClinicRecord { fact, ..record }
}

/// Connector that reads [`Rows`].
pub(crate) struct RowsConnector(pub Arc<Rows>);

#[async_trait]
impl Connector for RowsConnector {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn feeds(&self) -> Vec<Feed> {
        let others = self.0.other_feeds.lock();
        std::iter::once(Feed::Vaccinations)
            .chain(others.iter().copied())
            .collect()
    }

    async fn check(&self, _now: DateTime<Utc>) -> CheckReport {
        CheckReport::default()
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        self.0.limit.store(request.limit, Ordering::Relaxed);
        self.0
            .hinted
            .fetch_add(u64::from(request.hinted), Ordering::Relaxed);
        self.0.asked_feeds.lock().push(request.feed);
        self.0.works(request.feed)?;
        let (rows, next) = self.0.page_of(request.after.as_ref(), request.limit);
        // Ids rise: the next run begins behind the last row.
        let resume = rows
            .last()
            .and_then(|(id, _)| Cursor::new((id + 1).to_string()));
        let records = rows
            .into_iter()
            .map(|(id, stamp)| record_of(request.feed, id, stamp))
            .collect();
        Ok(Page {
            records,
            next,
            resume,
            surprise: None,
        })
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        self.0.works(request.feed)?;
        let (rows, next) = self.0.page_of(request.after.as_ref(), request.limit);
        let unlisted = self.0.unlisted.lock();
        let listed = rows.into_iter().filter(|(id, _)| !unlisted.contains(id));
        let keys = listed.map(|(id, stamp)| RecordKey {
            record_id: id.to_string(),
            stamp: Some(stamp),
        });
        Ok(KeysPage {
            keys: keys.collect(),
            next,
            surprise: None,
        })
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        _now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        self.0.asked_ids.lock().push(ids.to_vec());
        if self.0.leaves_when_asked.load(Ordering::Relaxed) {
            self.0.away.store(true, Ordering::Relaxed);
        }
        self.0.works(feed)?;
        let unanswered = self.0.unanswered.lock();
        let mut asked = ids.iter().filter_map(|id| id.parse().ok());
        if asked.any(|id: u32| unanswered.contains(&id)) {
            return Err(SourceError::retry("a row cannot be looked for"));
        }
        let rows = self.rows_with(ids);
        Ok(rows
            .into_iter()
            .map(|(id, stamp)| record_of(feed, id, stamp))
            .collect())
    }

    async fn changed(&self) -> Result<(), SourceError> {
        self.0.hints.notified().await;
        if self.0.away.load(Ordering::Relaxed) {
            Err(SourceError::retry("the source is away"))
        } else {
            Ok(())
        }
    }
}

impl RowsConnector {
    fn rows_with(&self, ids: &[String]) -> Vec<(u32, i64)> {
        let rows = self.0.lock();
        ids.iter()
            .filter_map(|id| id.parse().ok())
            .filter_map(|id| Some((id, *rows.get(&id)?)))
            .collect()
    }
}

/// A gateway with one source over [`Rows`], the registry's keys, and a clock that a test moves.
pub(crate) struct World {
    pub folder: tempfile::TempDir,
    pub gateway: Gateway,
    pub rows: Arc<Rows>,
    pub clock: Arc<ManualClock>,
    pub private: PrivateKey,
    pub signer: ReceiptSigner,
    loaded: LoadedConfig,
}

impl World {
    /// Makes the gateway and the source's first rows; `extra` is put behind the `[registry]` keys.
    pub(crate) async fn new(extra: &str, ids: std::ops::Range<u32>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let private = PrivateKey::generate();
        let signer = ReceiptSigner::generate();
        write_secret(
            &folder.path().join("keys"),
            KeyRing::generate().to_text().expose_secret(),
        );
        fs::create_dir(folder.path().join("state")).expect("the state folder is made");
        let path = folder.path().join("clinic-gateway.toml");
        let text = format!(
            "[keys]\nring = {{ file = \"keys\" }}\n[queue.directory]\npath = \"queue\"\n\
             [source.mis.sqlite]\npath = \"none.db\"\n[source.mis.sqlite.vaccinations]\nquery \
             = \"SELECT 1 AS record_id\"\n\
             [registry]\npublic_key = \"{}\"\nreceipt_keys = [\"{}\"]\n{extra}\n",
            private.public().to_text(),
            signer.verifier().to_text()
        );
        fs::write(&path, text).expect("the configuration is written");
        let loaded = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let clock = Arc::new(ManualClock::at(
            DateTime::from_timestamp(1_625_000_000, 0).expect("a moment"),
        ));
        let shared: Arc<dyn clock::Clock> = Arc::<ManualClock>::clone(&clock);
        let mut gateway = Gateway::open(&loaded, shared, "test")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let rows = Arc::new(Rows::default());
        rows.lock().extend(ids.map(|id| (id, i64::from(id))));
        let world_source = source_over(&loaded, &rows);
        gateway.sources = vec![Arc::new(world_source)];
        Self {
            folder,
            gateway,
            rows,
            clock,
            private,
            signer,
            loaded,
        }
    }

    /// Gives the source a codes file, `codes.csv` in the folder.
    pub(crate) fn add_codes_file(&mut self, text: &str) {
        fs::write(self.folder.path().join("codes.csv"), text).expect("the file is written");
        let config = self
            .loaded
            .config
            .source
            .get_mut("mis")
            .expect("the source");
        config.policy.codes_file = Some("codes.csv".into());
        self.gateway.sources = vec![Arc::new(self.source())];
    }

    /// Makes the source once more, to be given other settings.
    pub(crate) fn source(&self) -> Source {
        source_over(&self.loaded, &self.rows)
    }

    /// Runs the source once, which must succeed.
    pub(crate) async fn pull(&self) -> RunSummary {
        let run = SourceRun {
            gateway: &self.gateway,
            source: &self.gateway.sources[0],
            stop: &CancellationToken::new(),
            counters: &Counters::default(),
        };
        run.scheduled().await.expect("a good run")
    }

    /// A run over the source's one feed, to be given other parts.
    pub(crate) fn feed_run<'a>(
        &'a self,
        source: &'a Source,
        stop: &'a CancellationToken,
        counters: &'a Counters,
    ) -> FeedRun<'a> {
        FeedRun {
            gateway: &self.gateway,
            source,
            feed: Feed::Vaccinations,
            stop,
            counters,
        }
    }

    /// Reads the source's stored cursor.
    pub(crate) async fn stored_cursor(&self) -> Option<String> {
        let source = &self.gateway.sources[0];
        let stored = self.gateway.stored_cursor(source, Feed::Vaccinations).await;
        let stored = stored.expect("the state can be read");
        stored.map(|cursor| cursor.as_str().to_owned())
    }

    /// Opens the batches that lie in the queue's directory.
    pub(crate) fn published(&self) -> Vec<contract::Opened> {
        let incoming = fs::read_dir(self.folder.path().join("queue/incoming")).expect("the queue");
        incoming
            .flatten()
            .map(|file| fs::read(file.path()).expect("a batch can be read"))
            .map(|sealed| {
                self.private
                    .open(&sealed)
                    .expect("it is sealed to this registry")
            })
            .collect()
    }
}

/// Longest time that a test waits for anything, in a machine that is busy with other things.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// Waits for what must come to pass; a test that would hang fails with its name instead.
pub(crate) async fn within_patience<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}

/// Runs an ignored test in a process of its own with these injection points, which hold for a whole
/// process.
#[cfg(feature = "inject")]
pub(crate) fn succeeds_broken(test: &str, points: &str) {
    let mut command =
        std::process::Command::new(std::env::current_exe().expect("a test has a program"));
    command
        .args([test, "--exact", "--ignored"])
        .env(fault::ENVIRONMENT_VARIABLE, points);
    let output = command.output().expect("the test is started");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
}

fn source_over(loaded: &LoadedConfig, rows: &Arc<Rows>) -> Source {
    let config = &loaded.config.source["mis"];
    let ring = read_ring(loaded).expect("a key ring");
    let suite = loaded.config.keys.suite.into();
    let source = Source::new("mis", config, &loaded.base, &ring, suite);
    let mut source = source.unwrap_or_else(|error| panic!("{error}"));
    source.connector = Arc::new(RowsConnector(Arc::clone(rows)));
    source
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("a secret is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
}
