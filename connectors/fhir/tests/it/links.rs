//! A server behind a proxy that writes an address of its own into links, entries and references.

use connector_kit::{Connector, Feed, Level, SourceError};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{all_keys, connector, dose, first, now, patient, run, values};

const FEED: Feed = Feed::Vaccinations;

fn rewriting() -> Value {
    json!({"links": "rewrite", "feeds": ["vaccinations"], "overlap_seconds": 0})
}

/// A dose whose patient is named by a whole address.
fn dose_at(base: &str, id: &str, patient: &str) -> Value {
    let mut dose = dose(id, patient);
    dose["patient"] = json!({"reference": format!("{base}/Patient/{patient}")});
    dose
}

/// A clinic whose server knows itself by the address of another server, which is there and must get
/// nothing.
async fn clinic(doses: usize) -> (FhirServer, MockServer) {
    let inside = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&inside)
        .await;
    let server = FhirServer::start().await.unwrap();
    let base = format!("{}/hapi/fhir", inside.uri());
    server.set_link_base(Some(&base));
    server.put(patient("p", "112-233-445 95"), "2021-07-01T00:00:00Z");
    for n in 0..doses {
        let resource = dose_at(&base, &format!("d{n}"), "p");
        server.put(resource, &format!("2021-07-01T10:00:{n:02}Z"));
    }
    (server, inside)
}

#[tokio::test]
async fn links_to_another_host_are_refused_by_default_and_the_error_names_the_word() {
    let (server, inside) = clinic(30).await;
    server.page_limit(5);
    let error = first(&connector(&server.base_url(), json!({})), FEED)
        .await
        .unwrap_err();
    let SourceError::Misconfigured { what, help } = error else {
        panic!("{error}")
    };
    assert!(what.contains("is not followed"), "{what}");
    assert!(help.starts_with("write links = \"rewrite\""), "{help}");
    assert!(inside.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn rewritten_links_are_followed_at_base_url_alone() {
    for by_offset in [false, true] {
        for include in [false, true] {
            let (server, inside) = clinic(30).await;
            server.page_limit(7);
            if by_offset {
                server.page_by_offset();
            }
            if !include {
                server.without_include();
            }
            let source = connector(&server.base_url(), rewriting());
            let read = run(&source, FEED, None, 10).await;
            assert_eq!(read.ids().len(), 30);
            for record in &read.records {
                assert_eq!(values(record), ["112-233-445 95"]);
            }
            assert_eq!(all_keys(&source, 10).await.len(), 30);
            // A patient who changes brings its records, whatever address these name it by.
            server.put(patient("p", "112-233-445 96"), "2021-07-05T00:00:00Z");
            let again = run(&source, FEED, read.resume.as_ref(), 100).await;
            assert_eq!(again.records.len(), 30);
            assert_eq!(values(&again.records[0]), ["112-233-445 96"]);
            assert!(inside.received_requests().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn what_is_read_by_its_own_address_finds_its_person_too() {
    let (server, inside) = clinic(2).await;
    server.refuse_parameter("Immunization?_id");
    server.without_include();
    let source = connector(&server.base_url(), rewriting());
    let ids = ["Immunization/d1".to_owned()];
    let records = source.fetch(FEED, &ids, now()).await.unwrap();
    assert_eq!(values(&records[0]), ["112-233-445 95"]);
    assert!(inside.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn another_servers_patient_is_not_taken_for_this_ones() {
    let (server, _inside) = clinic(1).await;
    let foreign = dose_at("https://elsewhere.example/fhir", "f", "p");
    server.put(foreign, "2021-07-01T11:00:00Z");
    let source = connector(&server.base_url(), rewriting());
    let ids = ["Immunization/f".to_owned()];
    server.without_include();
    let records = source.fetch(FEED, &ids, now()).await.unwrap();
    assert!(values(&records[0]).is_empty());
}

#[tokio::test]
async fn check_says_that_links_are_rewritten() {
    let (server, inside) = clinic(30).await;
    let report = connector(&server.base_url(), rewriting())
        .check(now())
        .await;
    let told = report
        .findings
        .iter()
        .find(|told| told.what.contains("rewrite"));
    assert_eq!(told.map(|told| told.level), Some(Level::Good), "{report:?}");
    assert!(!format!("{report:?}").contains("/hapi"), "{report:?}");
    assert!(inside.received_requests().await.unwrap().is_empty());
}
