//! A publish and the broker's answer to it.

use contract::BatchId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};

use super::message::{Destination, OutgoingMessage, Traffic};

/// Delivery modes of AMQP 0-9-1.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;
const CONTENT_TYPE: &str = "application/octet-stream";

/// A publish that came to its end.
pub(super) struct FinishedPublish {
    /// Number of the message in the ledger.
    pub(super) number: u64,
    pub(super) confirm: lapin::Result<Confirm>,
}

/// The broker's answer to a publish.
pub(super) struct Confirm {
    pub(super) acked: bool,
    pub(super) returned: Returned,
}

/// News of a returned message that a confirm brings, not always of the message it confirms.
pub(super) enum Returned {
    None,
    Message(BatchId),
    /// A message came back that bears no batch id.
    Unknown,
}

impl From<Confirmation> for Confirm {
    fn from(confirmation: Confirmation) -> Self {
        let (acked, message) = match confirmation {
            Confirmation::Ack(message) => (true, message),
            Confirmation::Nack(message) => (false, message),
            Confirmation::NotRequested => (false, None),
        };
        let returned = message.map_or(Returned::None, |message| {
            let id = message.delivery.properties.message_id().as_ref();
            id.and_then(|id| BatchId::from_hex(id.as_str()))
                .map_or(Returned::Unknown, Returned::Message)
        });
        Self { acked, returned }
    }
}

/// Publishes one message, and waits for its confirm.
pub(super) fn publish(
    channel: Channel,
    destination: &Destination,
    number: u64,
    message: OutgoingMessage,
) -> BoxFuture<'static, FinishedPublish> {
    let exchange: ShortString = destination.exchange.as_str().into();
    let key: ShortString = destination.routing_key.as_str().into();
    let mandatory = destination.traffic == Traffic::Batches;
    let options = BasicPublishOptions {
        mandatory,
        ..BasicPublishOptions::default()
    };
    let delivery_mode = if destination.persistent {
        PERSISTENT
    } else {
        TRANSIENT
    };
    let properties = properties(&message, delivery_mode);
    async move {
        let sent = channel
            .basic_publish(exchange, key, options, &message.bytes, properties)
            .await;
        let confirm = match sent {
            Ok(confirm) => confirm.await.map(Confirm::from),
            Err(error) => Err(error),
        };
        FinishedPublish { number, confirm }
    }
    .boxed()
}

fn properties(message: &OutgoingMessage, delivery_mode: u8) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_delivery_mode(delivery_mode)
        .with_content_type(CONTENT_TYPE.into())
        .with_message_id(message.id.to_hex().as_str().into());
    let Some(reason) = &message.reason else {
        return properties;
    };
    let mut headers = FieldTable::default();
    headers.insert(
        "x-reason".into(),
        AMQPValue::LongString(reason.as_bytes().into()),
    );
    properties.with_headers(headers)
}
