//! Attacks on the intake, by an account with the documented permissions of a gateway, on a broker
//! that is set up by the documented commands.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use contract::{BatchId, batch_id_of};
use hostile::flood::{self, Flood};
use hostile::{Account, City, Outcome, PASSWORD, REGISTRY, Servers, size};

use crate::honest::Honest;

const CLINICS: [&str; 2] = ["gateway-1", "gateway-2"];
const HOSTILE: &str = "gateway-3";

/// Number of unreadable batches that the registry keeps at once. The test's clock stands still, so
/// that it adds none.
const KEPT: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn no_account_stops_the_intake_or_costs_an_honest_batch() {
    let gateways = [&CLINICS[..], &[HOSTILE]].concat();
    let servers = Servers::documented(&gateways).await.unwrap();
    let mut accounts = Vec::new();
    let mut world: Option<City> = None;
    for (number, attack) in Flood::ALL.into_iter().enumerate() {
        // The registry begins anew each time; queues and accounts stay.
        if let Some(mut before) = world.take() {
            before.registry.close().await;
        }
        let city = City::documented(&servers, &format!("flood{number}")).await;
        let mut city = city.unwrap();
        accounts.clear();
        for clinic in CLINICS {
            let queue = servers.documented_queue(clinic);
            accounts.push(city.account_on(&queue).unwrap());
        }
        flooded(&servers, &mut city, &mut accounts, attack).await;
        world = Some(city);
    }
}

/// Honest batches beside a flood of one kind.
async fn flooded(servers: &Servers, city: &mut City, accounts: &mut [Account], attack: Flood) {
    let mut honest = Honest::new(60);
    let first = honest.first();
    accounts[0].send(&first[..1]).await.unwrap();
    let seen = accounts[0].batches().remove(0);
    let per_account = first.len().div_ceil(accounts.len());
    let queue = city.queue.clone();
    let queue = flood::amqp(&queue).unwrap();
    let message = attack.message(queue, &city.public, &seen).unwrap();
    let count = attack.smallest_count() * size::scale() as usize;
    let port = servers.rabbit.port();
    let sending = async {
        let mut honest = accounts.iter_mut().zip(first.chunks(per_account));
        let (one, other) = (honest.next(), honest.next());
        let send = async |part: Option<(&mut Account, &[contract::Event])>| {
            let part = part.ok_or("an account has nothing to send")?;
            part.0.send_in_batches(part.1, 3).await
        };
        let hostile = flood::send(port, HOSTILE, PASSWORD, &message, count);
        tokio::try_join!(send(one), send(other), hostile)?;
        Outcome::Ok(())
    };
    city.work_beside(sending).await.unwrap();

    let mut batches: HashSet<BatchId> = HashSet::new();
    for account in accounts.iter_mut() {
        batches.extend(account.batches().iter().map(|batch| batch.id));
    }
    accepted_by_all(city, accounts, first.len() + 1).await;
    assert_eq!(honest.findings(city).await.0.len(), honest.names().len());
    let stats = city.reader().stats().await.unwrap();
    let stored: i64 = stats.asserted.values().map(|count| *count as i64).sum();
    assert_eq!(
        stored,
        i64::try_from(honest.asserted()).unwrap(),
        "{attack:?}"
    );
    dead_letters_hold_no(&batches, city, servers, attack).await;
}

async fn accepted_by_all(city: &mut City, accounts: &mut [Account], events: usize) {
    let mut taken = 0;
    for account in accounts {
        let answer = account.answers(city).await.unwrap();
        assert_eq!((answer.refused, answer.superseded), (vec![], vec![]));
        taken += answer.accepted as usize;
    }
    assert_eq!(taken, events);
}

/// Expects dead letters that are few, none of them honest, and that an operator can list and
/// discard.
async fn dead_letters_hold_no(
    honest: &HashSet<BatchId>,
    city: &City,
    servers: &Servers,
    attack: Flood,
) {
    let letters = broker::dead_letters(&city.queue, city.folder()).await;
    let mut letters = letters.unwrap();
    let mut kept = 0;
    loop {
        let some = letters.take(1000).await.unwrap();
        if some.is_empty() {
            break;
        }
        kept += some.len();
        let ids = some.iter().filter_map(|letter| batch_id_of(&letter.bytes));
        assert_eq!(
            ids.filter(|id| honest.contains(id)).count(),
            0,
            "{attack:?}"
        );
    }
    letters.close().await;
    assert!(kept <= KEPT, "{attack:?}: {kept}");
    let operator = Operator::new(servers);
    let listed = operator.run(&["dead-letters", "list"]);
    let text = String::from_utf8(listed.stdout.clone()).unwrap();
    let is_plain = |c: char| !c.is_control() || c == '\n';
    assert!(text.chars().all(is_plain), "{text:?}");
    assert!(listed.status.success(), "{attack:?}: {listed:?}");
    // The broker takes a moment to give back what was looked at before.
    for look in 0.. {
        let discarded = operator.run(&["dead-letters", "discard", "--all", "--yes"]);
        let left = operator.run(&["dead-letters", "list"]);
        assert!(left.status.success(), "{attack:?}: {left:?}");
        if left.stdout == b"no dead letters\n" {
            break;
        }
        assert!(look < 300, "{attack:?}: {discarded:?}, {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Program `city-registry` as an operator runs it.
struct Operator {
    folder: tempfile::TempDir,
}

impl Operator {
    fn new(servers: &Servers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = Self { folder };
        let config = operator.config();
        let made = operator.run(&["init", config.parent().unwrap().to_str().unwrap()]);
        assert!(made.status.success(), "{made:?}");
        let text = std::fs::read_to_string(&config).unwrap();
        let directory = "[queue.directory]\npath = \"queue\"";
        assert!(text.contains(directory));
        let port = servers.rabbit.port();
        let broker = format!(
            "[queue.amqp]\nurl = \"amqp://{REGISTRY}@127.0.0.1:{port}/%2f\"\n\
             password = {{ env = \"QUEUE_PASSWORD\" }}\nconnect_timeout_seconds = 60\n"
        );
        std::fs::write(&config, text.replace(directory, &broker)).unwrap();
        operator
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("city/city-registry.toml")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let test = std::env::current_exe().unwrap();
        let programs = test.parent().and_then(std::path::Path::parent).unwrap();
        let program = programs.join("city-registry");
        let ran = Command::new(&program)
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .env("QUEUE_PASSWORD", PASSWORD)
            .output();
        ran.unwrap_or_else(|_| panic!("{} first: cargo build -p registry", program.display()))
    }
}
