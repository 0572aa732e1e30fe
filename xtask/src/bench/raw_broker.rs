//! What the broker takes at best: the gateway's own sealed batches, published by a loop that does nothing else.

use std::time::Duration;

use clock::Clock;
use futures_util::{StreamExt, TryStreamExt};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::error::Error;

/// Batches that wait for their confirm at once: the gateway's default.
const WINDOW: usize = 64;
/// Exchange, queue and routing key.
const NAME: &str = "bench.raw";
const PERSISTENT: u8 = 2;

/// Publishes every batch to a fresh durable quorum queue, persistent, mandatory, each confirmed; how long it took, without
/// connecting and declaring.
pub async fn publish_all(url: &str, batches: &[Vec<u8>], clock: &dyn Clock) -> Result<Duration, Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let started = clock.elapsed();
    futures_util::stream::iter(batches.iter().enumerate())
        .map(|(index, batch)| publish(&channel, index, batch))
        .buffer_unordered(WINDOW)
        .try_collect::<()>()
        .await?;
    let took = clock.elapsed().saturating_sub(started);
    // Its messages would weigh on what is measured next.
    channel.queue_delete(NAME.into(), QueueDeleteOptions::default()).await?;
    channel.exchange_delete(NAME.into(), ExchangeDeleteOptions::default()).await?;
    connection.close(200, "OK".into()).await?;
    Ok(took)
}

async fn declare(channel: &Channel) -> Result<(), Error> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(NAME.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(NAME.into(), durable, arguments).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(NAME.into(), NAME.into(), NAME.into(), options, none).await?;
    Ok(())
}

async fn publish(channel: &Channel, index: usize, batch: &[u8]) -> Result<(), Error> {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/octet-stream".into())
        .with_message_id(format!("{index:032x}").into());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish(NAME.into(), NAME.into(), options, batch, properties).await?.await?;
    if confirm.is_ack() {
        return Ok(());
    }
    Err(Error::WrongResult("the broker did not confirm a batch of the bare loop".into()))
}
