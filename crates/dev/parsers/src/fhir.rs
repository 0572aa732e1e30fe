//! Targets: the answers of a FHIR server, and the manifests and files of its bulk exports.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use chrono::DateTime;
use connector_fhir::{FhirConfig, FhirConnector, FhirFolderConfig, FhirFolderConnector, fuzzing};
use connector_kit::{ClinicRecord, Connector as _, Feed, KeysRequest, PageRequest};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::records;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
});

/// File of a folder that is always there, and the Patient in it.
const FOLDER_PATIENTS: &str = "Patient.ndjson";
const PATIENT: &str = concat!(
    r#"{"resourceType":"Patient","id":"p","identifier":[{"#,
    r#""system":"https://fhir.ru/ig/core/systems/snils","value":"112-233-445 95"}]}"#,
);

static SOURCE: LazyLock<FhirConnector> = LazyLock::new(|| {
    let config: FhirConfig = serde_json::from_value(json!({
        "base_url": "https://mis.example/fhir",
        // Only what the server includes: this target has no server to ask for more.
        "include": "include",
        "time_zone": "Europe/Moscow",
        "identifier_systems": {
            "urn:clinic:passport": "passport-ru",
            "urn:clinic:permit": "residence-permit",
        },
    }))
    .expect("a configuration as in config/sources");
    FhirConnector::new(config, Path::new(".")).expect("it names no file")
});

/// The body of an answer to a search, or to a read, in each of the three feeds.
pub fn fhir_bundle(body: &[u8]) -> bool {
    let mut leave = 0;
    let mut read = false;
    for feed in Feed::ALL {
        read |= fuzzing::read_answer(feed, body);
        let answer = at_once(fuzzing::search_answer(&SOURCE, feed, body, records::now()));
        match answer {
            Ok((records, _)) => leave += records::through(records),
            Err(error) => assert!(error.to_string().len() < 2000, "an error is a sentence"),
        }
    }
    read || leave > 0
}

/// A source whose files may lie in a store.
static EXPORTING: LazyLock<FhirConnector> = LazyLock::new(|| {
    let config: FhirConfig = serde_json::from_value(json!({
        "base_url": "https://mis.example/fhir",
        "first_load": "system-export",
        "export_origins": ["https://store.example"],
    }))
    .expect("a configuration as in config/sources");
    FhirConnector::new(config, Path::new(".")).expect("it names no file")
});

/// A manifest of a bulk export: no address in it leads to an origin that is not allowed.
pub fn fhir_manifest(body: &[u8]) -> bool {
    let read = Feed::ALL.map(|feed| fuzzing::export_manifest(&EXPORTING, feed, body));
    read.contains(&true)
}

/// A file of a bulk export, packed or not: its records are the same however its pieces fall, and no
/// part of it is taken for the whole.
pub fn fhir_export_file(file: &[u8]) -> bool {
    let mut leave = 0;
    for feed in Feed::ALL {
        let read = |file: &[u8], piece| {
            let records = fuzzing::export_file(&SOURCE, feed, file, piece, records::now());
            at_once(records).map_err(|error| error.to_string())
        };
        let ids = |records: &[ClinicRecord]| {
            let ids = records.iter().map(|record| record.record_id.clone());
            ids.collect::<Vec<_>>()
        };
        let whole = read(file, usize::MAX);
        let in_pieces = read(file, 7);
        match (whole, in_pieces) {
            (Ok(whole), Ok(in_pieces)) => {
                assert_eq!(ids(&whole), ids(&in_pieces));
                verify_cut(file, &ids(&whole), |part| {
                    read(part, 100).map(|found| ids(&found))
                });
                leave += records::through(whole);
            }
            (whole, in_pieces) => {
                let failures = [whole.err(), in_pieces.err()];
                let is_sentence = |error: &String| error.len() < 2000;
                assert!(
                    failures.iter().flatten().all(is_sentence),
                    "an error is a sentence"
                );
                // Where a packed file is damaged, more or fewer of its lines may come before.
                let is_packed = file.starts_with(&[0x1f, 0x8b]);
                assert!(is_packed || failures[0] == failures[1], "{failures:?}");
                assert!(failures.iter().all(Option::is_some), "{failures:?}");
            }
        }
    }
    leave > 0
}

