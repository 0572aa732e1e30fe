//! Every step broken on purpose, in a process of its own: nothing is lost, nothing is acknowledged
//! that was not.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use broker::{BrokerError, DirectoryConfig, QueueConfig};
use contract::{BatchId, SealedBatch};
use fault::Point;

use crate::PATIENCE;
use crate::drained::drain_at;

const SIGABRT: i32 = 6;
const QUEUE: &str = "BROKEN_QUEUE";
const SENT: SealedBatch = SealedBatch {
    id: BatchId([7; 16]),
    bytes: Vec::new(),
};
const EVERYWHERE: [Point; 4] = [
    Point::BrokerPublishing,
    Point::BrokerConfirmed,
    Point::BrokerReceived,
    Point::BrokerAcking,
];
const AT_FILES: [Point; 2] = [Point::DirectoryWritten, Point::DirectoryRenamed];

fn base() -> &'static Path {
    Path::new("/")
}

/// `amqp://…`, or the path of a directory.
fn config(queue: &str) -> QueueConfig {
    #[cfg(feature = "amqp")]
    if queue.starts_with("amqp://") {
        return QueueConfig::Amqp(crate::amqp::at(queue));
    }
    QueueConfig::Directory(DirectoryConfig::at(PathBuf::from(queue)))
}

/// Body of a process: the way of one batch, each step until it succeeds; no test by itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the tests below"]
async fn one_way() {
    let Some(queue) = std::env::var_os(QUEUE) else {
        return;
    };
    fault::arm_from_environment();
    let permanent = std::env::var(fault::ENVIRONMENT_VARIABLE)
        .unwrap()
        .contains("permanent");
    let mut failures = 0;
    let mut failed = |error: BrokerError| {
        assert_eq!(error.is_retry(), !permanent, "{error}");
        failures += 1;
    };
    let config = config(queue.to_str().unwrap());
    let publisher = broker::publisher(&config, base()).unwrap();
    while let Err(error) = publisher.publish(&SENT).await {
        failed(error);
    }
    publisher.close().await;
    let mut consumer = broker::consumer(&config, base()).unwrap();
    loop {
        let deliveries = match consumer.receive(10, PATIENCE).await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                failed(error);
                continue;
            }
        };
        assert!(!deliveries.is_empty(), "the batch is lost");
        match consumer
            .ack(
                deliveries
                    .into_iter()
                    .map(|delivery| delivery.token)
                    .collect(),
            )
            .await
        {
            Ok(()) => break,
            Err(error) => failed(error),
        }
    }
    consumer.close().await;
    assert_eq!(failures, 1);
}

fn go(queue: &str, point: Point, action: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["faults::one_way", "--exact", "--ignored"])
        .env(QUEUE, queue)
        .env(
            fault::ENVIRONMENT_VARIABLE,
            format!("{}=1*return({action})", point.as_str()),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

async fn nothing_is_lost(queue: &str, points: &[Point]) {
    let config = config(queue);
    for &point in points {
        for action in ["retry", "permanent"] {
            assert!(
                go(queue, point, action).success(),
                "{action} at {}",
                point.as_str()
            );
        }
        assert_eq!(broker::depth(&config, base()).await.unwrap().dead, 0);
        // A confirm that was broken off leaves a second copy at the broker, and no more.
        receive_all(&config).await;

        assert_eq!(
            go(queue, point, "abort").signal(),
            Some(SIGABRT),
            "at {}",
            point.as_str()
        );
        let publishing = [
            Point::BrokerPublishing,
            Point::DirectoryWritten,
            Point::DirectoryRenamed,
            Point::BrokerConfirmed,
        ];
        if publishing.contains(&point) {
            // Whoever was not told sends it again.
            broker::publisher(&config, base())
                .unwrap()
                .publish(&SENT)
                .await
                .unwrap();
        }
        let copies = receive_all(&config).await;
        assert!(
            (1..=2).contains(&copies),
            "{copies} after an abort at {}",
            point.as_str()
        );
    }
}

async fn receive_all(config: &QueueConfig) -> usize {
    drain_at(config, base()).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_broken_at_any_step_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let points = [EVERYWHERE.as_slice(), AT_FILES.as_slice()].concat();
    nothing_is_lost(root.path().to_str().unwrap(), &points).await;
}

#[cfg(feature = "amqp")]
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_link_broken_at_any_step_loses_nothing() {
    let broker = testbed::rabbitmq::RabbitMq::start().await.unwrap();
    nothing_is_lost(&broker.amqp_url(), &EVERYWHERE).await;
}
