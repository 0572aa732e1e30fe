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

use super::consume_link::ConsumeLink;
use super::error_text;
use super::headers::whole_length;
use super::message::{Destination, OutgoingMessage, Traffic};
use super::publish_link::PublishLink;
use super::settings::AmqpSettings;
use crate::token::{AmqpToken, Token, TokenKind};
use crate::{AmqpConfig, BrokerError, Consumer, Delivery, MAX_BATCH_BYTES, MAX_MESSAGE_BYTES};

/// Longest wait of a first message for more to be handled together with it.
pub(super) const LINGER: Duration = Duration::from_millis(20);

pub(crate) fn consumer(config: &AmqpConfig, base: &Path) -> Result<Box<dyn Consumer>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    Ok(over(settings, Traffic::Batches, MAX_BATCH_BYTES))
}

/// Consumer that reads only the beginning of messages longer than `longest` bytes.
pub(crate) fn limited_consumer(
    config: &AmqpConfig,
    base: &Path,
    longest: usize,
) -> Result<Box<dyn Consumer>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    Ok(over(settings, Traffic::Batches, longest))
}

/// Consumer of receipts, which are acknowledged by whoever received them.
pub(crate) fn receipt_consumer(
    config: &AmqpConfig,
    base: &Path,
) -> Result<Box<dyn Consumer>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    Ok(over(settings, Traffic::Receipts, MAX_MESSAGE_BYTES))
}

fn over(settings: Arc<AmqpSettings>, traffic: Traffic, longest: usize) -> Box<dyn Consumer> {
    let destination = Destination::dead_letters(&settings.config);
    Box::new(AmqpConsumer {
        dead_letters: PublishLink::new(Arc::clone(&settings), destination),
        incoming: ConsumeLink::new(Arc::clone(&settings), traffic).limited_to(longest),
        settings,
        ready: Vec::new(),
    })
}

/// The queue as a [`Consumer`]. Dead letters leave over a second connection, made when first
/// needed, since a broker in need of memory blocks whole connections, acknowledgements included.
struct AmqpConsumer {
    settings: Arc<AmqpSettings>,
    dead_letters: PublishLink,
    incoming: ConsumeLink,
    /// Received, and not yet given to the caller, who may have stopped waiting.
    ready: Vec<Delivery>,
}

impl fmt::Debug for AmqpConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpConsumer")
            .field("address", &self.settings.address)
            .finish_non_exhaustive()
    }
}

impl AmqpConsumer {
    /// Waits for a first delivery, then a moment for more, all put into `ready`.
    async fn collect(&mut self, max: usize) -> Result<(), BrokerError> {
        if !self.ready.is_empty() {
            return Ok(());
        }
        self.next().await?;
        // Running out of the moment is the usual end; the next call reports a lost connection.
        drop(
            timeout(LINGER, async {
                while self.ready.len() < max && self.next().await.is_ok() {}
            })
            .await,
        );
        Ok(())
    }

    async fn next(&mut self) -> Result<(), BrokerError> {
        match self.incoming.next().await {
            Ok(delivery) => {
                let token = AmqpToken::from(&delivery);
                self.ready.push(Delivery {
                    cut_from: whole_length(&delivery.properties),
                    bytes: delivery.data,
                    redelivered: delivery.redelivered,
                    token: Token(TokenKind::Amqp(token)),
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
    fn disconnect(&mut self) {
        self.ready.clear();
        self.incoming.disconnect();
    }

    async fn settle<F: Future<Output = lapin::Result<bool>>>(
        &mut self,
        tokens: Vec<Token>,
        how: impl Fn(Acker) -> F,
    ) -> Result<(), BrokerError> {
        let settling = tokens.into_iter().filter_map(|token| match token.0 {
            TokenKind::Amqp(token) => Some(how(token.acker)),
            TokenKind::File(_) => None,
        });
        match timeout(self.settings.confirm_timeout(), join_all(settling)).await {
            // An error is a connection lost meanwhile: the token became void, and `receive` says
            // so.
            Ok(_) => Ok(()),
            Err(_) => {
                // Otherwise they would neither be acknowledged nor come again while the connection
                // lasts.
                self.disconnect();
                Err(error_text::acknowledgements_not_taken(
                    &self.settings.address,
                ))
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
        self.incoming.connected()
    }

    async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        if let Err(error) = fault::check(Point::BrokerAcking) {
            self.disconnect();
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
            TokenKind::Amqp(token) => token.id,
            TokenKind::File(_) => None,
        };
        let message = OutgoingMessage {
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
        self.incoming.close().await;
        self.dead_letters.close().await;
    }
}
