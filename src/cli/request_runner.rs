//! Runs an operator's request: in this process, or in the gateway process that holds the outbox.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use outbox::{BeaconOccasion, FeedStatus, OutboxError, OutboxReader, Request, RequestQueue};
use program::audit_log::Counts;
use program::terminal::{counted, print_error, visible};
use program::{Failure, stop_on_signal};
use tokio_util::sync::CancellationToken;

use super::arguments::WaitArguments;
use super::audit::audited;
use super::outbox_file;
use super::removed;
use crate::config::LoadedConfig;
use crate::foreground::deliver_during;
use crate::gateway::{Gateway, StartError};
use crate::requests::{Answer, Refused, perform};

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

    /// Does a command between its two lines of the audit log.
    pub(super) async fn audited(
        &self,
        name: &'static str,
        work: impl AsyncFnOnce(&mut Counts) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        audited(Some(name), &self.loaded, self.clock.as_ref(), work).await
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
            .map_err(StartError::from)?;
        let answer = match answer {
            Some(answer) => answer,
            None => {
                let failing = self.failing_feeds(request).await;
                return Err(unanswered(owner, patience, &failing));
            }
        };
        let text = answer.map_err(Refused::of_text)?;
        serde_json::from_str(&text).map_err(|_| {
            Failure::Later(
                "it is done, but its answer cannot be read: is the running gateway another version?"
                    .to_owned(),
            )
        })
    }

    /// Feeds that fail now, of the sources that the request needs: why it may not be answered.
    async fn failing_feeds(&self, request: &Request) -> Vec<FeedStatus> {
        let wanted = match request {
            Request::Sweep { source, .. } | Request::ConfirmWithdrawals { source, .. } => {
                Some(source)
            }
            _ => None,
        };
        let Ok(reader) = OutboxReader::open(&outbox_file::path(&self.loaded)).await else {
            return Vec::new();
        };
        let status = reader.status().await;
        reader.close().await;
        let feeds = status.map(|status| status.feeds).unwrap_or_default();
        let is_failing = |feed: &FeedStatus| {
            let is_wanted = wanted.is_none_or(|source| feed.source == *source);
            let config = &self.loaded.config;
            let is_configured = removed::is_configured(config, &feed.source, &feed.feed);
            is_wanted && is_configured && feed.last_error.is_some()
        };
        feeds.into_iter().filter(is_failing).collect()
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

fn unanswered(owner: &str, patience: Duration, failing: &[FeedStatus]) -> Failure {
    let failing: String = failing.iter().map(failing_text).collect();
    Failure::Later(format!(
        "the gateway process that holds the outbox ({owner}) has not answered within {} s.{failing} \
         The request waits there: a running daemon does it as soon as it can, another command \
         leaves it to the next start of `clinic-gateway run`; `clinic-gateway status` shows what \
         came of it, and --wait waits longer",
        patience.as_secs()
    ))
}

/// Sentence on a feed that fails, behind another one.
fn failing_text(feed: &FeedStatus) -> String {
    let code = feed.last_error.as_deref().unwrap_or_default();
    let why = feed.last_error_why.as_deref().map(visible);
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!(
        " Source {}, {} cannot be read now ({code}, {} in a row){why}.",
        feed.source, feed.feed, feed.consecutive_failures
    )
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
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::pull::Counters;
    use crate::run::SourceRun;
    use crate::testing::World;

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_told_with_the_source_that_is_away() {
        let world = World::new("", 0..3).await;
        world.pull().await;
        world.rows.away.store(true, Ordering::Relaxed);
        let run = SourceRun {
            gateway: &world.gateway,
            source: &world.gateway.sources[0],
            stop: &CancellationToken::new(),
            counters: &Counters::default(),
        };
        assert!(run.scheduled().await.is_err(), "the source is away");
        let status = world.gateway.outbox.reader().status().await;
        let feeds = status.expect("read").feeds;
        let patience = Duration::from_secs(2);
        let told = unanswered("run, process 7", patience, &feeds).to_string();
        for part in [
            "(run, process 7) has not answered within 2 s.",
            " Source mis, vaccinations cannot be read now (source-away, 1 in a row)",
            " The request waits there",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

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
