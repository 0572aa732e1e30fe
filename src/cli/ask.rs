//! Does what an operator asks: here, where no gateway is running; through the outbox, where one is.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clock::Clock;
use outbox::{OutboxError, Postbox, Request};
use tokio_util::sync::CancellationToken;

use super::{Failure, out};
use crate::config::LoadedConfig;
use crate::foreground::deliver_during;
use crate::gateway::{Gateway, StartError};
use crate::requests::{Answer, RequestError, perform};

/// How often the running gateway's answer is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// How requests are waited for.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct WaitArguments {
    /// How long to wait for the running gateway, and for the registry where it is asked, in
    /// seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    wait: u64,
}

impl WaitArguments {
    pub(super) const fn patience(self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

/// What a command needs to get something done.
pub(super) struct Desk<'a> {
    pub(super) loaded: &'a LoadedConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
}

impl Desk<'_> {
    /// Does it, or has it done. `owner` is the command's name, told to whoever finds the outbox
    /// locked meanwhile.
    pub(super) async fn ask(
        &self,
        owner: &'static str,
        request: Request,
        wait: WaitArguments,
    ) -> Result<Answer, Failure> {
        match Gateway::open(self.loaded, Arc::clone(&self.clock), owner).await {
            Ok(gateway) => {
                let answer = self.perform(&gateway, request, wait.patience()).await;
                gateway.close().await;
                answer
            }
            Err(StartError::Outbox(OutboxError::Locked { owner })) => {
                self.ask_the_owner(&owner, &request, wait.patience()).await
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
        let work = perform(gateway, request, patience, &self.stop);
        let (answer, delivery) = deliver_during(gateway, &self.stop, Duration::ZERO, work).await?;
        let answer = answer.map_err(failure)?;
        let waiting = gateway.outbox.backlog().await?.batches;
        if waiting > 0 {
            let why = delivery
                .queue_error
                .as_deref()
                .unwrap_or("they are not due yet");
            out::complain(&format!(
                "{} in the outbox: {why}; it leaves with the next run",
                out::counted(waiting, "batch waits", "batches wait")
            ));
        }
        Ok(answer)
    }

    async fn ask_the_owner(
        &self,
        owner: &str,
        request: &Request,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        let postbox =
            Postbox::open(&self.loaded.base.join(&self.loaded.config.outbox.path)).await?;
        let id = postbox.ask(request, self.clock.now()).await?;
        let until = self.clock.elapsed() + patience;
        let answer = loop {
            if let Some(answer) = postbox.answer(id).await? {
                break answer;
            }
            if self.stop.is_cancelled() || self.clock.elapsed() >= until {
                postbox.close().await;
                return Err(unanswered(owner, patience));
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        postbox.close().await;
        let text = answer.map_err(Failure::Later)?;
        serde_json::from_str(&text).map_err(|_| {
            Failure::Later(
                "it is done, but its answer cannot be read: is the running gateway another version?"
                    .to_owned(),
            )
        })
    }
}

fn unanswered(owner: &str, patience: Duration) -> Failure {
    Failure::Later(format!(
        "the gateway process that holds the outbox ({owner}) has not answered within {} s. The \
         request waits there: a \
         running daemon does it as soon as it can, another command leaves it to the next start of \
         `clinic-gateway run`; \
         `clinic-gateway status` shows what came of it, and --wait waits longer",
        patience.as_secs()
    ))
}

fn failure(error: RequestError) -> Failure {
    let message = error.to_string();
    match error {
        RequestError::UnknownSource(..) => Failure::Argument(message),
        RequestError::Outbox(error) => error.into(),
        RequestError::Source { failure, .. } if failure.retry_after().is_some() => {
            Failure::Later(message)
        }
        RequestError::Stopped => Failure::Later(message),
        RequestError::Source { .. } | RequestError::Name(_) | RequestError::ReceiptsOff => {
            Failure::Change(message)
        }
    }
}
