//! Runs an operator's request: in this process, or in the gateway process that holds the outbox.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use outbox::{BeaconOccasion, OutboxError, Request, RequestQueue};
use program::terminal::{counted, print_error};
use program::{Failure, stop_on_signal};
use tokio_util::sync::CancellationToken;

use super::arguments::WaitArguments;
use super::outbox_file;
use crate::config::LoadedConfig;
use crate::foreground::deliver_during;
use crate::gateway::{Gateway, StartError};
use crate::requests::{Answer, perform};

/// Pause between two looks for the answer of the running gateway.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Longest wait, once the work is done, for the registry's receipts, the beacon's among them.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Runner of requests on one configuration.
pub(super) struct RequestRunner {
    pub(super) loaded: LoadedConfig,
    pub(super) clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

impl RequestRunner {
    /// Makes a runner that stops on the signals that end the program.
    pub(super) fn new(loaded: LoadedConfig, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        Ok(Self {
            loaded,
            clock,
            stop: stop_on_signal()?,
        })
    }

    /// Hands the request to the gateway that runs and waits for its answer, or performs it where
    /// none runs. The former needs no secret: the running gateway has them.
    ///
    /// `owner` is the name of the command: a process that finds the outbox locked meanwhile
    /// shows it.
    pub(super) async fn run(
        &self,
        owner: &'static str,
        request: Request,
        wait: WaitArguments,
    ) -> Result<Answer, Failure> {
        match Gateway::open(&self.loaded, Arc::clone(&self.clock), owner).await {
            Ok(gateway) => {
                let answer = self.perform(&gateway, request, wait.patience()).await;
                gateway.close().await;
                answer
            }
            Err(StartError::Outbox(OutboxError::Locked { owner })) => {
                self.hand_over(&owner, &request, wait.patience()).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn perform(
        &self,
        gateway: &Gateway,
        request: Request,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        // The answer comes while the work is done, so that a restored state is noticed whatever
        // command is run.
        let begun = gateway.give_out_beacon(BeaconOccasion::Start).await;
        begun.map_err(StartError::from)?;
        let work = perform(gateway, request, patience, &self.stop);
        let (answer, delivery) = deliver_during(gateway, &self.stop, ANSWER_PATIENCE, work)
            .await
            .map_err(StartError::from)?;
        if delivery.receipts.other_gateway {
            return Err(StartError::from(OutboxError::OtherGateway).into());
        }
        if delivery.receipts.raised {
            print_error(
                "the registry knows a later state of this gateway: this one was lost, restored or \
                 copied. The generation rose; the next run reads everything, and sends it again",
            );
        }
        let answer = answer?;
        let backlog = gateway.outbox.backlog().await.map_err(StartError::from)?;
        if backlog.batches > 0 {
            let reason = delivery
                .queue_error
                .as_deref()
                .unwrap_or("they are not due yet");
            print_error(&waiting_text(backlog.batches, reason));
        }
        Ok(answer)
    }

    /// Hands the request to the process `owner` by way of the outbox.
    async fn hand_over(
        &self,
        owner: &str,
        request: &Request,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        let answer = self
            .answer_of_owner(request, patience)
            .await
            .map_err(StartError::from)?
            .ok_or_else(|| unanswered(owner, patience))?;
        let text = answer.map_err(Failure::Later)?;
        serde_json::from_str(&text).map_err(|_| {
            Failure::Later(
                "it is done, but its answer cannot be read: is the running gateway another version?"
                    .to_owned(),
            )
        })
    }

    /// Posts the request and waits for its answer, or the text of its error. Returns `None` when
    /// patience is at its end, or the program is asked to stop.
    async fn answer_of_owner(
        &self,
        request: &Request,
        patience: Duration,
    ) -> Result<Option<Result<String, String>>, OutboxError> {
        let request_queue = RequestQueue::open(&outbox_file::path(&self.loaded)).await?;
        let id = request_queue.ask(request, self.clock.now()).await?;
        let until = self.clock.elapsed() + patience;
        let answer = loop {
            if let Some(answer) = request_queue.answer(id).await? {
                break Some(answer);
            }
            if self.stop.is_cancelled() || self.clock.elapsed() >= until {
                break None;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        };
        request_queue.close().await;
        Ok(answer)
    }
}

/// Makes the failure for an answer that does not belong to its request.
pub(super) fn unexpected_answer() -> Failure {
    Failure::Later(
        "the answer is not one to this request: is the running gateway another version?".to_owned(),
    )
}

fn unanswered(owner: &str, patience: Duration) -> Failure {
    Failure::Later(format!(
        "the gateway process that holds the outbox ({owner}) has not answered within {} s. The \
         request waits there: a running daemon does it as soon as it can, another command leaves \
         it to the next start of `clinic-gateway run`; `clinic-gateway status` shows what came of \
         it, and --wait waits longer",
        patience.as_secs()
    ))
}

/// Line on the batches that a command leaves in the outbox, at least one, and why.
fn waiting_text(batches: u64, reason: &str) -> String {
    let them = if batches == 1 {
        "it leaves"
    } else {
        "they leave"
    };
    format!(
        "{} in the outbox: {reason}; {them} with the next run",
        counted(batches, "batch waits", "batches wait")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_batch_leaves_and_two_leave() {
        assert_eq!(
            waiting_text(1, "the queue is full"),
            "1 batch waits in the outbox: the queue is full; it leaves with the next run"
        );
        assert_eq!(
            waiting_text(2, "the queue is full"),
            "2 batches wait in the outbox: the queue is full; they leave with the next run"
        );
    }
}
