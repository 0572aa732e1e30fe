//! The relay and the broker inside are killed in the middle: everything arrives, and is settled.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Child;

use crate::commands::{page, run};
use crate::world::{World, broadcast, hear, take, until};

const ACCOUNTS: [&str; 2] = ["clinic-1", "clinic-2"];
/// Batches of each account.
const BATCHES: usize = 30;

/// Relay that is started while the registry's broker is away, and before any batch comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_from_the_start_is_told_without_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let away = testbed::ports::free_port();
    let port = testbed::ports::free_port();
    let config = folder.path().join("mix-relay.toml");
    let text = format!(
        "[mix]\nslot_seconds = 1\nminimum_accounts = 1\n[[accounts]]\nname = \"clinic-1\"\n\
         [outside.directory]\npath = \"clinics\"\n[inside.amqp]\nurl = \
         \"amqp://127.0.0.1:{away}/%2f\"\ndeclare = false\nmax_backoff_seconds = \
         2\nreceipts_queue = \"clinic.receipts.mix-relay\"\n[listen]\naddress = \"127.0.0.1:{port}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let log = folder.path().join("log");
    let mut relay = start_with(&config, std::fs::File::create(&log).unwrap().into());
    until("a metric says that the broker is away", async || {
        let ended = relay.try_wait().unwrap();
        assert!(ended.is_none(), "the relay has ended: {ended:?}");
        let metrics = page(port, "/metrics").await.ok()?;
        metrics.contains("mix_relay_inside_up 0").then_some(())
    })
    .await;
    until("receipts were tried for several times", async || {
        let metrics = page(port, "/metrics").await.ok()?;
        let tries = metrics
            .lines()
            .find_map(|line| line.strip_prefix("mix_relay_receipts_total{outcome=\"failed\"} "))?;
        // The later ones are 2 s apart, longer than one wait for receipts.
        (tries.parse::<u32>().ok()? >= 7).then_some(())
    })
    .await;
    relay.kill().await.unwrap();
    let log = std::fs::read_to_string(&log).unwrap();
    let told = log.lines().filter(|line| line.contains("receipts-wait"));
    assert_eq!(told.count(), 1, "one line for one failure: {log}");
}

fn start(config: &Path) -> Child {
    start_with(config, Stdio::null())
}

/// Relay whose log goes there.
fn start_with(config: &Path, log: Stdio) -> Child {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_mix-relay"))
        .arg("--config")
        .arg(config)
        .arg("run")
        .env_remove("RUST_LOG")
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_relay_and_broker_are_killed() {
    let mut world = World::new(&ACCOUNTS).await;
    let port = testbed::ports::free_port();
    let config = world.configure(
        &ACCOUNTS,
        "slot_seconds = 1\nmaximum_delay_seconds = 2\nbatches_per_slot = 4\nminimum_pool = \
         2\nminimum_accounts = 2\nheld_batches = 8",
        &format!("[listen]\naddress = \"127.0.0.1:{port}\"\n"),
    );
    let (code, out, _) = run(&config, &["check"]);
    assert_eq!(code, Some(0), "{out}");
    for told in [
        "was refused whatever else was tried",
        "account clinic-2: waiting batches: 0",
    ] {
        assert!(out.contains(told), "{out}");
    }
    let mut sent = BTreeSet::new();
    for account in ACCOUNTS {
        let publisher = world.publisher(account);
        for number in 0..BATCHES {
            let batch = world.seal(&format!("{account} {number}"));
            publisher.publish(&batch).await.unwrap();
            sent.insert(batch.bytes);
        }
        publisher.close().await;
    }

    let mut arrived = BTreeSet::new();
    let mut consumer = world.consumer();
    let mut relay = start(&config);
    until("some have arrived", async || {
        arrived.extend(take(&mut consumer).await);
        (arrived.len() >= 5).then_some(())
    })
    .await;
    // `kill` sends SIGKILL and waits for the end.
    relay.kill().await.unwrap();
    broadcast(&world, "while the relay is away").await;
    let mut relay = start(&config);
    until("some more have arrived", async || {
        arrived.extend(take(&mut consumer).await);
        (arrived.len() >= 20).then_some(())
    })
    .await;

    world.inside.settle().await.unwrap();
    world.inside.kill();
    until("the relay says that it waits", async || {
        let ready = page(port, "/health/ready").await.ok()?;
        ready.contains("not ready").then_some(())
    })
    .await;
    world.inside.restart().await.unwrap();
    until("all have arrived", async || {
        arrived.extend(take(&mut consumer).await);
        (arrived == sent).then_some(())
    })
    .await;
    for account in ACCOUNTS {
        let queue = format!("clinic.relay.{account}.intake");
        world.outside.until_depth(&queue, 0).await.unwrap();
        let mut subscriber = world.subscriber(account);
        hear(&mut subscriber, "while the relay is away").await;
        subscriber.close().await;
    }
    until("the metrics tell of both accounts", async || {
        let metrics = page(port, "/metrics").await.ok()?;
        let tells = |account: &str| {
            metrics.contains(&format!("mix_relay_silent_days{{account=\"{account}\"}} 0"))
                && metrics.contains(&format!("mix_relay_held{{account=\"{account}\"}} 0"))
        };
        ACCOUNTS.into_iter().all(tells).then_some(())
    })
    .await;
    let (code, out, _) = run(&config, &["status"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(!out.contains("never") && out.contains("clinic-1"), "{out}");

    let id = relay.id().unwrap().to_string();
    let asked = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(asked.unwrap().success());
    let code = until("the relay ends", async || relay.try_wait().unwrap()).await;
    assert_eq!(code.code(), Some(0));
    consumer.close().await;
}
