//! The whole chain as processes on private servers: a clinic's PostgreSQL, its gateway, RabbitMQ,
//! the registry and its PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::{Clock, SystemClock};
use outbox::{OutboxReader, Status};
use registry::{Reader, StoreConfig};
use testbed::postgres::Postgres;
use testbed::rabbitmq::{Options, RabbitMq};

use crate::shots::{Shots, differing, registry_content};
use crate::support::{
    City, Clinic, Running, amqp_queue, drained, eventually, http_get, registry_command,
};

/// The queues of the default configuration.
pub(crate) const QUEUE: &str = "clinic.facts.intake";
pub(crate) const DEAD_LETTERS: &str = "clinic.facts.dead";

/// How long the registry may take to become equal to the clinic.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Plant {
    pub clinic_server: Postgres,
    pub registry_server: Postgres,
    pub broker: RabbitMq,
    pub city: City,
    pub clinic: Clinic,
    pub store: StoreConfig,
    pub registry_config: PathBuf,
    listen: u16,
}

/// How the gateway is configured, where it matters.
pub(crate) struct Settings<'a> {
    pub page_records: u32,
    /// Further lines of `[source.mis]`.
    pub source: &'a str,
    /// Further lines of `[outbox]`.
    pub outbox: &'a str,
    /// Further lines of `[registry]`.
    pub registry: &'a str,
    /// Further lines of rabbitmq.conf.
    pub broker: &'a [&'a str],
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            page_records: 100,
            source: "",
            outbox: "batch_events = 20\n",
            registry: "",
            broker: &[],
        }
    }
}

impl Plant {
    /// Everything but the two programs runs; the clinic's table is there, and empty.
    pub(crate) async fn new(settings: Settings<'_>) -> Self {
        let config = settings
            .broker
            .iter()
            .map(|line| (*line).to_owned())
            .collect();
        let options = Options {
            config,
            ..Options::default()
        };
        let (clinic_server, registry_server, broker) = tokio::join!(
            Postgres::start(),
            Postgres::start(),
            RabbitMq::start_with(options)
        );
        let clinic_server = clinic_server.expect("a clinic's PostgreSQL");
        let registry_server = registry_server.expect("the registry's PostgreSQL");
        let broker = broker.expect("a RabbitMQ");
        clinic_server
            .create_database("mis")
            .await
            .expect("the clinic's database");
        let url = registry_server
            .create_database("city")
            .await
            .expect("the registry's database");
        let store_toml = format!("[store.postgres]\nurl = \"{url}\"\ntls = \"off\"\n");
        let city = City::new();
        let listen = testbed::ports::free_port();
        // Tests should not wait for the pauses that suit a server which is away for a night.
        let queue = amqp_queue(broker.port()) + "max_backoff_seconds = 1\n";
        let registry_config = city.configure(&store_toml, &queue);
        let shots = shots(&clinic_server);
        shots.create().await;
        let source = shots.source(
            settings.page_records,
            &format!("schedule = {{ every-seconds = 1 }}\n{}", settings.source),
        );
        let extra = format!(
            "[outbox]\n{}[listen]\naddress = \"127.0.0.1:{listen}\"\n",
            settings.outbox
        );
        let clinic = Clinic::new(&city, &queue, &source, &extra);
        add_to_registry_section(&clinic, settings.registry);
        let store = store_config(&store_toml);
        Self {
            clinic_server,
            registry_server,
            broker,
            city,
            clinic,
            store,
            registry_config,
            listen,
        }
    }

