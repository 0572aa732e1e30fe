//! Rights of an account and limits of the queues, as far as a connection shows them. Nothing is
//! tried that could take a batch from the queue or bring a stranger's into it.

use contract::BatchId;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ErrorKind};

use super::error_text::{self, ChannelStep};
use super::settings::AmqpSettings;
use super::topology;
use crate::finding::{QueueFinding, Side};
use crate::{BrokerError, MAX_MESSAGE_BYTES};

/// Advice that leads to the page with the least rights and the policies.
const SEE: &str = "give it the rights that docs/operations.md lists under \"RabbitMQ accounts\"";

/// Outcome of something tried on a channel of its own.
enum Tried {
    Allowed,
    /// Refused with this AMQP code.
    Refused(u16),
}

/// Finds out what the account may do, on channels of its own.
pub(super) async fn check(
    connection: &Connection,
    settings: &AmqpSettings,
    side: Side,
) -> Result<Vec<QueueFinding>, BrokerError> {
    let tester = Tester {
        connection,
        settings,
        key: format!("check-{}", BatchId::random()),
    };
    match side {
        Side::Gateway => tester.gateway().await,
        Side::Registry => tester.registry().await,
    }
}

struct Tester<'a> {
    connection: &'a Connection,
    settings: &'a AmqpSettings,
    /// Routing key and name that nothing else bears.
    key: String,
}

