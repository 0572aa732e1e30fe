//! The loop that receives the registry's receipts.

use std::sync::Arc;
use std::time::Duration;

use circuit::{Circuit, CircuitSettings};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::receipts::{ReceiptReceiver, ReceiptsError};

/// Longest look for receipts.
const LOOK: Duration = Duration::from_secs(10);

/// Longest look until the subscription is up, which the publisher waits for.
const SHORT_LOOK: Duration = Duration::from_millis(100);

/// Pauses after failures; the subscriber waits between attempts to connect by itself as well.
const PAUSES: CircuitSettings = CircuitSettings {
    failures_to_open: 1,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(10),
};

/// Receives and settles receipts until `stop`; shows by `connected` whether they can arrive.
pub(super) async fn receipts_loop(
    gateway: Arc<Gateway>,
    mut receipts: ReceiptReceiver,
    connected: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut pauses = Circuit::new(PAUSES);
    let mut log = ReceiptsLog::default();
    loop {
        let look = if receipts.connected() && *connected.borrow() {
            LOOK
        } else {
            SHORT_LOOK
        };
        let settled = tokio::select! {
            () = stop.cancelled() => break,
            settled = receipts.settle_once(&gateway, look) => settled,
        };
        let is_connected = receipts.connected();
        connected.send_replace(is_connected);
        metrics::gauge!("gateway_receipts_connected").set(f64::from(u8::from(is_connected)));
        log.note(&gateway, settled.as_ref().map(drop), is_connected);
        match settled {
            Ok(_) => pauses.success(),
            Err(_) => {
                let pause = pauses
                    .failure(gateway.clock.elapsed())
                    .unwrap_or(PAUSES.first_pause);
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
    receipts.close().await;
}

/// Log of the changes between hearing receipts and not: each is logged once.
#[derive(Debug, Default)]
struct ReceiptsLog {
    failing: bool,
}

impl ReceiptsLog {
    /// Notes a look for receipts. One that ends without an error while there is no connection says
    /// nothing: the next attempt to connect is under way.
    fn note(&mut self, gateway: &Gateway, settled: Result<(), &ReceiptsError>, is_connected: bool) {
        let causes = &gateway.queue_causes;
        match settled {
            Ok(()) if is_connected => {
                causes.note_receiving(None);
                if std::mem::take(&mut self.failing) {
                    tracing::info!(event = "receipts-again", "receipts are heard again");
                }
            }
            Ok(()) => {}
            Err(error) => {
                match error {
                    ReceiptsError::Queue(error) => causes.note_receiving(Some(error.to_string())),
                    ReceiptsError::Outbox(error) => gateway.own_state.note(Some(error)),
                }
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        event = "receipts-failed", %error,
                        "no receipts are heard for now; batches wait for theirs and are sent \
                         again in time"
                    );
                }
            }
        }
    }
}
