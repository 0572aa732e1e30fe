//! The publishing side as its callers see it: one task behind a bounded channel, started at the
//! first publish if not before.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::message::{Destination, LinkStatus, OutgoingMessage, PublishRequest};
use super::publish_task::publish_until_closed;
use super::settings::AmqpSettings;
use super::size_limit::SizeLimit;
use crate::{BrokerError, QueueState};

/// Longest wait for the task to close its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A publishing connection that is made anew whenever it is lost.
#[derive(Debug)]
pub(super) struct PublishLink {
    settings: Arc<AmqpSettings>,
    destination: Destination,
    status: Arc<watch::Sender<LinkStatus>>,
    limit: Arc<SizeLimit>,
    task: Mutex<Task>,
}

#[derive(Debug)]
enum Task {
    NotStarted,
    Running {
        requests: mpsc::Sender<PublishRequest>,
        handle: JoinHandle<()>,
    },
    Closed,
}

impl PublishLink {
    pub(super) fn new(settings: Arc<AmqpSettings>, destination: Destination) -> Self {
        let idle = LinkStatus {
            state: QueueState::Idle,
            last_error: None,
        };
        Self {
            settings,
            destination,
            status: Arc::new(watch::Sender::new(idle)),
            limit: Arc::default(),
            task: Mutex::new(Task::NotStarted),
        }
    }

    pub(super) fn window(&self) -> usize {
        self.settings.config.window.get().into()
    }

    pub(super) fn state(&self) -> QueueState {
        self.status.borrow().state
    }

    /// `Ok` only when the broker confirmed the message and returned it to nobody.
    ///
    /// The confirm timeout counts twice: until the connection takes the message, then until it is
    /// confirmed. Otherwise a slow uplink would spend a message's time on those before it.
    /// A message that the broker has told to be too long fails alone, and is not sent again while
    /// the broker is the same.
    pub(super) async fn publish(&self, message: OutgoingMessage) -> Result<(), BrokerError> {
        let length = message.bytes.len();
        self.limit.check(length)?;
        let outcome = self.send(message).await;
        if outcome.is_err() {
            // The one that the channel was closed over learns its own reason.
            self.limit.check(length)?;
        }
        outcome
    }

    async fn send(&self, message: OutgoingMessage) -> Result<(), BrokerError> {
        let requests = self.requests()?;
        let (reply, outcome) = oneshot::channel();
        let (handed_over, given_to_connection) = oneshot::channel();
        let request = PublishRequest {
            message,
            handed_over,
            reply,
        };
        let handing_over = async {
            requests.send(request).await.map_err(|_| closed())?;
            // The task ends with its last sender, so none may wait for an outcome.
            drop(requests);
            // A request that was dropped has its outcome in the reply, or nowhere.
            drop(given_to_connection.await);
            Ok(())
        };
        let limit = self.settings.confirm_timeout();
        timeout(limit, handing_over)
            .await
            .unwrap_or_else(|_| Err(self.too_late()))?;
        match timeout(limit, outcome).await {
            Ok(outcome) => outcome.unwrap_or_else(|_| Err(self.lost())),
            Err(_) => Err(self.too_late()),
        }
    }

    /// Publishes a message that need not arrive: the confirm timeout counts once, and as a whole.
    pub(super) async fn publish_promptly(
        &self,
        message: OutgoingMessage,
    ) -> Result<(), BrokerError> {
        let limit = self.settings.confirm_timeout();
        timeout(limit, self.publish(message))
            .await
            .unwrap_or_else(|_| Err(self.too_late()))
    }

    pub(super) async fn close(&self) {
        let task = std::mem::replace(&mut *self.task.lock(), Task::Closed);
        if let Task::Running { requests, handle } = task {
            drop(requests);
            let stop = handle.abort_handle();
            if timeout(CLOSE_TIMEOUT, handle).await.is_err() {
                stop.abort();
            }
        }
    }

    /// Begins to connect, unless that has begun before or the link is closed.
    pub(super) fn start(&self) {
        drop(self.requests());
    }

    fn requests(&self) -> Result<mpsc::Sender<PublishRequest>, BrokerError> {
        let mut task = self.task.lock();
        if let Task::NotStarted = *task {
            let (requests, receiver) = mpsc::channel(self.window());
            let publishing = publish_until_closed(
                Arc::clone(&self.settings),
                self.destination.clone(),
                receiver,
                Arc::clone(&self.status),
                Arc::clone(&self.limit),
            );
            *task = Task::Running {
                requests,
                handle: tokio::spawn(publishing),
            };
        }
        match &*task {
            Task::Running { requests, .. } => Ok(requests.clone()),
            _ => Err(closed()),
        }
    }

    fn lost(&self) -> BrokerError {
        let known = self.status.borrow().last_error.clone();
        known.unwrap_or_else(|| {
            let broker = &self.settings.address;
            BrokerError::retry(format!(
                "the connection to {broker} was lost before it confirmed a message"
            ))
            .into_connection_failure()
        })
    }

    fn too_late(&self) -> BrokerError {
        let LinkStatus { state, last_error } = self.status.borrow().clone();
        let broker = &self.settings.address;
        let seconds = self.settings.config.confirm_timeout_seconds;
        match (state, last_error) {
            (QueueState::Blocked, _) => BrokerError::retry(format!(
                "{broker} takes no messages: its memory or disk alarm is on (waited {seconds} s)"
            )),
            (QueueState::Down, Some(error)) => error,
            _ => BrokerError::retry(format!(
                "{broker} did not confirm a message within {seconds} s"
            )),
        }
    }
}

impl Drop for PublishLink {
    fn drop(&mut self) {
        if let Task::Running { handle, .. } = &*self.task.lock() {
            handle.abort();
        }
    }
}

fn closed() -> BrokerError {
    BrokerError::retry("the connection to the broker was closed by this program")
}
