//! Loads by a bulk export: kick-off, waiting, files, deletions, and increments behind them.

use std::collections::BTreeSet;

use connector_kit::{Connector, Cursor, Feed, Level, RecordStatus, SourceError};
use serde_json::{Value, json};
use testbed::fhir::{Exports, FhirServer};

use crate::support::{Run, connector, dose, first, now, patient, request, run, values};

pub(crate) const FEED: Feed = Feed::Vaccinations;
pub(crate) const NUMBER: &str = "112-233-445 95";

pub(crate) fn settings() -> Value {
    json!({"first_load": "system-export", "feeds": ["vaccinations"]})
}

/// A clinic with this many doses, an hour apart, each of a patient of its own.
pub(crate) async fn clinic(doses: usize, exports: Exports) -> FhirServer {
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

pub(crate) fn all(doses: usize) -> BTreeSet<String> {
    (0..doses).map(|number| format!("d{number:02}")).collect()
}

pub(crate) fn distinct(run: &Run) -> BTreeSet<String> {
    run.ids().into_iter().map(str::to_owned).collect()
}

pub(crate) fn count(server: &FhirServer, part: &str) -> usize {
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
