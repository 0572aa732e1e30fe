//! Receipts and dead letters as files: age, half-written and planted files, several at once.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig};

use crate::conformance::hear;
use crate::{PATIENCE, batch};

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn queue() -> (tempfile::TempDir, QueueConfig) {
    let root = tempfile::tempdir().unwrap();
    let config = DirectoryConfig {
        receipts_keep_hours: 2.try_into().unwrap(),
        ..DirectoryConfig::at("q")
    };
    (root, QueueConfig::Directory(config))
}

#[tokio::test]
async fn receipts_wait_for_a_gateway_that_is_away_but_not_for_ever() {
    let (root, config) = queue();
    let receipts = root.path().join("q/receipts");
    let publisher = broker::receipt_publisher(&config, root.path()).unwrap();
    publisher.broadcast(b"old".to_vec()).await.unwrap();
    publisher.broadcast(b"young".to_vec()).await.unwrap();
    for name in names(&receipts) {
        let file = File::options()
            .write(true)
            .open(receipts.join(&name))
            .unwrap();
        let hours = if fs::read(receipts.join(&name)).unwrap() == b"old" {
            3
        } else {
            1
        };
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - Duration::from_secs(hours * 3600))
            .unwrap();
    }
    publisher.close().await;
    assert_eq!(names(&receipts).len(), 2);

    // The registry, started anew, looks for old ones at its first receipt.
    let publisher = broker::receipt_publisher(&config, root.path()).unwrap();
    publisher.broadcast(b"new".to_vec()).await.unwrap();
    let mut subscriber = broker::receipt_subscriber(&config, root.path()).unwrap();
    let received = hear(&mut subscriber, 2).await;
    assert!(received.contains(b"young".as_slice()) && received.contains(b"new".as_slice()));
    assert_eq!(names(&receipts).len(), 2);
    // Forgotten once it is gone: the same name would be received again, and is, since a removed
    // file is no memory.
    let name = receipts.join(&names(&receipts)[0]);
    let kept = fs::read(&name).unwrap();
    fs::remove_file(&name).unwrap();
    assert!(
        subscriber
            .receive(1, Duration::from_millis(600))
            .await
            .unwrap()
            .is_empty()
    );
    fs::write(&name, &kept).unwrap();
    assert_eq!(subscriber.receive(1, PATIENCE).await.unwrap(), [kept]);
}

#[tokio::test]
async fn half_written_foreign_and_planted_files_are_no_receipts() {
    let (root, config) = queue();
    let publisher = broker::receipt_publisher(&config, root.path()).unwrap();
    publisher.broadcast(b"whole".to_vec()).await.unwrap();
    let receipts = root.path().join("q/receipts");
    fs::write(
        receipts.join(format!("{}.receipt.tmp", "ab".repeat(16))),
        b"half",
    )
    .unwrap();
    fs::write(receipts.join("README"), b"hello").unwrap();
    fs::create_dir(receipts.join(format!("{}.receipt", "00".repeat(16)))).unwrap();
    std::os::unix::fs::symlink(
        "/etc/hostname",
        receipts.join(format!("{}.receipt", "11".repeat(16))),
    )
    .unwrap();
    let big = File::create(receipts.join(format!("{}.receipt", "22".repeat(16)))).unwrap();
    big.set_len(1 << 33).unwrap();

    let mut subscriber = broker::receipt_subscriber(&config, root.path()).unwrap();
    let received = subscriber.receive(10, PATIENCE).await.unwrap();
    assert_eq!(received, [b"whole".to_vec()]);
    assert!(
        subscriber
            .receive(10, Duration::from_millis(600))
            .await
            .unwrap()
            .is_empty()
    );
    publisher.broadcast(b"next".to_vec()).await.unwrap();
    assert_eq!(
        subscriber.receive(10, PATIENCE).await.unwrap(),
        [b"next".to_vec()]
    );
    assert_eq!(names(&receipts).len(), 7, "nothing foreign is removed");
}

