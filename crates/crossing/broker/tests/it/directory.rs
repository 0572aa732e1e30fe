//! The directory transport: the suite, files, crashes and limits.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use broker::{DirectoryConfig, QueueConfig, QueueState};
use contract::{BatchId, SealedBatch};

use crate::conformance::{self, Bench};
use crate::{PATIENCE, batch, until};

struct Directories {
    root: tempfile::TempDir,
    count: AtomicU32,
}

impl Directories {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            count: AtomicU32::new(0),
        }
    }
}

impl Bench for Directories {
    fn queue(&self) -> QueueConfig {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let config = DirectoryConfig::at(self.root.path().join(number.to_string()));
        QueueConfig::Directory(DirectoryConfig {
            delivery_limit: 2.try_into().unwrap(),
            ..config
        })
    }

    async fn dead_letters(&self, config: &QueueConfig) -> Vec<(Vec<u8>, String)> {
        let dead = path(config).join("dead");
        let mut letters = Vec::new();
        for file in files(&dead)
            .into_iter()
            .filter(|file| file.ends_with(".batch"))
        {
            let reason = fs::read_to_string(dead.join(&file).with_extension("reason")).unwrap();
            letters.push((
                fs::read(dead.join(file)).unwrap(),
                reason.trim_end().to_owned(),
            ));
        }
        letters
    }
}

fn path(config: &QueueConfig) -> PathBuf {
    let QueueConfig::Directory(config) = config else {
        panic!("a directory")
    };
    config.path.clone()
}

fn files(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_keeps_the_promises() {
    conformance::keeps_the_promises(&Directories::new()).await;
}

#[tokio::test]
async fn a_batch_is_one_file_named_by_its_id_and_readable_for_the_group() {
    let root = tempfile::tempdir().unwrap();
    let config = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let publisher = broker::publisher(&config, root.path()).unwrap();
    assert_eq!(publisher.state(), QueueState::Idle);
    let one = SealedBatch {
        id: BatchId([0xab; 16]),
        bytes: b"sealed".to_vec(),
    };
    publisher.publish(&one).await.unwrap();
    publisher.publish(&one).await.unwrap();
    assert_eq!(publisher.state(), QueueState::Connected);

    let incoming = root.path().join("queue/incoming");
    assert_eq!(files(&incoming), [format!("{}.batch", "ab".repeat(16))]);
    let file = incoming.join(&files(&incoming)[0]);
    assert_eq!(fs::read(&file).unwrap(), b"sealed");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777 & !0o040,
        0o600
    );
    publisher.close().await;
    assert!(
        files(&root.path().join("queue/tmp")).is_empty(),
        "nothing half-written is left"
    );
}

#[tokio::test]
async fn batches_that_wait_are_handed_over_in_the_order_of_their_writing() {
    let root = tempfile::tempdir().unwrap();
    let config = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let publisher = broker::publisher(&config, root.path()).unwrap();
    let incoming = root.path().join("queue/incoming");
    let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_625_140_800);
    // By their names they lie the other way round.
    for number in 0..20_u8 {
        let id = BatchId([200 - number; 16]);
        let bytes = vec![number];
        publisher.publish(&SealedBatch { id, bytes }).await.unwrap();
        let file = fs::File::open(incoming.join(format!("{id}.batch"))).unwrap();
        file.set_modified(begin + Duration::from_millis(number.into()))
            .unwrap();
    }
    let mut consumer = broker::consumer(&config, root.path()).unwrap();
    let received = consumer.receive(20, PATIENCE).await.unwrap();
    let order: Vec<u8> = received.iter().map(|batch| batch.bytes[0]).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
    // What is put back keeps its place.
    let tokens = received.into_iter().map(|batch| batch.token).collect();
    consumer.requeue(tokens).await.unwrap();
    let again = consumer.receive(20, PATIENCE).await.unwrap();
    let order: Vec<u8> = again.iter().map(|batch| batch.bytes[0]).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
    consumer.close().await;
}

