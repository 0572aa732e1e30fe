//! Content of a bulk export: codes, deletions, outcomes, lines, logins and links of its files.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use connector_fhir::FhirConnector;
use connector_kit::{Connector, Cursor, Feed, RecordStatus, SourceError};
use serde_json::{Value, json};
use testbed::fhir::{Auth, Exports};
use testbed::proxy::TcpProxy;
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::export::{FEED, NUMBER, all, clinic, count, distinct, settings};
use crate::support::{connector, dose, first, patient, request, run, try_connector, values};

#[tokio::test]
async fn resources_are_filtered_by_code_as_searches_filter_them() {
    let server = clinic(1, Exports::default()).await;
    let test = |id: &str, code: &Value| {
        json!({"resourceType": "Observation", "id": id, "status": "final",
            "code": code, "subject": {"reference": "Patient/p0"},
            "effectiveDateTime": "2021-06-01", "valueString": "positive"})
    };
    let stamp = "2021-07-02T00:00:00Z";
    let loinc = "http://loinc.org";
    let coded = |system, code| json!({"coding": [{"system": system, "code": code}]});
    server.put(test("covid", &coded(loinc, "94500-6")), stamp);
    server.put(test("sugar", &coded(loinc, "2339-0")), stamp);
    server.put(test("words", &json!({"text": "94500-6"})), stamp);
    // Of the wrong shape, with a code that is asked for: it is refused where people see it.
    let mut broken = test("broken", &coded(loinc, "94500-6"));
    broken["effectiveDateTime"] = json!(["2021-06-01"]);
    server.put(broken, stamp);
    let ids = async |first_load: &str| {
        let settings = json!({"first_load": first_load, "feeds": ["tests"]});
        let source = connector(&server.base_url(), settings);
        let load = run(&source, Feed::Tests, None, 10).await;
        let statuses = load.records.iter().map(|record| {
            (
                record.record_id.clone(),
                record.status == RecordStatus::Final,
            )
        });
        statuses.collect::<BTreeSet<_>>()
    };
    let expected = [
        ("Observation/broken".to_owned(), false),
        ("Observation/covid".to_owned(), true),
    ];
    assert_eq!(ids("search").await, BTreeSet::from(expected));
    assert_eq!(ids("system-export").await, ids("search").await);
}

#[tokio::test]
async fn deleted_resources_are_withdrawn_and_those_that_are_there_are_not() {
    let deleted = [
        "Immunization/gone",
        "Immunization/d01",
        "Observation/o",
        "Patient/p1",
    ];
    let exports = Exports {
        deleted: deleted.map(str::to_owned).to_vec(),
        ..Exports::default()
    };
    let server = clinic(3, exports).await;
    server.put(dose("gone", "p0"), "2021-07-01T00:00:00Z");
    server.delete("Immunization", "gone");
    let source = connector(&server.base_url(), settings());
    for limit in [10, 1] {
        let load = run(&source, FEED, None, limit).await;
        let of = |id: &str| {
            let records = load
                .records
                .iter()
                .filter(|found| found.record_id.ends_with(id));
            records.map(|record| record.status).collect::<Vec<_>>()
        };
        assert_eq!(of("/gone"), [RecordStatus::NotAFact]);
        assert_eq!(of("/d01"), [RecordStatus::Final; 2]);
        assert_eq!(load.records.len(), 5);
    }
}

#[tokio::test]
async fn an_export_that_is_not_whole_is_none_and_a_remark_is_no_failure() {
    let outcome = |severity: &str| {
        json!({"resourceType": "OperationOutcome", "issue": [
            {"severity": severity, "code": "processing", "diagnostics": "Ivanov"}]})
    };
    let exports = |outcomes| Exports {
        outcomes,
        ..Exports::default()
    };
    let server = clinic(3, exports(vec![outcome("warning")])).await;
    let source = connector(&server.base_url(), settings());
    assert_eq!(distinct(&run(&source, FEED, None, 10).await), all(3));
    server.set_exports(Some(exports(vec![outcome("warning"), outcome("error")])));
    let error = failure(&source, 10).await;
    assert!(error.to_string().contains("not whole"), "{error}");
    assert!(!error.to_string().contains("Ivanov"), "{error}");
    assert!(matches!(error, SourceError::Misconfigured { .. }));
}

