//! Receipts on their way back: taken inside, broadcast outside, acknowledged once that is
//! confirmed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, ReceiptPublisher};
use telemetry::HealthPart;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::metrics;
use crate::receipt_source::{ReceiptSource, WaitingReceipts};

/// Wait for messages in one go.
const WAIT: Duration = Duration::from_secs(1);
/// Number of messages that are taken at once.
const AT_ONCE: usize = 16;
/// Pause after an error, beside those that the connections make themselves.
const PAUSE: Duration = Duration::from_millis(200);

/// Way of the receipts.
#[derive(Debug)]
pub(crate) struct Receipts {
    pub(crate) inside: ReceiptSource,
    /// The clinics' broker; or the directory of each account.
    pub(crate) outside: Vec<Arc<dyn ReceiptPublisher>>,
    /// Taken, and not yet broadcast.
    pub(crate) waiting: VecDeque<WaitingReceipts>,
    /// True after a failure that was logged, until there is a connection again: a wait that ends
    /// without one is no end of the failure.
    pub(crate) is_failing: bool,
    pub(crate) health: HealthPart,
}

impl Receipts {
    /// Passes receipts on until `stop` is cancelled.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.step() => {}
            }
        }
        self.inside.close().await;
        for outside in &self.outside {
            outside.close().await;
        }
    }

    async fn step(&mut self) {
        match self.pass_on().await {
            Ok(()) => {
                if self.inside.is_connected() {
                    self.is_failing = false;
                    self.health.set_ready();
                } else {
                    let reason = "receipts cannot be read from the registry's broker";
                    self.health.set_unready(reason.to_owned());
                }
            }
            Err(error) => {
                self.tell(&error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn tell(&mut self, error: &BrokerError) {
        metrics::count_receipts("failed");
        self.health
            .set_unready(format!("receipts cannot be passed on: {error}"));
        if std::mem::replace(&mut self.is_failing, true) {
            debug!(error = %error, "receipts still cannot be passed on");
        } else {
            warn!(
                event = "receipts-wait",
                error = %error,
                "receipts cannot be passed on; they wait at the registry's broker"
            );
        }
    }

    /// Passes one message on, after waiting for some where none waits.
    ///
    /// # Errors
    /// The message stays where it was.
    pub(crate) async fn pass_on(&mut self) -> Result<(), BrokerError> {
        if self.waiting.is_empty() {
            let received = self.inside.receive(AT_ONCE, WAIT).await?;
            self.waiting.extend(received);
        }
        let Some(first) = self.waiting.front() else {
            return Ok(());
        };
        let outcome = if first.is_cut {
            // Longer than any message of receipts, so nothing that a registry has sent.
            "dropped"
        } else {
            match broadcast(&self.outside, &first.bytes).await {
                Ok(()) => "forwarded",
                Err(error) if error.is_of_the_message() => {
                    warn!(event = "receipts-too-long", error = %error, "receipts are thrown away");
                    "dropped"
                }
                Err(error) => return Err(error),
            }
        };
        metrics::count_receipts(outcome);
        if let Some(sent) = self.waiting.pop_front() {
            self.inside.settle(sent).await?;
        }
        Ok(())
    }
}

/// Broadcasts a message to all gateways. After an error some may hear it twice.
async fn broadcast(
    outside: &[Arc<dyn ReceiptPublisher>],
    message: &[u8],
) -> Result<(), BrokerError> {
    for queue in outside {
        queue.broadcast(message.to_vec()).await?;
    }
    Ok(())
}
