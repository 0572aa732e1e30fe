//! Generated histories: whatever happens, once everything is whole again the registry equals the
//! clinic.
//!
//! `HISTORIES=500 HISTORY_SEED=7 cargo test --test e2e histories` runs more of them; `scripts/soak`
//! runs them for hours.

mod operation;
mod site;
mod strong;
mod world;

use std::io::Write as _;
use std::time::Duration;

use chrono::TimeDelta;
use clinic_gateway::gateway::Gateway;
use clinic_gateway::pull::Counters;
use clinic_gateway::requests::{self, Answer};
use clinic_gateway::sync::{self, SyncOptions};
use outbox::{DeadLetterFilter, OutboxReader, Request};
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use testbed::postgres::Postgres;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::RabbitMq;
use tokio_util::sync::CancellationToken;

use crate::shots::{differing, registry_content};
use operation::{Network, Operation};
use site::Kind;
use strong::Strong;
use world::{Servers, Tally, World, set_network};

/// Rounds of "everything again" after which both sides must have come to rest.
const MOST_ROUNDS: u32 = 12;

/// How long a pass waits for the registry's receipts while the registry works beside it.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same behind the relay, whose slots take time; a pass whose batches are answered waits no longer.
const PATIENCE_BEHIND_RELAY: Duration = Duration::from_secs(60);

/// Runs `work`, dropping it after so many milliseconds like a process that is killed; [`u16::MAX`]
/// leaves it a minute.
async fn within<T>(limit_ms: u16, work: impl Future<Output = T>) -> Option<T> {
    let limit = if limit_ms == u16::MAX {
        Duration::from_secs(60)
    } else {
        Duration::from_millis(limit_ms.into())
    };
    tokio::time::timeout(limit, work).await.ok()
}

/// Makes a pass of the gateway; true when every source was read to its end. A queue that is away
/// only leaves batches behind.
async fn sync(gateway: &Gateway, wait_receipts: Duration) -> bool {
    let options = SyncOptions {
        wait_receipts,
        ..SyncOptions::default()
    };
    let counters = Counters::default();
    let report = sync::sync(gateway, &options, &CancellationToken::new(), &counters)
        .await
        .expect("the state works");
    report.failed.is_empty()
}

/// Sweeps the keys of every feed; true when it came to its end. Where the safety catch asks, as it
/// does when no row at all is left, the operator agrees.
async fn sweep(gateway: &Gateway) -> bool {
    let stop = CancellationToken::new();
    let ask = async |request| requests::perform(gateway, request, Duration::ZERO, &stop).await;
    let Ok(Answer::Swept { feeds, .. }) = ask(Request::Sweep {
        source: "mis".into(),
        contents: false,
    })
    .await
    else {
        return false;
    };
    if feeds.iter().all(|feed| feed.held.is_none()) {
        return feeds.iter().all(|feed| feed.finished);
    }
    let confirmed = ask(Request::ConfirmWithdrawals {
        source: "mis".into(),
        shown: None,
        shown_missing: None,
    })
    .await;
    matches!(confirmed, Ok(Answer::Confirmed { held: 0, .. }))
}

/// Does what an operator does once the clinic's words are mapped again: retries the dead letters, and
/// permits what the safety catch holds. A source that fails is for the next round.
async fn tend(gateway: &Gateway) {
    let stop = CancellationToken::new();
    let retry = Request::Retry(DeadLetterFilter::default());
    let confirm = Request::ConfirmWithdrawals {
        source: "mis".into(),
        shown: None,
        shown_missing: None,
    };
    for request in [retry, confirm] {
        drop(requests::perform(gateway, request, Duration::ZERO, &stop).await);
    }
}

