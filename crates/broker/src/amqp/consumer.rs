//! Takes batches from the broker: manual acknowledgements, bounded prefetch, new connections after a loss.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::BatchId;
use futures_util::future::join_all;
use futures_util::stream::StreamExt;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep, timeout};
use tracing::{info, warn};

use super::link::{Link, Message, Target};
use super::session::Session;
use super::settings::{Pauses, Settings};
use super::topology;
use super::words::{self, Step};
use crate::{AmqpConfig, BrokerError, Consumer, Delivery, Token, TokenKind};

/// How long a first message waits for more to be handled together with it.
const LINGER: Duration = Duration::from_millis(20);

/// What to acknowledge a delivery by. Void once its connection is gone: lapin's acker then does nothing.
#[derive(Debug)]
pub(crate) struct Receipt {
    acker: Acker,
    id: Option<BatchId>,
}

/// A consuming connection that keeps itself up. Dead letters leave over a second one, made when first needed, since
/// a broker in need of memory blocks whole connections, acknowledgements included.
pub(crate) struct AmqpConsumer {
    settings: Arc<Settings>,
    dead_letters: Link,
    session: Option<Consuming>,
    /// A task of its own, since connecting may take longer than a caller cares to wait in one go.
    connecting: Option<JoinHandle<Result<Consuming, BrokerError>>>,
    /// Received, and not yet given to the caller, who may have stopped waiting.
    ready: Vec<Delivery>,
    pauses: Pauses,
    /// Not to connect before this has passed.
    pause: Option<Pin<Box<Sleep>>>,
}

struct Consuming {
    session: Session,
    stream: lapin::Consumer,
}

impl fmt::Debug for AmqpConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpConsumer").field("place", &self.settings.place).finish_non_exhaustive()
    }
}

impl AmqpConsumer {
    pub(crate) fn new(config: &AmqpConfig, base: &Path) -> Result<Self, BrokerError> {
        let settings = Arc::new(Settings::new(config, base)?);
        let target =
            Target { exchange: config.dead_letters.clone(), routing_key: config.dead_letters.clone() };
        let pauses = settings.pauses();
        let dead_letters = Link::new(Arc::clone(&settings), target);
        Ok(Self {
            settings,
            dead_letters,
            session: None,
            connecting: None,
            ready: Vec::new(),
            pauses,
            pause: None,
        })
    }

    /// Waits for a first delivery, then a moment for more, all put into `ready`.
    async fn collect(&mut self, max: usize) -> Result<(), BrokerError> {
        if !self.ready.is_empty() {
            return Ok(());
        }
        self.next().await?;
        // Running out of the moment is the usual end; a lost connection is told by the next call.
        drop(timeout(LINGER, async { while self.ready.len() < max && self.next().await.is_ok() {} }).await);
        Ok(())
    }

