//! City with its queue and its registry, whose clock stands still.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig, ReceiptSubscriber};
use chrono::{DateTime, Utc};
use clock::{Clock, ManualClock};
use contract::{
    Answer, BatchId, PrivateKey, PublicKey, Receipt, ReceiptSigner, ReceiptVerifier, StoredAnswer,
    Verdict,
};
use registry::{
    ConsumeConfig, ConsumeError, ConsumeStep, GroupOutcome, Keys, Reader, Registry, SecondLayerKey,
    SqliteConfig, StoreConfig,
};

use crate::servers::{PASSWORD, PASSWORD_FILE, REGISTRY, Servers};
use crate::{Account, Outcome};

/// Longest wait for a receipt that was sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Most failures of the registry in one piece of work, and the wait after each.
const MOST_FAILURES: u32 = 20;
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// File of the registry's SQLite database, in the city's folder.
pub const DATABASE: &str = "registry.sqlite";

/// Running registry, and the key to seal for it.
pub struct City {
    folder: tempfile::TempDir,
    /// Consumer of the queue.
    pub registry: Registry,
    /// Queue as the registry uses it.
    pub queue: QueueConfig,
    /// Key to seal batches to.
    pub public: PublicKey,
    /// Number of batches that went to the dead letters so far.
    pub dead: usize,
    receipts: Box<dyn ReceiptSubscriber>,
    verifier: ReceiptVerifier,
    received: HashMap<BatchId, Receipt>,
}

impl City {
    /// City on a directory and a SQLite file, where one record's word joins two persons.
    ///
    /// # Errors
    /// A folder or file that cannot be made.
    pub async fn small() -> Outcome<Self> {
        Self::demanding(1).await
    }

    /// City on a directory and a SQLite file, where so many records must join two persons.
    ///
    /// # Errors
    /// A folder or file that cannot be made.
    pub async fn demanding(records: u64) -> Outcome<Self> {
        let store = StoreConfig::Sqlite(SqliteConfig {
            path: DATABASE.into(),
        });
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        Self::new(&store, queue, records).await
    }

    /// City on RabbitMQ and PostgreSQL, with queues and a database of this name.
    ///
    /// # Errors
    /// A server that does not answer, or has the name already.
    pub async fn large(servers: &Servers, name: &str) -> Outcome<Self> {
        let store = servers.store(name).await?;
        Self::new(&store, servers.queue(name), 1).await
    }

    /// City on servers that were set up by the documented commands, under its documented names.
    ///
    /// # Errors
    /// A server that does not answer, or has the database already.
    pub async fn documented(servers: &Servers, database: &str) -> Outcome<Self> {
        let store = servers.store(database).await?;
        Self::new(&store, servers.documented_queue(REGISTRY), 1).await
    }