/// Brings everything to rest and compares; what is wrong otherwise.
async fn settle(world: &mut World, servers: &mut Servers) -> Result<(), String> {
    set_network(servers, Network::Whole);
    world.mend(servers).await;
    for round in 1.. {
        world.clock.shift(TimeDelta::hours(30));
        let gateway = world.gateway().await;
        let swept = sweep(&gateway).await;
        no_token_was_refused(world).await?;
        tend(&gateway).await;
        let mut registry = world.registry().await;
        // The registry works until the pass has ended, so that every receipt finds somebody who
        // listens.
        let ended = CancellationToken::new();
        let patience = match servers.strong {
            Some(_) => PATIENCE_BEHIND_RELAY,
            None => PATIENCE,
        };
        let passing = async {
            let read = sync(&gateway, patience).await;
            ended.cancel();
            read
        };
        let (read, drained) = tokio::join!(passing, async {
            let mut total = registry.drain().await?.0;
            while !ended.is_cancelled() {
                total += registry.drain().await?.0;
            }
            Ok::<_, registry::ConsumeError>(total)
        });
        registry.close().await;
        let backlog = gateway
            .outbox
            .backlog()
            .await
            .expect("the state can be read");
        world.end(gateway, true).await;
        let applied = drained.map(|outcome| outcome.applied);
        let applied = applied.map_err(|error| error.to_string());
        world.tally.rounds += 1;
        // A server that was too slow once is no rest; another round follows.
        if read
            && swept
            && applied == Ok(0)
            && backlog.batches == 0
            && backlog.awaiting_receipt_batches == 0
        {
            break;
        }
        if round == MOST_ROUNDS {
            return Err(format!(
                "no rest after {round} rounds: {applied:?} applied in the last, {backlog:?} left, \
                 read {read}, swept {swept}"
            ));
        }
    }
    let reader = world.city.reader(&world.store).await;
    let wrong = differing(&world.site.content(), &registry_content(&reader).await);
    let stored: u32 = registry_content(&reader).await.values().sum();
    reader.close().await;
    if !wrong.is_empty() {
        return Err(format!(
            "(fact, times at the clinic, times in the registry): {wrong:?}"
        ));
    }
    match &mut servers.strong {
        Some(strong) => strong.at_rest(&world.city, stored.into()).await,
        None => Ok(()),
    }
}

/// A batch without a token, or with one that was spent for another batch, is a dead letter here.
async fn no_token_was_refused(world: &World) -> Result<(), String> {
    let state = world.clinic.folder.path().join("state/outbox.db");
    let reader = OutboxReader::open(&state).await.expect("the state opens");
    let letters = reader.dead_letters(&DeadLetterFilter::default()).await;
    let letters = letters.expect("the state can be read");
    let refused = letters
        .iter()
        .find(|letter| letter.reason.contains("token"));
    refused.map_or(Ok(()), |letter| {
        Err(format!("refused by its token: {letter:?}"))
    })
}

async fn play(
    servers: &mut Servers,
    site: Kind,
    schema: String,
    operations: &[Operation],
) -> Result<Tally, String> {
    let mut world = World::new(servers, site, schema).await;
    for operation in operations {
        world.apply(servers, operation).await;
    }
    settle(&mut world, servers).await?;
    Ok(world.tally)
}

/// Kinds of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// A clinic in PostgreSQL, a directory as queue, a registry in SQLite.
    Small,
    /// The same with a clinic on a FHIR server.
    Fhir,
    /// RabbitMQ, a registry in PostgreSQL, and clinics of both kinds in turn.
    Large,
    /// A clinic in PostgreSQL, two key services, a token issuer, the relay between two RabbitMQ, a
    /// registry in SQLite that takes no batch without a token.
    Strong,
}

impl Scale {
    const ALL: [Self; 4] = [Self::Small, Self::Fhir, Self::Large, Self::Strong];

    const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Fhir => "fhir",
            Self::Large => "large",
            Self::Strong => "strong",
        }
    }

    /// The clinic system of a history of this number.
    const fn site(self, number: u64) -> Kind {
        match self {
            Self::Small | Self::Strong => Kind::Sql,
            Self::Fhir => Kind::Fhir,
            Self::Large if number.is_multiple_of(4) => Kind::Fhir,
            Self::Large => Kind::Sql,
        }
    }

    fn strategy(self) -> BoxedStrategy<Vec<Operation>> {
        match self {
            Self::Small | Self::Fhir => operation::small(),
            Self::Large => operation::large(),
            Self::Strong => operation::strong(),
        }
    }
}

/// Histories of one kind, one after another on the same servers.
struct Player {
    servers: Servers,
    scale: Scale,
    strategy: BoxedStrategy<Vec<Operation>>,
    runner: TestRunner,
    seed: u64,
    number: u64,
    tally: Tally,
}

