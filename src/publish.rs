//! Publishes what waits in the outbox: lease in a short transaction, publish outside it, settle in another.

use std::time::Duration;

use broker::{BrokerError, State};
use chrono::TimeDelta;
use futures_util::StreamExt;
use outbox::{Leased, OutboxError, Settlement};

use crate::gateway::Gateway;

/// How long a lease holds: the longest the outbox grants. It ends with this process anyway, and no confirm takes longer.
const LEASE: Duration = Duration::from_secs(3600);

/// First and longest pause before a batch that failed is tried again.
const RETRY_SECONDS: (u64, u64) = (1, 60);

/// What one step did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Batches the queue holds durably now.
    pub delivered: usize,
    /// Batches that did not get there; they stay in the outbox.
    pub failed: usize,
    /// The last failure, in the broker crate's words.
    pub error: Option<String>,
    /// The last failure will not pass by itself: somebody has to change something.
    pub misconfigured: bool,
}

/// Publishes one lease of batches, oldest first.
///
/// # Errors
/// [`OutboxError`]; a failure of the queue is no error here but part of [`Published`].
pub async fn publish_once(gateway: &Gateway) -> Result<Published, OutboxError> {
    let window = gateway.publisher.window();
    let leased = gateway.outbox.lease(window * 2, gateway.clock.now(), LEASE).await?;
    if leased.is_empty() {
        return Ok(Published::default());
    }
    let results: Vec<(Leased, Result<(), BrokerError>)> = futures_util::stream::iter(leased)
        .map(|leased| async move {
            let result = gateway.publisher.publish(&leased.batch).await;
            (leased, result)
        })
        .buffer_unordered(window)
        .collect()
        .await;
    let mut published = Published::default();
    let now = gateway.clock.now();
    let mut settlements = Vec::with_capacity(results.len());
    for (leased, result) in results {
        let outcome = match result {
            Ok(()) => {
                published.delivered += 1;
                outbox::Outcome::Delivered
            }
            Err(error) => {
                published.failed += 1;
                let attempts = if paced_elsewhere(gateway, &error) { 0 } else { leased.attempts };
                let outcome =
                    outbox::Outcome::Failed { retry_at: now + pause(attempts), reason: code(&error) };
                published.misconfigured = !error.is_retry();
                published.error = Some(error.to_string());
                outcome
            }
        };
        settlements.push(Settlement { id: leased.batch.id, token: leased.token, outcome });
    }
    gateway.outbox.settle(&settlements, now).await?;
    metrics::counter!("gateway_batches_total", "outcome" => "delivered")
        .increment(published.delivered as u64);
    metrics::counter!("gateway_batches_total", "outcome" => "failed").increment(published.failed as u64);
    Ok(published)
}

/// While the whole queue is away, its publisher waits between attempts to connect. Pauses of each batch's own would only
/// keep the batches from leaving when it is back.
fn paced_elsewhere(gateway: &Gateway, error: &BrokerError) -> bool {
    error.is_retry() && matches!(gateway.publisher.state(), State::Down | State::Blocked)
}

fn pause(attempts: u32) -> TimeDelta {
    let (first, longest) = RETRY_SECONDS;
    let seconds = first.saturating_mul(1 << attempts.min(16)).min(longest);
    TimeDelta::seconds(i64::try_from(seconds).unwrap_or(60))
}

const fn code(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Retry { .. } => "queue-away",
        BrokerError::Misconfigured { .. } => "queue-misconfigured",
    }
}
