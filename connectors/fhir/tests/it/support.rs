//! Helpers of the tests: small resources, a connector, and one whole run.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clock::ManualClock;
use connector_fhir::FhirConnector;
use connector_kit::{
    ClinicRecord, Connector, Cursor, Feed, KeysPage, KeysRequest, Page, PageRequest, RecordKey,
    SourceError, SourceSurprise,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

pub(crate) const SNILS: &str = "https://fhir.ru/ig/core/systems/snils";

/// The present moment of every test: later than all stamps in the clinics.
pub(crate) fn now() -> DateTime<Utc> {
    "2021-07-10T12:00:00Z".parse().unwrap()
}

pub(crate) fn connector(base_url: &str, settings: Value) -> FhirConnector {
    try_connector(base_url, settings, Path::new("/")).unwrap()
}

pub(crate) fn try_connector(
    base_url: &str,
    settings: Value,
    folder: &Path,
) -> Result<FhirConnector, SourceError> {
    let mut config = json!({"base_url": base_url});
    config
        .as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    // A clock that stands still: no answer is slow, however busy this machine is.
    let clock = Arc::new(ManualClock::at(now()));
    FhirConnector::with_clock(serde_json::from_value(config).unwrap(), folder, clock)
}

pub(crate) fn request(
    feed: Feed,
    after: Option<&Cursor>,
    first_of_run: bool,
    limit: u32,
) -> PageRequest {
    PageRequest {
        feed,
        after: after.cloned(),
        first_of_run,
        hinted: false,
        limit,
        now: now(),
    }
}

/// Asks for the first page of a feed, from the beginning.
pub(crate) async fn first(source: &FhirConnector, feed: Feed) -> Result<Page, SourceError> {
    source.page(request(feed, None, true, 10)).await
}

/// Everything that a whole run handed over, in order, and the cursor to store.
pub(crate) struct Run {
    pub records: Vec<ClinicRecord>,
    pub resume: Option<Cursor>,
    pub pages: usize,
    pub surprises: Vec<SourceSurprise>,
}

impl Run {
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.records
            .iter()
            .map(|record| record.record_id.split_once('/').unwrap().1)
            .collect()
    }
}

pub(crate) async fn run(
    source: &FhirConnector,
    feed: Feed,
    stored: Option<&Cursor>,
    limit: u32,
) -> Run {
    let mut run = Run {
        records: Vec::new(),
        resume: None,
        pages: 0,
        surprises: Vec::new(),
    };
    let mut next = stored.cloned();
    loop {
        let page = source
            .page(request(feed, next.as_ref(), run.pages == 0, limit))
            .await
            .unwrap();
        assert!(
            page.records.len() <= limit as usize,
            "a page over its limit"
        );
        run.records.extend(page.records);
        run.surprises.extend(page.surprise);
        run.pages += 1;
        if page.resume.is_some() {
            run.resume = page.resume;
        }
        match page.next {
            Some(cursor) => next = Some(cursor),
            None => return run,
        }
        assert!(run.pages < 1000, "a run without an end");
    }
}

pub(crate) fn dose(id: &str, patient: &str) -> Value {
    json!({"resourceType": "Immunization", "id": id, "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "505"}]},
        "patient": {"reference": format!("Patient/{patient}")}, "occurrenceDateTime": "2021-06-01"})
}

pub(crate) fn patient(id: &str, snils: &str) -> Value {
    json!({"resourceType": "Patient", "id": id,
        "name": [{"family": "Canary"}], "birthDate": "1970-01-01",
        "identifier": [{"system": SNILS, "value": snils},
                       {"system": "urn:clinic:card", "value": "77"}]})
}

/// The identifiers of a record's person, in the clear.
pub(crate) fn values(record: &ClinicRecord) -> Vec<&str> {
    record
        .person
        .identifiers
        .iter()
        .map(|identifier| identifier.value.expose_secret())
        .collect()
}

/// A page of vaccination keys.
pub(crate) async fn keys_page(
    source: &FhirConnector,
    after: Option<&Cursor>,
    limit: u32,
    now: DateTime<Utc>,
) -> Result<KeysPage, SourceError> {
    source
        .keys(KeysRequest {
            feed: Feed::Vaccinations,
            after: after.cloned(),
            limit,
            now,
        })
        .await
}

/// All vaccination keys; `disturb` is called with the number of every page after the first.
pub(crate) async fn try_keys(
    source: &FhirConnector,
    limit: u32,
    mut disturb: impl FnMut(usize),
) -> Result<Vec<RecordKey>, SourceError> {
    let mut keys = Vec::new();
    let mut next = None;
    for number in 1..2000 {
        let page = keys_page(source, next.as_ref(), limit, now()).await?;
        assert!(page.keys.len() <= limit as usize, "a page over its limit");
        keys.extend(page.keys);
        if page.next.is_none() {
            return Ok(keys);
        }
        next = page.next;
        disturb(number);
    }
    panic!("a sweep without an end");
}

/// All vaccination keys of a server that is left in peace, each once, by id.
pub(crate) async fn all_keys(source: &FhirConnector, limit: u32) -> Vec<(String, Option<i64>)> {
    let keys = try_keys(source, limit, |_| {}).await.unwrap();
    let mut keys: Vec<_> = keys
        .into_iter()
        .map(|key| (key.record_id, key.stamp))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}
