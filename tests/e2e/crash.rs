//! Every step of a record's way is broken once by an abort, by a failure that passes and by one
//! that does not; after a restart the registry equals the clinic, every time.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use fault::Point;
use futures_util::StreamExt;
use registry::StoreConfig;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::shots::{Shots, UNMAPPED, differing, registry_content};
use crate::support::{
    City, Clinic, Running, amqp_queue, directory_queue, drained, eventually, registry_command,
};

/// Cases at once: they mostly wait.
const AT_ONCE: usize = 4;

/// Most passes that a gateway or a registry gets which is to abort and has not.
const PASSES: u32 = 12;

const SIGABRT: i32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Abort,
    Retry,
    Permanent,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Permanent => "permanent",
        }
    }
}

/// Where one case plays.
struct Stage<'a> {
    shots: Shots<'a>,
    city: City,
    clinic: Clinic,
    registry_config: PathBuf,
    store: StoreConfig,
    queue_folder: Option<PathBuf>,
}

impl Stage<'_> {
    fn registry_log(&self) -> PathBuf {
        self.city.folder.path().join("log")
    }

    /// Both programs' output, for a failed assertion.
    fn logs(&self) -> String {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        format!(
            "registry:\n{}\ngateway:\n{}",
            read(&self.registry_log()),
            read(&self.gateway_log())
        )
    }

    fn gateway_log(&self) -> PathBuf {
        self.clinic.folder.path().join("log")
    }
}

async fn stage<'a>(servers: &'a Servers, name: &str, amqp: bool) -> Stage<'a> {
    let shots = Shots {
        server: &servers.postgres,
        database: "mis".into(),
        schema: name.into(),
    };
    shots.create().await;
    shots.insert(0..60).await;
    let city = City::new();
    let (queue, queue_folder, store_toml) = if amqp {
        let names = format!(
            "exchange = \"{name}\"\nqueue = \"{name}.intake\"\ndead_letters = \
             \"{name}.dead\"\ndead_letters_exchange = \"{name}.refused\"\nreceipts = \
             \"{name}.receipts\"\n"
        );
        let url = servers
            .postgres
            .create_database(name)
            .await
            .expect("a registry's database");
        let broker = servers
            .rabbitmq
            .as_ref()
            .expect("the broker was started for these cases");
        (
            amqp_queue(broker.port()) + &names,
            None,
            format!("[store.postgres]\nurl = \"{url}\"\ntls = \"off\"\n"),
        )
    } else {
        let folder = city.folder.path().join("queue");
        (
            directory_queue(&folder),
            Some(folder),
            "[store.sqlite]\npath = \"registry.db\"\n".to_owned(),
        )
    };
    let table: toml::Table = store_toml.parse().expect("the section is TOML");
    let store = table["store"]
        .clone()
        .try_into()
        .expect("the section is a store");
    let registry_config = city.configure(&store_toml, &queue);
    let limits = "[source.mis.sweep]\nschedule = \"never\"\nmax_withdrawn_percent = 50\n";
    let clinic = Clinic::new(
        &city,
        &queue,
        &shots.source(20, ""),
        &format!("{limits}[outbox]\nbatch_events = 10\n"),
    );
    Stage {
        shots,
        city,
        clinic,
        registry_config,
        store,
        queue_folder,
    }
}

struct Servers {
    postgres: Postgres,
    rabbitmq: Option<RabbitMq>,
}

/// Corrections, some of them refused or under a stamp that does not move, a cancellation, deletions,
/// and something in the queue that is no batch.
async fn change(stage: &Stage<'_>) {
    let table = format!("{}.shot", stage.shots.schema);
    stage
        .shots
        .sql(&format!(
            "UPDATE {table} SET vaccine = 'sputnik-light', changed_at = clock_timestamp() WHERE \
             id % 7 = 1; \
             UPDATE {table} SET state = 'void', changed_at = clock_timestamp() WHERE id % 7 = 2; \
             UPDATE {table} SET vaccine = '{UNMAPPED}', changed_at = clock_timestamp() WHERE \
             id % 7 = 4; \
             UPDATE {table} SET vaccine = 'sputnik-light' WHERE id % 7 = 5; \
             DELETE FROM {table} WHERE id % 7 = 3"
        ))
        .await;
    if let Some(folder) = &stage.queue_folder {
        let file = folder.join("incoming/00112233445566778899aabbccddeeff.batch");
        // The gateway may have been aborted before it made the folder; then the registry makes it.
        eventually("the queue's folder is there", 60, async || {
            std::fs::write(&file, b"no batch").ok()
        })
        .await;
    }
}

/// Runs the gateway's command to its end; true when it was ended by an abort.
async fn gateway(stage: &Stage<'_>, arguments: &[&str], faults: Option<&str>) -> (bool, bool) {
    use std::os::unix::process::ExitStatusExt;
    let output = output(armed(stage.clinic.command(arguments), faults)).await;
    let log = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let mut all = std::fs::read(stage.gateway_log()).unwrap_or_default();
    all.extend_from_slice(format!("$ {} {faults:?}\n", arguments.join(" ")).as_bytes());
    all.extend_from_slice(&log);
    std::fs::write(stage.gateway_log(), all).expect("the log is kept");
    (
        output.status.success(),
        output.status.signal() == Some(SIGABRT),
    )
}

/// All cases share one task: it must not be blocked.
async fn output(mut command: Command) -> Output {
    let ended = tokio::task::spawn_blocking(move || command.output().expect("the program starts"));
    ended.await.expect("the wait for it ends")
}

fn armed(mut command: Command, faults: Option<&str>) -> Command {
    if let Some(faults) = faults {
        command.env(fault::ENVIRONMENT_VARIABLE, faults);
    }
    command
}

