//! Private servers that several cities of one test share, each with names of its own.

use std::num::NonZeroU16;

use broker::{AmqpConfig, QueueConfig};
use registry::{PostgresConfig, StoreConfig, TlsMode};
use testbed::postgres::Postgres;
use testbed::rabbitmq::{Options, RabbitMq};

use crate::Outcome;

/// RabbitMQ and PostgreSQL, ended when dropped.
#[derive(Debug)]
pub struct Servers {
    /// Broker.
    pub rabbit: RabbitMq,
    /// Database server.
    pub postgres: Postgres,
}

impl Servers {
    /// Starts both.
    ///
    /// # Errors
    /// A server that does not start.
    pub async fn start() -> Outcome<Self> {
        let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
        Ok(Self {
            rabbit: rabbit?,
            postgres: postgres?,
        })
    }

    /// Starts both, the broker set up by the commands that `city-registry init` writes, with the
    /// registry's account and these gateways'.
    ///
    /// # Errors
    /// A server that does not start, or a command that fails.
    pub async fn documented(gateways: &[&str]) -> Outcome<Self> {
        let config = ["max_message_size = 4194304", "channel_max = 64"];
        let options = Options {
            config: config.map(str::to_owned).to_vec(),
            ..Options::default()
        };
        let (rabbit, postgres) = tokio::join!(RabbitMq::start_with(options), Postgres::start());
        let rabbit = rabbit?;
        let mut setup =
            format!("{SETUP}\ncity_policies\necho {PASSWORD} | registry_account {REGISTRY}\n");
        for gateway in gateways {
            setup.push_str(&format!("echo {PASSWORD} | gateway_account {gateway}\n"));
        }
        rabbit.shell(&setup).await?;
        Ok(Self {
            rabbit,
            postgres: postgres?,
        })
    }

    /// Queues under their documented names, for an account that the commands made.
    #[must_use]
    pub fn documented_queue(&self, user: &str) -> QueueConfig {
        let port = self.rabbit.port();
        QueueConfig::Amqp(AmqpConfig {
            url: format!("amqp://{user}@127.0.0.1:{port}/%2f"),
            password: Some(settings::SecretSource::File(PASSWORD_FILE.into())),
            declare: user == REGISTRY,
            connect_timeout_seconds: CONNECT_SECONDS,
            ..AmqpConfig::default()
        })
    }

    /// Store in a new database.
    ///
    /// # Errors
    /// The database exists already.
    pub async fn store(&self, database: &str) -> Outcome<StoreConfig> {
        let url = Some(self.postgres.create_database(database).await?);
        Ok(StoreConfig::Postgres(Box::new(PostgresConfig {
            url,
            tls: Some(TlsMode::Off),
            ..PostgresConfig::default()
        })))
    }

    /// Queues of a city with this name, for an account that may do everything.
    #[must_use]
    pub fn queue(&self, city: &str) -> QueueConfig {
        QueueConfig::Amqp(AmqpConfig {
            dead_letters_exchange: format!("{city}.facts.rejected"),
            url: self.rabbit.amqp_url(),
            exchange: format!("{city}.facts"),
            queue: format!("{city}.facts.intake"),
            dead_letters: format!("{city}.facts.dead"),
            receipts: format!("{city}.receipts"),
            connect_timeout_seconds: CONNECT_SECONDS,
            ..AmqpConfig::default()
        })
    }

    /// The same queues for a new account that may publish batches and nothing else.
    ///
    /// # Errors
    /// The account exists already.
    pub async fn account(&self, city: &str, user: &str) -> Outcome<QueueConfig> {
        let writes = format!("^{city}\\.facts$");
        self.rabbit.ctl(&["add_user", user, PASSWORD]).await?;
        let permissions = ["set_permissions", user, "^$", &writes, "^$"];
        self.rabbit.ctl(&permissions).await?;
        let QueueConfig::Amqp(queue) = self.queue(city) else {
            return Err("the city's queue is not RabbitMQ's".into());
        };
        let port = self.rabbit.port();
        Ok(QueueConfig::Amqp(AmqpConfig {
            url: format!("amqp://{user}@127.0.0.1:{port}/%2f"),
            password: Some(settings::SecretSource::File(PASSWORD_FILE.into())),
            declare: false,
            ..queue
        }))
    }
}

/// Longest time that a connection takes on a machine that is busy: nobody tries again here.
const CONNECT_SECONDS: NonZeroU16 = NonZeroU16::new(60).expect("more than 0");

/// Commands that set up the broker of a city.
const SETUP: &str = include_str!("../../../../config/rabbitmq-setup.sh");

/// Account of the registry.
pub const REGISTRY: &str = "city-registry";

/// Password of every account of a test.
pub const PASSWORD: &str = "publisher";

/// File with the password, in a city's folder.
pub(crate) const PASSWORD_FILE: &str = "password";
