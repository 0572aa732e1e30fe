//! Exchanges, queues and bindings: created where missing, or only looked for.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind, Queue};

use super::error_text::{self, ChannelStep};
use super::settings::AmqpSettings;
use crate::{AmqpConfig, BrokerError, Depth, QueueKind};

/// Limit of the receipts that wait at the broker for one gateway, in bytes.
const MAX_UNREAD_RECEIPT_BYTES: i64 = 64 * 1024 * 1024;
/// Limit of the batches that wait in the queue, in bytes; a full queue refuses further ones.
const MAX_WAITING_BYTES: i64 = 4 * 1024 * 1024 * 1024;
/// Limits of the queue of dead letters; the oldest leave a full one.
const MAX_DEAD_LETTERS: i64 = 10_000;
const MAX_DEAD_LETTER_BYTES: i64 = 512 * 1024 * 1024;

/// Makes sure that exchanges and queues are there, and counts the messages in them.
pub(super) async fn ensure(
    channel: &Channel,
    settings: &AmqpSettings,
) -> Result<Depth, BrokerError> {
    let config = &settings.config;
    // The dead letters first: what the queue refers to should exist before the queue does.
    let dead_exchange = &config.dead_letters_exchange;
    exchange(channel, settings, dead_exchange, ExchangeKind::Direct).await?;
    let dead = queue(
        channel,
        settings,
        &config.dead_letters,
        dead_letter_arguments(config),
    )
    .await?;
    bind(channel, settings, &config.dead_letters, dead_exchange).await?;
    exchange(channel, settings, &config.exchange, ExchangeKind::Direct).await?;
    let waiting = queue(channel, settings, &config.queue, queue_arguments(config)).await?;
    bind(channel, settings, &config.queue, &config.exchange).await?;
    // A city's first gateways listen before the registry has sent its first receipt.
    receipts(channel, settings).await?;
    Ok(Depth { waiting, dead })
}

/// Counts the messages in the queues without creating anything.
pub(super) async fn depth(
    channel: &Channel,
    settings: &AmqpSettings,
) -> Result<Depth, BrokerError> {
    let config = &settings.config;
    Ok(Depth {
        waiting: look(channel, settings, &config.queue).await?,
        dead: look(channel, settings, &config.dead_letters).await?,
    })
}

/// Counts the consumers of the queue that `step` names.
pub(super) async fn readers(
    channel: &Channel,
    settings: &AmqpSettings,
    step: ChannelStep<'_>,
) -> Result<u64, BrokerError> {
    let looked = passively(channel, step.name()).await;
    looked
        .map(|queue| queue.consumer_count().into())
        .map_err(|error| error_text::on_channel(&settings.address, step, &error))
}

/// Declares both queues, which exist, with the arguments that they should have.
pub(super) async fn declare_existing(
    channel: &Channel,
    settings: &AmqpSettings,
) -> lapin::Result<()> {
    let config = &settings.config;
    for (name, arguments) in [
        (&config.dead_letters, dead_letter_arguments(config)),
        (&config.queue, queue_arguments(config)),
    ] {
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(name.as_str().into(), options, arguments)
            .await?;
    }
    Ok(())
}

/// Makes sure that the exchange of receipts is there.
pub(super) async fn receipts(
    channel: &Channel,
    settings: &AmqpSettings,
) -> Result<(), BrokerError> {
    exchange(
        channel,
        settings,
        &settings.config.receipts,
        ExchangeKind::Fanout,
    )
    .await
}

/// Returns the step of reading receipts: from the queue that the operator made for this account, or
/// from the exchange.
pub(super) fn receipts_step(settings: &AmqpSettings) -> ChannelStep<'_> {
    match &settings.config.receipts_queue {
        Some(queue) => ChannelStep::Receipts(queue),
        None => ChannelStep::Subscribe(&settings.config.receipts),
    }
}

/// Returns the queue of receipts that the operator made for this account, or declares one for this
/// connection alone, named by the broker and gone with the connection.
pub(super) async fn subscription(
    channel: &Channel,
    settings: &AmqpSettings,
) -> Result<ShortString, BrokerError> {
    if let Some(name) = &settings.config.receipts_queue {
        return Ok(name.as_str().into());
    }
    receipts(channel, settings).await?;
    let exchange = settings.config.receipts.as_str();
    let step = receipts_step(settings);
    let explained = |error| error_text::on_channel(&settings.address, step, &error);
    let mut arguments = FieldTable::default();
    // Stated explicitly, since a virtual host may have another default, and only a classic queue
    // may be exclusive.
    put(&mut arguments, "x-queue-type", "classic");
    // The oldest go first: their batches are sent again.
    put_number(
        &mut arguments,
        "x-max-length-bytes",
        MAX_UNREAD_RECEIPT_BYTES,
    );
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare("".into(), options, arguments)
        .await
        .map_err(explained)?;
    let name = queue.name().clone();
    let options = QueueBindOptions::default();
    let arguments = FieldTable::default();
    channel
        .queue_bind(name.clone(), exchange.into(), "".into(), options, arguments)
        .await
        .map_err(explained)?;
    Ok(name)
}

