//! An export's folder, whose files are as old as the tests want them, and what is read of it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use connector_fhir::{FhirFolderConfig, FhirFolderConnector};
use connector_kit::{
    ClinicRecord, Connector, Cursor, Feed, KeysRequest, PageRequest, RecordKey, RecordStatus,
    SourceError, SourceSurprise,
};
use serde_json::{Value, json};

use crate::support::now;

/// Time of the first file, in seconds since 1970: days before the present of the tests.
const FIRST_CHANGE: u64 = 1_625_000_000;

/// A folder of an export.
pub(crate) struct Export {
    folder: tempfile::TempDir,
    /// Number of changes so far; each is a second later than the one before.
    changes: u64,
}

impl Export {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            changes: 0,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("export")
    }

    /// Writes a file, one resource a line.
    pub(crate) fn put(&mut self, name: &str, resources: &[Value]) {
        let lines: String = resources
            .iter()
            .map(|resource| format!("{resource}\n"))
            .collect();
        self.put_text(name, &lines);
    }

    /// Writes a file with this text.
    pub(crate) fn put_text(&mut self, name: &str, text: &str) {
        self.put_bytes(name, text.as_bytes());
    }

    /// Writes a file with these bytes.
    pub(crate) fn put_bytes(&mut self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path()).unwrap();
        fs::write(self.path().join(name), bytes).unwrap();
        self.changes += 1;
        self.set_time(name, self.time());
    }

    /// Takes a file away.
    pub(crate) fn remove(&mut self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
        self.changes += 1;
        self.set_folder_time(self.time());
    }

    /// The time of the last change.
    pub(crate) fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(FIRST_CHANGE + self.changes)
    }

    /// Sets the time of a file, and that of the folder to the last change.
    pub(crate) fn set_time(&self, name: &str, time: SystemTime) {
        let file = File::open(self.path().join(name)).unwrap();
        file.set_modified(time).unwrap();
        self.set_folder_time(self.time());
    }

    pub(crate) fn set_folder_time(&self, time: SystemTime) {
        File::open(self.path()).unwrap().set_modified(time).unwrap();
    }

    /// A connector as after a start of the gateway, with these settings beside the path.
    pub(crate) fn connector(&self, settings: &Value) -> FhirFolderConnector {
        let mut config = json!({"path": self.path()});
        let settings = settings.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(settings);
        let config: FhirFolderConfig = serde_json::from_value(config).unwrap();
        FhirFolderConnector::new(&config, self.folder.path()).unwrap()
    }

    /// A connector that reads vaccinations alone.
    pub(crate) fn doses(&self) -> FhirFolderConnector {
        self.connector(&json!({"feeds": ["vaccinations"]}))
    }
}

/// Everything that a run handed over, and the cursor to store.
#[derive(Default)]
pub(crate) struct Run {
    pub records: Vec<ClinicRecord>,
    pub stored: Option<Cursor>,
    pub surprises: Vec<SourceSurprise>,
}

impl Run {
    /// The ids in their order, without their types.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let ids = self.records.iter().map(|record| record.record_id.as_str());
        ids.map(|id| id.split_once('/').unwrap().1).collect()
    }
}

/// A run of a feed at a moment, in pages of two.
pub(crate) async fn run_at(
    source: &FhirFolderConnector,
    feed: Feed,
    stored: Option<&Cursor>,
    now: DateTime<Utc>,
) -> Result<Run, SourceError> {
    let mut run = Run {
        stored: stored.cloned(),
        ..Run::default()
    };
    let mut request = PageRequest {
        after: stored.cloned(),
        first_of_run: true,
        ..PageRequest::first_records(feed, 2, now)
    };
    for _ in 0..10_000 {
        let page = source.page(request.clone()).await?;
        run.records.extend(page.records);
        run.surprises.extend(page.surprise);
        run.stored = page.resume.or(run.stored);
        request.after = page.next;
        request.first_of_run = false;
        if request.after.is_none() {
            return Ok(run);
        }
    }
    panic!("a run without an end");
}

pub(crate) async fn run(
    source: &FhirFolderConnector,
    feed: Feed,
    stored: Option<&Cursor>,
) -> Result<Run, SourceError> {
    run_at(source, feed, stored, now()).await
}

/// All keys of the vaccinations.
pub(crate) async fn keys(source: &FhirFolderConnector) -> Result<Vec<RecordKey>, SourceError> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let request = KeysRequest {
            feed: Feed::Vaccinations,
            after,
            limit: 2,
            now: now(),
        };
        let page = source.keys(request).await?;
        all.extend(page.keys);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Vaccinations by their ids.
pub(crate) async fn fetch(
    source: &FhirFolderConnector,
    ids: &[&str],
) -> Result<Vec<ClinicRecord>, SourceError> {
    let ids: Vec<String> = ids.iter().map(|id| format!("Immunization/{id}")).collect();
    source.fetch(Feed::Vaccinations, &ids, now()).await
}

/// A resource with a stamp.
pub(crate) fn stamped(mut resource: Value, stamp: &str) -> Value {
    resource["meta"] = json!({"lastUpdated": stamp});
    resource
}

/// The statuses of records, in their order.
pub(crate) fn statuses(records: &[ClinicRecord]) -> Vec<RecordStatus> {
    records.iter().map(|record| record.status).collect()
}
