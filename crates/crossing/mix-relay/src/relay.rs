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
