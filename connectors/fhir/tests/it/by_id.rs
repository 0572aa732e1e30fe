//! `fetch`: records by their ids, by lists, one by one, and by their addresses.

use connector_fhir::FhirConnector;
use connector_kit::{ClinicRecord, Connector, Feed, MAX_FETCH_IDS, RecordStatus, SourceError};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{connector, dose, now, patient, run, values};

const FEED: Feed = Feed::Vaccinations;

async fn clinic(doses: usize) -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    for n in 0..doses {
        server.put(
            patient(&format!("p{n:03}"), &format!("snils-{n:03}")),
            "2021-07-01T00:00:00Z",
        );
        let stamp = format!("2021-07-01T10:{:02}:{:02}.123Z", n / 60, n % 60);
        server.put(dose(&format!("d{n:03}"), &format!("p{n:03}")), &stamp);
    }
    server
}

fn ids(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("Immunization/d{n:03}")).collect()
}

async fn fetch(source: &FhirConnector, ids: &[String]) -> Vec<ClinicRecord> {
    source.fetch(FEED, ids, now()).await.unwrap()
}

/// Parts of records that can be compared.
fn shown(records: &[ClinicRecord]) -> Vec<(String, Option<i64>, RecordStatus, Vec<String>)> {
    let mut shown: Vec<_> = records
        .iter()
        .map(|record| {
            let persons = values(record).into_iter().map(str::to_owned).collect();
            (
                record.record_id.clone(),
                record.stamp,
                record.status,
                persons,
            )
        })
        .collect();
    shown.sort_by(|one, two| one.0.cmp(&two.0));
    shown
}

#[tokio::test]
async fn records_by_id_are_those_of_the_pages_whatever_the_server_can_do() {
    type Shape = (&'static str, fn(&FhirServer), Value);
    let shapes: [Shape; 8] = [
        ("good", |_| {}, json!({})),
        ("small pages", |server| server.page_limit(7), json!({})),
        (
            "offset paging",
            |server| (server.page_by_offset(), server.page_limit(7)).0,
            json!({}),
        ),
        ("no _include", FhirServer::without_include, json!({})),
        (
            "refuses _include",
            |server| server.refuse_parameter("_include"),
            json!({}),
        ),
        ("no id lists", FhirServer::without_id_lists, json!({})),
        (
            "ignores _id",
            |server| server.ignore_parameter("Immunization?_id"),
            json!({"include": "always"}),
        ),
        (
            "refuses _id",
            |server| server.refuse_parameter("Immunization?_id"),
            json!({"include": "always"}),
        ),
    ];
    for (shape, set, settings) in shapes {
        let server = clinic(60).await;
        let source = connector(&server.base_url(), settings);
        let pulled = run(&source, FEED, None, 100).await;
        set(&server);
        let mut asked = ids(0..60);
        asked.extend([
            "Immunization/absent".to_owned(),
            "Immunization/?7".to_owned(),
            "Patient/p000".to_owned(),
        ]);
        asked.push(asked[0].clone());
        let found = fetch(&source, &asked).await;
        assert_eq!(shown(&found), shown(&pulled.records), "{shape}");
    }
}

#[tokio::test]
async fn requests_are_few_where_lists_work_and_learned_where_they_do_not() {
    let server = clinic(120).await;
    let source = connector(&server.base_url(), json!({}));
    server.clear_requests();
    assert_eq!(fetch(&source, &ids(0..120)).await.len(), 120);
    assert_eq!(server.requests().len(), 3, "{:?}", server.requests());
    server.without_id_lists();
    fetch(&source, &ids(0..2)).await;
    server.clear_requests();
    assert_eq!(fetch(&source, &ids(0..3)).await.len(), 3);
    assert_eq!(
        server.requests().len(),
        3,
        "no list is tried any more: {:?}",
        server.requests()
    );
    assert_eq!(fetch(&source, &ids(0..1)).await.len(), 1);
    let too_many = vec!["Immunization/a".to_owned(); MAX_FETCH_IDS + 1];
    assert!(matches!(
        source.fetch(FEED, &too_many, now()).await,
        Err(SourceError::Misconfigured { .. })
    ));
    assert!(fetch(&source, &[]).await.is_empty());
}

#[tokio::test]
async fn an_index_that_lags_behind_teaches_nothing_about_lists() {
    for (kind, include, requests_after) in [
        ("Immunization/d", "auto", 2),
        ("Patient/p", "batched-reads", 4),
    ] {
        let server = clinic(100).await;
        let source = connector(&server.base_url(), json!({"include": include}));
        let unlisted: Vec<String> = (0..50).map(|n| format!("{kind}{n:03}")).collect();
        server.unlist(&unlisted);
        for _ in 0..2 {
            let found = fetch(&source, &ids(0..50)).await;
            let are_whole = found.iter().all(|record| values(record).len() == 1);
            assert_eq!((found.len(), are_whole), (50, true), "{kind}");
        }
        server.unlist(&[]);
        server.clear_requests();
        assert_eq!(fetch(&source, &ids(0..100)).await.len(), 100, "{kind}");
        let requests = server.requests();
        assert_eq!(requests.len(), requests_after, "{kind}: {requests:?}");
    }
}

#[tokio::test]
async fn what_is_gone_or_of_another_feed_is_left_out_and_what_changed_is_as_it_is_now() {
    let server = clinic(3).await;
    let source = connector(
        &server.base_url(),
        json!({"vaccine_codes": ["http://hl7.org/fhir/sid/cvx|505"]}),
    );
    server.delete("Immunization", "d000");
    let mut cancelled = dose("d001", "p001");
    cancelled["status"] = json!("entered-in-error");
    server.put(cancelled, "2021-06-30T10:00:00Z");
    let mut other = dose("d002", "p002");
    other["vaccineCode"]["coding"][0]["code"] = json!("141");
    server.put(other, "2021-07-02T10:00:00Z");
    let found = fetch(&source, &ids(0..3)).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].record_id.as_str(), found[0].status),
        ("Immunization/d001", RecordStatus::Cancelled)
    );
    assert_eq!(
        found[0].stamp,
        Some(1_625_047_200_000_000),
        "a stamp may go back"
    );
}

