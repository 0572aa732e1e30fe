//! Servers that misbehave: busy, broken, redirecting, oversized, speaking something else.

use std::io::Write;
use std::time::Duration;

use connector_kit::{Connector, Feed, RecordStatus, SourceError};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{connector, dose, first, patient, request, try_connector};

async fn answering(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(response)
        .mount(&server)
        .await;
    server
}

async fn error_of(server: &MockServer, settings: Value) -> SourceError {
    first(&connector(&server.uri(), settings), Feed::Vaccinations)
        .await
        .unwrap_err()
}

fn json_body(value: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_raw(value.to_string(), "application/fhir+json; charset=utf-8")
}

#[tokio::test]
async fn a_busy_server_is_left_alone_as_long_as_it_asks() {
    let wait = async |status: u16, retry_after: Option<&str>| {
        let mut response =
            ResponseTemplate::new(status).insert_header("date", "Sat, 10 Jul 2021 12:00:00 GMT");
        if let Some(value) = retry_after {
            response = response.insert_header("retry-after", value);
        }
        match error_of(&answering(response).await, json!({})).await {
            SourceError::Retry { after, .. } => after,
            SourceError::Misconfigured { what, .. } => panic!("{what}"),
        }
    };
    assert_eq!(wait(429, Some("47")).await, Some(Duration::from_secs(47)));
    assert_eq!(
        wait(503, Some("Sat, 10 Jul 2021 12:01:30 GMT")).await,
        Some(Duration::from_secs(90))
    );
    assert_eq!(wait(503, None).await, None);
    assert_eq!(wait(502, Some("soon")).await, None);
}

#[tokio::test]
async fn the_testbeds_faults_pass_and_the_run_goes_on_from_the_same_cursor() {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "1"), "2021-07-01T00:00:00Z");
    for n in 0..4 {
        server.put(dose(&format!("d{n}"), "p"), "2021-07-01T10:00:00Z");
    }
    let source = connector(&server.base_url(), json!({}));
    let page = source
        .page(request(Feed::Vaccinations, None, true, 2))
        .await
        .unwrap();
    let again = request(Feed::Vaccinations, page.next.as_ref(), false, 2);
    server.fail_next(1, 503, Some(33));
    let busy = source.page(again.clone()).await.unwrap_err();
    assert!(matches!(busy, SourceError::Retry { after: Some(after), .. } if after.as_secs() == 33));
    assert!(source.page(again.clone()).await.is_ok());
    server.truncate_next();
    assert!(
        source.page(again.clone()).await.is_err(),
        "an answer cut off is an error, never a short page"
    );
    let rest = source.page(again).await.unwrap();
    assert_eq!(rest.records.len(), 2);
    assert!(rest.next.is_none() && rest.resume.is_some());
}