impl Tester<'_> {
    async fn gateway(&self) -> Result<Vec<QueueFinding>, BrokerError> {
        let config = &self.settings.config;
        let mut findings = Vec::new();
        if let Tried::Refused(403) = self.publish(&config.exchange, 0).await? {
            return Err(BrokerError::misconfigured(
                format!(
                    "user {:?} may not publish to the exchange {}",
                    self.settings.address.user, config.exchange
                ),
                SEE,
            ));
        }
        findings.push(QueueFinding::good(format!(
            "may publish to {}",
            config.exchange
        )));
        let channel = self.channel().await?;
        let queue = topology::subscription(&channel, self.settings).await?;
        self.readable(queue.as_str(), topology::receipts_step(self.settings))
            .await?;
        findings.push(QueueFinding::good(format!(
            "may listen to {}",
            config.receipts_queue.as_ref().unwrap_or(&config.receipts)
        )));
        let excess = self.excess(&channel, queue.as_str()).await?;
        findings.push(if excess.is_empty() {
            QueueFinding::good("was refused whatever else was tried")
        } else {
            let user = &self.settings.address.user;
            let excess = excess.join("; ");
            QueueFinding::warning(format!("user {user:?} may also {excess}"), SEE)
        });
        Ok(findings)
    }

    /// Tries what a gateway need not do, and says what was allowed. `queue` is its own one, of
    /// receipts.
    async fn excess(&self, channel: &Channel, queue: &str) -> Result<Vec<String>, BrokerError> {
        let config = &self.settings.config;
        let has_queue = config.receipts_queue.is_some();
        let mut excess = Vec::new();
        if self.declare(&self.key).await? {
            excess.push("make queues of any name".to_owned());
        }
        if has_queue && self.declare("").await? {
            excess.push("make queues, and has one already".to_owned());
        }
        for (exchange, name) in [
            (config.dead_letters_exchange.as_str(), "the dead letters"),
            ("", "every queue by its name"),
        ] {
            if let Tried::Allowed = self.publish(exchange, 0).await? {
                excess.push(format!("publish to {name}"));
            }
        }
        if !has_queue && let Tried::Allowed = self.bind(channel, queue, &config.exchange).await? {
            excess.push("listen to the batches of all clinics".to_owned());
        }
        Ok(excess)
    }

    async fn registry(&self) -> Result<Vec<QueueFinding>, BrokerError> {
        let config = &self.settings.config;
        for queue in [&config.queue, &config.dead_letters] {
            self.readable(queue, ChannelStep::Consume(queue)).await?;
        }
        let mut findings = vec![
            QueueFinding::good(format!(
                "may read {} and {}",
                config.queue, config.dead_letters
            )),
            self.limits().await?,
        ];
        let too_long = self
            .publish(&config.exchange, MAX_MESSAGE_BYTES + 1)
            .await?;
        findings.push(match too_long {
            Tried::Refused(406) => {
                QueueFinding::good("the broker refuses messages longer than any of ours")
            }
            Tried::Allowed => QueueFinding::warning(
                format!("the broker takes messages longer than {MAX_MESSAGE_BYTES} bytes"),
                format!("set `max_message_size = {MAX_MESSAGE_BYTES}` in its rabbitmq.conf"),
            ),
            Tried::Refused(_) => QueueFinding::warning(
                format!(
                    "not verified, as the account may not publish to {}: the broker's limit of a \
                     message's length; nor can batches be retried",
                    config.exchange
                ),
                SEE,
            ),
        });
        findings.push(QueueFinding::warning(
            "not verified, as AMQP does not show them: policies, and limits of the virtual host \
             and of users",
            "compare `rabbitmqctl list_policies`, `list_vhost_limits` and `list_user_limits` with \
             what `city-registry init` printed",
        ));
        Ok(findings)
    }

    /// Declares both queues once more, which an existing queue refuses if its limits differ.
    async fn limits(&self) -> Result<QueueFinding, BrokerError> {
        let channel = self.channel().await?;
        let declared = topology::declare_existing(&channel, self.settings).await;
        Ok(match declared.map_err(|error| code(&error)) {
            Ok(()) => QueueFinding::good("both queues have their limits"),
            Err(Some(406)) => QueueFinding::warning(
                "a queue was made with other arguments than this program would give it, such as \
                 without a limit",
                error_text::OTHER_ARGUMENTS_HELP,
            ),
            Err(_) => QueueFinding::warning(
                "not verified, as the account may not create queues: their limits",
                "compare `rabbitmqctl list_queues name arguments` with docs/operations.md",
            ),
        })
    }

    async fn channel(&self) -> Result<Channel, BrokerError> {
        let made = self.connection.create_channel().await;
        made.map_err(|error| {
            self.failed(ChannelStep::Publish(&self.settings.config.exchange), &error)
        })
    }

    /// Publishes a message that no queue takes.
    async fn publish(&self, exchange: &str, bytes: usize) -> Result<Tried, BrokerError> {
        let channel = self.channel().await?;
        let tried = async {
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let confirm = channel
                .basic_publish(
                    exchange.into(),
                    self.key.as_str().into(),
                    BasicPublishOptions::default(),
                    &vec![0; bytes],
                    BasicProperties::default(),
                )
                .await?;
            confirm.await.map(drop)
        };
        self.tried(ChannelStep::Publish(exchange), tried.await)
    }

    /// Makes sure that a queue is there and that the account may read it.
    ///
    /// The question has an argument that no broker takes. It looks for the queue and for the right
    /// first: so no consumer begins, no message moves, and a running reader is not in the way.
    async fn readable(&self, queue: &str, step: ChannelStep<'_>) -> Result<(), BrokerError> {
        let channel = self.channel().await?;
        let mut arguments = FieldTable::default();
        topology::put(&mut arguments, "x-priority", "not a number");
        let asked = async {
            // Should a broker take it after all, then one message at most, which goes back with the
            // channel.
            channel.basic_qos(1, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            let consumer = channel.basic_consume(queue.into(), "".into(), options, arguments);
            consumer.await?;
            channel.close(200, "OK".into()).await
        };
        match asked.await {
            Err(error) if code(&error) != Some(406) => Err(self.failed(step, &error)),
            _ => Ok(()),
        }
    }

    /// Declares a queue that goes with the connection; true if it may.
    async fn declare(&self, name: &str) -> Result<bool, BrokerError> {
        let channel = self.channel().await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        topology::put(&mut arguments, "x-queue-type", "classic");
        let declared = channel.queue_declare(name.into(), options, arguments).await;
        let tried = self.tried(ChannelStep::Queue(name), declared.map(drop))?;
        Ok(matches!(tried, Tried::Allowed))
    }

    async fn bind(
        &self,
        channel: &Channel,
        queue: &str,
        exchange: &str,
    ) -> Result<Tried, BrokerError> {
        let bound = channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                self.key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await;
        self.tried(ChannelStep::Bind(queue), bound)
    }

    fn tried(
        &self,
        step: ChannelStep<'_>,
        outcome: lapin::Result<()>,
    ) -> Result<Tried, BrokerError> {
        match outcome {
            Ok(()) => Ok(Tried::Allowed),
            Err(error) => match code(&error) {
                Some(code @ (403 | 404 | 406)) => Ok(Tried::Refused(code)),
                _ => Err(self.failed(step, &error)),
            },
        }
    }

    fn failed(&self, step: ChannelStep<'_>, error: &lapin::Error) -> BrokerError {
        error_text::on_channel(&self.settings.address, step, error)
    }
}

/// AMQP code of an error of the broker.
fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}
