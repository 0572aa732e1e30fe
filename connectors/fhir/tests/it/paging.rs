//! A server that sorts afresh for every page (offset paging without a snapshot), where changes
//! shift later pages.

use std::sync::{Arc, Mutex};

use connector_kit::{Connector, Cursor, Feed, SourceError};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::support::{connector, dose, request, run};

/// Resources with their stamps (second of the day of 1 July); `date` is the server's clock, as such
/// a second.
#[derive(Clone)]
struct Live(Arc<Mutex<State>>);

struct State {
    records: Vec<(String, u32, u32)>,
    date: u32,
    page: usize,
    total: bool,
}

fn clock(second: u32) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

impl Live {
    async fn start(records: u32, page: usize, total: bool) -> (Self, MockServer) {
        let records = (0..records)
            .map(|n| (format!("r{n}"), n * 600, 1))
            .collect();
        let live = Self(Arc::new(Mutex::new(State {
            records,
            date: 50_000,
            page,
            total,
        })));
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(live.clone())
            .mount(&server)
            .await;
        (live, server)
    }

    /// Changes a record now: it moves to the end of the list.
    fn touch(&self, id: &str) {
        let mut state = self.0.lock().unwrap();
        let date = state.date;
        let record = state
            .records
            .iter_mut()
            .find(|record| record.0 == id)
            .unwrap();
        (record.1, record.2) = (date, record.2 + 1);
    }

    fn delete(&self, id: &str) {
        self.0
            .lock()
            .unwrap()
            .records
            .retain(|record| record.0 != id);
    }
}

impl Respond for Live {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        state.date += 10;
        let query = |name: &str| {
            request
                .url
                .query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let since = query("_lastUpdated").unwrap_or_default();
        let offset: usize = query("offset").map_or(0, |text| text.parse().unwrap());
        state.records.sort_by_key(|record| record.1);
        let stamp = |second: u32| format!("2021-07-01T{}.000Z", clock(second));
        let hits: Vec<_> = state
            .records
            .iter()
            .filter(|record| since.is_empty() || *stamp(record.1) >= since[2..])
            .collect();
        let entry = |(id, second, version): &(String, u32, u32)| {
            let mut resource = dose(id, "p");
            resource["meta"] =
                json!({"lastUpdated": stamp(*second), "versionId": version.to_string()});
            json!({"resource": resource})
        };
        let entries: Vec<Value> = hits
            .iter()
            .skip(offset)
            .take(state.page)
            .map(|record| entry(record))
            .collect();
        let mut bundle = json!({"resourceType": "Bundle", "entry": entries, "link": []});
        if state.total {
            bundle["total"] = json!(hits.len());
        }
        if offset + state.page < hits.len() {
            let url = format!("?_lastUpdated={since}&offset={}", offset + state.page);
            bundle["link"] = json!([{"relation": "next", "url": url}]);
        }
        ResponseTemplate::new(200)
            .insert_header(
                "date",
                format!("Thu, 01 Jul 2021 {} GMT", clock(state.date)),
            )
            .set_body_raw(bundle.to_string(), "application/fhir+json")
    }
}

/// Pulls one run, disturbing the server after the page with the given number; then pulls a second
/// run.
async fn two_runs(total: bool, limit: u32, disturb: impl Fn(&Live)) -> Vec<String> {
    let (live, server) = Live::start(12, 3, total).await;
    let source = connector(
        &server.uri(),
        json!({"include": "always", "overlap_seconds": 60}),
    );
    let mut page = source
        .page(request(Feed::Vaccinations, None, true, limit))
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut count = 0;
    let resume = loop {
        seen.extend(page.records.iter().map(|record| record.record_id.clone()));
        count += 1;
        if count == 2 {
            disturb(&live);
        }
        let Some(next) = page.next else {
            break page.resume;
        };
        page = source
            .page(request(Feed::Vaccinations, Some(&next), false, limit))
            .await
            .unwrap();
    };
    let second = run(&source, Feed::Vaccinations, resume.as_ref(), limit).await;
    seen.extend(second.records.iter().map(|record| record.record_id.clone()));
    seen
}

fn all_but(left_out: &str) -> Vec<String> {
    (0..12)
        .map(|n| format!("Immunization/r{n}"))
        .filter(|id| id != left_out)
        .collect()
}

#[tokio::test]
async fn a_record_that_slips_between_two_pages_is_in_the_next_run() {
    for limit in [2, 3, 100] {
        let seen = two_runs(false, limit, |live| live.touch("r0")).await;
        for id in all_but("") {
            assert!(seen.contains(&id), "limit {limit}: {id} of {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_deletion_between_two_pages_loses_no_other_record() {
    for limit in [2, 3, 100] {
        let seen = two_runs(true, limit, |live| live.delete("r1")).await;
        for id in all_but("Immunization/r1") {
            assert!(seen.contains(&id), "limit {limit}: {id} of {seen:?}");
        }
    }
}

#[tokio::test]
async fn an_undisturbed_run_is_not_read_again() {
    let seen = two_runs(true, 3, |_| {}).await;
    assert_eq!(
        seen.len(),
        12,
        "the twelve, whose overlap has closed: {seen:?}"
    );
}

#[tokio::test]
async fn pages_without_an_end_and_links_that_cannot_be_kept_are_refused() {
    let answer = async |link: &str, settings: Value| {
        let bundle = json!({"resourceType": "Bundle", "link": [{"relation": "next", "url": link}]});
        let server = MockServer::start().await;
        let response =
            ResponseTemplate::new(200).set_body_raw(bundle.to_string(), "application/fhir+json");
        Mock::given(any())
            .respond_with(response)
            .mount(&server)
            .await;
        let source = connector(&server.uri(), settings);
        let mut cursor = None;
        for turn in 0..10 {
            let asked = request(Feed::Vaccinations, cursor.as_ref(), turn == 0, 5);
            match source.page(asked).await {
                Ok(page) => cursor = page.next,
                Err(SourceError::Misconfigured { what, .. }) => return what,
                Err(SourceError::Retry { what, .. }) => panic!("{what}"),
            }
        }
        panic!("no error");
    };
    assert!(
        answer("/a?page=2", json!({}))
            .await
            .contains("the same page again")
    );
    assert!(
        answer(&format!("/a?{}", "x".repeat(Cursor::MAX_BYTES)), json!({}))
            .await
            .contains("too long to keep")
    );
    assert!(answer("http://[", json!({})).await.contains("no address"));
    assert!(
        answer("/b?page=2", json!({"max_pages": 1}))
            .await
            .contains("do not end")
    );
}
