//! The two ways to the queue as they change, written down for `status`.

use broker::QueueState;
use tokio::sync::watch;

use crate::gateway::Gateway;

/// State of a way with its cause.
type State = (&'static str, Option<String>);

/// What was last written down of the two ways.
pub(super) struct LinkWatch {
    /// Shows whether receipts can arrive; `None` where they are off.
    connection: Option<watch::Receiver<bool>>,
    queue: Option<State>,
    receipts: Option<State>,
}

impl LinkWatch {
    pub(super) const fn new(connection: Option<watch::Receiver<bool>>) -> Self {
        Self {
            connection,
            queue: None,
            receipts: None,
        }
    }

    /// Writes down what has changed; and all of it after a failed write of the outbox, where the
    /// disk takes writes, which shows whether the outbox can be written again.
    pub(super) async fn look(&mut self, gateway: &Gateway, may_write: bool) {
        if may_write && gateway.own_state.failure().is_some() {
            self.queue = None;
        }
        let causes = &gateway.queue_causes;
        let queue = (queue_state(gateway.publisher.state()), causes.publishing());
        self.queue = note(gateway, "queue", self.queue.take(), queue).await;
        let Some(connection) = &self.connection else {
            return;
        };
        let why = causes.receiving();
        let state = match (*connection.borrow(), &why) {
            (true, _) => "connected",
            (false, Some(_)) => "down",
            (false, None) => "connecting",
        };
        self.receipts = note(gateway, "receipts", self.receipts.take(), (state, why)).await;
    }
}

/// Writes a state down if it is another one; returns what is written down.
async fn note(
    gateway: &Gateway,
    name: &str,
    before: Option<State>,
    present: State,
) -> Option<State> {
    if before.as_ref() == Some(&present) {
        return before;
    }
    let now = gateway.clock.now();
    let why = present.1.as_deref();
    let noted = gateway.outbox.note_link(name, present.0, why, now).await;
    gateway.own_state.note(noted.as_ref().err());
    noted.is_ok().then_some(present)
}

/// Code of the state of the way on which batches leave.
pub(super) const fn queue_state(state: QueueState) -> &'static str {
    match state {
        QueueState::Idle => "idle",
        QueueState::Connected => "connected",
        QueueState::Blocked => "blocked",
        QueueState::Down => "down",
    }
}
