//! The relay: all its parts, opened from a configuration, and their tasks.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use broker::BrokerError;
use clock::Clock;
use parking_lot::Mutex;
use state_folder::StateError;
use telemetry::{Health, HealthPart};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Config;
use crate::account::Receiver;
use crate::form::{Form, KeyError};
use crate::heard::{self, Heard};
use crate::mixer::{Mixer, Party};
use crate::pool::Pool;
use crate::receipt_source::ReceiptSource;
use crate::receipts::Receipts;
use crate::senders::{EscrowFolderError, Senders};

/// Reason why the relay cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Folder of the state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Keys of the outer seal.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Folder of what is laid down for the auditor.
    #[error(transparent)]
    Escrow(#[from] EscrowFolderError),
    /// Settings of a broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Relay that has not begun yet.
#[derive(Debug)]
pub struct Relay {
    mixer: Arc<Mixer>,
    receivers: Vec<Receiver>,
    receipts: Receipts,
}

impl Relay {
    /// Reads secrets, certificates and the state. Connects to nothing yet. `base` is the folder
    /// that relative paths start from.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        config: &Config,
        base: &Path,
        clock: Arc<dyn Clock>,
        health: &Health,
    ) -> Result<Self, OpenError> {
        let largest = config.mix.largest_batch_bytes;
        let form = Arc::new(Form::open(&config.relay, largest, base)?);
        let folder = heard::open_folder(&base.join(&config.relay.state))?;
        let names = config.accounts.iter().map(|account| account.name.as_str());
        let heard = Heard::open(folder, names, clock.now().date_naive())?;
        let names = config.accounts.iter().map(|account| account.name.as_str());
        let senders = config.escrow.as_ref();
        let senders = senders.map(|escrow| Senders::open(escrow, base, names));
        let mut health = health.parts(config.accounts.len() + 2).into_iter();
        let mut part = || health.next().expect("a part for each");
        let mut receivers = Vec::new();
        let mut parties = Vec::new();
        for index in 0..config.accounts.len() {
            let form = Arc::clone(&form);
            let (party, receiver) = open_account(config, base, index, form, part())?;
            parties.push(party);
            receivers.push(receiver);
        }
        let held = config.mix.held_batches.get().into();
        let mixer = Mixer {
            pool: Mutex::new(Pool::new(config.accounts.len(), held)),
            heard: Arc::new(heard),
            clock,
            parties,
            rules: config.mix.rules(),
            senders: senders.transpose()?,
            slot_length: config.mix.slot_seconds,
            inside: broker::publisher(&config.inside, base)?,
            health: part(),
        };
        let outside = config.outside_receipts();
        let outside = outside
            .iter()
            .map(|queue| broker::persistent_receipt_publisher(queue, base));
        let receipts = Receipts {
            inside: ReceiptSource::open(&config.inside, base)?,
            outside: outside.collect::<Result<_, _>>()?,
            waiting: VecDeque::new(),
            is_failing: false,
            health: part(),
        };
        Ok(Self {
            mixer: Arc::new(mixer),
            receivers,
            receipts,
        })
    }

    /// Begins to take batches and to pass receipts on, in tasks that end after `stop` is cancelled.
    /// Slots are up to the caller: [`Mixer::slot`].
    #[must_use]
    pub fn begin(self, tasks: &TaskTracker, stop: &CancellationToken) -> Arc<Mixer> {
        for receiver in self.receivers {
            tasks.spawn(receiver.run(Arc::clone(&self.mixer), stop.clone()));
        }
        tasks.spawn(self.receipts.run(stop.clone()));
        // Before the first batch comes, it should be known whether the registry's broker is away.
        self.mixer.inside.connect();
        let mixer = Arc::clone(&self.mixer);
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.cancelled().await;
            mixer.close().await;
        });
        self.mixer
    }
}

