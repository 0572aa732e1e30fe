//! `clinic-gateway run` and `city-registry run` side by side, as real processes on real servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use contract::Fact;
use registry::{Reader, StoreConfig};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::support::{
    City, Clinic, Running, amqp_queue, eventually, http_get, registry_command, snils, stored_facts,
};

/// `shot` is pulled every second. Reading `slow` takes longer than a second, and fails where it is
/// already being read.
const CLINIC: &str = "
CREATE TABLE shot (id integer PRIMARY KEY, snils text NOT NULL, day date NOT NULL,
                   changed_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON shot (changed_at, id);
CREATE TABLE slow (LIKE shot INCLUDING ALL);
CREATE FUNCTION read_alone() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
    IF NOT pg_try_advisory_xact_lock(1) THEN RAISE EXCEPTION 'two runs at once'; END IF;
    PERFORM pg_sleep(1.5);
    RETURN true;
END $$;";

fn source(name: &str, port: u16, table: &str, condition: &str) -> String {
    format!(
        "[source.{name}]\nschedule = {{ every-seconds = 1 }}\n[source.{name}.postgres]\nhost \
         = \"127.0.0.1\"\n\
         port = {port}\ndatabase = \"mis\"\nuser = \"postgres\"\noverlap_seconds = 5\n\
         [source.{name}.postgres.vaccinations]\nquery = \"\"\"\nSELECT id AS record_id, \
         changed_at, \
         snils AS person_snils, 'sputnik-v' AS vaccine_code, day AS occurred_on FROM {table} \
         {condition}\n\"\"\"\n"
    )
}

struct World {
    clinic_server: Postgres,
    broker: RabbitMq,
    city: City,
    clinic: Clinic,
    listen: u16,
    reader: Reader,
    registry_config: std::path::PathBuf,
    _registry_server: Postgres,
}

impl World {
    async fn new() -> Self {
        let (clinic_server, registry_server, broker) =
            tokio::join!(Postgres::start(), Postgres::start(), RabbitMq::start());
        let clinic_server = clinic_server.expect("a clinic's PostgreSQL");
        let registry_server = registry_server.expect("the registry's PostgreSQL");
        let broker = broker.expect("a RabbitMQ");
        clinic_server
            .create_database("mis")
            .await
            .expect("the clinic's database");
        clinic_server
            .psql("mis", CLINIC)
            .await
            .expect("the clinic's tables");
        let url = registry_server
            .create_database("city")
            .await
            .expect("the registry's database");
        let store_toml = format!("[store.postgres]\nurl = \"{url}\"\ntls = \"off\"\n");
        let store: toml::Table = store_toml.parse().expect("the section is TOML");
        let store: StoreConfig = store["store"]
            .clone()
            .try_into()
            .expect("the section is a store");

        let city = City::new();
        let queue = amqp_queue(broker.port());
        let registry_config = city.configure(&store_toml, &queue);
        let listen = testbed::ports::free_port();
        let sources = source("mis", clinic_server.port(), "shot", "")
            + &source("slow", clinic_server.port(), "slow", "WHERE read_alone()");
        let extra = format!("[listen]\naddress = \"127.0.0.1:{listen}\"\n");
        let clinic = Clinic::new(&city, &queue, &sources, &extra);
        let reader = city.reader(&store).await;
        let _registry_server = registry_server;
        Self {
            clinic_server,
            broker,
            city,
            clinic,
            listen,
            reader,
            registry_config,
            _registry_server,
        }
    }

    fn gateway(&self) -> Running {
        Running::start(
            self.clinic.command(&["run"]),
            &self.clinic.folder.path().join("log"),
        )
    }

    fn registry(&self) -> Running {
        let command = registry_command(&self.registry_config, &["run"]);
        Running::start(command, &self.city.folder.path().join("log"))
    }

    async fn insert(&self, table: &str, id: u32, day: &str) {
        let sql = format!(
            "INSERT INTO {table} VALUES ({id}, '{}', '{day}')",
            snils(501_000_000 + id)
        );
        self.clinic_server
            .psql("mis", &sql)
            .await
            .expect("the clinic enters a row");
    }

    /// The row is a fact of the registry.
    async fn arrives(&self, day: &str) {
        eventually(&format!("the row of {day} is in the registry"), 60, async || {
            let facts = stored_facts(&self.reader).await;
            facts
                .iter()
                .any(|stored| matches!(&stored.fact, Some(Fact::Vaccination { occurred_on, .. }) if occurred_on.to_string() == day))
                .then_some(())
        })
        .await;
    }

    /// Number of records that were sent for the first time, as `status` has it.
    fn sent(&self) -> Option<u64> {
        let output = self.clinic.program(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let feeds = status["status"]["feeds"].as_array()?;
        Some(
            feeds
                .iter()
                .filter_map(|feed| feed["new_total"].as_u64())
                .sum(),
        )
    }

    async fn page_says(&self, path: &str, status: u16, phrase: &str) -> String {
        eventually(&format!("{path} says {status} {phrase}"), 30, async || {
            http_get(self.listen, path)
                .filter(|(code, body)| *code == status && body.contains(phrase))
                .map(|(_, body)| body)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_flow_through_a_broker_s_outage_and_both_programs_end_in_order() {
    let world = World::new().await;
    let mut registry = world.registry();
    let mut gateway = world.gateway();
    world.page_says("/health/ready", 200, "ready").await;
    world.insert("shot", 1, "2021-06-01").await;
    world.arrives("2021-06-01").await;
    // A refused row is counted, and no longer once it is mended.
    let letters = "gateway_dead_letters{source=\"mis\",feed=\"vaccinations\",reason=\"identifier-check-digit\"}";
    let wrong = "INSERT INTO shot VALUES (9, '50137720645', '2021-06-09')";
    world
        .clinic_server
        .psql("mis", wrong)
        .await
        .expect("the clinic makes a mistake");
    world
        .page_says("/metrics", 200, &format!("{letters} 1"))
        .await;
    let mend = format!(
        "UPDATE shot SET snils = '{}', changed_at = clock_timestamp() WHERE id = 9",
        snils(501_000_009)
    );
    world
        .clinic_server
        .psql("mis", &mend)
        .await
        .expect("the clinic mends it");
    world.arrives("2021-06-09").await;
    world
        .page_says("/metrics", 200, &format!("{letters} 0"))
        .await;

    // So is a row that was sent and cannot be any more.
    let older = "gateway_older_versions{source=\"mis\",feed=\"vaccinations\",state=\"withdrawn\"}";
    for (number, count) in [("000-000-000 00".to_owned(), 1), (snils(501_000_009), 0)] {
        let change = format!(
            "UPDATE shot SET snils = '{number}', changed_at = clock_timestamp() WHERE id = 9"
        );
        let changed = world.clinic_server.psql("mis", &change).await;
        changed.expect("the clinic changes its row");
        world
            .page_says("/metrics", 200, &format!("{older} {count}"))
            .await;
    }
    world.arrives("2021-06-09").await;

    let check = world.clinic.program(&["check"]);
    let check = String::from_utf8_lossy(&check.stdout);
    for said in [
        "may publish to clinic.facts",
        "may listen to clinic.receipts",
        "its signed receipt came back",
    ] {
        assert!(check.contains(said), "{said}: {check}");
    }

    let second = world.clinic.program(&["run"]);
    assert_eq!(second.status.code(), Some(1), "a second daemon is refused");
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("in use by another gateway process (run")
    );

    world.broker.stop_app().await.expect("the broker stops");
    world.insert("shot", 2, "2021-06-02").await;
    world
        .page_says("/health/ready", 503, "the queue cannot be reached")
        .await;
    world.page_says("/health/live", 200, "alive").await;
    world
        .page_says("/metrics", 200, "gateway_queue_state{state=\"down\"} 1")
        .await;
    world
        .page_says("/metrics", 200, "gateway_outbox_pending_batches 1")
        .await;
    let status = world.clinic.program(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout);
    assert!(status.contains("1 batch waits"), "{status}");
    world.broker.start_app().await.expect("the broker starts");
    world.page_says("/health/ready", 200, "ready").await;
    world.arrives("2021-06-02").await;
    world
        .page_says("/metrics", 200, "gateway_outbox_pending_batches 0")
        .await;

    // What was pulled before the end still leaves; what was delivered is stored by the next
    // registry.
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    let before = world.sent().expect("the state can be read");
    world.insert("shot", 3, "2021-06-03").await;
    eventually("the third row is read", 30, async || {
        (world.sent()? > before).then_some(())
    })
    .await;
    world
        .page_says("/metrics", 200, "gateway_outbox_pending_batches 0")
        .await;
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
    assert!(
        gateway.log().contains("event=\"stopped\""),
        "{}",
        gateway.log()
    );
    let _registry = world.registry();
    world.arrives("2021-06-03").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_source_never_overlap_or_pile_up() {
    let world = World::new().await;
    world.insert("slow", 1, "2021-06-01").await;
    let mut gateway = world.gateway();
    let runs = |metrics: &str, source: &str, outcome: &str| {
        let start = format!(
            "gateway_pull_runs_total{{source=\"{source}\",feed=\"vaccinations\",outcome=\"{outcome}\"}} "
        );
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .map_or(0, |count| count.parse::<u32>().expect("a count"))
    };
    let what = "the slow source was read four times, and holds the other one not back";
    eventually(what, 60, async || {
        let log = world.clinic_server.log_file();
        let log = fs::read_to_string(log).expect("the server's log");
        assert!(!log.contains("two runs at once"), "{log}");
        let (_, metrics) = http_get(world.listen, "/metrics")?;
        let slow = runs(&metrics, "slow", "ok");
        (slow >= 4 && runs(&metrics, "mis", "ok") > slow).then_some(())
    })
    .await;
    // The run in hand is cut, and no tick that fell due meanwhile begins another.
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_told_by_check_and_a_stalled_broker_does_not_keep_the_gateway_from_ending()
 {
    let world = World::new().await;
    let good = fs::read_to_string(world.clinic.config_path()).expect("text");
    let secret = world.clinic.folder.path().join("broker-password");
    fs::write(&secret, "hunter2").expect("the password is written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("its mode is set");
    let url = format!("amqp://127.0.0.1:{}/%2f", world.broker.port());
    let wrong = good.replace(
        &format!("url = \"{url}\""),
        &format!(
            "url = \"{}\"\npassword = {{ file = \"broker-password\" }}",
            url.replace("//", "//clinic@")
        ),
    );
    fs::write(world.clinic.config_path(), wrong).expect("the account is named");
    world.insert("shot", 1, "2021-06-01").await;
    for (command, phrase) in [
        ("check", "refused the login of user \"clinic\""),
        ("sync", "1 batch waits in the outbox"),
    ] {
        let output = world.clinic.program(&[command]);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(78), "{command}: {said}");
        assert!(said.contains(phrase) && !said.contains("hunter2"), "{said}");
    }
    fs::write(world.clinic.config_path(), good).expect("the account is mended");

    let mut gateway = world.gateway();
    world
        .page_says(
            "/metrics",
            200,
            "gateway_batches_total{outcome=\"delivered\"} 1",
        )
        .await;
    world.broker.pause().expect("the broker stalls");
    world.insert("shot", 2, "2021-06-02").await;
    world
        .page_says("/metrics", 200, "gateway_outbox_pending_batches 1")
        .await;
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
    world.broker.resume().expect("the broker goes on");
    let _both = (world.registry(), world.gateway());
    world.arrives("2021-06-02").await;
}
