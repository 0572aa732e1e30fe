//! Loads by a bulk export: kick-off, waiting, files, deletions, and increments behind them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use connector_fhir::FhirConnector;
use connector_kit::{Connector, Cursor, Feed, Level, RecordStatus, SourceError};
use serde_json::{Value, json};
use testbed::fhir::{Auth, Exports, FhirServer};
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{
    Run, connector, dose, first, now, patient, request, run, try_connector, values,
};

const FEED: Feed = Feed::Vaccinations;
const NUMBER: &str = "112-233-445 95";

fn settings() -> Value {
    json!({"first_load": "system-export", "feeds": ["vaccinations"]})
}

/// A clinic with this many doses, 10 minutes apart, each of a patient of its own.
async fn clinic(doses: usize, exports: Exports) -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    server.set_clock(Some("2021-07-09T12:00:00Z".parse().unwrap()));
    for number in 0..doses {
        put(&server, number);
    }
    server.set_exports(Some(exports));
    server
}

fn put(server: &FhirServer, number: usize) {
    let stamp = format!("2021-07-0{}T{:02}:00:00Z", 1 + number / 24, number % 24);
    server.put(patient(&format!("p{number}"), NUMBER), &stamp);
    server.put(
        dose(&format!("d{number:02}"), &format!("p{number}")),
        &stamp,
    );
}

fn all(doses: usize) -> BTreeSet<String> {
    (0..doses).map(|number| format!("d{number:02}")).collect()
}

fn distinct(run: &Run) -> BTreeSet<String> {
    run.ids().into_iter().map(str::to_owned).collect()
}

fn count(server: &FhirServer, part: &str) -> usize {
    let requests = server.requests();
    requests.iter().filter(|line| line.contains(part)).count()
}

#[tokio::test]
async fn a_load_takes_every_file_deletes_the_job_and_goes_on_by_searches() {
    let exports = Exports {
        polls: 2,
        lines_per_file: 7,
        gzip: true,
        ..Exports::default()
    };
    let server = clinic(20, exports).await;
    let source = connector(&server.base_url(), settings());
    let load = run(&source, FEED, None, 5).await;
    assert_eq!(distinct(&load), all(20));
    assert_eq!(load.records.len(), 20, "each once");
    assert!(load.records.iter().all(|record| {
        record.status == RecordStatus::Final && values(record) == [NUMBER] && record.stamp.is_some()
    }));
    let requests = server.requests();
    assert!(
        requests.contains(
            &"GET /fhir/$export?_type=Immunization&_outputFormat=application%2Ffhir%2Bndjson"
                .to_owned()
        )
    );
    let files = count(&server, "GET /fhir/export-jobs/job-0/");
    assert_eq!(files, 3, "an open file is read on: {requests:?}");
    assert_eq!(count(&server, "DELETE /fhir/export-jobs/job-0"), 1);
    assert_eq!(server.exports_kept(), 0);

    // What changes later comes by a search, and nothing else does.
    server.put(dose("d03", "p3"), "2021-07-09T13:00:00Z");
    server.clear_requests();
    let again = run(&source, FEED, load.resume.as_ref(), 5).await;
    assert_eq!(again.ids(), ["d03"]);
    assert_eq!(count(&server, "xport"), 0);
}

