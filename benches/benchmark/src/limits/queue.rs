//! Queue that a bare loop or a peer fills: fresh, durable, a quorum queue.

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::error::Error;

/// An exchange, and a queue of the same name bound to it by that name.
pub(crate) struct MeasuredQueue {
    connection: Connection,
    channel: Channel,
    name: &'static str,
}

impl MeasuredQueue {
    /// Makes it; both are empty then, whatever an interrupted measurement left.
    pub(crate) async fn declare(url: &str, name: &'static str) -> Result<Self, Error> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        declare_exchange(&channel, name).await?;
        declare_queue(&channel, name).await?;
        Ok(Self {
            connection,
            channel,
            name,
        })
    }

    /// Channel that the queue was made on.
    pub(crate) const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Opens another channel of the same connection.
    pub(crate) async fn open_channel(&self) -> Result<Channel, Error> {
        Ok(self.connection.create_channel().await?)
    }

    /// Messages in it, as its leader counts them.
    pub(crate) async fn depth(&self) -> Result<u64, Error> {
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
    pub(crate) async fn delete(self) -> Result<(), Error> {
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

async fn declare_exchange(channel: &Channel, name: &str) -> Result<(), Error> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let none = FieldTable::default();
    channel
        .exchange_declare(name.into(), ExchangeKind::Direct, durable, none)
        .await?;
    Ok(())
}

async fn declare_queue(channel: &Channel, name: &str) -> Result<(), Error> {
    let mut arguments = FieldTable::default();
    let kind = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), kind);
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
    Ok(())
}