#[tokio::test]
async fn redirects_stay_on_the_host() {
    let other = answering(json_body(&json!({"resourceType": "Bundle"}))).await;
    let redirect = ResponseTemplate::new(307).insert_header("location", other.uri().as_str());
    let error = error_of(&answering(redirect).await, json!({})).await;
    assert!(
        matches!(&error, SourceError::Misconfigured { .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("redirects off the host are not followed"),
        "{error}"
    );
    assert!(
        !error.to_string().contains(&other.uri()),
        "no address in an error"
    );
    assert!(
        other.received_requests().await.unwrap().is_empty(),
        "the other host was never asked"
    );

    let loops = answering(ResponseTemplate::new(307).insert_header("location", "/again")).await;
    let error = error_of(&loops, json!({})).await;
    assert!(
        error.to_string().contains("redirect after redirect"),
        "{error}"
    );
    assert_eq!(
        loops.received_requests().await.unwrap().len(),
        4,
        "the first request and three redirects"
    );

    let moved = MockServer::start().await;
    let to = ResponseTemplate::new(307).insert_header("location", "/new/Immunization");
    Mock::given(path("/old/Immunization"))
        .respond_with(to)
        .mount(&moved)
        .await;
    let bundle = json_body(&json!({"resourceType": "Bundle"}));
    Mock::given(path("/new/Immunization"))
        .respond_with(bundle)
        .mount(&moved)
        .await;
    let source = connector(&format!("{}/old", moved.uri()), json!({}));
    assert!(
        first(&source, Feed::Vaccinations)
            .await
            .unwrap()
            .records
            .is_empty()
    );
}

#[tokio::test]
async fn a_next_link_off_the_server_is_refused() {
    let server = FhirServer::start().await.unwrap();
    for n in 0..3 {
        server.put(dose(&format!("d{n}"), "p"), "2021-07-01T10:00:00Z");
    }
    server.set_link_base(Some("http://intern.example:8080/fhir"));
    let source = connector(&server.base_url(), json!({}));
    let error = source
        .page(request(Feed::Vaccinations, None, true, 2))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("leads to another host, port (8080 instead of"),
        "{error}"
    );
    assert!(
        !error.to_string().contains("intern.example"),
        "no address in an error"
    );
}

#[tokio::test]
async fn an_answer_over_the_cap_is_refused_before_and_after_decompression() {
    let server = FhirServer::start().await.unwrap();
    let source = connector(&server.base_url(), json!({"max_body_bytes": 65536}));
    server.oversize_next(70_000);
    let error = first(&source, Feed::Vaccinations).await.unwrap_err();
    let names_setting = matches!(
        &error,
        SourceError::Misconfigured { help, .. } if help.contains("max_body_bytes")
    );
    assert!(names_setting, "{error}");
    server.oversize_next(60_000);
    assert!(
        first(&source, Feed::Vaccinations).await.is_ok(),
        "a little under the cap"
    );

    let bomb = ResponseTemplate::new(200)
        .insert_header("content-encoding", "gzip")
        .set_body_raw(gzip_of_blanks(), "application/fhir+json");
    let error = error_of(&answering(bomb).await, json!({"max_body_bytes": 65536})).await;
    assert!(
        error.to_string().contains("larger than 65536 bytes"),
        "{error}"
    );
}

/// Five megabytes of blanks, compressed by `gzip`, an essential package of Debian.
fn gzip_of_blanks() -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&vec![b' '; 5_000_000]).unwrap());
    let output = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    assert!(output.len() < 20_000, "it is small on the wire");
    output
}

