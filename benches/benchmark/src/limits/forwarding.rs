//! Limit of the mix relay: the same messages out of the same queues into the same exchange, by a
//! loop that does nothing else.

use std::time::Duration;

use clock::Clock;
use futures_util::stream::{self, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};

use crate::error::Error;

const PERSISTENT: u8 = 2;

/// Queues at one broker that messages are taken from, and an exchange at another that they go to.
#[derive(Debug, Clone)]
pub(crate) struct Forwarding {
    /// Address of the broker of the queues.
    pub outside: String,
    /// Queues that are read, each by a consumer of its own.
    pub queues: Vec<String>,
    /// Address of the broker of the exchange.
    pub inside: String,
    /// Exchange that is published to.
    pub exchange: String,
    /// Queue behind the exchange, and the routing key.
    pub intake: String,
    /// Messages of a queue that may be in hand without an acknowledgement.
    pub held: u16,
    /// Messages that may wait for their confirm at once.
    pub window: usize,
}

impl Forwarding {
    /// Takes so many messages out of the queues, publishes each of them persistent and mandatory,
    /// and acknowledges it once it is confirmed. Returns the time from the first message that was
    /// in hand to the last confirm.
    pub(crate) async fn forward(
        &self,
        messages: usize,
        clock: &dyn Clock,
    ) -> Result<Duration, Error> {
        let outside = connect(&self.outside).await?;
        let inside = connect(&self.inside).await?;
        let publishing = inside.create_channel().await?;
        publishing
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let mut channels = Vec::new();
        let mut consumers = Vec::new();
        for queue in &self.queues {
            let channel = outside.create_channel().await?;
            consumers.push(self.consumer(&channel, queue).await?);
            channels.push(channel);
        }
        let mut deliveries = stream::select_all(consumers).take(messages).peekable();
        // Connecting is no part of it, neither here nor at the relay.
        std::pin::Pin::new(&mut deliveries).peek().await;
        let started = clock.elapsed();
        let mut forwarded = deliveries
            .map(|delivery| self.pass_on(&publishing, delivery))
            .buffer_unordered(self.window);
        let mut done = 0;
        while let Some(outcome) = forwarded.next().await {
            outcome?;
            done += 1;
        }
        let took = clock.elapsed().saturating_sub(started);
        for (channel, queue) in channels.iter().zip(&self.queues) {
            // Its answer comes behind the acknowledgements, which are lost with a connection that
            // is closed at once.
            channel
                .basic_cancel(queue.as_str().into(), BasicCancelOptions::default())
                .await?;
        }
        outside.close(200, "OK".into()).await?;
        inside.close(200, "OK".into()).await?;
        if done == messages {
            return Ok(took);
        }
        Err(Error::WrongResult(format!(
            "the bare loop has passed on {done} messages instead of {messages}"
        )))
    }

    /// Numbers of messages that wait in all queues outside, and inside.
    pub(crate) async fn depths(&self) -> Result<(u64, u64), Error> {
        let outside = connect(&self.outside).await?;
        let channel = outside.create_channel().await?;
        let mut waiting = 0;
        for queue in &self.queues {
            waiting += depth(&channel, queue).await?;
        }
        outside.close(200, "OK".into()).await?;
        let inside = connect(&self.inside).await?;
        let channel = inside.create_channel().await?;
        let passed_on = depth(&channel, &self.intake).await?;
        inside.close(200, "OK".into()).await?;
        Ok((waiting, passed_on))
    }

    /// Empties all queues: what lies in them would weigh on what is measured next.
    pub(crate) async fn empty(&self) -> Result<(), Error> {
        let intake = std::slice::from_ref(&self.intake);
        for (url, queues) in [(&self.outside, &self.queues[..]), (&self.inside, intake)] {
            let connection = connect(url).await?;
            let channel = connection.create_channel().await?;
            for queue in queues {
                channel
                    .queue_purge(queue.as_str().into(), QueuePurgeOptions::default())
                    .await?;
            }
            connection.close(200, "OK".into()).await?;
        }
        Ok(())
    }

    /// Begins to read a queue, under a tag of its name.
    async fn consumer(&self, channel: &Channel, queue: &str) -> Result<Consumer, Error> {
        channel
            .basic_qos(self.held, BasicQosOptions::default())
            .await?;
        let options = BasicConsumeOptions::default();
        let none = FieldTable::default();
        let consumer = channel.basic_consume(queue.into(), queue.into(), options, none);
        Ok(consumer.await?)
    }

    async fn pass_on(
        &self,
        channel: &Channel,
        delivery: lapin::Result<Delivery>,
    ) -> Result<(), Error> {
        let delivery = delivery?;
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/octet-stream".into());
        if let Some(id) = delivery.properties.message_id() {
            properties = properties.with_message_id(id.clone());
        }
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let exchange = self.exchange.as_str().into();
        let key = self.intake.as_str().into();
        let confirm = channel
            .basic_publish(exchange, key, options, &delivery.data, properties)
            .await?
            .await?;
        if !confirm.is_ack() {
            return Err(Error::WrongResult(
                "the broker did not confirm a message of the bare loop".into(),
            ));
        }
        delivery.ack(BasicAckOptions::default()).await?;
        Ok(())
    }
}

async fn connect(url: &str) -> Result<Connection, Error> {
    Ok(Connection::connect(url, ConnectionProperties::default()).await?)
}

async fn depth(channel: &Channel, queue: &str) -> Result<u64, Error> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let found = channel.queue_declare(queue.into(), passive, FieldTable::default());
    Ok(u64::from(found.await?.message_count()))
}