fn json_of(value: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(value.to_string(), "application/fhir+json")
}

#[tokio::test]
async fn records_read_by_their_addresses_have_their_persons_and_gone_is_gone() {
    let server = MockServer::start().await;
    Mock::given(path("/Immunization"))
        .respond_with(ResponseTemplate::new(405))
        .mount(&server)
        .await;
    Mock::given(path("/Immunization/a"))
        .respond_with(json_of(&dose("a", "p")))
        .mount(&server)
        .await;
    Mock::given(path("/Immunization/x%20y%2Fz"))
        .respond_with(json_of(&dose("x-y", "p")))
        .mount(&server)
        .await;
    Mock::given(path("/Immunization/caf%C3%A9"))
        .respond_with(json_of(&dose("café", "p")))
        .mount(&server)
        .await;
    Mock::given(path("/Immunization/gone"))
        .respond_with(ResponseTemplate::new(410))
        .mount(&server)
        .await;
    Mock::given(path("/Immunization/CASE"))
        .respond_with(json_of(&dose("case", "p")))
        .mount(&server)
        .await;
    Mock::given(path("/Immunization/busy"))
        .respond_with(ResponseTemplate::new(503))
        .mount(&server)
        .await;
    let patients = json!({"resourceType": "Bundle", "entry": [{"resource": patient("p", "1")}]});
    Mock::given(path("/Patient"))
        .respond_with(json_of(&patients))
        .mount(&server)
        .await;
    let source = connector(&server.uri(), json!({"include": "always"}));
    let asked =
        ["a", "gone", "absent", "CASE", "café", ".."].map(|id| format!("Immunization/{id}"));
    let found = fetch(&source, &asked).await;
    let ids: Vec<_> = found
        .iter()
        .map(|record| record.record_id.as_str())
        .collect();
    assert_eq!(ids, ["Immunization/a", "Immunization/café"]);
    assert!(
        found.iter().all(|record| values(record) == ["1"]),
        "none could be included"
    );
    let busy = source
        .fetch(FEED, &["Immunization/busy".to_owned()], now())
        .await
        .unwrap_err();
    assert!(matches!(busy, SourceError::Retry { .. }), "{busy}");
    let other = source
        .fetch(FEED, &["Immunization/x y/z".to_owned()], now())
        .await
        .unwrap_err();
    assert!(other.to_string().contains("something else"), "{other}");
}

#[tokio::test]
async fn an_endless_answer_to_a_search_for_ids_is_an_error() {
    let server = MockServer::start().await;
    let entry = json!({"resource": dose("a", "p")});
    let endless = json!({"resourceType": "Bundle",
        "link": [{"relation": "next", "url": "/Immunization?x=1"}], "entry": [entry, entry]});
    Mock::given(any())
        .respond_with(json_of(&endless))
        .mount(&server)
        .await;
    let source = connector(&server.uri(), json!({"include": "always"}));
    let asked = ["Immunization/a".to_owned(), "Immunization/b".to_owned()];
    let error = source.fetch(FEED, &asked, now()).await.unwrap_err();
    assert!(error.to_string().contains("do not end"), "{error}");
    assert!(server.received_requests().await.unwrap().len() <= 3);
}

/// A server whose search finds nothing, whatever there is, and what its addresses say.
async fn blind(id: &str, at_address: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let empty = json!({"resourceType": "Bundle", "entry": []});
    for kind in ["/Immunization", "/Patient"] {
        Mock::given(path(kind))
            .respond_with(json_of(&empty))
            .mount(&server)
            .await;
    }
    Mock::given(path(format!("/Immunization/{id}")))
        .respond_with(at_address)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn only_its_own_address_says_that_a_record_is_gone() {
    let ask = async |at_address: ResponseTemplate| {
        let server = blind("a", at_address).await;
        let source = connector(&server.uri(), json!({}));
        let alone = source.fetch(FEED, &["Immunization/a".into()], now()).await;
        let asked = ["Immunization/a".to_owned(), "Immunization/b".to_owned()];
        let together = source.fetch(FEED, &asked, now()).await;
        let requests = server.received_requests().await.unwrap();
        let fresh = |request: &wiremock::Request| request.headers["cache-control"] == "no-cache";
        assert!(requests.iter().all(fresh), "no answer of a moment ago");
        let counts = [alone, together].map(|found| found.map(|records| records.len()));
        let [alone, together] = counts;
        assert_eq!(alone, together);
        alone
    };
    assert_eq!(ask(json_of(&dose("a", "p"))).await, Ok(1), "it is there");
    for gone in [404, 410] {
        assert_eq!(ask(ResponseTemplate::new(gone)).await, Ok(0), "{gone}");
    }
    for unsupported in [405, 501] {
        let found = ask(ResponseTemplate::new(unsupported)).await;
        assert_eq!(found, Ok(0), "{unsupported}: then the search counts");
    }
    for failing in [401, 403] {
        let error = ask(ResponseTemplate::new(failing)).await.unwrap_err();
        assert!(
            matches!(error, SourceError::Misconfigured { .. }),
            "{error}"
        );
    }
}