#[tokio::test]
async fn what_is_not_fhir_is_named() {
    let html =
        ResponseTemplate::new(200).set_body_raw("<!DOCTYPE html><html>Ivanov</html>", "text/html");
    let xml = ResponseTemplate::new(200).set_body_raw("<Bundle/>", "application/fhir+xml");
    let other = json_body(&json!({"hello": "world"}));
    for (response, expected) in [
        (html, "web page"),
        (xml, "XML"),
        (other, "no FHIR Bundle"),
        (ResponseTemplate::new(404), "no FHIR server at base_url"),
        (ResponseTemplate::new(403), "may not read Immunization"),
        (ResponseTemplate::new(406), "does not speak JSON"),
        (ResponseTemplate::new(302), "leads nowhere"),
    ] {
        let error = error_of(&answering(response).await, json!({})).await;
        assert!(
            matches!(&error, SourceError::Misconfigured { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("Ivanov"), "{error}");
    }
}

#[tokio::test]
async fn an_operation_outcome_is_reported_without_its_free_text() {
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": "forbidden", "diagnostics": "Ivanov 112-233-445 95 is \
            secret"}]});
    let response =
        ResponseTemplate::new(403).set_body_raw(outcome.to_string(), "application/fhir+json");
    let error = error_of(&answering(response).await, json!({}))
        .await
        .to_string();
    assert!(error.contains("error: the user may not do this"), "{error}");
    assert!(
        !error.contains("Ivanov") && !error.contains("112"),
        "{error}"
    );
}

#[tokio::test]
async fn resources_without_a_usable_id_are_refused_one_by_one() {
    let with = |id: Value| {
        let mut resource = dose("d", "p");
        resource["id"] = id;
        json!({"resource": resource})
    };
    let mut nameless = with(json!(null));
    nameless["resource"]["occurrenceDateTime"] = json!("2021-06-02");
    let entries = [
        with(json!(17)),
        with(json!("a b")),
        with(json!(null)),
        nameless,
    ];
    let server = answering(json_body(
        &json!({"resourceType": "Bundle", "entry": entries}),
    ))
    .await;
    let source = connector(&server.uri(), json!({"include": "always"}));
    let records = first(&source, Feed::Vaccinations).await.unwrap().records;
    assert_eq!(
        (records[0].record_id.as_str(), records[0].status),
        ("Immunization/17", RecordStatus::Final)
    );
    assert!(
        records[1..]
            .iter()
            .all(|record| record.status == RecordStatus::Unknown)
    );
    let ids: std::collections::BTreeSet<_> =
        records.iter().map(|record| &record.record_id).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[tokio::test]
async fn a_page_that_is_not_whole_is_no_page() {
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [
        {"severity": "warning", "code": "incomplete", "diagnostics": "Ivanov"}]});
    let bundle = json!({"resourceType": "Bundle",
        "entry": [{"resource": dose("d", "p")}, {"resource": outcome}]});
    let error = error_of(
        &answering(json_body(&bundle)).await,
        json!({"include": "always"}),
    )
    .await;
    assert!(matches!(&error, SourceError::Retry { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("not all of the data is available"),
        "{error}"
    );
    assert!(!error.to_string().contains("Ivanov"), "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_include_is_asked_without_it() {
    let server = MockServer::start().await;
    let refused = json!({"resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-supported"}]});
    let bundle = json!({"resourceType": "Bundle", "entry": [{"resource": dose("d", "p")}]});
    let patients = json!({"resourceType": "Bundle", "entry": [{"resource": patient("p", "1")}]});
    Mock::given(wiremock::matchers::query_param_contains(
        "_include",
        "Immunization",
    ))
    .respond_with(
        ResponseTemplate::new(400).set_body_raw(refused.to_string(), "application/fhir+json"),
    )
    .mount(&server)
    .await;
    Mock::given(path("/Immunization"))
        .respond_with(json_body(&bundle))
        .mount(&server)
        .await;
    Mock::given(path("/Patient"))
        .respond_with(json_body(&patients))
        .mount(&server)
        .await;
    let source = connector(&server.uri(), json!({}));
    for _ in 0..2 {
        let page = first(&source, Feed::Vaccinations).await.unwrap();
        assert_eq!(crate::support::values(&page.records[0]), ["1"]);
    }
    assert_eq!(
        server.received_requests().await.unwrap().len(),
        3 + 2,
        "the second time it knows"
    );
    let strict = connector(&server.uri(), json!({"include": "always"}));
    let error = first(&strict, Feed::Vaccinations).await.unwrap_err();
    assert!(error.to_string().contains("not supported"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_or_slow_is_tried_again() {
    let port = testbed::ports::free_port();
    let away = connector(&format!("http://127.0.0.1:{port}/fhir"), json!({}));
    let error = first(&away, Feed::Vaccinations).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Retry { .. })
            && error.to_string().contains("refuses connections"),
        "{error}"
    );

    let slow = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(30))).await;
    let error = error_of(&slow, json!({"request_timeout_seconds": 1})).await;
    assert!(matches!(&error, SourceError::Retry { .. }), "{error}");
    assert!(
        error.to_string().contains("request_timeout_seconds"),
        "{error}"
    );
}

#[test]
fn a_configuration_that_cannot_work_is_refused_at_once() {
    let refused = |url: &str, settings: Value| match try_connector(
        url,
        settings,
        std::path::Path::new("/"),
    ) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was accepted"),
    };
    let host = "https://mis.example/fhir";
    assert!(refused("http://mis.example/fhir", json!({})).contains("plain http"));
    assert!(refused("http://127.0.0.1.evil.example/", json!({})).contains("plain http"));
    for (settings, word) in [
        (
            json!({"request_timeout_seconds": 0}),
            "request_timeout_seconds",
        ),
        (json!({"max_body_bytes": 1}), "max_body_bytes"),
        (json!({"max_pages": 0}), "max_pages"),
        (json!({"overlap_seconds": 700_000}), "overlap_seconds"),
        (json!({"feeds": []}), "feeds"),
        (json!({"test_codes": []}), "test_codes"),
        (json!({"diagnosis_codes": ["U07.1,J10"]}), "diagnosis_codes"),
        (json!({"ca_file": "no/such/file.pem"}), "ca_file"),
        (
            json!({"auth": {"basic": {"user": "a:b", "password": {"env": "X"}}}}),
            "colon",
        ),
    ] {
        let error = refused(host, settings);
        assert!(error.contains(word), "{error}");
    }
    for (url, settings) in [
        ("http://localhost:1/", json!({})),
        ("http://[::1]:1/", json!({})),
        ("http://mis.example/", json!({"allow_plain_http": true})),
        (host, json!({"test_codes": [], "feeds": ["vaccinations"]})),
    ] {
        assert!(
            try_connector(url, settings, std::path::Path::new("/")).is_ok(),
            "{url}"
        );
    }
}
