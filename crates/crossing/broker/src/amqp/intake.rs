//! A consuming connection that keeps itself up: manual acknowledgements, bounded prefetch, pauses
//! between attempts.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};
use tracing::{info, warn};

use super::link::Traffic;
use super::session::Session;
use super::settings::{Frames, Pauses, Settings};
use super::topology;
use super::words::{self, Step};
use crate::BrokerError;

/// Receipts the broker hands over ahead of their acknowledgements; each may be some MiB.
const RECEIPTS_PREFETCH: u16 = 16;

/// Messages of one kind, one after the other, over one connection after the other.
pub(super) struct Intake {
    settings: Arc<Settings>,
    traffic: Traffic,
    session: Option<Consuming>,
    /// A task of its own, since connecting may take longer than a caller cares to wait in one go.
    connecting: Option<JoinHandle<Result<Consuming, BrokerError>>>,
    pauses: Pauses,
    /// Not to connect before this has passed.
    pause: Option<Pin<Box<Sleep>>>,
}

struct Consuming {
    session: Session,
    stream: lapin::Consumer,
}

impl Intake {
    pub(super) fn new(settings: Arc<Settings>, traffic: Traffic) -> Self {
        let pauses = settings.pauses();
        Self {
            settings,
            traffic,
            session: None,
            connecting: None,
            pauses,
            pause: None,
        }
    }

    /// The next message. May be dropped while it waits. After an error everything received before
    /// is void.
    pub(super) async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        // Kept before anything is awaited: the caller may drop this future.
        let Consuming { stream, .. } = self.session.insert(session);
        match stream.next().await {
            Some(Ok(delivery)) => Ok(delivery),
            ended => {
                let error = match ended {
                    Some(Err(error)) => {
                        words::on_channel(&self.settings.place, self.step(), &error)
                    }
                    _ => {
                        BrokerError::retry(format!("the broker ended reading from {}", self.name()))
                    }
                };
                self.lose();
                Err(error)
            }
        }
    }

    pub(super) fn connected(&self) -> bool {
        self.session.is_some()
    }

    /// Cuts the connection: everything received over it and not acknowledged comes again.
    pub(super) fn lose(&mut self) {
        if let Some(Consuming { session, .. }) = self.session.take() {
            session.abort();
        }
        self.pause = self.pauses.next().map(|pause| Box::pin(sleep(pause)));
    }

    pub(super) async fn close(&mut self) {
        self.pause = None;
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        if let Some(Consuming { session, stream }) = self.session.take() {
            drop(stream);
            session.close().await;
        }
    }

    async fn connect(&mut self) -> Result<Consuming, BrokerError> {
        if self.connecting.is_none()
            && let Some(pause) = self.pause.as_mut()
        {
            pause.await;
            self.pause = None;
        }
        let connecting = self.connecting.get_or_insert_with(|| {
            let settings = Arc::clone(&self.settings);
            let traffic = self.traffic;
            tokio::spawn(async move { consume(&settings, traffic).await })
        });
        let outcome = connecting.await;
        self.connecting = None;
        match outcome.unwrap_or_else(|_| Err(BrokerError::retry("connecting was broken off"))) {
            Ok(session) => {
                info!(place = %self.settings.place, from = self.name(), "consuming");
                self.pauses = self.settings.pauses();
                Ok(session)
            }
            Err(error) => {
                warn!(%error, "consuming is interrupted");
                self.pause = self.pauses.next().map(|pause| Box::pin(sleep(pause)));
                Err(error)
            }
        }
    }

    fn name(&self) -> &str {
        match self.traffic {
            Traffic::Batches => &self.settings.config.queue,
            Traffic::Receipts => &self.settings.config.receipts,
        }
    }

    fn step(&self) -> Step<'_> {
        step(&self.settings, self.traffic)
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if let Some(connecting) = &self.connecting {
            connecting.abort();
        }
    }
}

fn step(settings: &Settings, traffic: Traffic) -> Step<'_> {
    match traffic {
        Traffic::Batches => Step::Consume(&settings.config.queue),
        Traffic::Receipts => Step::Subscribe(&settings.config.receipts),
    }
}

async fn consume(settings: &Settings, traffic: Traffic) -> Result<Consuming, BrokerError> {
    let frames = match traffic {
        Traffic::Batches => Frames::Usual,
        Traffic::Receipts => Frames::Small,
    };
    let (session, stream) = Session::prepare(settings, frames, async |channel| {
        let (queue, prefetch) = match traffic {
            Traffic::Batches => {
                topology::ensure(channel, settings).await?;
                (
                    settings.config.queue.as_str().into(),
                    settings.config.prefetch.get(),
                )
            }
            Traffic::Receipts => (
                topology::subscription(channel, settings).await?,
                RECEIPTS_PREFETCH,
            ),
        };
        let words = |error| words::on_channel(&settings.place, step(settings, traffic), &error);
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await
            .map_err(words)?;
        // No tag of our own: the broker makes one up.
        let options = BasicConsumeOptions::default();
        let arguments = FieldTable::default();
        channel
            .basic_consume(queue, "".into(), options, arguments)
            .await
            .map_err(words)
    })
    .await?;
    Ok(Consuming { session, stream })
}
