//! A registry team's view: batches that a gateway really made, and the receipts for them, are read
//! in another language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use broker::{DirectoryConfig, QueueConfig};
use clock::SystemClock;
use contract::{ReceiptSigner, ReceiptVerifier};
use registry::{ConsumeConfig, Keys, Reader, Registry, SecondLayerKey, SqliteConfig, StoreConfig};
use testbed::fhir::FhirServer;

use crate::support::{City, Clinic, fhir_source};
use crate::whole::fill_fhir;

#[tokio::test(flavor = "multi_thread")]
async fn real_batches_and_their_receipts_open_in_python_and_pass_an_independent_validator() {
    let server = FhirServer::start().await.expect("an FHIR server");
    fill_fhir(&server);
    let city = City::new();
    let clinic = Clinic::new(
        &city,
        "[queue.directory]\npath = \"queue\"\n",
        &fhir_source(&server.base_url()),
        "",
    );
    let (report, _) = clinic.sync().await;
    assert!(report.is_complete() && report.delivered > 0, "{report:?}");

    let queue = clinic.folder.path().join("queue");
    let kept: Vec<_> = files(&queue.join("incoming"), "batch")
        .iter()
        .map(|path| keep(path, &city))
        .collect();
    assert!(kept.len() > report.delivered, "the beacon is a batch too");
    let verifier = answer(&city, &queue).await;
    let pinned = city.folder.path().join("pinned.txt");
    fs::write(&pinned, verifier.to_text()).expect("the verification key is written");

    let mut stored = Vec::new();
    for message in files(&queue.join("receipts"), "receipt") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-contract");
        let key = city.folder.path().join("private.key");
        let mut command = Command::new(script);
        command
            .arg("--receipts")
            .arg(&pinned)
            .arg(message)
            .arg(key)
            .args(&kept);
        let output = command.output().expect("the script starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert!(told.contains(" 0 faults"), "{told}");
        let receipts: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).expect("receipts");
        for receipt in receipts {
            // An earlier beacon is superseded by a later one.
            let answer = &receipt["stored"];
            let superseded = answer["superseded"].as_array().map(Vec::len);
            assert!(
                answer["accepted"].as_u64() > Some(0) || superseded == Some(1),
                "{receipt}"
            );
            stored.push(receipt["batch"].as_str().expect("a batch id").to_owned());
        }
    }
    stored.sort();
    let mut sent: Vec<_> = kept
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    sent.sort();
    assert_eq!(stored, sent, "a receipt for each batch");
}

/// The registry takes all batches in and broadcasts its receipts; the key that verifies them.
async fn answer(city: &City, queue: &Path) -> ReceiptVerifier {
    let signer = ReceiptSigner::generate();
    let verifier = signer.verifier();
    let keys = Keys::new(city.private.clone(), Vec::new(), SecondLayerKey::generate());
    let store = StoreConfig::Sqlite(SqliteConfig {
        path: "registry.sqlite".into(),
    });
    let reader = Reader::open(&store, keys.with_receipt_key(signer), city.folder.path()).await;
    let queue = QueueConfig::Directory(DirectoryConfig::at(queue));
    let reader = reader.expect("the store opens");
    let settings = ConsumeConfig::default();
    let clock = Arc::new(SystemClock::default());
    let mut registry = Registry::new(reader, &queue, settings, city.folder.path(), clock)
        .expect("the queue is there");
    let (_, unreadable) = registry
        .drain()
        .await
        .expect("the registry takes everything in");
    assert_eq!(unreadable, 0);
    registry.close().await;
    verifier
}

/// A copy of a batch in the city's folder: the registry takes the original.
fn keep(batch: &Path, city: &City) -> PathBuf {
    let copy = city
        .folder
        .path()
        .join(batch.file_name().expect("a file's name"));
    fs::copy(batch, &copy).expect("the batch is copied");
    copy
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .expect("the folder can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}
