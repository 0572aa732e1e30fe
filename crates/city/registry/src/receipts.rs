//! Way out for receipts: signed, broadcast, and never holding up the batches themselves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::{BrokerError, QueueConfig, ReceiptPublisher};
use circuit::Permit;
use clock::Clock;
use contract::{MAX_RECEIPTS_PER_MESSAGE, Receipt, ReceiptSigner};

use crate::breaker::{Breaker, RECEIPTS};

/// Longest time for one message, before its batches are acknowledged without it.
const BROADCAST_LIMIT: Duration = Duration::from_secs(5);

/// Way out for receipts to the gateways. A receipt that is lost costs its batch a resend, and is
/// answered then.
#[derive(Debug)]
pub(crate) struct ReceiptSender {
    signer: ReceiptSigner,
    publisher: Arc<dyn ReceiptPublisher>,
    breaker: Breaker,
    /// True while the channel fails, so that only the change is logged.
    away: AtomicBool,
}

impl ReceiptSender {
    pub(crate) fn new(
        signer: ReceiptSigner,
        queue: &QueueConfig,
        base: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        let publisher = broker::receipt_publisher(queue, base)?;
        let breaker = Breaker::new("receipts", RECEIPTS, clock);
        Ok(Self {
            signer,
            publisher,
            breaker,
            away: AtomicBool::new(false),
        })
    }

    /// Broadcasts, or gives up after a short while; returns the number of receipts that went out.
    pub(crate) async fn send(&self, receipts: &[Receipt]) -> usize {
        let mut sent = 0;
        for receipts in receipts.chunks(MAX_RECEIPTS_PER_MESSAGE) {
            let was_sent = self.send_message(receipts).await;
            let outcome = if was_sent { "sent" } else { "failed" };
            metrics::counter!("registry_receipts_total", "outcome" => outcome)
                .increment(receipts.len() as u64);
            sent += if was_sent { receipts.len() } else { 0 };
        }
        sent
    }

    async fn send_message(&self, receipts: &[Receipt]) -> bool {
        if matches!(self.breaker.permit(), Permit::Open { .. }) {
            return false;
        }
        let broadcast = self.publisher.broadcast(self.signer.sign(receipts));
        let error = match tokio::time::timeout(BROADCAST_LIMIT, broadcast).await {
            Ok(Ok(())) => {
                self.breaker.success();
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!(event = "receipts-back", "receipts go out again");
                }
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no confirm within {} s", BROADCAST_LIMIT.as_secs()),
        };
        self.breaker.failure();
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = "receipts-away",
                error,
                "batches are stored and acknowledged without receipts; gateways send them again \
                 later"
            );
        }
        false
    }

    pub(crate) async fn close(&self) {
        self.publisher.close().await;
    }
}
