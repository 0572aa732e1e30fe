//! Takes batches from the broker, and moves those that cannot be read to the dead letters.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::BatchId;
use fault::Point;
use futures_util::future::join_all;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::time::timeout;

use super::intake::Intake;
use super::link::{Link, Message, Target, Traffic};
use super::settings::Settings;
use crate::{AmqpConfig, BrokerError, Consumer, Delivery, Token, TokenKind};

/// How long a first message waits for more to be handled together with it.
pub(super) const LINGER: Duration = Duration::from_millis(20);

/// What to acknowledge a delivery by. Void once its connection is gone: lapin's acker then does
/// nothing.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(super) acker: Acker,
    pub(super) id: Option<BatchId>,
}

impl Claim {
    pub(super) fn new(delivery: &lapin::message::Delivery) -> Self {
        let id = delivery
            .properties
            .message_id()
            .as_ref()
            .and_then(|id| BatchId::from_hex(id.as_str()));
        Self {
            acker: delivery.acker.clone(),
            id,
        }
    }
}

/// The queue as a [`Consumer`]. Dead letters leave over a second connection, made when first
/// needed, since a broker in need of memory blocks whole connections, acknowledgements included.
pub(crate) struct AmqpConsumer {
    settings: Arc<Settings>,
    dead_letters: Link,
    intake: Intake,
    /// Received, and not yet given to the caller, who may have stopped waiting.
    ready: Vec<Delivery>,
}

impl fmt::Debug for AmqpConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpConsumer")
            .field("place", &self.settings.place)
            .finish_non_exhaustive()
    }
}

impl AmqpConsumer {
    pub(crate) fn new(config: &AmqpConfig, base: &Path) -> Result<Self, BrokerError> {
        let settings = Arc::new(Settings::new(config, base)?);
        let dead_letters = Link::new(Arc::clone(&settings), Target::dead_letters(config));
        let intake = Intake::new(Arc::clone(&settings), Traffic::Batches);
        Ok(Self {
            settings,
            dead_letters,
            intake,
            ready: Vec::new(),
        })
    }

    /// Waits for a first delivery, then a moment for more, all put into `ready`.
    async fn collect(&mut self, max: usize) -> Result<(), BrokerError> {
        if !self.ready.is_empty() {
            return Ok(());
        }
        self.next().await?;
        // Running out of the moment is the usual end; a lost connection is told by the next call.
        drop(
            timeout(LINGER, async {
                while self.ready.len() < max && self.next().await.is_ok() {}
            })
            .await,
        );
        Ok(())
    }

    async fn next(&mut self) -> Result<(), BrokerError> {
        match self.intake.next().await {
            Ok(delivery) => {
                let token = Token(TokenKind::Amqp(Claim::new(&delivery)));
                let bytes = delivery.data;
                let redelivered = delivery.redelivered;
                self.ready.push(Delivery {
                    bytes,
                    redelivered,
                    token,
                });
                Ok(())
            }
            Err(error) => {
                self.ready.clear();
                Err(error)
            }
        }
    }

    /// Forgets the connection and everything received over it: all that is not acknowledged comes
    /// again.
    fn lose(&mut self) {
        self.ready.clear();
        self.intake.lose();
    }

    async fn settle<F: Future<Output = lapin::Result<bool>>>(
        &mut self,
        tokens: Vec<Token>,
        how: impl Fn(Acker) -> F,
    ) -> Result<(), BrokerError> {
        let settling = tokens.into_iter().filter_map(|token| match token.0 {
            TokenKind::Amqp(claim) => Some(how(claim.acker)),
            TokenKind::File(_) => None,
        });
        match timeout(self.settings.confirm_timeout(), join_all(settling)).await {
            // An error is a connection lost meanwhile: the token became void, and `receive` tells.
            Ok(_) => Ok(()),
            Err(_) => {
                // Otherwise they would neither be acknowledged nor come again while the connection
                // lasts.
                self.lose();
                Err(BrokerError::retry(format!(
                    "{} takes no acknowledgements",
                    self.settings.place
                )))
            }
        }
    }
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let outcome = timeout(max_wait, self.collect(max)).await;
        let taken = self.ready.len().min(max);
        if taken > 0 {
            fault::check(Point::BrokerReceived)?;
        }
        match outcome {
            Ok(Err(error)) if taken == 0 => Err(error),
            _ => Ok(self.ready.drain(..taken).collect()),
        }
    }

    fn connected(&self) -> bool {
        self.intake.connected()
    }

    async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        if let Err(error) = fault::check(Point::BrokerAcking) {
            self.lose();
            return Err(error);
        }
        self.settle(tokens, async |acker: Acker| {
            acker.ack(BasicAckOptions::default()).await
        })
        .await
    }

    async fn dead_letter(
        &mut self,
        delivery: Delivery,
        reason: &'static str,
    ) -> Result<(), BrokerError> {
        let Delivery { bytes, token, .. } = delivery;
        let id = match &token.0 {
            TokenKind::Amqp(claim) => claim.id,
            TokenKind::File(_) => None,
        };
        let message = Message {
            id: id.unwrap_or_else(BatchId::random),
            bytes,
            reason: Some(reason.into()),
        };
        match self.dead_letters.publish(message).await {
            Ok(()) => self.ack(vec![token]).await,
            Err(error) => {
                self.requeue(vec![token]).await?;
                Err(error)
            }
        }
    }

    async fn requeue(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        let options = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        self.settle(tokens, async |acker: Acker| acker.nack(options).await)
            .await
    }

    async fn close(&mut self) {
        self.ready.clear();
        self.intake.close().await;
        self.dead_letters.close().await;
    }
}