/// The failure that ends a load, and nothing else may.
pub(crate) async fn failure(source: &FhirConnector, limit: u32) -> SourceError {
    let mut next: Option<Cursor> = None;
    for number in 0..100 {
        match source
            .page(request(FEED, next.as_ref(), number == 0, limit))
            .await
        {
            Ok(page) => next = Some(page.next.expect("the load does not end well")),
            Err(error) => return error,
        }
    }
    panic!("no failure");
}

#[tokio::test]
async fn broken_and_long_lines_are_refused_visibly_and_a_short_file_stops_the_load() {
    let exports = Exports {
        trailer: "{\"resourceType\": \"Immunization\", \"id\": \"bro\n".to_owned(),
        ..Exports::default()
    };
    let server = clinic(3, exports).await;
    let mut small = settings();
    small["max_body_bytes"] = json!(65536);
    let source = connector(&server.base_url(), small);
    let load = run(&source, FEED, None, 2).await;
    let unknown: Vec<_> = load
        .records
        .iter()
        .filter(|record| record.status == RecordStatus::Unknown)
        .collect();
    assert_eq!(unknown.len(), 1);
    assert!(unknown[0].record_id.starts_with("Immunization/?"));

    // A line of 65536 bytes is read, one more is not; the lines beside it are.
    let of_bytes = |bytes| {
        let mut long = dose("long", "p0");
        let short = long.to_string().len() + r#","note":"""#.len();
        long["note"] = json!("x".repeat(bytes - short));
        assert_eq!(long.to_string().len(), bytes);
        Exports {
            trailer: format!("{long}\n{}\n", dose("z", "p0")),
            counts: false,
            ..Exports::default()
        }
    };
    for (bytes, expected) in [
        (65536, RecordStatus::Final),
        (65537, RecordStatus::Unreadable),
    ] {
        server.set_exports(Some(of_bytes(bytes)));
        let run = run(&source, FEED, None, 2).await;
        let mut records = run.records.iter();
        let long = records.find(|found| found.record_id.ends_with("/long"));
        assert_eq!(long.unwrap().status, expected, "{bytes} bytes");
        assert!(run.ids().contains(&"z"), "{:?}", run.ids());
    }

    let mock = MockServer::start().await;
    mount_export(
        &mock,
        json!([{"type": "Immunization", "url": "/fhir/file", "count": 2}]),
    )
    .await;
    let line = dose("d", "p").to_string();
    mount_file(&mock, &line).await;
    let source = connector(&format!("{}/fhir", mock.uri()), settings());
    let error = failure(&source, 2).await;
    assert!(error.to_string().contains("after 1 of 2 lines"), "{error}");
}

pub(crate) async fn mount_export(mock: &MockServer, output: Value) {
    let kick_off = ResponseTemplate::new(202).insert_header("content-location", "/fhir/status");
    Mock::given(path("/fhir/$export"))
        .respond_with(kick_off)
        .mount(mock)
        .await;
    let manifest = json!({"transactionTime": "2021-07-01T00:00:00Z", "output": output,
        "requiresAccessToken": false});
    Mock::given(method("GET"))
        .and(path("/fhir/status"))
        .respond_with(ResponseTemplate::new(200).set_body_json(manifest))
        .mount(mock)
        .await;
    let patients = json!({"resourceType": "Bundle", "type": "searchset",
        "entry": [{"resource": patient("p", NUMBER)}]});
    Mock::given(path("/fhir/Patient"))
        .respond_with(ResponseTemplate::new(200).set_body_json(patients))
        .mount(mock)
        .await;
}

async fn mount_file(mock: &MockServer, line: &str) {
    Mock::given(path("/fhir/file"))
        .respond_with(ResponseTemplate::new(200).set_body_string(line))
        .mount(mock)
        .await;
}

