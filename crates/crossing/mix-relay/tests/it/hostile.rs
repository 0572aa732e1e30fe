//! Several accounts, one of them hostile: what arrives inside is stripped, and nobody else waits.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use broker::{AmqpConfig, QueueConfig, Side};
use clock::{Clock, ManualClock};
use contract::{BatchId, RelayPrivateKey, RelaySealer, SealedBatch};
use escrow::{AuditorKey, BatchName, Entry, Reader};
use mix_relay::{Config, Mixer, Relay};
use telemetry::Health;
use testbed::rabbitmq::raw::{RawClient, RawMessage, Refusal, text_entry};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::{INTAKE, PASSWORD, World, broadcast, hear, until};

const ACCOUNTS: [&str; 3] = ["clinic-1", "clinic-2", "hostile"];
/// Batches of each account whose flood is not looked at.
const BATCHES: usize = 4;

/// Relay of this process. Slots are made by hand, and time stands still.
struct Running {
    mixer: Arc<Mixer>,
    health: Health,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    fn start(path: &Path) -> Self {
        let config: settings::Loaded<Config> = settings::Loaded::read(path).unwrap();
        assert_eq!(config.config.mistake(), None);
        let now = "2026-12-01T00:00:00Z".parse().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now));
        let health = Health::default();
        let relay = Relay::open(&config.config, &config.base, clock, &health).unwrap();
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let mixer = relay.begin(&tasks, &stop);
        Self {
            mixer,
            health,
            tasks,
            stop,
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Batch with the outer seal of another relay.
fn to_another_relay(batch: &[u8]) -> Vec<u8> {
    let other = RelaySealer::new(RelayPrivateKey::generate().public());
    let batch = SealedBatch {
        id: BatchId::random(),
        bytes: batch.to_vec(),
    };
    other.seal(&batch).unwrap().bytes
}

/// Messages that no gateway sends.
fn junk(world: &World) -> Vec<RawMessage> {
    let exchange = "clinic.relay.hostile";
    let queue = "clinic.relay.hostile.intake";
    let batch = world.seal("cut").bytes;
    let with = |body: &[u8]| RawMessage::new(exchange, queue, body);
    vec![
        with(b""),
        with(b"junk"),
        with(&batch[1..]),
        with(&vec![7; 3 << 20]),
        with(b"CGO1"),
        with(&to_another_relay(&batch)),
        with(&[&batch[..], b"x"].concat()),
        with(b"nested").with_nested_headers(10_000),
    ]
}

/// Batches under properties that say who sends, and that ask for other ways.
fn marked(world: &World) -> Vec<RawMessage> {
    let exchange = "clinic.relay.hostile";
    let queue = "clinic.relay.hostile.intake";
    let batch = |name: &str| RawMessage::new(exchange, queue, &world.seal(name).bytes);
    vec![
        batch("headers").with_headers(&text_entry(b"from", b"CANARY")),
        batch("id").with_message_id(b"CANARY"),
        batch("expiry").with_expiration("60000000"),
        batch("copies").with_copies_to("clinic.relay.clinic-1.intake"),
    ]
}

/// Id of a message whose properties are those of this program and no more: content type, delivery
/// mode, message id; and the count of deliveries, 0, that a quorum queue itself adds.
fn id_of_stripped(properties: &[u8]) -> Option<String> {
    let kind = b"\x18application/octet-stream";
    let count = b"\0\0\0\x1a\x10x-delivery-countl\0\0\0\0\0\0\0\0";
    let plain = [b"\x90\x80", &kind[..], b"\x02\x20"].concat();
    let counted = [b"\xb0\x80", &kind[..], count, b"\x02\x20"].concat();
    let stripped = properties.strip_prefix(plain.as_slice());
    let id = stripped.or_else(|| properties.strip_prefix(counted.as_slice()))?;
    String::from_utf8(id.to_vec()).ok()
}

async fn rights_are_least(world: &World) {
    let port = world.outside.port();
    for exchange in [
        "clinic.relay.clinic-1",
        "clinic.receipts",
        "clinic.dead",
        "",
    ] {
        let mut client = RawClient::connect(port, "hostile", PASSWORD).await.unwrap();
        let key = "clinic.relay.clinic-1.intake";
        let refused = client.publish(&RawMessage::new(exchange, key, b"x")).await;
        assert!(
            matches!(refused, Err(Refusal::Closed(403))),
            "{exchange}: {refused:?}"
        );
    }
    for queue in [
        "clinic.relay.clinic-1.intake",
        "clinic.relay.hostile.intake",
        "clinic.receipts.clinic-1",
    ] {
        let mut client = RawClient::connect(port, "hostile", PASSWORD).await.unwrap();
        let refused = client.take(queue).await;
        assert!(
            matches!(refused, Err(Refusal::Closed(403))),
            "{queue}: {refused:?}"
        );
    }
    // A gateway's own check finds what it needs, and nothing beyond.
    let gateway = world.gateway("clinic-1");
    let findings = broker::check_rights(&gateway, Path::new("/"), Side::Gateway);
    let findings = findings.await.unwrap();
    assert!(findings.iter().all(|it| it.help.is_none()), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_account_hurts_only_itself_and_nothing_of_a_message_but_its_bytes_goes_on() {
    let world = World::new(&ACCOUNTS).await;
    rights_are_least(&world).await;
    let auditor = AuditorKey::generate();
    let path = world.configure(
        &ACCOUNTS,
        "batches_per_slot = 3\nminimum_pool = 3\nminimum_accounts = 3\nheld_batches = 4",
        &format!(
            "[escrow]\nfolder = \"escrow\"\npublic_key = \"{}\"\n[relay]\nprivate_keys = [{{ file \
             = \"relay.key\" }}]\ntake_unsealed = true\n",
            auditor.public().to_text()
        ),
    );
    // One clinic has moved to the outer seal, the other has not yet.
    let relay = world.relay_key();
    let mut client = RawClient::connect(world.outside.port(), "hostile", PASSWORD)
        .await
        .unwrap();
    let mut flood = BTreeSet::new();
    for message in junk(&world).into_iter().chain(marked(&world)) {
        client.publish(&message).await.unwrap();
    }
    for message in marked(&world) {
        flood.insert(message.body.clone());
        client.publish(&message).await.unwrap();
    }
    let mut sent = BTreeSet::new();
    for account in &ACCOUNTS[..2] {
        let publisher = world.publisher(account);
        for number in 0..BATCHES {
            let batch = world.seal(&format!("{account} {number}"));
            if *account == "clinic-1" {
                let outer = relay.seal(&batch).unwrap();
                publisher.publish(&outer).await.unwrap();
            } else {
                publisher.publish(&batch).await.unwrap();
            }
            sent.insert(batch.bytes);
        }
        publisher.close().await;
    }

    let running = Running::start(&path);
    let mut published = 0;
    until("the clinics' batches have left", async || {
        published += running.mixer.slot().await.published;
        // Time stands still: each slot that published held one batch of each account.
        let left = [1, 2].map(|number| format!("clinic.relay.clinic-{number}.intake"));
        for queue in left {
            if world.outside.queue_depth(&queue).await.unwrap() > 0 {
                return None;
            }
        }
        Some(())
    })
    .await;
    assert_eq!(
        published,
        3 * BATCHES,
        "in turns, whatever the hostile account has sent"
    );
    until("every part is ready", async || {
        running.health.reason_unready().is_none().then_some(())
    })
    .await;

    let mut inside = RawClient::connect(world.inside.port(), "guest", "guest")
        .await
        .unwrap();
    let mut arrived = BTreeSet::new();
    while let Some(message) = inside.take(INTAKE).await.unwrap() {
        let id = id_of_stripped(&message.properties);
        let id = id.unwrap_or_else(|| panic!("{:?}", message.properties));
        let in_header = contract::batch_id_of_whole(&message.body).unwrap();
        assert_eq!(id, in_header.to_hex(), "the id of the seal's header");
        assert!(arrived.insert(message.body), "once each");
    }
    assert_eq!(arrived.len(), 3 * BATCHES);
    assert!(arrived.is_superset(&sent));

    receipts_come_back_once(&world).await;
    nothing_leaves_that_is_not_laid_down(&world, &running, &sent, &auditor).await;
    what_is_away_is_told(&world, &running).await;
    running.end().await;
}

async fn receipts_come_back_once(world: &World) {
    let mut subscribers = [&ACCOUNTS[..2]]
        .concat()
        .into_iter()
        .map(|name| world.subscriber(name))
        .collect::<Vec<_>>();
    broadcast(world, "receipt of one clinic").await;
    broadcast(world, "last").await;
    for subscriber in &mut subscribers {
        let heard = hear(subscriber, "last").await;
        assert_eq!(heard.len(), 2);
        assert!(heard.values().all(|count| *count == 1), "{heard:?}");
        subscriber.close().await;
    }
    world
        .inside
        .until_depth("clinic.receipts.mix-relay", 0)
        .await
        .unwrap();
}

/// Senders of the batches that were laid down, by the batch's name.
fn laid_down(world: &World, auditor: &AuditorKey) -> BTreeMap<BatchName, String> {
    let folder = world.folder.path().join("escrow");
    let mut senders = BTreeMap::new();
    let reading = Reader::new(&folder, auditor).read(|_, entry| {
        let Entry::SentBy { account, batch } = entry else {
            panic!("the relay knows no records");
        };
        senders.insert(batch, account.as_str().to_owned());
    });
    assert_eq!(reading.unwrap().unreadable, []);
    senders
}

/// Without the disk of what is laid down nothing leaves; with it, what waited.
async fn nothing_leaves_that_is_not_laid_down(
    world: &World,
    running: &Running,
    sent: &BTreeSet<Vec<u8>>,
    auditor: &AuditorKey,
) {
    let senders = laid_down(world, auditor);
    assert_eq!(senders.len(), 3 * BATCHES);
    for bytes in sent {
        assert!(ACCOUNTS[..2].contains(&senders[&BatchName::of(bytes)].as_str()));
    }
    let folder = world.folder.path().join("escrow");
    std::fs::remove_dir_all(&folder).unwrap();
    for account in ACCOUNTS {
        let publisher = world.publisher(account);
        publisher.publish(&world.seal("more")).await.unwrap();
        publisher.close().await;
    }
    until("a slot fails", async || {
        let report = running.mixer.slot().await;
        assert_eq!(report.published, 0);
        (report.failed == 3).then_some(())
    })
    .await;
    let reason = running.health.reason_unready().unwrap();
    assert!(reason.contains("laid down"), "{reason}");
    world.inside.until_depth(INTAKE, 0).await.unwrap();
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .unwrap();
    assert_eq!(running.mixer.slot().await.published, 3);
    assert_eq!(laid_down(world, auditor).len(), 3);
}

/// A missing queue keeps one account, and the reason names it.
async fn what_is_away_is_told(world: &World, running: &Running) {
    let queue = "clinic.relay.hostile.intake";
    world.outside.ctl(&["delete_queue", queue]).await.unwrap();
    until("it is told", async || {
        let reason = running.health.reason_unready()?;
        reason.contains("the account hostile").then_some(())
    })
    .await;
    let batch = world.seal("still");
    let publisher = world.publisher("clinic-1");
    publisher.publish(&batch).await.unwrap();
    publisher.close().await;
    let QueueConfig::Amqp(AmqpConfig { queue, .. }) = world.gateway("clinic-1") else {
        panic!("amqp");
    };
    until("another account is read", async || {
        // It waits for others, which are the pool's minimum.
        (running.mixer.slot().await.waiting > 0).then_some(())
    })
    .await;
    world.outside.until_depth(&queue, 1).await.unwrap();
}
