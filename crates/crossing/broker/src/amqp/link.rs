//! The publishing side as its callers see it: one task behind a bounded channel, started at the
//! first publish.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::BatchId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::run;
use super::settings::Settings;
use crate::{AmqpConfig, BrokerError, State};

/// Time for the task to say goodbye.
const CLOSE: Duration = Duration::from_secs(5);

/// What to publish.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: BatchId,
    pub(super) bytes: Vec<u8>,
    /// For dead letters: one of the program's own words.
    pub(super) reason: Option<Cow<'static, str>>,
}

/// Where to publish.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) kind: Traffic,
    pub(super) exchange: String,
    pub(super) routing_key: String,
}

impl Target {
    /// The queue of batches.
    pub(super) fn batches(config: &AmqpConfig) -> Self {
        let exchange = config.exchange.clone();
        let routing_key = config.queue.clone();
        Self {
            kind: Traffic::Batches,
            exchange,
            routing_key,
        }
    }

    /// The queue of dead letters.
    pub(super) fn dead_letters(config: &AmqpConfig) -> Self {
        let name = config.dead_letters.clone();
        Self {
            kind: Traffic::Batches,
            exchange: name.clone(),
            routing_key: name,
        }
    }

    /// Every queue bound to the exchange of receipts.
    pub(super) fn receipts(config: &AmqpConfig) -> Self {
        let exchange = config.receipts.clone();
        Self {
            kind: Traffic::Receipts,
            exchange,
            routing_key: String::new(),
        }
    }
}

/// What goes over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Batches and dead letters: durable queues; whatever no queue takes must come back.
    Batches,
    /// Receipts: whoever listens, be it nobody; a lost one costs a resend.
    Receipts,
}

/// The way back of an outcome.
pub(super) type Reply = oneshot::Sender<Result<(), BrokerError>>;

/// A message on its way to the task, and the way back of its outcome.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) message: Message,
    /// Told when the message is given to the connection: its caller's time for the confirm begins.
    pub(super) handed: oneshot::Sender<()>,
    pub(super) reply: Reply,
}

/// What the task tells about the connection.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) state: State,
    /// Why the last attempt to connect, or the last connection, failed.
    pub(super) last_error: Option<BrokerError>,
}

/// A publishing connection that keeps itself up.
#[derive(Debug)]
pub(super) struct Link {
    settings: Arc<Settings>,
    target: Target,
    condition: Arc<watch::Sender<Condition>>,
    task: Mutex<Task>,
}

#[derive(Debug)]
enum Task {
    NotStarted,
    Running {
        requests: mpsc::Sender<Request>,
        handle: JoinHandle<()>,
    },
    Closed,
}

impl Link {
    pub(super) fn new(settings: Arc<Settings>, target: Target) -> Self {
        let idle = Condition {
            state: State::Idle,
            last_error: None,
        };
        Self {
            settings,
            target,
            condition: Arc::new(watch::Sender::new(idle)),
            task: Mutex::new(Task::NotStarted),
        }
    }

    pub(super) fn window(&self) -> usize {
        self.settings.config.window.get().into()
    }

    pub(super) fn state(&self) -> State {
        self.condition.borrow().state
    }

    /// `Ok` only when the broker confirmed the message and returned it to nobody.
    ///
    /// The confirm timeout counts twice: until the connection takes the message, then until it is
    /// confirmed. Otherwise a slow uplink would spend a message's time on those before it.
    pub(super) async fn publish(&self, message: Message) -> Result<(), BrokerError> {
        let requests = self.requests()?;
        let (reply, outcome) = oneshot::channel();
        let (handed, taken) = oneshot::channel();
        let queueing = async {
            if requests
                .send(Request {
                    message,
                    handed,
                    reply,
                })
                .await
                .is_err()
            {
                return Err(closed());
            }
            // The task ends with its last sender, so none may wait for an outcome.
            drop(requests);
            // A request that was dropped has its outcome in the reply, or nowhere.
            drop(taken.await);
            Ok(())
        };
        let limit = self.settings.confirm_timeout();
        timeout(limit, queueing)
            .await
            .unwrap_or_else(|_| Err(self.too_late()))?;
        match timeout(limit, outcome).await {
            Ok(outcome) => outcome.unwrap_or_else(|_| Err(self.lost())),
            Err(_) => Err(self.too_late()),
        }
    }

    /// [`Self::publish`] for what need not arrive: the confirm timeout counts once.
    pub(super) async fn publish_promptly(&self, message: Message) -> Result<(), BrokerError> {
        let limit = self.settings.confirm_timeout();
        timeout(limit, self.publish(message))
            .await
            .unwrap_or_else(|_| Err(self.too_late()))
    }

    pub(super) async fn close(&self) {
        let task = std::mem::replace(&mut *self.lock(), Task::Closed);
        if let Task::Running { requests, handle } = task {
            drop(requests);
            let stop = handle.abort_handle();
            if timeout(CLOSE, handle).await.is_err() {
                stop.abort();
            }
        }
    }

    fn requests(&self) -> Result<mpsc::Sender<Request>, BrokerError> {
        let mut task = self.lock();
        if let Task::NotStarted = *task {
            let (requests, receiver) = mpsc::channel(self.window());
            let supervisor = run::supervise(
                Arc::clone(&self.settings),
                self.target.clone(),
                receiver,
                Arc::clone(&self.condition),
            );
            *task = Task::Running {
                requests,
                handle: tokio::spawn(supervisor),
            };
        }
        match &*task {
            Task::Running { requests, .. } => Ok(requests.clone()),
            _ => Err(closed()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> BrokerError {
        let known = self.condition.borrow().last_error.clone();
        known.unwrap_or_else(|| {
            let place = &self.settings.place;
            BrokerError::retry(format!(
                "the connection to {place} was lost before it confirmed a message"
            ))
        })
    }

    fn too_late(&self) -> BrokerError {
        let Condition { state, last_error } = self.condition.borrow().clone();
        let place = &self.settings.place;
        let seconds = self.settings.config.confirm_timeout_seconds;
        match (state, last_error) {
            (State::Blocked, _) => BrokerError::retry(format!(
                "{place} takes no messages: its memory or disk alarm is on (waited {seconds} s)"
            )),
            (State::Down, Some(error)) => error,
            _ => BrokerError::retry(format!(
                "{place} did not confirm a message within {seconds} s"
            )),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Task::Running { handle, .. } = &*self.lock() {
            handle.abort();
        }
    }
}

fn closed() -> BrokerError {
    BrokerError::retry("the connection to the broker was closed by this program")
}
