//! Messages by which one account tries to stop the intake, or to fill what it fills.

use broker::{AmqpConfig, QueueConfig};
use contract::{Event, PrivateKey, PublicKey, SealedBatch, Version, wire};
use testbed::rabbitmq::raw::{RawClient, RawMessage, Refusal};

use crate::Outcome;
use crate::clinic::Clinic;
use crate::people::{INVENTED, fact, name_of_epoch};

/// Largest header that RabbitMQ 3.10 takes from a client that agreed to its usual frames, in bytes.
const LARGEST_HEADER: usize = 131_013;

/// Largest body that the documented broker takes, in bytes.
const LARGEST_BODY: usize = 4 << 20;

/// Largest body that the registry reads whole, in bytes.
const LARGEST_READ: usize = 2 << 20;

/// Number of messages that are on the way without a confirm.
const UNCONFIRMED: usize = 100;

/// Kind of hostile message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Few bytes of no meaning.
    Small,
    /// Header as large as the broker takes.
    LargestHeader,
    /// Header of tables in tables.
    DeepHeader,
    /// Body as large as the broker takes.
    LargestBody,
    /// Body as large as the registry reads.
    LargestRead,
    /// Key, id and header of no text, with a copy to the intake.
    NoText,
    /// Batch sealed to another key.
    OtherKey,
    /// Batch sealed to the registry whose content is none.
    NoEvents,
    /// Batch of a thousand events that are all refused.
    Refused,
    /// Batch of somebody else's, as it went by.
    Replay,
}

impl Flood {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Small,
        Self::LargestHeader,
        Self::DeepHeader,
        Self::LargestBody,
        Self::LargestRead,
        Self::NoText,
        Self::OtherKey,
        Self::NoEvents,
        Self::Refused,
        Self::Replay,
    ];

    /// Number of messages that are sent at the smallest size.
    #[must_use]
    pub const fn smallest_count(self) -> usize {
        match self {
            Self::Small => 2000,
            Self::OtherKey | Self::Replay | Self::NoText => 500,
            Self::Refused => 5,
            _ => 20,
        }
    }

    /// Message of this kind.
    ///
    /// # Errors
    /// Content that cannot be sealed.
    pub fn message(
        self,
        queue: &AmqpConfig,
        public: &PublicKey,
        seen: &SealedBatch,
    ) -> Outcome<RawMessage> {
        let with = |body: &[u8]| RawMessage::new(&queue.exchange, &queue.queue, body);
        Ok(match self {
            Self::Small => with(b"garbage"),
            Self::LargestHeader => with(b"header").with_headers_of(LARGEST_HEADER),
            Self::DeepHeader => with(b"deep").with_nested_headers(15_000),
            Self::LargestBody => with(&vec![0; LARGEST_BODY]),
            Self::LargestRead => with(&vec![0; LARGEST_READ]),
            Self::NoText => {
                let mut message = with(b"no text").with_copies_to(&queue.queue);
                message.routing_key = b"\xff\xfe\x1b[31m".to_vec();
                message
            }
            Self::OtherKey => {
                let other = PrivateKey::generate().public();
                with(&other.seal(b"[]")?.0.bytes)
            }
            Self::NoEvents => with(&public.seal(b"{\"no\": \"events\"}")?.0.bytes),
            Self::Refused => with(&public.seal(&wire::encode(&refused_events()))?.0.bytes),
            Self::Replay => with(&seen.bytes),
        })
    }
}

/// Events that fill a batch, each with a name of an epoch that is not open.
fn refused_events() -> Vec<Event> {
    let mut account = Clinic::new(666);
    let numbers = 0..1000;
    numbers
        .map(|number| {
            let stated = name_of_epoch(contract::Scheme::Oms, INVENTED + number, 9);
            let event = account.state(number, &[stated], fact(number));
            Event {
                version: Version::MAX,
                ..event
            }
        })
        .collect()
}

/// Sends a message so many times, as fast as the broker confirms.
///
/// # Errors
/// A message that the broker does not take.
pub async fn send(
    port: u16,
    user: &str,
    password: &str,
    message: &RawMessage,
    count: usize,
) -> Outcome<()> {
    let refused = |refusal: Refusal| format!("the broker refuses: {refusal:?}");
    let client = RawClient::connect(port, user, password).await;
    let mut client = client.map_err(refused)?;
    for number in 1..=count {
        client.send(message).await.map_err(refused)?;
        if number % UNCONFIRMED == 0 || message.body.len() > LARGEST_HEADER {
            client.flush().await.map_err(refused)?;
        }
    }
    Ok(client.flush().await.map_err(refused)?)
}

/// Settings of a queue on RabbitMQ.
///
/// # Errors
/// A queue that is a directory.
pub fn amqp(queue: &QueueConfig) -> Outcome<&AmqpConfig> {
    match queue {
        QueueConfig::Amqp(amqp) => Ok(amqp),
        QueueConfig::Directory(_) => Err("the queue is a directory".into()),
    }
}
