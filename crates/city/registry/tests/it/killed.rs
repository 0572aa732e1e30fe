//! Tests of batches over which the program panics or ends.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use broker::{AmqpConfig, DirectoryConfig, QueueConfig};
use contract::{PublicKey, wire};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::installed::{install, run, words};
use crate::world::{asserted, negative, within_patience};

fn drain_with(folder: &Path, faults: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_city-registry"))
        .current_dir(folder)
        .env(fault::ENVIRONMENT_VARIABLE, faults)
        .args(["run", "--drain"])
        .output()
        .unwrap()
}

/// Waits until as many batches wait in the queue: a broker notices the end of a program, and takes
/// back what it had in hand, some time after it.
async fn until_waiting(queue: &QueueConfig, folder: &Path, batches: u64) {
    within_patience("the batch is back in the queue", async {
        while broker::depth(queue, folder).await.unwrap().waiting != batches {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Publishes two batches and lets the program end over each try to store one, until none is left.
async fn a_batch_that_ends_the_program_is_given_up(
    folder: &Path,
    public: &str,
    queue: &QueueConfig,
) {
    let is_broker = matches!(queue, QueueConfig::Amqp(_));
    let key = PublicKey::from_text(public).unwrap();
    let publisher = broker::publisher(queue, folder).unwrap();
    let encoded = wire::encode(&[asserted(1, 1, 7, negative("2021-06-01"))]);
    publisher
        .publish(&key.seal(&encoded).unwrap().0)
        .await
        .unwrap();
    let mut ends = 0;
    let last = loop {
        let drained = drain_with(folder, "registry-stored=return(abort)");
        if drained.status.success() {
            break drained;
        }
        assert_eq!(drained.status.code(), None, "killed by its own abort");
        // From a directory the next program takes back what was in the hands of the last one.
        if is_broker {
            until_waiting(queue, folder, 1).await;
        }
        ends += 1;
        assert!(ends < 10, "it is never given up");
    };
    assert_eq!(ends, 4, "together with what came with it, then by itself");
    let (_, said, _) = words(&last);
    assert!(said.contains("1 batches to the dead letters"), "{said}");
    let (_, listed, _) = words(&run(folder, &["dead-letters", "list"]));
    assert!(listed.contains("given-up"), "{listed}");
    // What did no harm is stored, also where it was in hand then.
    publisher
        .publish(&key.seal(&encoded).unwrap().0)
        .await
        .unwrap();
    drain_with(folder, "registry-stored=return(abort)");
    if is_broker {
        until_waiting(queue, folder, 1).await;
    }
    let (_, said, _) = words(&run(folder, &["run", "--drain"]));
    assert!(said.contains("1 applied"), "{said}");
}

#[tokio::test]
async fn a_batch_that_ends_the_program_is_given_up_from_a_directory() {
    let installed = install(None);
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let folder = installed.folder.path();
    a_batch_that_ends_the_program_is_given_up(folder, &installed.public, &queue).await;
}

#[tokio::test]
async fn a_batch_that_ends_the_program_is_given_up_from_rabbitmq() {
    let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
    let rabbit = rabbit.unwrap();
    let postgres = postgres.unwrap();
    let url = postgres.create_database("registry").await.unwrap();
    let installed = install(Some(&format!(
        "[store.postgres]\nurl = \"{url}\"\ntls = \"off\""
    )));
    let folder = installed.folder.path();
    let config = folder.join("city-registry.toml");
    let mut table: toml::Table = std::fs::read_to_string(&config).unwrap().parse().unwrap();
    let amqp = format!("amqp = {{ url = \"{}\" }}", rabbit.amqp_url());
    let amqp: toml::Table = amqp.parse().unwrap();
    table.insert("queue".into(), amqp.into());
    std::fs::write(&config, table.to_string()).unwrap();
    let queue = QueueConfig::Amqp(AmqpConfig {
        url: rabbit.amqp_url(),
        ..AmqpConfig::default()
    });
    broker::check(&queue, folder).await.unwrap();
    a_batch_that_ends_the_program_is_given_up(folder, &installed.public, &queue).await;
}

#[tokio::test]
async fn a_panic_over_a_batch_takes_nothing_along() {
    let installed = install(None);
    let folder = installed.folder.path();
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let key = PublicKey::from_text(&installed.public).unwrap();
    let publisher = broker::publisher(&queue, folder).unwrap();
    for number in 0..3 {
        let encoded = wire::encode(&[asserted(number, 1, number, negative("2021-06-01"))]);
        publisher
            .publish(&key.seal(&encoded).unwrap().0)
            .await
            .unwrap();
    }
    // Over all three together, then over the first by itself.
    let drained = drain_with(folder, "registry-stored=2*panic");
    let (code, said, _) = words(&drained);
    assert!(
        code == Some(0) && said.contains("3 applied") && said.contains("0 batches"),
        "{said}"
    );
}
