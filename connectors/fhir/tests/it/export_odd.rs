//! What servers do with bulk exports that the guide does not have: odd manifests, odd files.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connector_kit::{Connector, SourceError};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::export::{FEED, settings};
use crate::export_content::{failure, mount_export};
use crate::support::{connector, dose, first, request};

async fn mount(mock: &MockServer, at: &str, body: impl Into<Vec<u8>>) {
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/fhir+ndjson");
    Mock::given(path(at)).respond_with(answer).mount(mock).await;
}

/// The ids that a load brings before its increments begin.
async fn loaded(mock: &MockServer, more: &Value) -> Vec<String> {
    let nothing = json!({"resourceType": "Bundle", "type": "searchset"});
    Mock::given(path("/fhir/Immunization"))
        .respond_with(ResponseTemplate::new(200).set_body_json(nothing))
        .mount(mock)
        .await;
    let mut all = settings();
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let source = connector(&format!("{}/fhir", mock.uri()), all);
    let run = crate::support::run(&source, FEED, None, 2).await;
    run.ids().into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn relative_addresses_files_of_other_types_and_odd_ends_of_lines_are_read() {
    let mock = MockServer::start().await;
    let output = json!([
        {"type": "Immunization", "url": "/fhir/one", "count": 2},
        {"type": "Patient", "url": "https://elsewhere.example/patients"},
        {"type": "Immunization", "url": "two.ndjson"},
        {"type": "Immunization", "url": "empty"},
        {"type": "Observation", "url": "urn:nothing"},
    ]);
    mount_export(&mock, output).await;
    let one = format!("\u{feff}{}\r\n\r\n  \r\n{}", dose("a", "p"), dose("b", "p"));
    mount(&mock, "/fhir/one", one).await;
    mount(
        &mock,
        "/fhir/two.ndjson",
        format!("\n{}\n\n", dose("c", "p")),
    )
    .await;
    mount(&mock, "/fhir/empty", "").await;
    assert_eq!(loaded(&mock, &json!({})).await, ["a", "b", "c"]);
    let mock = MockServer::start().await;
    mount_export(&mock, json!([])).await;
    assert!(
        loaded(&mock, &json!({})).await.is_empty(),
        "an export of nothing"
    );
}

#[tokio::test]
async fn a_page_of_the_web_in_place_of_a_file_is_no_file() {
    let mock = MockServer::start().await;
    mount_export(&mock, json!([{"type": "Immunization", "url": "file"}])).await;
    let page = ResponseTemplate::new(200).set_body_raw("<html>Log in</html>", "text/html; a=b");
    Mock::given(path("/fhir/file"))
        .respond_with(page)
        .mount(&mock)
        .await;
    let source = connector(&format!("{}/fhir", mock.uri()), settings());
    let error = failure(&source, 2).await;
    assert!(error.to_string().contains("a web page"), "{error}");
}

/// However much of a file comes: what is missing is noticed, by the manifest's count also where
/// only whole lines are missing.
#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_is_never_read_as_a_whole_one() {
    let mock = MockServer::start().await;
    let file = format!("{}\n{}\n", dose("a", "p"), dose("b", "p"));
    mount_export(
        &mock,
        json!([{"type": "Immunization", "url": "file", "count": 2}]),
    )
    .await;
    let length = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&length);
    let whole = file.clone();
    let part = move |_: &Request| {
        let part = &whole[..shared.load(Ordering::Relaxed)];
        ResponseTemplate::new(200).set_body_raw(part, "application/fhir+ndjson")
    };
    Mock::given(path("/fhir/file"))
        .respond_with(part)
        .mount(&mock)
        .await;
    let base_url = format!("{}/fhir", mock.uri());
    let of_first = file.find('\n').unwrap();
    let near = (of_first - 2..of_first + 4).chain(file.len() - 4..file.len() - 1);
    for cut in (0..file.len() - 1).step_by(23).chain(near) {
        length.store(cut, Ordering::Relaxed);
        let source = connector(&base_url, settings());
        let error = failure(&source, 1).await;
        assert!(
            matches!(error, SourceError::Retry { .. }),
            "{cut} bytes: {error}"
        );
    }
    length.store(file.len() - 1, Ordering::Relaxed);
    assert_eq!(
        loaded(&mock, &json!({})).await,
        ["a", "b"],
        "no line feed at its end"
    );
}

#[tokio::test]
async fn a_server_that_asks_for_time_by_a_date_gets_it() {
    let mock = MockServer::start().await;
    let kick_off = ResponseTemplate::new(202).insert_header("content-location", "/fhir/status");
    Mock::given(path("/fhir/$export"))
        .respond_with(kick_off)
        .mount(&mock)
        .await;
    let later = ResponseTemplate::new(202)
        .insert_header("date", "Fri, 02 Jul 2021 10:00:00 GMT")
        .insert_header("retry-after", "Fri, 02 Jul 2021 10:02:30 GMT");
    Mock::given(method("GET"))
        .and(path("/fhir/status"))
        .respond_with(later)
        .mount(&mock)
        .await;
    let source = connector(&format!("{}/fhir", mock.uri()), settings());
    let begun = first(&source, FEED).await.unwrap();
    let next = begun.next.unwrap();
    let asked = source.page(request(FEED, Some(&next), false, 2)).await;
    let waiting = asked.unwrap().next.unwrap();
    assert!(
        waiting.as_str().contains("\"left_ms\":150000"),
        "{}",
        waiting.as_str()
    );
}

#[tokio::test]
async fn a_filter_that_the_server_refuses_is_told_with_what_to_change() {
    let mock = MockServer::start().await;
    Mock::given(path("/fhir/$export"))
        .respond_with(ResponseTemplate::new(422))
        .mount(&mock)
        .await;
    let base_url = format!("{}/fhir", mock.uri());
    let of_feed = |more: Value| {
        let mut all = settings();
        all["vaccine_codes"] = json!(["505"]);
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        connector(&base_url, all)
    };
    let error = first(&of_feed(json!({"export_filter": "codes"})), FEED).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("export_filter"), "{error}");
    let error = first(&of_feed(json!({})), FEED).await;
    let error = error.unwrap_err().to_string();
    assert!(!error.contains("export_filter"), "{error}");
    let asked = mock.received_requests().await.unwrap();
    let queries: Vec<_> = asked.iter().map(|asked| asked.url.query()).collect();
    let filter = "_typeFilter=Immunization%3Fvaccine-code%3D505";
    assert!(queries[0].unwrap().ends_with(filter), "{queries:?}");
    assert!(!queries[1].unwrap().contains("_typeFilter"), "{queries:?}");
}