/// A file that was cut off within a line, or is packed and cut off, must not be read.
fn verify_cut(file: &[u8], whole: &[String], read: impl Fn(&[u8]) -> Result<Vec<String>, String>) {
    let Some(cut) = file.len().checked_sub(1 + file.len() / 3) else {
        return;
    };
    let is_packed = file.starts_with(&[0x1f, 0x8b]) && cut >= 2;
    let Ok(found) = read(&file[..cut]) else {
        return;
    };
    // Members of a packed file may be whole by themselves.
    assert!(!is_packed || found.len() <= whole.len());
    let line = file[..cut].rsplit(|byte| *byte == b'\n').next();
    let rest = line.unwrap_or_default().trim_ascii();
    let is_whole = rest.is_empty() || serde_json::from_slice::<serde_json::Value>(rest).is_ok();
    let is_marked = rest.starts_with(b"\xef\xbb\xbf");
    assert!(
        is_packed || is_whole || is_marked,
        "a part of a line is a line"
    );
}

/// A file in a folder of an export: the first line is its name, the rest its content. Pages, keys
/// and records by id agree.
pub fn fhir_folder(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|byte| *byte == b'\n');
    let name = &bytes[..at.unwrap_or(bytes.len())];
    let content = &bytes[at.map_or(bytes.len(), |at| at + 1)..];
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let fits = (1..=255).contains(&name.len())
        && !name.contains(['/', '\0'])
        && !matches!(name, "." | ".." | FOLDER_PATIENTS);
    if !fits {
        return false;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(FOLDER_PATIENTS), PATIENT).expect("the folder is new");
    fs::write(folder.path().join(name), content).expect("the folder is new");
    let config: FhirFolderConfig = serde_json::from_value(json!({"path": folder.path()}))
        .expect("settings as in config/sources");
    let source = FhirFolderConnector::new(&config, folder.path()).expect("a path is enough");
    let read = Feed::ALL.map(|feed| RUNTIME.block_on(of_folder(&source, feed)));
    read.contains(&true)
}

/// Reads a feed of a folder in pages of two; returns whether anything leaves.
async fn of_folder(source: &FhirFolderConnector, feed: Feed) -> bool {
    // Long behind the files' own times: they have settled.
    let now = DateTime::from_timestamp(7_000_000_000, 0).expect("a moment");
    let mut request = PageRequest::first_records(feed, 2, now);
    let mut all = Vec::new();
    loop {
        let page = match source.page(request.clone()).await {
            Ok(page) => page,
            Err(error) => {
                assert!(error.to_string().len() < 2000, "an error is a sentence");
                return false;
            }
        };
        all.extend(page.records);
        request.after = page.next;
        request.first_of_run = false;
        if request.after.is_none() {
            break;
        }
    }
    let ids: Vec<String> = all.iter().map(|record| record.record_id.clone()).collect();
    let keys = source.keys(KeysRequest {
        feed,
        after: None,
        limit: 1000,
        now,
    });
    // Where lines cannot be read nobody can tell what is gone.
    if let Ok(keys) = keys.await
        && ids.len() <= 50
    {
        let named: Vec<String> = keys.keys.into_iter().map(|key| key.record_id).collect();
        assert_eq!(named, ids, "keys are those of the pages");
        let fetched = source
            .fetch(feed, &ids, now)
            .await
            .expect("they were read just now");
        assert_eq!(
            fetched.len(),
            ids.len(),
            "records by id are those of the pages"
        );
    }
    records::through(all) > 0
}

/// The answer of a future that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the source asks its server for something"),
    }
}
