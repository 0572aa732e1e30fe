//! Limit of the broker: the gateway's own sealed batches, put in and taken out by loops that do
//! nothing else.

use std::time::Duration;

use clock::Clock;
use futures_util::{StreamExt, TryStreamExt};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};

use crate::error::Error;
use crate::limits::queue::MeasuredQueue;

/// Batches that wait for their confirm at once, the gateway's default, or for their
/// acknowledgement.
const WINDOW: u16 = 64;
/// Exchange, queue, routing key and consumer.
const NAME: &str = "bench.raw";
const PERSISTENT: u8 = 2;

/// Times of the two loops, without connecting and declaring.
pub(crate) struct BrokerTimes {
    /// Publishing and being confirmed.
    pub publishing: Duration,
    /// The broker's own processor time meanwhile, seconds.
    pub broker_seconds: f64,
    /// Receiving and acknowledging.
    pub consuming: Duration,
}

/// Publishes every batch to a fresh durable quorum queue, persistent, mandatory, each confirmed;
/// then consumes them all, each acknowledged. `broker` returns the broker's processor time so far,
/// in seconds.
pub(crate) async fn measure(
    url: &str,
    batches: &[Vec<u8>],
    broker: impl Fn() -> Result<f64, Error>,
    clock: &dyn Clock,
) -> Result<BrokerTimes, Error> {
    let queue = MeasuredQueue::declare(url, NAME).await?;
    let channel = queue.channel();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let before = broker()?;
    let started = clock.elapsed();
    futures_util::stream::iter(batches.iter().enumerate())
        .map(|(index, batch)| publish(channel, index, batch))
        .buffer_unordered(WINDOW.into())
        .try_collect::<()>()
        .await?;
    let published = clock.elapsed();
    let broker_seconds = broker()? - before;
    consume(&queue.open_channel().await?, batches).await?;
    let consumed = clock.elapsed();
    // Nothing of it may weigh on what is measured next.
    queue.delete().await?;
    Ok(BrokerTimes {
        publishing: published.saturating_sub(started),
        broker_seconds,
        consuming: consumed.saturating_sub(published),
    })
}

async fn publish(channel: &Channel, index: usize, batch: &[u8]) -> Result<(), Error> {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/octet-stream".into())
        .with_message_id(format!("{index:032x}").into());
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirm = channel
        .basic_publish(NAME.into(), NAME.into(), options, batch, properties)
        .await?
        .await?;
    if confirm.is_ack() {
        return Ok(());
    }
    Err(Error::WrongResult(
        "the broker did not confirm a batch of the bare loop".into(),
    ))
}

async fn consume(channel: &Channel, batches: &[Vec<u8>]) -> Result<(), Error> {
    channel
        .basic_qos(WINDOW, BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let none = FieldTable::default();
    let mut consumer = channel
        .basic_consume(NAME.into(), NAME.into(), options, none)
        .await?;
    let mut left = batches.len();
    let mut bytes = 0;
    while left > 0 {
        let Some(delivery) = consumer.next().await else {
            return Err(Error::WrongResult(
                "the broker ended the bare consumer".into(),
            ));
        };
        let delivery = delivery?;
        bytes += delivery.data.len();
        delivery.ack(BasicAckOptions::default()).await?;
        left -= 1;
    }
    // Dropped uncancelled, a consumer cancels itself at some later moment, when the connection may
    // not expect an answer.
    channel
        .basic_cancel(NAME.into(), BasicCancelOptions::default())
        .await?;
    if bytes == batches.iter().map(Vec::len).sum::<usize>() {
        return Ok(());
    }
    Err(Error::WrongResult(
        "the bare consumer got other bytes than were published".into(),
    ))
}

#[cfg(test)]
mod tests {
    use clock::SystemClock;
    use testbed::rabbitmq::RabbitMq;

    use super::*;
    use crate::limits::sqlite;
    use crate::processes::figures::server_seconds;

    #[tokio::test]
    async fn every_batch_goes_through_the_broker_and_into_sqlite() {
        let server = RabbitMq::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = SystemClock::default();
        let batches = vec![vec![7; 4096]; 150];
        // Twice: nothing of the first may be met by the second.
        for _ in 0..2 {
            let broker = || server_seconds("RabbitMQ", server.process_id());
            let took = measure(&server.amqp_url(), &batches, broker, &clock)
                .await
                .unwrap();
            assert!(took.publishing > Duration::ZERO && took.consuming > Duration::ZERO);
            assert!(took.broker_seconds >= 0.0);
            assert!(
                sqlite::insert_all(folder.path(), &batches, &clock)
                    .await
                    .unwrap()
                    > Duration::ZERO
            );
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
