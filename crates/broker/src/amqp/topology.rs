//! Exchanges, queues and bindings: created where missing, or only looked for.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::settings::Settings;
use super::words::{self, Step};
use crate::{AmqpConfig, BrokerError, Depth, QueueKind};

/// Makes sure that exchanges and queues are there, and tells how much lies in them.
pub(super) async fn ensure(channel: &Channel, settings: &Settings) -> Result<Depth, BrokerError> {
    let config = &settings.config;
    // The dead letters first: what the queue refers to should exist before the queue does.
    exchange(channel, settings, &config.dead_letters).await?;
    let dead = queue(channel, settings, &config.dead_letters, dead_letter_arguments(config)).await?;
    bind(channel, settings, &config.dead_letters, &config.dead_letters).await?;
    exchange(channel, settings, &config.exchange).await?;
    let waiting = queue(channel, settings, &config.queue, queue_arguments(config)).await?;
    bind(channel, settings, &config.queue, &config.exchange).await?;
    Ok(Depth { waiting, dead })
}

/// Counts without creating anything.
pub(super) async fn depth(channel: &Channel, settings: &Settings) -> Result<Depth, BrokerError> {
    let config = &settings.config;
    Ok(Depth {
        waiting: look(channel, settings, &config.queue).await?,
        dead: look(channel, settings, &config.dead_letters).await?,
    })
}

async fn exchange(channel: &Channel, settings: &Settings, name: &str) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions {
        passive: !settings.config.declare,
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), ExchangeKind::Direct, options, FieldTable::default())
        .await
        .map_err(|error| words::on_channel(&settings.place, Step::Exchange(name), &error))
}

async fn queue(
    channel: &Channel,
    settings: &Settings,
    name: &str,
    arguments: FieldTable,
) -> Result<u64, BrokerError> {
    if !settings.config.declare {
        return look(channel, settings, name).await;
    }
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    declare(channel, settings, name, options, arguments).await
}

async fn look(channel: &Channel, settings: &Settings, name: &str) -> Result<u64, BrokerError> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    declare(channel, settings, name, options, FieldTable::default()).await
}

async fn declare(
    channel: &Channel,
    settings: &Settings,
    name: &str,
    options: QueueDeclareOptions,
    arguments: FieldTable,
) -> Result<u64, BrokerError> {
    channel
        .queue_declare(name.into(), options, arguments)
        .await
        .map(|queue| queue.message_count().into())
        .map_err(|error| words::on_channel(&settings.place, Step::Queue(name), &error))
}

async fn bind(
    channel: &Channel,
    settings: &Settings,
    queue: &str,
    exchange: &str,
) -> Result<(), BrokerError> {
    if !settings.config.declare {
        return Ok(());
    }
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            queue.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(|error| words::on_channel(&settings.place, Step::Bind(queue), &error))
}

/// Said explicitly, since the defaults differ between RabbitMQ 3.10 and 4.
fn queue_arguments(config: &AmqpConfig) -> FieldTable {
    let mut arguments = dead_letter_arguments(config);
    put(&mut arguments, "x-dead-letter-exchange", &config.dead_letters);
    put(&mut arguments, "x-dead-letter-routing-key", &config.dead_letters);
    if config.queue_kind == QueueKind::Quorum {
        arguments
            .insert("x-delivery-limit".into(), AMQPValue::LongLongInt(config.delivery_limit.get().into()));
        // A batch over the limit leaves the queue only when the dead letters hold it; the overflow mode goes with it.
        put(&mut arguments, "x-dead-letter-strategy", "at-least-once");
        put(&mut arguments, "x-overflow", "reject-publish");
    }
    arguments
}

fn dead_letter_arguments(config: &AmqpConfig) -> FieldTable {
    let mut arguments = FieldTable::default();
    let kind = match config.queue_kind {
        QueueKind::Quorum => "quorum",
        QueueKind::Classic => "classic",
    };
    put(&mut arguments, "x-queue-type", kind);
    arguments
}

fn put(arguments: &mut FieldTable, key: &str, value: &str) {
    arguments.insert(key.into(), AMQPValue::LongString(value.into()));
}
