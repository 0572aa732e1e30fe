//! Servers that include patients slowly, by a clock that they move themselves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clock::ManualClock;
use connector_fhir::FhirConnector;
use connector_kit::{Connector, Feed};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::support::{dose, now, patient, run, values};

const FEED: Feed = Feed::Vaccinations;

/// A server of twelve doses whose answers take their times, in milliseconds: for a page with the
/// patients included the first time and later, and for any other answer.
struct Slow {
    clock: Arc<ManualClock>,
    included: [u64; 2],
    other: u64,
    /// A search with `_include` fails.
    fails: bool,
    asked: AtomicU32,
}

impl Respond for Slow {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let query = request.url.query().unwrap_or_default();
        let includes = query.contains("_include");
        let place = usize::from(includes && self.asked.fetch_add(1, Ordering::Relaxed) > 0);
        let time = if includes {
            self.included[place]
        } else {
            self.other
        };
        self.clock.advance(Duration::from_millis(time));
        if includes && self.fails {
            return ResponseTemplate::new(504);
        }
        let wrapped = |resource: Value| json!({"resource": resource});
        let stamped = |n: u32| {
            let mut dose = dose(&format!("d{n}"), "p");
            dose["meta"] = json!({"lastUpdated": format!("2021-07-01T10:00:{n:02}Z")});
            wrapped(dose)
        };
        let mut entry: Vec<Value> = Vec::new();
        match request.url.path() {
            "/metadata" => {
                let statement =
                    json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"});
                return ResponseTemplate::new(200)
                    .set_body_raw(statement.to_string(), "application/fhir+json");
            }
            "/Immunization" => entry.extend((10..22).map(stamped)),
            _ => {}
        }
        if includes || request.url.path() == "/Patient" {
            entry.push(wrapped(patient("p", "112-233-445 95")));
        }
        let bundle = json!({"resourceType": "Bundle", "entry": entry});
        ResponseTemplate::new(200).set_body_raw(bundle.to_string(), "application/fhir+json")
    }
}

/// Reads everything from a server twice; returns what `check` says of patients afterwards, and how
/// many of the second run's searches ask to include them.
async fn decided(include: &str, included: [u64; 2], other: u64, fails: bool) -> (String, usize) {
    let clock = Arc::new(ManualClock::at(now()));
    let server = MockServer::start().await;
    let slow = Slow {
        clock: Arc::clone(&clock),
        included,
        other,
        fails,
        asked: AtomicU32::new(0),
    };
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let config = json!({"base_url": server.uri(), "include": include,
        "feeds": ["vaccinations"]});
    let config = serde_json::from_value(config).unwrap();
    let source = FhirConnector::with_clock(config, Path::new("/"), clock).unwrap();
    let mut before = 0;
    for _ in 0..2 {
        before = server.received_requests().await.unwrap().len();
        let read = run(&source, FEED, None, 100).await;
        assert_eq!(read.records.len(), 12);
        for record in &read.records {
            assert_eq!(values(record), ["112-233-445 95"]);
        }
    }
    let requests = server.received_requests().await.unwrap().split_off(before);
    let asked = |request: &&Request| request.url.query().is_some_and(|q| q.contains("_include"));
    let asked = requests.iter().filter(asked).count();
    let report = source.check(now()).await;
    let told = report.findings.into_iter().map(|told| told.what);
    let told: Vec<_> = told.filter(|what| what.starts_with("patients ")).collect();
    (told.join(""), asked)
}

#[tokio::test]
async fn a_server_that_includes_slowly_is_read_in_batches() {
    let (told, asked) = decided("auto", [2950, 2950], 10, false).await;
    assert_eq!(
        (told.as_str(), asked),
        (
            "patients are read in batches: 0.020 s a page against 2.950 s with _include",
            0
        )
    );
    let (told, asked) = decided("auto", [2950, 30], 10, false).await;
    assert!(
        told.contains("in 0.030 s a page against 0.020 s"),
        "a cold start: {told}"
    );
    assert_eq!(asked, 1);
    let (told, asked) = decided("auto", [900, 900], 400, false).await;
    assert!(told.contains("in 0.900 s a page against 0.800 s"), "{told}");
    assert_eq!(asked, 1);
    let (told, asked) = decided("auto", [100, 100], 1, false).await;
    assert!(told.ends_with("(_include), in 0.100 s a page"), "{told}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_search_that_fails_only_with_includes_is_made_without() {
    let (told, asked) = decided("auto", [1, 1], 1, true).await;
    assert!(told.contains("a search with _include failed"), "{told}");
    assert_eq!(asked, 0);
}

#[tokio::test]
async fn the_words_always_and_never_measure_nothing() {
    for (word, expected) in [
        ("always", 1),
        ("never", 0),
        ("include", 1),
        ("batched-reads", 0),
    ] {
        assert_eq!(
            decided(word, [2950, 2950], 1, false).await,
            (String::new(), expected),
            "{word}"
        );
    }
}
