//! A consuming connection that is made anew whenever it is lost: manual acknowledgements, bounded
//! prefetch, pauses between attempts.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

use super::error_text::{self, ChannelStep};
use super::link_log::LinkLog;
use super::message::Traffic;
use super::session::BrokerSession;
use super::settings::{AmqpSettings, Pauses};
use super::topology;
use crate::{BrokerError, MAX_BATCH_BYTES, MAX_MESSAGE_BYTES};

/// Number of receipts that the broker hands over ahead of their acknowledgements; each may be some
/// MiB.
const RECEIPTS_PREFETCH: u16 = 16;

/// Receives messages of one kind, over one connection after the other.
pub(super) struct ConsumeLink {
    settings: Arc<AmqpSettings>,
    traffic: Traffic,
    /// Longest message that is read whole, in bytes.
    max_body: usize,
    connection: Option<ConsumingConnection>,
    /// Connects in a task of its own, since connecting may take longer than a caller cares to wait
    /// in one go.
    connecting: Option<JoinHandle<Result<ConsumingConnection, BrokerError>>>,
    pauses: Pauses,
    log: LinkLog,
    /// Wait before the next attempt to connect.
    pause: Option<Pin<Box<Sleep>>>,
}

struct ConsumingConnection {
    session: BrokerSession,
    stream: lapin::Consumer,
}

impl ConsumeLink {
    pub(super) fn new(settings: Arc<AmqpSettings>, traffic: Traffic) -> Self {
        let max_body = match traffic {
            Traffic::Batches => MAX_BATCH_BYTES,
            Traffic::Receipts => MAX_MESSAGE_BYTES,
        };
        let pauses = settings.pauses();
        Self {
            settings,
            traffic,
            max_body,
            connection: None,
            connecting: None,
            pauses,
            log: LinkLog::default(),
            pause: None,
        }
    }

    /// Reads only the beginning of messages longer than `max_body` bytes.
    pub(super) fn limited_to(mut self, max_body: usize) -> Self {
        self.max_body = max_body;
        self
    }

    /// Receives the next message. May be dropped while it waits. After an error everything received
    /// before is void.
    pub(super) async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // Kept before anything is awaited: the caller may drop this future.
        let connection = self.connection.insert(connection);
        let error = match connection.stream.next().await {
            Some(Ok(delivery)) => return Ok(delivery),
            Some(Err(error)) => {
                let step = step(&self.settings, self.traffic);
                error_text::on_channel(&self.settings.address, step, &error)
            }
            None => BrokerError::retry(format!("the broker ended reading from {}", self.name())),
        };
        self.log.lost(&error, self.interrupted());
        self.disconnect();
        Err(error)
    }

    pub(super) fn connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Cuts the connection: everything received over it and not acknowledged comes again.
    pub(super) fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.session.abort();
        }
        self.start_pause();
    }

    fn start_pause(&mut self) {
        self.pause = self.pauses.next().map(|pause| Box::pin(sleep(pause)));
    }

    pub(super) async fn close(&mut self) {
        self.pause = None;
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        if let Some(connection) = self.connection.take() {
            drop(connection.stream);
            connection.session.close().await;
        }
    }

    async fn connect(&mut self) -> Result<ConsumingConnection, BrokerError> {
        if self.connecting.is_none()
            && let Some(pause) = self.pause.as_mut()
        {
            pause.await;
            self.pause = None;
        }
        let connecting = self.connecting.get_or_insert_with(|| {
            let settings = Arc::clone(&self.settings);
            let traffic = self.traffic;
            let max_body = self.max_body;
            tokio::spawn(async move { consume(&settings, traffic, max_body).await })
        });
        let outcome = connecting.await;
        self.connecting = None;
        match outcome.unwrap_or_else(|_| Err(BrokerError::retry("connecting was broken off"))) {
            Ok(connection) => {
                self.log.connected(&self.settings.address, self.consuming());
                self.pauses = self.settings.pauses();
                Ok(connection)
            }
            Err(error) => {
                self.log.lost(&error, self.interrupted());
                self.start_pause();
                Err(error)
            }
        }
    }

    const fn consuming(&self) -> &'static str {
        match self.traffic {
            Traffic::Batches => "consuming batches",
            Traffic::Receipts => "consuming receipts",
        }
    }

    const fn interrupted(&self) -> &'static str {
        match self.traffic {
            Traffic::Batches => "consuming batches is interrupted",
            Traffic::Receipts => "consuming receipts is interrupted",
        }
    }

    fn name(&self) -> &str {
        match self.traffic {
            Traffic::Batches => &self.settings.config.queue,
            Traffic::Receipts => {
                let config = &self.settings.config;
                config.receipts_queue.as_ref().unwrap_or(&config.receipts)
            }
        }
    }
}

impl Drop for ConsumeLink {
    fn drop(&mut self) {
        if let Some(connecting) = &self.connecting {
            connecting.abort();
        }
    }
}

fn step(settings: &AmqpSettings, traffic: Traffic) -> ChannelStep<'_> {
    match traffic {
        Traffic::Batches => ChannelStep::Consume(&settings.config.queue),
        Traffic::Receipts => topology::receipts_step(settings),
    }
}

async fn consume(
    settings: &AmqpSettings,
    traffic: Traffic,
    max_body: usize,
) -> Result<ConsumingConnection, BrokerError> {
    let (session, stream) = BrokerSession::prepare(settings, max_body, async |channel| {
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
        let explained =
            |error| error_text::on_channel(&settings.address, step(settings, traffic), &error);
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await
            .map_err(explained)?;
        // No tag of our own: the broker makes one up.
        // A queue of receipts has one reader: a second would take some of the first one's.
        let options = BasicConsumeOptions {
            exclusive: traffic == Traffic::Receipts,
            ..BasicConsumeOptions::default()
        };
        let arguments = FieldTable::default();
        channel
            .basic_consume(queue, "".into(), options, arguments)
            .await
            .map_err(explained)
    })
    .await?;
    Ok(ConsumingConnection { session, stream })
}
