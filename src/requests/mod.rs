//! An operator's requests, done the same way by the daemon and by a command that runs without one.

mod answer;
mod error;
mod reconcile;
mod retry;
mod sweep;
mod withdrawals;

use std::time::Duration;

use outbox::{Request, SweepKind};
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, MAX_LISTED, ReconcileReport, Repaired, Retried, RetryOutcome};
pub use error::{Refused, Remedy, RequestError};
pub use withdrawals::note_removed;

use crate::gateway::Gateway;
use crate::pull::Counters;

/// Does what is asked. `patience` is how long the registry's answers are waited for.
///
/// # Errors
/// See [`RequestError`].
pub async fn perform(
    gateway: &Gateway,
    request: Request,
    patience: Duration,
    stop: &CancellationToken,
) -> Result<Answer, RequestError> {
    match request {
        Request::Sweep { source, contents } => {
            let swept = sweep::configured_source(gateway, &source)?;
            let kind = if contents {
                SweepKind::Contents
            } else {
                SweepKind::Keys
            };
            let feeds = sweep::sweep(gateway, swept, kind, stop, &Counters::default()).await?;
            Ok(Answer::Swept { source, feeds })
        }
        Request::ConfirmWithdrawals {
            source,
            shown,
            shown_missing,
        } => {
            let shown = withdrawals::Shown {
                corrections: shown,
                missing: shown_missing,
            };
            withdrawals::confirm(gateway, source, shown, stop).await
        }
        Request::Retry(filter) => {
            let retry::Retries {
                mut letters,
                unlisted,
            } = retry::retry(gateway, &filter, stop).await?;
            let more = letters.len().saturating_sub(MAX_LISTED) as u64;
            letters.truncate(MAX_LISTED);
            Ok(Answer::Retried {
                letters,
                more,
                unlisted,
            })
        }
        Request::Discard(filter) => {
            let now = gateway.clock.now();
            let count = gateway.outbox.discard_dead_letters(&filter, now).await?;
            Ok(Answer::Discarded { count })
        }
        Request::Reconcile { source, repair } => {
            reconcile::reconcile(gateway, source.as_deref(), repair, patience, stop).await
        }
        Request::Resend => {
            let batches = gateway.outbox.resend().await?;
            Ok(Answer::Resent { batches })
        }
    }
}