fn open_account(
    config: &Config,
    base: &Path,
    index: usize,
    form: Arc<Form>,
    health: HealthPart,
) -> Result<(Party, Receiver), BrokerError> {
    let account = &config.accounts[index];
    let outside = config.outside_of(account);
    let (sender, settled) = mpsc::unbounded_channel();
    let receiver = Receiver {
        index,
        name: account.name.clone(),
        consumer: broker::limited_consumer(
            &outside,
            base,
            form.largest_message(),
            config.mix.held_batches,
        )?,
        form,
        settled,
        refused: Vec::new(),
        logged: BTreeMap::new(),
        is_connected: false,
        health,
    };
    let party = Party {
        name: account.name.clone(),
        settled: sender,
    };
    Ok((party, receiver))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use broker::{Consumer, Delivery, DirectoryConfig, QueueConfig, Token};
    use clock::SystemClock;
    use contract::PrivateKey;
    use tokio::sync::{Notify, Semaphore};

    use super::*;

    const CONFIG: &str = "[mix]
slot_seconds = 1
minimum_pool = 1
minimum_accounts = 1
[[accounts]]
name = \"clinic-1\"
[outside.directory]
path = \"clinics\"
[inside.directory]
path = \"registry\"
";

    /// Steps of an acknowledgement that a test lets through.
    #[derive(Debug)]
    struct Gate {
        entered: Notify,
        open: Semaphore,
    }

    /// Consumer whose acknowledgements wait at a gate.
    #[derive(Debug)]
    struct Slow {
        inner: Box<dyn Consumer>,
        gate: Arc<Gate>,
    }

    #[async_trait]
    impl Consumer for Slow {
        async fn receive(
            &mut self,
            max: usize,
            max_wait: Duration,
        ) -> Result<Vec<Delivery>, BrokerError> {
            self.inner.receive(max, max_wait).await
        }

        fn connected(&self) -> bool {
            self.inner.connected()
        }

        async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
            self.gate.entered.notify_one();
            self.gate.open.acquire().await.expect("open").forget();
            self.inner.ack(tokens).await
        }

        async fn dead_letter(
            &mut self,
            delivery: Delivery,
            reason: &'static str,
        ) -> Result<(), BrokerError> {
            self.inner.dead_letter(delivery, reason).await
        }

        async fn requeue(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
            self.inner.requeue(tokens).await
        }

        async fn close(&mut self) {
            self.inner.close().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_acknowledgement_that_the_stop_finds_under_way_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let place =
            |name: &str| QueueConfig::Directory(DirectoryConfig::at(folder.path().join(name)));
        let account = place("clinics/clinic-1");
        let publisher = broker::publisher(&account, folder.path()).unwrap();
        let batch = PrivateKey::generate().public().seal(b"batch").unwrap().0;
        publisher.publish(&batch).await.unwrap();
        publisher.close().await;
        let config: Config = settings::parse(CONFIG, Path::new("x")).unwrap();
        let clock = Arc::new(SystemClock::default());
        let mut relay = Relay::open(&config, folder.path(), clock, &Health::default()).unwrap();
        let gate = Arc::new(Gate {
            entered: Notify::new(),
            open: Semaphore::new(0),
        });
        let receiver = relay.receivers.pop().unwrap();
        relay.receivers.push(Receiver {
            consumer: Box::new(Slow {
                inner: receiver.consumer,
                gate: Arc::clone(&gate),
            }),
            ..receiver
        });
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let mixer = relay.begin(&tasks, &stop);
        while mixer.slot().await.published == 0 {
            tokio::task::yield_now().await;
        }
        gate.entered.notified().await;
        stop.cancel();
        gate.open.add_permits(1000);
        tasks.close();
        tasks.wait().await;
        let mut again = broker::consumer(&account, folder.path()).unwrap();
        let come = again.receive(9, Duration::ZERO).await.unwrap();
        assert!(come.is_empty(), "{} come again", come.len());
        again.close().await;
    }

    #[tokio::test]
    async fn a_slot_that_is_stopped_has_acknowledged_what_was_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let config: Config = settings::parse(CONFIG, Path::new("x")).unwrap();
        let clock = Arc::new(SystemClock::default());
        let mut relay = Relay::open(&config, folder.path(), clock, &Health::default()).unwrap();
        let report = relay.mixer.slot_until(std::future::ready(())).await;
        assert_eq!((report.published, report.failed), (0, 0));
        let told = relay.receivers[0].settled.try_recv();
        assert!(told.is_ok(), "the end of the slot is told");
    }
}
