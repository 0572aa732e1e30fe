//! Looks through the queue of dead letters, and publishes those to be tried once more.
//!
//! A quorum queue counts how often it handed out each message, and RabbitMQ 4 throws away what it
//! handed out more than 20 times. So a dead letter that was looked at often is replaced by a fresh
//! copy, whose count begins anew.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use contract::BatchId;
use lapin::Acker;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use tokio::time::timeout;

use super::error_text::{self, ChannelStep};
use super::headers::{reason, times_handed_out, whole_length};
use super::message::{Destination, OutgoingMessage};
use super::publish_link::PublishLink;
use super::session::BrokerSession;
use super::settings::AmqpSettings;
use super::topology;
use crate::dead_letters::{MAX_TAKEN, MAX_TAKEN_BYTES};
use crate::token::{AmqpToken, Token, TokenKind};
use crate::{AmqpConfig, BrokerError, DeadLetter, DeadLetters, MAX_BATCH_BYTES};

/// Number of times a dead letter is handed out before a copy replaces it; far enough below
/// RabbitMQ 4's limit of 20.
const MAX_HANDED_OUT: i64 = 8;

pub(crate) async fn dead_letters(
    config: &AmqpConfig,
    base: &Path,
) -> Result<Box<dyn DeadLetters>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    let ensure = async |channel: &_| topology::ensure(channel, &settings).await;
    let (session, _) = BrokerSession::prepare(&settings, MAX_BATCH_BYTES, ensure).await?;
    let link = |destination| PublishLink::new(Arc::clone(&settings), destination);
    Ok(Box::new(AmqpDeadLetters {
        session: Some(session),
        queue: link(Destination::batches(config)),
        dead_letter_queue: link(Destination::dead_letters(config)),
        settings,
    }))
}

/// The queue of dead letters as [`DeadLetters`]: those looked at stay unacknowledged until
/// [`DeadLetters::close`].
struct AmqpDeadLetters {
    settings: Arc<AmqpSettings>,
    session: Option<BrokerSession>,
    /// Link for those to be tried once more.
    queue: PublishLink,
    /// Link for copies of those handed out often.
    dead_letter_queue: PublishLink,
}

impl fmt::Debug for AmqpDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpDeadLetters")
            .field("address", &self.settings.address)
            .finish_non_exhaustive()
    }
}

impl AmqpDeadLetters {
    /// Gets the next dead letter that was not handed out over this connection.
    async fn get(&self) -> Result<Option<Delivery>, BrokerError> {
        let Some(session) = &self.session else {
            return Err(BrokerError::retry(
                "the dead letters were closed by this program",
            ));
        };
        let name = self.settings.config.dead_letters.as_str();
        let getting = session
            .channel
            .basic_get(name.into(), BasicGetOptions::default());
        match timeout(self.settings.confirm_timeout(), getting).await {
            Ok(Ok(got)) => Ok(got.map(|got| got.delivery)),
            Ok(Err(error)) => Err(error_text::on_channel(
                &self.settings.address,
                ChannelStep::Consume(name),
                &error,
            )),
            Err(_) => Err(error_text::fell_silent(&self.settings.address)),
        }
    }

    /// Gets the next dead letter; one that was handed out often is replaced by a copy, which comes
    /// later.
    async fn next(&self) -> Result<Option<Delivery>, BrokerError> {
        loop {
            match self.get().await? {
                Some(letter) if times_handed_out(&letter.properties) >= MAX_HANDED_OUT => {
                    self.replace_by_copy(letter).await?;
                }
                other => return Ok(other),
            }
        }
    }

    /// Puts a copy behind all other dead letters, then takes the letter away: killed in between,
    /// there are two of it.
    async fn replace_by_copy(&self, letter: Delivery) -> Result<(), BrokerError> {
        let token = AmqpToken::from(&letter);
        let copy = OutgoingMessage {
            id: token.id.unwrap_or_else(BatchId::random),
            reason: reason(&letter.properties).map(Into::into),
            bytes: letter.data,
        };
        self.dead_letter_queue.publish(copy).await?;
        self.acknowledge(&token.acker).await
    }

    async fn acknowledge(&self, acker: &Acker) -> Result<(), BrokerError> {
        let broker = &self.settings.address;
        let acknowledging = acker.ack(BasicAckOptions::default());
        match timeout(self.settings.confirm_timeout(), acknowledging).await {
            Ok(Ok(true)) => Ok(()),
            Ok(_) => Err(error_text::connection_lost(broker)),
            Err(_) => Err(error_text::acknowledgements_not_taken(broker)),
        }
    }
}

#[async_trait]
impl DeadLetters for AmqpDeadLetters {
    async fn take(&mut self, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let mut letters = Vec::new();
        let mut bytes = 0;
        while letters.len() < max.min(MAX_TAKEN) && bytes < MAX_TAKEN_BYTES {
            let letter = match self.next().await {
                Ok(Some(letter)) => letter,
                Ok(None) => break,
                // The next call reports it; those given now may be void, which settling them
                // reports.
                Err(_) if !letters.is_empty() => break,
                Err(error) => return Err(error),
            };
            bytes += letter.data.len();
            letters.push(DeadLetter {
                cut_from: whole_length(&letter.properties),
                reason: reason(&letter.properties),
                token: Token(TokenKind::Amqp(AmqpToken::from(&letter))),
                bytes: letter.data,
            });
        }
        Ok(letters)
    }

    async fn retry(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        if letter.cut_from.is_some() {
            return Err(BrokerError::misconfigured(
                "a dead letter is longer than any batch and was not read whole",
                "discard it: no program of ours sent it",
            ));
        }
        let DeadLetter {
            bytes,
            token: Token(TokenKind::Amqp(token)),
            ..
        } = letter
        else {
            return Ok(());
        };
        let again = OutgoingMessage {
            id: token.id.unwrap_or_else(BatchId::random),
            bytes,
            reason: None,
        };
        self.queue.publish(again).await?;
        self.acknowledge(&token.acker).await
    }

    async fn discard(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        match letter.token.0 {
            TokenKind::Amqp(token) => self.acknowledge(&token.acker).await,
            TokenKind::File(_) => Ok(()),
        }
    }

    async fn close(&mut self) {
        self.queue.close().await;
        self.dead_letter_queue.close().await;
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}
