//! Private servers that several cities of one test share, each with names of its own.

use broker::{AmqpConfig, QueueConfig};
use registry::{PostgresConfig, StoreConfig, TlsMode};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

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

    /// Store in a new database.
    ///
    /// # Errors
    /// The database exists already.
    pub async fn store(&self, database: &str) -> Outcome<StoreConfig> {
        let url = Some(self.postgres.create_database(database).await?);
        Ok(StoreConfig::Postgres(Box::new(PostgresConfig {
            url,
            tls: TlsMode::Off,
            ..PostgresConfig::default()
        })))
    }

    /// Queues of a city with this name, for an account that may do everything.
    #[must_use]
    pub fn queue(&self, city: &str) -> QueueConfig {
        QueueConfig::Amqp(AmqpConfig {
            url: self.rabbit.amqp_url(),
            exchange: format!("{city}.facts"),
            queue: format!("{city}.facts.intake"),
            dead_letters: format!("{city}.facts.dead"),
            receipts: format!("{city}.receipts"),
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

/// Password of every account of a test.
pub(crate) const PASSWORD: &str = "publisher";

/// File with the password, in a city's folder.
pub(crate) const PASSWORD_FILE: &str = "password";