#[tokio::test]
async fn files_that_need_no_access_token_get_none_and_a_password_if_they_ask_for_it() {
    let auth = json!({"bearer": {"file": "token"}});
    let mut with_login = settings();
    with_login["auth"] = auth;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret").unwrap();
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&token, owner_only).unwrap();

    let mock = MockServer::start().await;
    mount_export(&mock, json!([{"type": "Immunization", "url": "file"}])).await;
    Mock::given(path("/fhir/file"))
        .and(header_exists("authorization"))
        .respond_with(ResponseTemplate::new(400))
        .mount(&mock)
        .await;
    mount_file(&mock, &dose("d", "p").to_string()).await;
    let base_url = format!("{}/fhir", mock.uri());
    let source = try_connector(&base_url, with_login.clone(), folder.path()).unwrap();
    let mut page = first(&source, FEED).await.unwrap();
    while page.records.is_empty() {
        let next = page.next.unwrap();
        page = source
            .page(request(FEED, Some(&next), false, 10))
            .await
            .unwrap();
    }
    assert_eq!(values(&page.records[0]), [NUMBER]);

    let exports = Exports {
        open_files: true,
        ..Exports::default()
    };
    let server = clinic(3, exports).await;
    server.set_auth(Some(Auth::Bearer("s3cret".to_owned())));
    let source = try_connector(&server.base_url(), with_login, folder.path()).unwrap();
    let error = failure(&source, 10).await;
    assert!(
        error.to_string().contains("requiresAccessToken is false"),
        "{error}"
    );

    // A user and password are no access token.
    server.set_auth(Some(Auth::Basic {
        user: "gateway".to_owned(),
        password: "s3cret".to_owned(),
    }));
    let mut with_password = settings();
    with_password["auth"] = json!({"basic": {"user": "gateway", "password": {"file": "token"}}});
    let source = try_connector(&server.base_url(), with_password, folder.path()).unwrap();
    assert_eq!(distinct(&run(&source, FEED, None, 10).await), all(3));
}

/// A file takes longer than a request may, and its lines do not: it is read to its end by one
/// request.
#[tokio::test]
async fn a_slow_file_makes_small_pages_and_is_not_begun_again() {
    let server = clinic(0, Exports::default()).await;
    server.put(patient("p", NUMBER), "2021-07-01T00:00:00Z");
    for number in 0..300 {
        let mut dose = dose(&format!("d{number}"), "p");
        dose["note"] = json!("x".repeat(100));
        server.put(dose, "2021-07-02T00:00:00Z");
    }
    let line = TcpProxy::start(server.port()).await.unwrap();
    let mut hasty = settings();
    hasty["request_timeout_seconds"] = json!(2);
    let source = connector(&format!("http://127.0.0.1:{}/fhir", line.port()), hasty);
    let begun = first(&source, FEED).await.unwrap();
    line.limit(Some(24_000));
    let mut next = begun.next.unwrap();
    let mut pages = Vec::new();
    while pages.iter().sum::<usize>() < 300 {
        let page = source.page(request(FEED, Some(&next), false, 500)).await;
        let page = page.unwrap();
        pages.extend(Some(page.records.len()).filter(|count| *count > 0));
        next = page.next.unwrap();
    }
    assert!(pages.len() > 1, "{pages:?}");
    assert_eq!(count(&server, "GET /fhir/export-jobs/job-0/"), 1);
}

#[tokio::test]
async fn links_to_another_host_are_followed_as_links_says() {
    let server = clinic(3, Exports::default()).await;
    server.set_link_base(Some("http://10.0.0.7:8080/hapi/fhir"));
    let source = connector(&server.base_url(), settings());
    let error = first(&source, FEED).await.unwrap_err();
    assert!(
        error.to_string().contains("status of its bulk export"),
        "{error}"
    );
    assert!(error.to_string().contains("links = \"rewrite\""), "{error}");
    let mut rewriting = settings();
    rewriting["links"] = json!("rewrite");
    let source = connector(&server.base_url(), rewriting);
    let load = run(&source, FEED, None, 10).await;
    assert_eq!(distinct(&load), all(3));
}
