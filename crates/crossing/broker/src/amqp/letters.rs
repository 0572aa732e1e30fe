//! Looks through the queue of dead letters, and publishes those to be tried once more.
//!
//! A quorum queue counts how often it handed a letter out, and RabbitMQ 4 throws away what it
//! handed out more than 20 times. So a letter that was looked at often is replaced by a fresh copy,
//! whose count begins anew.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use contract::BatchId;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, BasicProperties};
use tokio::time::timeout;

use super::consumer::Claim;
use super::link::{Link, Message, Target};
use super::session::Session;
use super::settings::{Frames, Settings};
use super::topology;
use super::words::{self, Step};
use crate::dead_letters::{MAX_TAKEN, MAX_TAKEN_BYTES, reason_word};
use crate::{AmqpConfig, BrokerError, DeadLetter, DeadLetters, Token, TokenKind};

/// A letter handed out this often is replaced by a copy; far enough below RabbitMQ 4's limit of 20.
const WORN: i64 = 8;

/// The queue of dead letters as [`DeadLetters`]: what is looked at is held unacknowledged until
/// [`DeadLetters::close`].
pub(crate) struct AmqpDeadLetters {
    settings: Arc<Settings>,
    session: Option<Session>,
    queue: Link,
    copies: Link,
}

impl fmt::Debug for AmqpDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpDeadLetters")
            .field("place", &self.settings.place)
            .finish_non_exhaustive()
    }
}

impl AmqpDeadLetters {
    pub(crate) async fn open(config: &AmqpConfig, base: &Path) -> Result<Self, BrokerError> {
        let settings = Arc::new(Settings::new(config, base)?);
        let ensure = async |channel: &_| topology::ensure(channel, &settings).await;
        let (session, _) = Session::prepare(&settings, Frames::Usual, ensure).await?;
        let queue = Link::new(Arc::clone(&settings), Target::batches(config));
        let copies = Link::new(Arc::clone(&settings), Target::dead_letters(config));
        Ok(Self {
            settings,
            session: Some(session),
            queue,
            copies,
        })
    }

    /// The next letter that was not handed out over this connection.
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
            Ok(Err(error)) => Err(words::on_channel(
                &self.settings.place,
                Step::Consume(name),
                &error,
            )),
            Err(_) => Err(BrokerError::retry(format!(
                "{} fell silent",
                self.settings.place
            ))),
        }
    }

    /// The same, worn ones renewed: their copies come later.
    async fn next(&self) -> Result<Option<Delivery>, BrokerError> {
        loop {
            match self.get().await? {
                Some(letter) if handed_out(&letter.properties) >= WORN => {
                    self.renew(letter).await?
                }
                other => return Ok(other),
            }
        }
    }

    /// Puts a copy behind all other letters, then takes the letter away: killed in between, there
    /// are two of it.
    async fn renew(&self, letter: Delivery) -> Result<(), BrokerError> {
        let claim = Claim::new(&letter);
        let reason = reason(&letter.properties).map(Into::into);
        let id = claim.id.unwrap_or_else(BatchId::random);
        self.copies
            .publish(Message {
                id,
                bytes: letter.data,
                reason,
            })
            .await?;
        self.acknowledge(&claim.acker).await
    }

    async fn acknowledge(&self, acker: &Acker) -> Result<(), BrokerError> {
        let telling = acker.ack(BasicAckOptions::default());
        match timeout(self.settings.confirm_timeout(), telling).await {
            Ok(Ok(true)) => Ok(()),
            Ok(_) => Err(BrokerError::retry(format!(
                "the connection to {} was lost",
                self.settings.place
            ))),
            Err(_) => Err(BrokerError::retry(format!(
                "{} takes no acknowledgements",
                self.settings.place
            ))),
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
                // Told by the next call; those given now may be void, which their settlement tells.
                Err(_) if !letters.is_empty() => break,
                Err(error) => return Err(error),
            };
            bytes += letter.data.len();
            let token = Token(TokenKind::Amqp(Claim::new(&letter)));
            letters.push(DeadLetter {
                reason: reason(&letter.properties),
                bytes: letter.data,
                token,
            });
        }
        Ok(letters)
    }

    async fn retry(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        let DeadLetter {
            bytes,
            token: Token(TokenKind::Amqp(claim)),
            ..
        } = letter
        else {
            return Ok(());
        };
        let id = claim.id.unwrap_or_else(BatchId::random);
        self.queue
            .publish(Message {
                id,
                bytes,
                reason: None,
            })
            .await?;
        self.acknowledge(&claim.acker).await
    }

    async fn discard(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        match letter.token.0 {
            TokenKind::Amqp(claim) => self.acknowledge(&claim.acker).await,
            TokenKind::File(_) => Ok(()),
        }
    }

    async fn close(&mut self) {
        self.queue.close().await;
        self.copies.close().await;
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}

/// How often a quorum queue says to have handed a message out before.
fn handed_out(properties: &BasicProperties) -> i64 {
    let header = properties
        .headers()
        .as_ref()
        .and_then(|headers| headers.inner().get("x-delivery-count"));
    match header {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => (*count).into(),
        Some(AMQPValue::LongUInt(count)) => (*count).into(),
        _ => 0,
    }
}

/// The reason a program of ours gave, or else the one for which the broker itself made it a dead
/// letter.
fn reason(properties: &BasicProperties) -> Option<String> {
    let headers = properties.headers().as_ref()?;
    word(headers, "x-reason")
        .or_else(|| word(headers, "x-first-death-reason"))
        .or_else(|| {
            let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else {
                return None;
            };
            let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else {
                return None;
            };
            word(last, "reason")
        })
}

fn word(table: &FieldTable, key: &str) -> Option<String> {
    match table.inner().get(key)? {
        AMQPValue::LongString(text) => reason_word(std::str::from_utf8(text.as_bytes()).ok()?),
        AMQPValue::ShortString(text) => reason_word(text.as_str()),
        _ => None,
    }
}