async fn exchange(
    channel: &Channel,
    settings: &AmqpSettings,
    name: &str,
    kind: ExchangeKind,
) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions {
        passive: !settings.config.declare,
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
        .map_err(|error| {
            error_text::on_channel(&settings.address, ChannelStep::Exchange(name), &error)
        })
}

async fn queue(
    channel: &Channel,
    settings: &AmqpSettings,
    name: &str,
    arguments: FieldTable,
) -> Result<u64, BrokerError> {
    if !settings.config.declare {
        return look(channel, settings, name).await;
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(name.into(), options, arguments).await;
    counted(settings, name, declared)
}

async fn look(channel: &Channel, settings: &AmqpSettings, name: &str) -> Result<u64, BrokerError> {
    counted(settings, name, passively(channel, name).await)
}

async fn passively(channel: &Channel, name: &str) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, FieldTable::default())
        .await
}

fn counted(
    settings: &AmqpSettings,
    name: &str,
    declared: lapin::Result<Queue>,
) -> Result<u64, BrokerError> {
    declared
        .map(|queue| queue.message_count().into())
        .map_err(|error| {
            error_text::on_channel(&settings.address, ChannelStep::Queue(name), &error)
        })
}

async fn bind(
    channel: &Channel,
    settings: &AmqpSettings,
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
        .map_err(|error| {
            error_text::on_channel(&settings.address, ChannelStep::Bind(queue), &error)
        })
}

/// Arguments of the queue, stated explicitly since the defaults of RabbitMQ 3.10 and 4 differ.
fn queue_arguments(config: &AmqpConfig) -> FieldTable {
    let mut arguments = kind_arguments(config);
    put(
        &mut arguments,
        "x-dead-letter-exchange",
        &config.dead_letters_exchange,
    );
    put(
        &mut arguments,
        "x-dead-letter-routing-key",
        &config.dead_letters,
    );
    if config.queue_kind == QueueKind::Quorum {
        let limit = config.delivery_limit.get().into();
        put_number(&mut arguments, "x-delivery-limit", limit);
        // A batch over the limit leaves the queue only when the dead letters hold it; the overflow
        // mode goes with it.
        put(&mut arguments, "x-dead-letter-strategy", "at-least-once");
    }
    // A full queue takes nothing more, and gateways keep their batches.
    put(&mut arguments, "x-overflow", "reject-publish");
    put_number(&mut arguments, "x-max-length-bytes", MAX_WAITING_BYTES);
    arguments
}

/// Arguments of the dead letters' queue. The oldest leave a full one, which loses no fact: gateways
/// keep a batch until the registry has taken it. It is without a delivery limit: -1 is "unlimited"
/// to RabbitMQ 4 and "never hand out twice" to 3.10, and a queue that exists without the argument
/// refuses every value. See `dead_letters.rs` for how dead letters survive RabbitMQ 4's limit of
/// 20.
fn dead_letter_arguments(config: &AmqpConfig) -> FieldTable {
    let mut arguments = kind_arguments(config);
    put(&mut arguments, "x-overflow", "drop-head");
    put_number(&mut arguments, "x-max-length", MAX_DEAD_LETTERS);
    put_number(&mut arguments, "x-max-length-bytes", MAX_DEAD_LETTER_BYTES);
    arguments
}

fn kind_arguments(config: &AmqpConfig) -> FieldTable {
    let mut arguments = FieldTable::default();
    let kind = match config.queue_kind {
        QueueKind::Quorum => "quorum",
        QueueKind::Classic => "classic",
    };
    put(&mut arguments, "x-queue-type", kind);
    arguments
}

pub(super) fn put(arguments: &mut FieldTable, key: &str, value: &str) {
    arguments.insert(key.into(), AMQPValue::LongString(value.into()));
}

fn put_number(arguments: &mut FieldTable, key: &str, value: i64) {
    arguments.insert(key.into(), AMQPValue::LongLongInt(value));
}