/// First load, changes and sweeps, everything broken at `point`; then the same again, whole.
async fn play(servers: &Servers, name: String, amqp: bool, point: Point, action: Action, nth: u32) {
    let stage = stage(servers, &name, amqp).await;
    let faults = format!(
        "{}={}*off->1*return({})",
        point.as_str(),
        nth - 1,
        action.as_str()
    );
    let faults = Some(faults.as_str());
    let case = format!("{name} {point:?} {action:?} at hit {nth}");
    let mut aborted = false;
    {
        let mut registry = Running::start(
            armed(registry_command(&stage.registry_config, &["run"]), faults),
            &stage.registry_log(),
        );
        aborted |= gateway(&stage, &["sync", "--wait-receipts", "2"], faults)
            .await
            .1;
        change(&stage).await;
        for command in [
            &["sync", "--wait-receipts", "2"][..],
            &["sweep", "--wait", "2"],
            &["sweep", "--contents", "--wait", "2"],
        ] {
            aborted |= gateway(&stage, command, faults).await.1;
        }
        aborted |= registry.aborted(Duration::from_secs(2)).await;
        // However busy the machine is, some time the registry aborts that is to do so; or the
        // gateway does, once it hears the registry.
        for _ in 0..PASSES {
            if action != Action::Abort || aborted {
                break;
            }
            let pass = ["sync", "--full", "--wait-receipts", "10"];
            aborted |= gateway(&stage, &pass, faults).await.1;
            aborted |= registry.aborted(Duration::from_secs(10)).await;
        }
        registry.kill();
    }
    if action == Action::Abort {
        assert!(aborted, "{case}: nobody came by\n{}", stage.logs());
    }
    recover(servers, &stage, &case).await;
}

async fn recover(servers: &Servers, stage: &Stage<'_>, case: &str) {
    let mut registry = Running::start(
        registry_command(&stage.registry_config, &["run"]),
        &stage.registry_log(),
    );
    for command in [
        &["sync", "--wait-receipts", "120"][..],
        &["sweep", "--contents", "--wait", "120"],
    ] {
        let (good, _) = gateway(stage, command, None).await;
        assert!(
            good,
            "{case}: {command:?} failed after the restart\n{}",
            stage.logs()
        );
    }
    registry.kill();
    eventually(&format!("{case}: the queue is empty"), 60, async || {
        let config = stage.registry_config.clone();
        let taken = tokio::task::spawn_blocking(move || drained(&config, None));
        taken.await.expect("the wait for it ends");
        match (&servers.rabbitmq, &stage.queue_folder) {
            // What the killed registry had been given comes back once the broker has noticed.
            (Some(broker), None) => {
                let queue = format!("{}.intake", stage.shots.schema);
                (broker.queue_depth(&queue).await.ok()? == 0).then_some(())
            }
            _ => Some(()),
        }
    })
    .await;
    let reader = stage.city.reader(&stage.store).await;
    let here = stage.shots.content().await;
    let there = registry_content(&reader).await;
    let wrong = differing(&here, &there);
    assert!(
        wrong.is_empty(),
        "{case}: (fact, clinic, registry) {wrong:?}\n{}",
        stage.logs()
    );
    reader.close().await;
}

async fn all(servers: &Servers, cases: Vec<(bool, Point, Action, u32)>) {
    assert!(
        fault::is_compiled_in(),
        "the tests are built with --features inject (scripts/test does it)"
    );
    let count = cases.len();
    let played = futures_util::stream::iter(cases.into_iter().enumerate()).for_each_concurrent(
        AT_ONCE,
        |(number, (amqp, point, action, nth))| async move {
            play(
                servers,
                format!("crash{number}{}", u8::from(amqp)),
                amqp,
                point,
                action,
                nth,
            )
            .await;
        },
    );
    played.await;
    println!("{count} faults injected, 0 facts lost, 0 applied wrongly");
}

/// A hit that is not the first for the steps that are passed often.
fn hits(point: Point) -> &'static [u32] {
    match point {
        Point::OutboxSealed
        | Point::OutboxStored
        | Point::OutboxCommitted
        | Point::BrokerPublishing => &[1, 3],
        _ => &[1],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_at_every_step_with_a_directory_as_the_queue() {
    let postgres = Postgres::start().await.expect("a PostgreSQL");
    postgres
        .create_database("mis")
        .await
        .expect("the clinics' database");
    let servers = Servers {
        postgres,
        rabbitmq: None,
    };
    let mut cases = Vec::new();
    for point in Point::ALL {
        for action in [Action::Abort, Action::Retry, Action::Permanent] {
            cases.extend(hits(*point).iter().map(|nth| (false, *point, action, *nth)));
        }
    }
    all(&servers, cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_at_every_step_between_rabbitmq_and_postgresql() {
    let (postgres, rabbitmq) = tokio::join!(Postgres::start(), RabbitMq::start());
    let postgres = postgres.expect("a PostgreSQL");
    let rabbitmq = rabbitmq.expect("a RabbitMQ");
    postgres
        .create_database("mis")
        .await
        .expect("the clinics' database");
    let servers = Servers {
        postgres,
        rabbitmq: Some(rabbitmq),
    };
    let directory_only = [
        Point::DirectoryWritten,
        Point::DirectoryRenamed,
        Point::RegistryDeadLettering,
    ];
    let cases = Point::ALL
        .iter()
        .filter(|point| !directory_only.contains(point));
    all(
        &servers,
        cases
            .map(|point| (true, *point, Action::Abort, 1))
            .collect(),
    )
    .await;
}
