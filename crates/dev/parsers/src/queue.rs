//! Target: files in a queue directory, of any name, with any content, in any of its
//! folders.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use broker::{DirectoryConfig, MAX_BATCH_BYTES, QueueConfig};
use tokio::runtime::Runtime;

/// A batch that is always there, so that nothing waits.
const SENTINEL: &str = "000102030405060708090a0b0c0d0e0f";
const WAIT: Duration = Duration::from_secs(5);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
});

/// The first line is a file's name, the rest its content.
pub fn queue_directory(bytes: &[u8]) -> bool {
    let at = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let name = &bytes[..at];
    let content = bytes.get(at + 1..).unwrap_or_default();
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let fits = (1..=255).contains(&name.len())
        && !name.contains(['/', '\0'])
        && !matches!(name, "." | "..");
    if !fits || name.starts_with(SENTINEL) {
        return false;
    }
    let root = tempfile::tempdir().expect("a temporary folder");
    let queue = QueueConfig::Directory(DirectoryConfig::at(root.path()));
    for folder in ["incoming", "dead", "receipts"] {
        let folder = root.path().join(folder);
        fs::create_dir(&folder).expect("the folder is new");
        put(&folder, name, content);
        put(&folder, &format!("{SENTINEL}.batch"), b"sentinel");
        put(&folder, &format!("{SENTINEL}.receipt"), b"sentinel");
    }
    RUNTIME.block_on(async {
        // In this order: a batch that was handed out too often goes to the dead letters when it is
        // put back.
        let dead = dead_letters(&queue, root.path(), content).await;
        let taken = batches(&queue, root.path(), content).await;
        let heard = receipts(&queue, root.path(), content).await;
        assert_eq!(
            taken, dead,
            "a name is a batch's in both folders or in none"
        );
        assert!(!(taken && heard), "a name is a batch's or a receipt's");
        taken || heard
    })
}

fn put(folder: &Path, name: &str, content: &[u8]) {
    fs::write(folder.join(name), content).expect("a file of that name can be written");
}

/// Takes all there is, and puts back what is not the sentinel; true if that was something.
async fn batches(queue: &QueueConfig, base: &Path, content: &[u8]) -> bool {
    let mut consumer = broker::consumer(queue, base).expect("a directory needs no server");
    let deliveries = consumer
        .receive(10, WAIT)
        .await
        .expect("the folder can be read");
    let mut taken = false;
    for delivery in deliveries {
        assert!(delivery.bytes.len() <= MAX_BATCH_BYTES);
        if delivery.bytes == b"sentinel" {
            consumer
                .ack(vec![delivery.token])
                .await
                .expect("the sentinel can be removed");
        } else {
            assert_eq!(delivery.bytes, content);
            taken = true;
            consumer
                .requeue(vec![delivery.token])
                .await
                .expect("it can be put back");
        }
    }
    consumer.close().await;
    taken
}

async fn dead_letters(queue: &QueueConfig, base: &Path, content: &[u8]) -> bool {
    let mut dead = broker::dead_letters(queue, base)
        .await
        .expect("a directory needs no server");
    let letters = dead.take(10).await.expect("the folder can be read");
    let others: Vec<_> = letters
        .into_iter()
        .filter(|letter| letter.bytes != b"sentinel")
        .collect();
    assert!(others.len() <= 1 && others.iter().all(|letter| letter.bytes == content));
    let found = !others.is_empty();
    for letter in others {
        dead.discard(letter).await.expect("it can be removed");
    }
    dead.close().await;
    found
}

async fn receipts(queue: &QueueConfig, base: &Path, content: &[u8]) -> bool {
    let mut receipts =
        broker::receipt_subscriber(queue, base).expect("a directory needs no server");
    let heard = receipts
        .receive(10, WAIT)
        .await
        .expect("the folder can be read");
    assert!(heard.iter().any(|message| message == b"sentinel"));
    let others: Vec<_> = heard
        .iter()
        .filter(|message| *message != b"sentinel")
        .collect();
    assert!(others.len() <= 1 && others.iter().all(|message| *message == content));
    receipts.close().await;
    !others.is_empty()
}
