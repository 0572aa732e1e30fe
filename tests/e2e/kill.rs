//! `kill -9` of either program at any moment, again and again: in the end the registry equals the clinic.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::Fact;
use registry::StoreConfig;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::support::{City, Clinic, Running, amqp_queue, registry_command, snils};

const ROWS: u32 = 5000;
const ROUNDS: u32 = 12;

/// Xorshift: the same seed kills at the same moments.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const TABLE: &str = "
CREATE TABLE shot (id integer PRIMARY KEY, snils text NOT NULL, vaccine text NOT NULL, dose integer NOT NULL,
                   day date NOT NULL, state text NOT NULL,
                   changed_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON shot (changed_at, id);";

/// Small pages and batches, so that there are many moments between them.
fn source(port: u16) -> String {
    format!(
        "[outbox]\nbatch_events = 20\n[source.mis]\nschedule = {{ every-seconds = 1 }}\npage_records = 100\n\
         [source.mis.postgres]\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"mis\"\nuser = \"postgres\"\n\
         overlap_seconds = 2\n[source.mis.postgres.vaccinations]\nquery = \"\"\"\nSELECT id AS record_id, changed_at, \
         snils AS person_snils, vaccine AS vaccine_code, dose AS dose_number, day AS occurred_on, state AS status \
         FROM shot\n\"\"\"\nstatus_words = {{ done = \"final\", void = \"cancelled\" }}\n"
    )
}

async fn fill(server: &Postgres) {
    server.create_database("mis").await.expect("the clinic's database");
    // Vaccine, dose and day of a row are like no other's, so that facts can be compared without knowing who.
    let rows: Vec<_> = (0..ROWS)
        .map(|id| {
            format!(
                "({id}, '{}', '{}', {}, date '2020-12-01' + {}, 'done')",
                snils(501_000_000 + id),
                vaccine(id),
                1 + id % 4,
                id / 4
            )
        })
        .collect();
    let insert = format!("INSERT INTO shot (id, snils, vaccine, dose, day, state) VALUES {}", rows.join(","));
    server.psql("mis", &format!("{TABLE}{insert}")).await.expect("the clinic's rows");
}

fn vaccine(round: u32) -> &'static str {
    ["sputnik-v", "sputnik-light", "epivaccorona", "covivac"][(round % 4) as usize]
}

/// Changes some rows: most to another vaccine, a few are cancelled, a few hold again.
async fn change(server: &Postgres, dice: &mut Dice, round: u32) {
    let (remainder, state) = (dice.below(10), if dice.below(3) == 0 { "void" } else { "done" });
    let sql = format!(
        "UPDATE shot SET vaccine = '{}', state = '{state}', changed_at = clock_timestamp() WHERE id % 10 = {remainder}",
        vaccine(round)
    );
    server.psql("mis", &sql).await.expect("the clinic changes rows");
}

/// What the clinic holds: each fact that stands, and under "withdrawn" how many do not.
async fn clinic_content(server: &Postgres) -> BTreeMap<String, u32> {
    let sql = "SELECT CASE state WHEN 'done' THEN vaccine || ' ' || dose || ' ' || day ELSE 'withdrawn' END, count(*) \
               FROM shot GROUP BY 1";
    let rows = server.psql("mis", sql).await.expect("the clinic can be read");
    let row = |line: &str| {
        line.split_once('|').map(|(fact, count)| (fact.to_owned(), count.parse().expect("a count")))
    };
    rows.lines().filter_map(row).collect()
}

async fn registry_content(city: &City, store: &StoreConfig) -> BTreeMap<String, u32> {
    let reader = city.reader(store).await;
    let mut content = BTreeMap::new();
    for stored in reader.facts().await.expect("the registry can be read") {
        let fact = match stored.fact {
            Some(Fact::Vaccination { vaccine, dose_number: Some(dose), occurred_on, .. }) => {
                format!("{} {dose} {occurred_on}", vaccine.as_str())
            }
            None => "withdrawn".to_owned(),
            Some(other) => format!("unexpected: {other:?}"),
        };
        *content.entry(fact).or_default() += 1;
    }
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_the_registry_ends_equal_to_the_clinic() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_2021);
    println!("KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let (clinic_server, registry_server, broker) =
        tokio::join!(Postgres::start(), Postgres::start(), RabbitMq::start());
    let (clinic_server, registry_server) =
        (clinic_server.expect("a PostgreSQL"), registry_server.expect("a PostgreSQL"));
    let broker = broker.expect("a RabbitMQ");
    fill(&clinic_server).await;
    let url = registry_server.create_database("city").await.expect("the registry's database");
    let store_toml = format!("[store.postgres]\nurl = \"{url}\"\ntls = \"off\"\n");
    let table: toml::Table = store_toml.parse().expect("the section is TOML");
    let store: StoreConfig = table["store"].clone().try_into().expect("the section is a store");
    let city = City::new();
    let queue = amqp_queue(broker.port());
    let config = city.configure(&store_toml, &queue);
    let clinic = Clinic::new(&city, &queue, &source(clinic_server.port()), "");
    let (gateway_log, registry_log) = (clinic.folder.path().join("log"), city.folder.path().join("log"));

    for round in 1..=ROUNDS {
        let command = if dice.below(3) == 0 { "sync" } else { "run" };
        let mut gateway = Running::start(clinic.command(&[command]), &gateway_log);
        let mut registry = Running::start(registry_command(&config, &["run"]), &registry_log);
        if round > 2 {
            change(&clinic_server, &mut dice, round).await;
        }
        let mut pause = async || tokio::time::sleep(Duration::from_millis(20 + dice.below(700))).await;
        pause().await;
        gateway.kill();
        pause().await;
        registry.kill();
    }
    let finished = clinic.program(&["sync"]);
    assert!(finished.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&finished.stderr));
    let drained = registry_command(&config, &["run", "--drain"]).output().expect("city-registry starts");
    assert!(drained.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&drained.stderr));

    let (expected, stored) = (clinic_content(&clinic_server).await, registry_content(&city, &store).await);
    assert_eq!(expected.values().sum::<u32>(), ROWS);
    assert!(expected.get("withdrawn").is_some_and(|count| *count > 0), "seed {seed}: nothing was cancelled");
    let differing: Vec<_> = expected
        .keys()
        .chain(stored.keys())
        .filter(|fact| expected.get(*fact) != stored.get(*fact))
        .take(10)
        .map(|fact| (fact, expected.get(fact), stored.get(fact)))
        .collect();
    assert!(
        differing.is_empty(),
        "seed {seed}: fact, times at the clinic, times in the registry: {differing:#?}"
    );
    let depth = broker.queue_depth("clinic.facts.dead").await.expect("the dead letters can be counted");
    assert_eq!(depth, 0, "seed {seed}: a kill made a dead letter");
}