#[tokio::test]
async fn the_work_of_a_killed_consumer_is_taken_over_and_a_live_ones_is_not() {
    let root = tempfile::tempdir().unwrap();
    let config = QueueConfig::Directory(DirectoryConfig::at(root.path()));
    let publisher = broker::publisher(&config, root.path()).unwrap();
    let [lost, held] = [batch(b"lost"), batch(b"held")];

    // What a consumer killed by -9 leaves: its folder, and a lock file that nobody locks.
    publisher.publish(&lost).await.unwrap();
    let folder = root.path().join("work").join("ab".repeat(16));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.with_extension("lock"), b"").unwrap();
    let name = format!("{}.batch", lost.id);
    fs::rename(root.path().join("incoming").join(&name), folder.join(&name)).unwrap();
    // And a publisher, in the middle of a write.
    let half = root.path().join("tmp").join("cd".repeat(16));
    fs::create_dir(&half).unwrap();
    fs::write(half.with_extension("lock"), b"").unwrap();
    fs::write(half.join(format!("{}.0", held.id)), b"seal").unwrap();

    let mut live = broker::consumer(&config, root.path()).unwrap();
    let again = live.receive(10, PATIENCE).await.unwrap().remove(0);
    assert_eq!(
        (again.bytes.as_slice(), again.redelivered),
        (b"lost".as_slice(), true)
    );
    live.ack(vec![again.token]).await.unwrap();
    publisher.publish(&held).await.unwrap();
    let working_on = live.receive(10, PATIENCE).await.unwrap();
    assert_eq!(working_on.len(), 1);

    let mut other = broker::consumer(&config, root.path()).unwrap();
    assert!(
        other
            .receive(10, Duration::from_millis(300))
            .await
            .unwrap()
            .is_empty()
    );
    drop(live);
    assert_eq!(other.receive(10, PATIENCE).await.unwrap()[0].bytes, b"held");

    let next = broker::publisher(&config, root.path()).unwrap();
    next.publish(&batch(b"x")).await.unwrap();
    assert!(
        !half.exists() && !half.with_extension("lock").exists(),
        "the half-written file is cleared away"
    );
}