    pub(crate) fn shots(&self) -> Shots<'_> {
        shots(&self.clinic_server)
    }

    pub(crate) fn gateway(&self) -> Running {
        Running::start(self.clinic.command(&["run"]), &self.gateway_log())
    }

    pub(crate) fn registry(&self) -> Running {
        Running::start(
            registry_command(&self.registry_config, &["run"]),
            &self.city.folder.path().join("log"),
        )
    }

    /// The registry takes what waits, and ends.
    pub(crate) fn registry_drains(&self) -> String {
        let output = drained(&self.registry_config, None);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// The same until the broker has nothing any more, not even what a registry had been given that
    /// was killed: that comes back once the broker has noticed.
    pub(crate) async fn registry_takes_everything(&self) {
        eventually("the queue is empty", 60, async || {
            self.registry_drains();
            let depth = self.broker.queue_depth(QUEUE).await.ok()?;
            (depth == 0).then_some(())
        })
        .await;
    }

    pub(crate) fn gateway_log(&self) -> PathBuf {
        self.clinic.folder.path().join("log")
    }

    /// Both programs' output, for a failed assertion.
    pub(crate) fn logs(&self) -> String {
        let read = |path: &Path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        format!(
            "registry:\n{}\ngateway:\n{}",
            read(&self.city.folder.path().join("log")),
            read(&self.gateway_log())
        )
    }

    /// What the gateway's state says, whoever owns it.
    pub(crate) async fn status(&self) -> Option<Status> {
        status_of(&self.clinic.folder.path().join("state/outbox.db")).await
    }

    /// A gauge or counter of the gateway; `None` while there is none.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, metrics) = http_get(self.listen, "/metrics")?;
        let line = metrics.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub(crate) async fn until_metric(&self, name: &str, reached: impl Fn(f64) -> bool) {
        eventually(&format!("the metric {name}"), 90, async || {
            self.metric(name).filter(|value| reached(*value))
        })
        .await;
    }

    /// Number of facts that hold at the registry; `None` while its server is away.
    pub(crate) async fn facts(&self) -> Option<usize> {
        let count = self
            .registry_server
            .psql(
                "city",
                "SELECT count(*) FROM fact WHERE status = 'asserted'",
            )
            .await
            .ok()?;
        count.trim().parse().ok()
    }

    pub(crate) async fn until_facts(&self, least: usize) {
        eventually(
            &format!("{least} facts are in the registry"),
            120,
            async || self.facts().await.filter(|facts| *facts >= least),
        )
        .await;
    }

    /// In the end the registry holds what the clinic does.
    pub(crate) async fn is_equal(&self) {
        let reader = self.city.reader(&self.store).await;
        until_equal(&self.shots(), &reader, || self.logs()).await;
        reader.close().await;
    }

    /// The same, and the gateway has nothing more to send or to wait for.
    pub(crate) async fn ends_equal(&self) {
        self.is_equal().await;
        eventually("every batch is settled by its receipt", 60, async || {
            self.status()
                .await
                .filter(|status| status.backlog.batches == 0 && awaiting(status) == 0)
        })
        .await;
    }

    /// Dead letters at the registry's side.
    pub(crate) async fn dead_letters(&self) -> u64 {
        self.broker
            .queue_depth(DEAD_LETTERS)
            .await
            .expect("the dead letters can be counted")
    }
}

/// Batches that were delivered and wait for their receipt.
pub(crate) fn awaiting(status: &Status) -> u64 {
    status.backlog.awaiting_receipt_batches
}

/// Waits until the registry holds what the clinic does; tells what differs when it takes too long.
pub(crate) async fn until_equal(shots: &Shots<'_>, reader: &Reader, logs: impl Fn() -> String) {
    let here = shots.content().await;
    let clock = SystemClock::default();
    loop {
        let wrong = differing(&here, &registry_content(reader).await);
        if wrong.is_empty() {
            return;
        }
        assert!(
            clock.elapsed() < PATIENCE,
            "(fact, clinic, registry) {wrong:?}\n{}",
            logs()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Looks into an outbox; `None` while there is none.
pub(crate) async fn status_of(outbox: &Path) -> Option<Status> {
    let reader = OutboxReader::open(outbox).await.ok()?;
    let status = reader.status().await.ok();
    reader.close().await;
    status
}

/// A `[store.…]` section as the registry reads it.
pub(crate) fn store_config(store_toml: &str) -> StoreConfig {
    let table: toml::Table = store_toml.parse().expect("the section is TOML");
    table["store"]
        .clone()
        .try_into()
        .expect("the section is a store")
}

/// Writes further lines into the gateway's `[registry]` section.
pub(crate) fn add_to_registry_section(clinic: &Clinic, lines: &str) {
    let text = fs::read_to_string(clinic.config_path()).expect("the configuration can be read");
    let changed = text.replacen("[registry]\n", &format!("[registry]\n{lines}"), 1);
    assert!(
        lines.is_empty() || changed != text,
        "the configuration has a [registry] section"
    );
    fs::write(clinic.config_path(), changed).expect("the configuration is written");
}

fn shots(server: &Postgres) -> Shots<'_> {
    Shots {
        server,
        database: "mis".into(),
        schema: "clinic".into(),
    }
}