    async fn new(store: &StoreConfig, queue: QueueConfig, joining: u64) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let password = folder.path().join(PASSWORD_FILE);
        std::fs::write(&password, PASSWORD)?;
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600))?;
        let signer = ReceiptSigner::generate();
        let verifier = signer.verifier();
        let private = PrivateKey::generate();
        let public = private.public();
        let keys = Keys::new(private, Vec::new(), SecondLayerKey::generate());
        let keys = keys.with_receipt_key(signer);
        let reader = Reader::open(store, keys, folder.path()).await?;
        let settings = ConsumeConfig {
            max_wait_ms: 50.try_into()?,
            join_needs_records: joining,
            ..ConsumeConfig::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now()));
        let registry = Registry::new(reader, &queue, settings, folder.path(), clock)?;
        let receipts = broker::receipt_subscriber(&queue, folder.path())?;
        let mut city = Self {
            folder,
            registry,
            queue,
            public,
            dead: 0,
            receipts,
            verifier,
            received: HashMap::new(),
        };
        // Makes queues and exchanges, so that accounts which may not find them.
        city.work().await?;
        while !city.receipts.connected() {
            city.hear().await?;
        }
        Ok(city)
    }

    /// Folder of everything that the city keeps in files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Reader of what the registry holds.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        self.registry.reader()
    }

    /// Sender on the city's own queue settings.
    ///
    /// # Errors
    /// A setting that is wrong.
    pub fn account(&self) -> Outcome<Account> {
        self.account_on(&self.queue)
    }

    /// Sender on a queue as its account may use it.
    ///
    /// # Errors
    /// A setting that is wrong.
    pub fn account_on(&self, queue: &QueueConfig) -> Outcome<Account> {
        let publisher = broker::publisher(queue, self.folder())?;
        Ok(Account::new(publisher, self.public.clone()))
    }

    /// Lets the registry work until the queue is empty.
    ///
    /// # Errors
    /// A failure that lasts.
    pub async fn work(&mut self) -> Outcome<GroupOutcome> {
        let mut failures = 0;
        loop {
            match self.registry.drain().await {
                Ok(drained) => {
                    self.dead += drained.1;
                    return Ok(drained.0);
                }
                Err(error) => wait_after(error, &mut failures).await?,
            }
        }
    }

    /// Lets the registry do one step.
    ///
    /// # Errors
    /// A failure that lasts.
    pub async fn work_once(&mut self) -> Outcome<()> {
        let mut failures = 0;
        loop {
            match self.registry.consume_once(now()).await {
                Ok(ConsumeStep::Done { dead, .. }) => {
                    self.dead += dead;
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(error) => wait_after(error, &mut failures).await?,
            }
        }
    }

    /// Lets the registry work while something else is done, and then until the queue is empty.
    ///
    /// # Errors
    /// A failure that lasts, or one of what is done.
    pub async fn work_beside<T>(&mut self, beside: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        let mut beside = std::pin::pin!(beside);
        let mut failures = 0;
        let done = loop {
            // A step is not cancelled midway; what is done beside goes on during it.
            let step = self.registry.consume_ahead(now());
            let mut step = std::pin::pin!(step);
            let mut done = None;
            let step = loop {
                tokio::select! {
                    step = &mut step => break step,
                    result = &mut beside, if done.is_none() => done = Some(result?),
                }
            };
            match step {
                Ok(ConsumeStep::Done { dead, .. }) => self.dead += dead,
                Ok(_) => {}
                Err(error) => wait_after(error, &mut failures).await?,
            }
            if let Some(done) = done {
                break done;
            }
        };
        self.work().await?;
        Ok(done)
    }

    /// Ends the consumer, which gives back what it holds, and begins with another one.
    ///
    /// # Errors
    /// A setting that is wrong.
    pub async fn restart(&mut self) -> Outcome<()> {
        let next = self.registry.additional_consumer()?;
        let mut last = std::mem::replace(&mut self.registry, next);
        last.close().await;
        Ok(())
    }

    /// Receipt of a batch, for which it waits if it has not come yet.
    ///
    /// # Errors
    /// No receipt within a minute.
    pub async fn receipt(&mut self, batch: BatchId) -> Outcome<Receipt> {
        let waiting = async {
            loop {
                if let Some(receipt) = self.received.get(&batch) {
                    return Ok(receipt.clone());
                }
                self.hear().await?;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await?
    }

    async fn hear(&mut self) -> Outcome<()> {
        let wait = Duration::from_millis(20);
        for message in self.receipts.receive(100, wait).await? {
            for receipt in self.verifier.open(&message)? {
                self.received.insert(receipt.batch(), receipt);
            }
        }
        Ok(())
    }
}

/// Waits after a failure that may pass, such as that of a server that is slow on a busy machine: the
/// registry's own program goes on as well.
///
/// # Errors
/// The failure, where it is one too many in a row.
async fn wait_after(error: ConsumeError, failures: &mut u32) -> Outcome<()> {
    *failures += 1;
    if *failures > MOST_FAILURES {
        return Err(error.into());
    }
    tokio::time::sleep(AFTER_FAILURE).await;
    Ok(())
}

/// Time at which all tests play: the last days of the facts' half year.
///
/// # Panics
/// Never: the text is a time.
#[must_use]
pub fn now() -> DateTime<Utc> {
    let now = "2021-07-01T09:00:00Z".parse();
    now.expect("the text is a time")
}

impl Account {
    /// Answers to the batches since the last call, as one.
    ///
    /// # Errors
    /// A receipt that does not come, is not for this account, or says that a batch is unreadable.
    pub async fn answers(&mut self, city: &mut City) -> Outcome<StoredAnswer> {
        let mut all = StoredAnswer::default();
        for sent in self.take_sent() {
            let receipt = city.receipt(sent.0.id).await?;
            match receipt.read(&sent.1)? {
                Verdict::Answered(Answer::Stored(answer)) => {
                    all.accepted += answer.accepted;
                    all.refused.extend(answer.refused);
                    all.superseded.extend(answer.superseded);
                }
                other => return Err(format!("another answer: {other:?}").into()),
            }
        }
        Ok(all)
    }
}