impl Player {
    async fn new(scale: Scale, seed: u64) -> Self {
        let postgres = Postgres::start().await.expect("a PostgreSQL");
        postgres
            .create_database("mis")
            .await
            .expect("the clinics' database");
        let broker = if scale == Scale::Large {
            let broker = RabbitMq::start().await.expect("a RabbitMQ");
            let proxy = TcpProxy::start(broker.port()).await.expect("a proxy");
            Some((broker, proxy))
        } else {
            None
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let runner = TestRunner::new_with_rng(Config::default(), rng);
        println!("{} histories: HISTORY_SEED={seed}", scale.name());
        Self {
            servers: Servers {
                postgres,
                broker,
                strong: None,
            },
            scale,
            strategy: scale.strategy(),
            runner,
            seed,
            number: 0,
            tally: Tally::default(),
        }
    }

    /// Plays the next history; a failing one is made shorter while it fails, and told.
    async fn next(&mut self) {
        self.number += 1;
        let tree = self
            .strategy
            .new_tree(&mut self.runner)
            .expect("a history is made");
        let only = std::env::var("HISTORY_ONLY")
            .ok()
            .and_then(|number| number.parse::<u64>().ok());
        if only.is_some_and(|only| only != self.number) {
            return;
        }
        match self.play(&tree.current(), 0).await {
            Ok(tally) => self.tally.add(&tally),
            Err(wrong) => self.fail(tree, wrong).await,
        }
    }

    async fn play(&mut self, operations: &[Operation], attempt: u32) -> Result<Tally, String> {
        let schema = format!("{}{}x{attempt}", self.scale.name(), self.number);
        let site = self.scale.site(self.number);
        if self.scale == Scale::Strong {
            // The relay's queues have names of their own: each history has its own brokers.
            self.servers.strong = Some(Strong::start().await);
        }
        play(&mut self.servers, site, schema, operations).await
    }

    async fn fail(&mut self, mut tree: impl ValueTree<Value = Vec<Operation>>, mut wrong: String) {
        let attempts = setting("HISTORY_SHRINK", 40);
        let mut shortest = tree.current();
        println!(
            "{} history {} fails: {wrong}\n{shortest:?}",
            self.scale.name(),
            self.number
        );
        for attempt in 1..=u32::try_from(attempts).unwrap_or(0) {
            if !tree.simplify() {
                break;
            }
            match self.play(&tree.current(), attempt).await {
                Err(again) => (shortest, wrong) = (tree.current(), again),
                Ok(_) if tree.complicate() => {}
                Ok(_) => break,
            }
        }
        panic!(
            "HISTORY_SEED={} HISTORY_ONLY={} ({}): {wrong}\n{shortest:#?}",
            self.seed,
            self.number,
            self.scale.name()
        );
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Another one for each day of the year would be nicer in CI, but a red run must be the change's
/// fault.
const SEED: u64 = 2021;

/// Plays so many histories of a kind.
async fn all(scale: Scale, count: u64) {
    let mut player = Player::new(scale, setting("HISTORY_SEED", SEED)).await;
    for _ in 0..count {
        player.next().await;
    }
    println!("{}", player.tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_histories_end_with_the_registry_equal_to_the_clinic() {
    all(Scale::Small, setting("HISTORIES", 40)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fhir_histories_end_with_the_registry_equal_to_the_clinic() {
    all(Scale::Fhir, setting("HISTORIES", 40)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_histories_end_with_the_registry_equal_to_the_clinic() {
    all(Scale::Large, setting("HISTORIES", 40).div_ceil(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strong_histories_end_with_the_registry_equal_to_the_clinic() {
    all(Scale::Strong, setting("STRONG_HISTORIES", 1)).await;
}

/// What happens to brokers in a generated history is up to chance. This one has all of it.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_either_broker_the_registry_equals_the_clinic() {
    let mut player = Player::new(Scale::Strong, SEED).await;
    let played = player.play(&operation::of_brokers(), 0).await;
    println!("{}", played.unwrap_or_else(|wrong| panic!("{wrong}")));
}

/// For `scripts/soak`: histories of all kinds in turn, until the time is over or one fails.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs for hours: scripts/soak"]
async fn soak() {
    let seconds = setting("SOAK_SECONDS", 60);
    let most = setting("SOAK_HISTORIES", u64::MAX);
    let seed = setting("HISTORY_SEED", SEED);
    let clock = clock::SystemClock::default();
    let elapsed = || clock::Clock::elapsed(&clock).as_secs();
    let mut players = Vec::new();
    for scale in Scale::ALL {
        players.push((Player::new(scale, seed).await, 0));
    }
    let mut tally = Tally::default();
    while elapsed() < seconds && tally.histories < most {
        // The kind that has had the least time.
        let next = players.iter_mut().min_by_key(|(_, spent)| *spent);
        let (player, spent) = next.expect("there are several");
        let before = elapsed();
        player.next().await;
        *spent += elapsed() - before;
        tally = Tally::default();
        for (player, _) in &players {
            tally.add(&player.tally);
        }
        let mut out = std::io::stderr().lock();
        let _nobody_looks =
            write!(out, "\r{} of {seconds} s: {tally}  ", elapsed()).and_then(|()| out.flush());
    }
    println!();
    for (player, _) in &players {
        println!("{}: {}", player.scale.name(), player.tally);
    }
}