#[tokio::test]
async fn what_changes_while_the_files_are_read_is_in_the_same_run() {
    let server = clinic(10, Exports::default()).await;
    let source = connector(&server.base_url(), settings());
    let mut next: Option<Cursor> = None;
    let mut ids = Vec::new();
    for page in 0..100 {
        let page = source
            .page(request(FEED, next.as_ref(), page == 0, 4))
            .await
            .unwrap();
        ids.extend(page.records.into_iter().map(|record| record.record_id));
        if ids.len() == 4 {
            server.put(dose("d00", "p0"), "2021-07-09T12:00:10Z");
            server.put(dose("new", "p0"), "2021-07-09T12:00:20Z");
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(ids[10..], ["Immunization/d00", "Immunization/new"]);
}

#[tokio::test]
async fn a_gateway_that_starts_anew_goes_on_with_the_same_job() {
    let exports = Exports {
        polls: 1,
        lines_per_file: 9,
        ..Exports::default()
    };
    let server = clinic(20, exports).await;
    let mut stored: Option<Cursor> = None;
    let mut ids = Vec::new();
    // Each page by a gateway of its own, which knows what was stored alone.
    for _ in 0..100 {
        let source = connector(&server.base_url(), settings());
        let page = source
            .page(request(FEED, stored.as_ref(), true, 4))
            .await
            .unwrap();
        ids.extend(page.records.into_iter().map(|record| record.record_id));
        stored = page.resume.or(stored);
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(count(&server, "$export"), 1);
    assert_eq!(ids.len(), 20, "each once: {ids:?}");
    assert_eq!(server.exports_kept(), 0);
}

#[tokio::test]
async fn a_job_that_is_forgotten_is_begun_again_and_not_for_ever() {
    let server = clinic(10, Exports::default()).await;
    let source = connector(&server.base_url(), settings());
    let begun = first(&source, FEED).await.unwrap();
    server.forget_exports();
    let load = run(&source, FEED, begun.next.as_ref(), 4).await;
    assert_eq!(distinct(&load), all(10));
    assert_eq!(count(&server, "$export"), 2);

    let mut stored = None;
    // Within its files, too, by the same gateway and by one that starts anew.
    for is_new in [false, true] {
        let mut page = first(&source, FEED).await.unwrap();
        while page.records.is_empty() {
            page = source
                .page(request(FEED, page.next.as_ref(), false, 4))
                .await
                .unwrap();
        }
        server.forget_exports();
        let other = connector(&server.base_url(), settings());
        let source = if is_new { &other } else { &source };
        let load = run(source, FEED, page.next.as_ref(), 4).await;
        if is_new {
            assert_eq!(distinct(&load), all(10));
        } else {
            assert_eq!(load.ids().len(), 6, "the open file is read to its end");
        }
    }

    // A third loss in one run is its last; the next run tries again.
    server.clear_requests();
    let mut page = first(&source, FEED).await;
    let error = loop {
        match page {
            Ok(last) => {
                server.forget_exports();
                page = source
                    .page(request(FEED, last.next.as_ref(), false, 4))
                    .await;
                stored = last.resume;
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SourceError::Retry { .. }), "{error}");
    assert!(error.to_string().contains("3 times"), "{error}");
    assert_eq!(count(&server, "$export"), 3);
    let load = run(&source, FEED, stored.as_ref(), 4).await;
    assert_eq!(distinct(&load), all(10));
}

#[tokio::test]
async fn a_job_that_fails_is_deleted_and_another_one_is_begun() {
    let server = clinic(3, Exports::default()).await;
    let source = connector(&server.base_url(), settings());
    let begun = first(&source, FEED).await.unwrap();
    server.fail_next(5, 500, None);
    let load = run(&source, FEED, begun.next.as_ref(), 4).await;
    assert_eq!(distinct(&load), all(3));
    assert_eq!(count(&server, "$export"), 2);
    assert_eq!(count(&server, "DELETE /fhir/export-jobs/job-0"), 1);
    assert_eq!(server.exports_kept(), 0);
}

#[tokio::test]
async fn a_server_that_is_busy_or_away_while_it_is_asked_keeps_its_job() {
    let exports = Exports {
        polls: 1,
        ..Exports::default()
    };
    let server = clinic(3, exports).await;
    let source = connector(&server.base_url(), settings());
    let begun = first(&source, FEED).await.unwrap();
    server.fail_next(1, 429, Some(0));
    server.fail_next(1, 503, None);
    let next = begun.next.unwrap();
    let waiting = source
        .page(request(FEED, Some(&next), false, 4))
        .await
        .unwrap();
    assert!(waiting.records.is_empty());
    server.fail_next(1, 429, Some(120));
    let next = waiting.next.unwrap();
    let error = source
        .page(request(FEED, Some(&next), false, 4))
        .await
        .unwrap_err();
    let SourceError::Retry { after, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(
        after.unwrap().as_secs(),
        120,
        "it is left alone as long as it asks"
    );
    let load = run(&source, FEED, Some(&next), 4).await;
    assert_eq!(distinct(&load), all(3));
    assert_eq!(count(&server, "$export"), 1);
}

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
async fn failure(source: &FhirConnector, limit: u32) -> SourceError {
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
        trailer: "{\"resourceType\": \"Immunization\", \"id\": \"bro".to_owned(),
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

async fn mount_export(mock: &MockServer, output: Value) {
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
async fn files_that_need_no_login_get_none_unless_they_ask_for_it() {
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
    assert_eq!(distinct(&run(&source, FEED, None, 10).await), all(3));
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

#[tokio::test]
async fn a_server_without_exports_says_what_to_change() {
    let server = clinic(3, Exports::default()).await;
    server.set_exports(None);
    let source = connector(&server.base_url(), settings());
    let error = first(&source, FEED).await.unwrap_err();
    let SourceError::Misconfigured { what, help } = &error else {
        panic!("{error}");
    };
    assert!(
        what.contains("404") && help.contains("first_load = \"search\""),
        "{error}"
    );
    for status in [400, 501] {
        server.fail_next(1, status, None);
        let error = first(&source, FEED).await.unwrap_err();
        assert!(error.to_string().contains("first_load"), "{error}");
    }
    let report = source.check(now()).await;
    let warning = report
        .findings
        .iter()
        .find(|finding| finding.what.contains("bulk export"));
    assert_eq!(warning.unwrap().level, Level::Warning);
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|line| line.contains("$export?"))
            .count(),
        3
    );

    server.set_exports(Some(Exports::default()));
    let report = source.check(now()).await;
    let said = report
        .findings
        .iter()
        .find(|finding| finding.what.contains("bulk export"));
    assert_eq!(said.unwrap().level, Level::Good);
    assert_eq!(server.exports_kept(), 0, "a check begins no export");
}

#[tokio::test]
async fn another_setting_gives_the_job_up_and_an_empty_feed_is_exported_once() {
    let server = clinic(3, Exports::default()).await;
    let source = connector(&server.base_url(), settings());
    let begun = first(&source, FEED).await.unwrap();
    let searching = connector(&server.base_url(), json!({"feeds": ["vaccinations"]}));
    let load = run(&searching, FEED, begun.resume.as_ref(), 10).await;
    assert_eq!(distinct(&load), all(3));
    assert_eq!(server.exports_kept(), 0);
    assert!(load.resume.is_some());

    let empty = clinic(0, Exports::default()).await;
    let source = connector(&empty.base_url(), settings());
    let load = run(&source, FEED, None, 10).await;
    assert!(load.records.is_empty());
    let again = run(&source, FEED, load.resume.as_ref(), 10).await;
    assert!(again.records.is_empty() && again.surprises.is_empty());
    assert_eq!(count(&empty, "$export"), 1);
}
