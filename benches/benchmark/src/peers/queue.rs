//! The queue that a peer fills: fresh, durable, a quorum queue.

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::error::Error;

/// An exchange, and a queue of the same name bound to it by that name.
pub(super) struct Queue {
    connection: Connection,
    channel: Channel,
    name: &'static str,
}

impl Queue {
    /// Makes it; both are empty then.
    pub(super) async fn declare(url: &str, name: &'static str) -> Result<Self, Error> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(
                name.into(),
                ExchangeKind::Direct,
                durable,
                FieldTable::default(),
            )
            .await?;
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        channel
            .queue_delete(name.into(), QueueDeleteOptions::default())
            .await?;
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(name.into(), durable, arguments)
            .await?;
        let options = QueueBindOptions::default();
        let none = FieldTable::default();
        channel
            .queue_bind(name.into(), name.into(), name.into(), options, none)
            .await?;
        Ok(Self {
            connection,
            channel,
            name,
        })
    }

    /// Messages in it, as its leader counts them.
    pub(super) async fn depth(&self) -> Result<u64, Error> {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self
            .channel
            .queue_declare(self.name.into(), passive, FieldTable::default())
            .await?;
        Ok(u64::from(queue.message_count()))
    }

    /// Removes it with all its messages: they would weigh on what is measured next.
    pub(super) async fn delete(self) -> Result<(), Error> {
        self.channel
            .queue_delete(self.name.into(), QueueDeleteOptions::default())
            .await?;
        self.channel
            .exchange_delete(self.name.into(), ExchangeDeleteOptions::default())
            .await?;
        self.connection.close(200, "OK".into()).await?;
        Ok(())
    }
}
