//! The loops that do the operator's requests, and the comparisons with the registry that fall due.

use std::sync::Arc;
use std::time::Duration;

use outbox::Request;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::requests::{Refused, perform};

/// Interval between two looks for requests.
const LOOK: Duration = Duration::from_millis(500);

/// Most requests under way at once.
const AT_ONCE: usize = 4;

/// Longest wait of a reconciliation for the registry's answers: the registry may be restarted
/// meanwhile.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Does requests until `stop`; those under way then are cut short, and done again after the next
/// start or asked again.
pub(super) async fn request_loop(gateway: Arc<Gateway>, stop: CancellationToken) {
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE {
            match gateway.outbox.next_request().await {
                Ok(Some((id, request))) => {
                    running.spawn(answer(Arc::clone(&gateway), id, request, stop.clone()));
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(event = "requests-unread", code = error.code());
                    break;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

async fn answer(gateway: Arc<Gateway>, id: i64, request: Request, stop: CancellationToken) {
    let kind = kind(&request);
    tracing::info!(event = "request", id, kind, "an operator asks");
    let answer = perform(&gateway, request, PATIENCE, &stop).await;
    let answer = match answer {
        Ok(answer) => {
            serde_json::to_string(&answer).map_err(|_| "the answer cannot be written".to_owned())
        }
        Err(error) => {
            tracing::warn!(
                event = "request-failed",
                id,
                kind,
                error = error.to_string()
            );
            Err(Refused::from(&error).to_text())
        }
    };
    if let Err(error) = gateway
        .outbox
        .answer_request(id, answer, gateway.clock.now())
        .await
    {
        tracing::warn!(event = "request-unanswered", id, code = error.code());
    }
}

const fn kind(request: &Request) -> &'static str {
    match request {
        Request::Sweep { .. } => "sweep",
        Request::ConfirmWithdrawals { .. } => "confirm-withdrawals",
        Request::Retry(_) => "retry",
        Request::Discard(_) => "discard",
        Request::Reconcile { .. } => "reconcile",
        Request::Resend => "resend",
    }
}

/// Reconciles whenever the schedule says so, until `stop`.
pub(super) async fn reconcile_loop(
    gateway: Arc<Gateway>,
    due: Arc<Notify>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = due.notified() => {}
        }
        let request = Request::Reconcile {
            source: None,
            repair: gateway.reconcile.repair,
        };
        if let Err(error) = perform(&gateway, request, PATIENCE, &stop).await {
            tracing::warn!(event = "reconcile-failed", %error, "the next one comes by schedule");
        }
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::{Feed, SourceError};
    use outbox::RequestQueue;

    use super::*;
    use crate::requests::Remedy;
    use crate::testing::World;

    #[tokio::test]
    async fn a_request_that_fails_says_what_a_command_without_a_daemon_would_say() {
        let world = World::new("", 0..5).await;
        let outbox_file = world.folder.path().join("state/outbox.db");
        let rows = Arc::clone(&world.rows);
        let gateway = Arc::new(world.gateway);
        let queue = RequestQueue::open(&outbox_file).await.expect("the outbox");
        let stop = CancellationToken::new();
        let broken = SourceError::misconfigured("the table is gone", "name another");
        for (source, failure, remedy) in [
            ("mis", broken, Remedy::Change),
            (
                "other",
                SourceError::retry("never asked"),
                Remedy::OtherArguments,
            ),
        ] {
            *rows.broken.lock() = vec![(Feed::Vaccinations, failure)];
            let request = Request::Sweep {
                source: source.to_owned(),
                contents: false,
            };
            let asked = queue
                .ask(&request, gateway.clock.now())
                .await
                .expect("asked");
            let (id, taken) = gateway
                .outbox
                .next_request()
                .await
                .expect("the outbox")
                .expect("a request");
            assert_eq!(id, asked);
            answer(Arc::clone(&gateway), id, taken, stop.clone()).await;
            let answered = queue
                .answer(id)
                .await
                .expect("the outbox")
                .expect("an answer");
            let told = Refused::of_text(answered.expect_err("it fails"));
            let patience = Duration::ZERO;
            let alone = perform(&gateway, request, patience, &stop).await;
            let alone = Refused::from(&alone.expect_err("it fails"));
            assert_eq!(told, alone);
            assert_eq!(told.remedy, remedy, "{}", told.message);
        }
    }
}