/// Body of the process that the next test kills; no test by itself.
#[tokio::test]
#[ignore = "started by consumers_killed_at_any_moment_lose_nothing"]
async fn consume_until_killed() {
    let Some(root) = std::env::var_os("CONSUME_UNTIL_KILLED") else {
        return;
    };
    let config = DirectoryConfig {
        delivery_limit: 1000.try_into().unwrap(),
        ..DirectoryConfig::at(root)
    };
    let mut consumer = broker::consumer(&QueueConfig::Directory(config), Path::new("/")).unwrap();
    loop {
        drop(consumer.receive(5, PATIENCE).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_killed_at_any_moment_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let config = DirectoryConfig {
        delivery_limit: 1000.try_into().unwrap(),
        ..DirectoryConfig::at(root.path())
    };
    let config = QueueConfig::Directory(config);
    let publisher = broker::publisher(&config, root.path()).unwrap();
    let sent: Vec<_> = (0..60_u8).map(|number| batch(&[number])).collect();
    for batch in &sent {
        publisher.publish(batch).await.unwrap();
    }
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["directory::consume_until_killed", "--exact", "--ignored"])
            .env("CONSUME_UNTIL_KILLED", root.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Killed while it works, a little further on each time.
        until("the child's first claims", async || {
            (broker::depth(&config, root.path()).await.unwrap().waiting <= 60 - round * 5)
                .then_some(())
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut consumer = broker::consumer(&config, root.path()).unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < sent.len() {
        let some = consumer.receive(100, PATIENCE).await.unwrap();
        assert!(!some.is_empty(), "only {} came", seen.len());
        for delivery in some {
            assert!(seen.insert(delivery.bytes), "each once");
            consumer.ack(vec![delivery.token]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn foreign_files_are_left_alone_and_broken_batches_are_handed_over() {
    let root = tempfile::tempdir().unwrap();
    let config = QueueConfig::Directory(DirectoryConfig::at(root.path()));
    broker::check(&config, root.path()).await.unwrap();
    let incoming = root.path().join("incoming");
    fs::write(incoming.join("README"), b"hello").unwrap();
    fs::create_dir(incoming.join(format!("{}.batch", "00".repeat(16)))).unwrap();
    std::os::unix::fs::symlink(
        "/etc/hostname",
        incoming.join(format!("{}.batch", "11".repeat(16))),
    )
    .unwrap();
    fs::write(incoming.join(format!("{}.batch", "22".repeat(16))), b"").unwrap();
    let big = fs::File::create(incoming.join(format!("{}.batch", "33".repeat(16)))).unwrap();
    big.set_len(1 << 33).unwrap();

    let mut consumer = broker::consumer(&config, root.path()).unwrap();
    let mut taken = consumer.receive(10, PATIENCE).await.unwrap();
    taken.sort_by_key(|delivery| delivery.bytes.len());
    let sizes: Vec<_> = taken.iter().map(|delivery| delivery.bytes.len()).collect();
    assert_eq!(sizes, [0, 4096], "an 8 GiB file is not read into memory");
    assert_eq!(taken[1].cut_from, Some(1 << 33));
    consumer
        .dead_letter(taken.pop().unwrap(), "too-large")
        .await
        .unwrap();
    let dead = root
        .path()
        .join("dead")
        .join(format!("{}.batch", "33".repeat(16)));
    assert_eq!(
        fs::metadata(dead).unwrap().len(),
        1 << 33,
        "but kept whole as a dead letter"
    );
    assert_eq!(files(&incoming).len(), 3);
}

#[tokio::test]
async fn a_full_queue_and_a_wrong_path_are_told_in_words() {
    let root = tempfile::tempdir().unwrap();
    let full = DirectoryConfig {
        max_batches: 2.try_into().ok(),
        ..DirectoryConfig::at("q")
    };
    let full = QueueConfig::Directory(full);
    let publisher = broker::publisher(&full, root.path()).unwrap();
    for content in [b"1", b"2"] {
        publisher.publish(&batch(content)).await.unwrap();
    }
    let error = publisher.publish(&batch(b"3")).await.unwrap_err();
    assert!(
        error.is_retry() && error.to_string().contains("max_batches is 2"),
        "{error}"
    );
    assert_eq!(publisher.state(), QueueState::Down);
    let mut consumer = broker::consumer(&full, root.path()).unwrap();
    let one = consumer.receive(1, PATIENCE).await.unwrap().remove(0);
    consumer.ack(vec![one.token]).await.unwrap();
    publisher.publish(&batch(b"3")).await.unwrap();

    fs::write(root.path().join("file"), b"").unwrap();
    let wrong = QueueConfig::Directory(DirectoryConfig::at("file"));
    for error in [
        broker::check(&wrong, root.path()).await.unwrap_err(),
        broker::publisher(&wrong, root.path())
            .unwrap()
            .publish(&batch(b"x"))
            .await
            .unwrap_err(),
    ] {
        assert!(
            !error.is_retry() && error.to_string().contains("change `path`"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_limited_consumer_claims_a_few_reads_a_part_and_makes_no_dead_letters() {
    const LONGEST: usize = 8192;
    let root = tempfile::tempdir().unwrap();
    let config = QueueConfig::Directory(DirectoryConfig {
        delivery_limit: 1.try_into().unwrap(),
        ..DirectoryConfig::at("queue")
    });
    let publisher = broker::publisher(&config, root.path()).unwrap();
    for length in [LONGEST, LONGEST, LONGEST + 1] {
        let sealed = SealedBatch {
            id: BatchId::random(),
            bytes: vec![7; length],
        };
        publisher.publish(&sealed).await.unwrap();
    }
    let open = || broker::limited_consumer(&config, root.path(), LONGEST, 2.try_into().unwrap());
    let wait = Duration::from_millis(10);
    let mut consumer = open().unwrap();
    let first = consumer.receive(64, wait).await.unwrap();
    assert_eq!(first.len(), 2);
    assert!(consumer.receive(64, wait).await.unwrap().is_empty());
    let tokens = first.into_iter().map(|delivery| delivery.token).collect();
    consumer.ack(tokens).await.unwrap();
    let last = consumer.receive(64, wait).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].cut_from, Some(LONGEST as u64 + 1));
    assert!(last[0].bytes.len() < LONGEST);
    // However often it is handed out in vain, it comes again.
    for _ in 0..4 {
        consumer.close().await;
        consumer = open().unwrap();
        let again = consumer.receive(64, wait).await.unwrap();
        assert_eq!(again.len(), 1);
        assert!(again[0].redelivered);
    }
    assert!(files(&root.path().join("queue/dead")).is_empty());
}