    async fn next(&mut self) -> Result<(), BrokerError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        // Kept before anything is awaited: the caller may drop this future.
        let Consuming { stream, .. } = self.session.insert(session);
        match stream.next().await {
            Some(Ok(delivery)) => {
                let id =
                    delivery.properties.message_id().as_ref().and_then(|id| BatchId::from_hex(id.as_str()));
                let token = Token(TokenKind::Amqp(Receipt { acker: delivery.acker, id }));
                let (bytes, redelivered) = (delivery.data, delivery.redelivered);
                self.ready.push(Delivery { bytes, redelivered, token });
                Ok(())
            }
            ended => {
                let queue = &self.settings.config.queue;
                let error = match ended {
                    Some(Err(error)) => words::on_channel(&self.settings.place, Step::Consume(queue), &error),
                    _ => BrokerError::retry(format!("the broker ended reading from the queue {queue}")),
                };
                self.lose();
                Err(error)
            }
        }
    }

    /// Forgets the connection and everything received over it.
    fn lose(&mut self) {
        self.ready.clear();
        if let Some(Consuming { session, .. }) = self.session.take() {
            session.abort();
        }
        self.pause = self.pauses.next().map(|pause| Box::pin(sleep(pause)));
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
            tokio::spawn(async move { consume(&settings).await })
        });
        let outcome = connecting.await;
        self.connecting = None;
        match outcome.unwrap_or_else(|_| Err(BrokerError::retry("connecting was broken off"))) {
            Ok(session) => {
                info!(place = %self.settings.place, queue = self.settings.config.queue, "consuming");
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

    async fn settle<F: Future<Output = lapin::Result<bool>>>(
        &self,
        tokens: Vec<Token>,
        how: impl Fn(Acker) -> F,
    ) -> Result<(), BrokerError> {
        let settling = tokens.into_iter().filter_map(|token| match token.0 {
            TokenKind::Amqp(receipt) => Some(how(receipt.acker)),
            TokenKind::File(_) => None,
        });
        match timeout(self.settings.confirm_timeout(), join_all(settling)).await {
            // An error is a connection lost meanwhile: the token became void, and `receive` tells.
            Ok(_) => Ok(()),
            Err(_) => Err(BrokerError::retry(format!("{} takes no acknowledgements", self.settings.place))),
        }
    }
}

impl Drop for AmqpConsumer {
    fn drop(&mut self) {
        if let Some(connecting) = &self.connecting {
            connecting.abort();
        }
    }
}

async fn consume(settings: &Settings) -> Result<Consuming, BrokerError> {
    let session = Session::open(settings).await?;
    let preparing = async {
        topology::ensure(&session.channel, settings).await?;
        let queue = settings.config.queue.as_str();
        let words = |error| words::on_channel(&settings.place, Step::Consume(queue), &error);
        let channel = &session.channel;
        channel.basic_qos(settings.config.prefetch.get(), BasicQosOptions::default()).await.map_err(words)?;
        // No tag of our own: the broker makes one up.
        channel
            .basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
            .await
            .map_err(words)
    };
    match timeout(settings.connect_timeout(), preparing).await {
        Ok(Ok(stream)) => Ok(Consuming { session, stream }),
        Ok(Err(error)) => {
            session.close().await;
            Err(error)
        }
        Err(_) => {
            session.abort();
            Err(BrokerError::retry(format!("{} fell silent", settings.place)))
        }
    }
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn receive(&mut self, max: usize, max_wait: Duration) -> Result<Vec<Delivery>, BrokerError> {
        let outcome = timeout(max_wait, self.collect(max)).await;
        let taken = self.ready.len().min(max);
        match outcome {
            Ok(Err(error)) if taken == 0 => Err(error),
            _ => Ok(self.ready.drain(..taken).collect()),
        }
    }

    fn connected(&self) -> bool {
        self.session.is_some()
    }

    async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        self.settle(tokens, async |acker: Acker| acker.ack(BasicAckOptions::default()).await).await
    }

    async fn dead_letter(&mut self, delivery: Delivery, reason: &'static str) -> Result<(), BrokerError> {
        let Delivery { bytes, token, .. } = delivery;
        let id = match &token.0 {
            TokenKind::Amqp(receipt) => receipt.id,
            TokenKind::File(_) => None,
        };
        let message = Message { id: id.unwrap_or_else(BatchId::random), bytes, reason: Some(reason) };
        match self.dead_letters.publish(message).await {
            Ok(()) => self.ack(vec![token]).await,
            Err(error) => {
                self.requeue(vec![token]).await?;
                Err(error)
            }
        }
    }

    async fn requeue(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        self.settle(tokens, async |acker: Acker| acker.nack(options).await).await
    }

    async fn close(&mut self) {
        self.ready.clear();
        self.pause = None;
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        if let Some(Consuming { session, stream }) = self.session.take() {
            drop(stream);
            session.close().await;
        }
        self.dead_letters.close().await;
    }
}