#[tokio::test]
async fn a_subscriber_hears_every_receipt_whole_while_they_are_written() {
    const COUNT: usize = 300;
    let (root, config) = queue();
    let publisher = broker::receipt_publisher(&config, root.path()).unwrap();
    let mut subscriber = broker::receipt_subscriber(&config, root.path()).unwrap();
    let writing = async {
        for number in 0..COUNT {
            let mut message = vec![0xaa; 20_000];
            message[..8].copy_from_slice(&(number as u64).to_le_bytes());
            publisher.broadcast(message).await.unwrap();
        }
    };
    let (received, ()) = tokio::join!(hear(&mut subscriber, COUNT), writing);
    assert!(received.iter().all(|message| message.len() == 20_000));
}

#[tokio::test]
async fn two_operators_may_look_at_once_and_the_first_settles() {
    let (root, config) = queue();
    let publisher = broker::publisher(&config, root.path()).unwrap();
    let mut consumer = broker::consumer(&config, root.path()).unwrap();
    for content in [b"1", b"2"] {
        publisher.publish(&batch(content)).await.unwrap();
        let delivery = consumer.receive(1, PATIENCE).await.unwrap().remove(0);
        consumer.dead_letter(delivery, "not-a-batch").await.unwrap();
    }
    let dead = root.path().join("q/dead");
    std::os::unix::fs::symlink(
        "/etc/hostname",
        dead.join(format!("{}.batch", "11".repeat(16))),
    )
    .unwrap();
    let mut one = broker::dead_letters(&config, root.path()).await.unwrap();
    let mut two = broker::dead_letters(&config, root.path()).await.unwrap();
    let mut first = one.take(10).await.unwrap();
    let mut second = two.take(10).await.unwrap();
    assert_eq!((first.len(), second.len()), (2, 2));
    one.retry(first.remove(0)).await.unwrap();
    let error = two.discard(second.remove(0)).await.unwrap_err();
    assert!(error.to_string().contains("somebody else"), "{error}");
    two.discard(second.remove(0)).await.unwrap();
    one.retry(first.remove(0)).await.unwrap_err();
    assert_eq!(
        broker::depth(&config, root.path()).await.unwrap(),
        broker::Depth {
            waiting: 1,
            dead: 0
        }
    );
    assert_eq!(
        names(&dead),
        [format!("{}.batch", "11".repeat(16))],
        "no reason is left behind"
    );
}

#[tokio::test]
async fn a_folder_that_is_a_link_is_not_followed() {
    for folder in ["incoming", "work", "dead", "receipts", "tmp"] {
        let (root, config) = queue();
        broker::check(&config, root.path()).await.unwrap();
        let publisher = broker::publisher(&config, root.path()).unwrap();
        let receipts = broker::receipt_publisher(&config, root.path()).unwrap();
        let mut consumer = broker::consumer(&config, root.path()).unwrap();
        publisher.publish(&batch(b"before")).await.unwrap();
        receipts.broadcast(b"before".to_vec()).await.unwrap();
        let held = consumer.receive(1, PATIENCE).await.unwrap().remove(0);

        // Planted while everything runs.
        let path = root.path().join("q").join(folder);
        let elsewhere = root.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let before = names(&elsewhere);
        let mut subscriber = broker::receipt_subscriber(&config, root.path()).unwrap();
        let outcomes = [
            broker::check(&config, root.path()).await.map(drop),
            broker::depth(&config, root.path()).await.map(drop),
            publisher.publish(&batch(b"after")).await,
            receipts.broadcast(b"after".to_vec()).await,
            subscriber.receive(1, PATIENCE).await.map(drop),
            consumer.dead_letter(held, "not-a-batch").await,
            consumer.receive(1, PATIENCE).await.map(drop),
            broker::dead_letters(&config, root.path()).await.map(drop),
        ];
        for outcome in outcomes {
            let error = outcome.unwrap_err();
            assert!(
                !error.is_retry() && error.to_string().contains("is a link"),
                "{folder}: {error}"
            );
        }
        assert_eq!(names(&elsewhere), before, "{folder}");
    }
}
