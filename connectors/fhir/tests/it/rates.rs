//! Whole loads from servers that fail at a rate: a request is made again, a run goes on where it
//! was, and what was read is not read again.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use connector_fhir::FhirConnector;
use connector_kit::{Connector, Cursor, Feed, SourceError};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;

use crate::support::{connector, dose, patient, request, run, try_keys};

const FEED: Feed = Feed::Vaccinations;
const DOSES: usize = 3000;

/// 3000 doses of one patient, `together` of them a second, on a server that gives 50 a page.
async fn clinic(together: usize) -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-06-01T00:00:00Z");
    let begin: DateTime<Utc> = "2021-06-01T10:00:00.250Z".parse().unwrap();
    for n in 0..DOSES {
        // Ids in another order than stamps.
        let id = format!("d{:04}", n * 7 % DOSES);
        let second = i64::try_from(n / together).unwrap();
        let stamp = begin + TimeDelta::seconds(second);
        server.put(dose(&id, "p"), &stamp.to_rfc3339());
    }
    server.page_limit(50);
    server
}

/// The records of a load: runs from what was stored, by a gateway that starts anew for each, until
/// one ends.
struct Load {
    ids: BTreeSet<String>,
    handed_over: usize,
    runs: usize,
    stored: Option<Cursor>,
}

async fn load(connector: impl Fn() -> FhirConnector, most_runs: usize) -> Load {
    let mut load = Load {
        ids: BTreeSet::new(),
        handed_over: 0,
        runs: 0,
        stored: None,
    };
    loop {
        load.runs += 1;
        assert!(load.runs <= most_runs, "{} so far", load.ids.len());
        match try_run(&connector(), &mut load).await {
            Ok(()) => return load,
            Err(SourceError::Retry { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn try_run(source: &FhirConnector, load: &mut Load) -> Result<(), SourceError> {
    let mut next = load.stored.clone();
    let mut is_first = true;
    loop {
        let page = source
            .page(request(FEED, next.as_ref(), is_first, 1000))
            .await?;
        is_first = false;
        load.handed_over += page.records.len();
        load.ids
            .extend(page.records.into_iter().map(|record| record.record_id));
        if page.resume.is_some() {
            load.stored = page.resume;
        }
        match page.next {
            Some(cursor) => next = Some(cursor),
            None => return Ok(()),
        }
    }
}

#[tokio::test]
async fn a_load_completes_at_every_rate_of_failures() {
    type Rates = fn(&FhirServer);
    let rates: [(&str, Rates); 6] = [
        ("503 on every 30th", |server| {
            server.fail_every(30, 503, None)
        }),
        ("429 on every 5th", |server| {
            server.fail_every(5, 429, Some(0));
        }),
        ("every third link expired", |server| server.expire_every(3)),
        ("every link expired", |server| server.expire_every(1)),
        ("links that expire, and 503", |server| {
            server.expire_every(4);
            server.fail_every(7, 503, None);
        }),
        ("afresh for every page, and 503", |server| {
            server.page_by_offset();
            server.fail_every(9, 503, None);
        }),
    ];
    for (what, set) in rates {
        let server = clinic(1).await;
        set(&server);
        let source = || connector(&server.base_url(), json!({}));
        let load = load(source, 1).await;
        assert_eq!(load.ids.len(), DOSES, "{what}");
        // A search that begins anew at a stamp brings that stamp's records again.
        assert!(
            load.handed_over <= DOSES + 100,
            "{what}: {}",
            load.handed_over
        );
        let quiet = run(&source(), FEED, load.stored.as_ref(), 1000).await;
        assert!(quiet.records.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_run_goes_on_where_the_last_one_broke_off() {
    for (what, sorts) in [("sorted", true), ("not sorted", false)] {
        let server = clinic(1).await;
        if !sorts {
            server.ignore_sort();
        }
        // More than any patience within a run.
        server.fail_every(11, 503, Some(31));
        let source = || connector(&server.base_url(), json!({}));
        let load = load(source, if sorts { 10 } else { 60 }).await;
        assert_eq!(load.ids.len(), DOSES, "{what}");
        assert!(load.runs > 3, "{what}: it did break off");
        let most = if sorts { DOSES + 100 } else { 4 * DOSES };
        assert!(load.handed_over <= most, "{what}: {}", load.handed_over);
        server.end_rates();
        let quiet = run(&source(), FEED, load.stored.as_ref(), 1000).await;
        assert!(quiet.records.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_sort_is_read_in_windows_whatever_its_links_do() {
    for together in [1, 40] {
        let server = clinic(together).await;
        server.ignore_sort();
        server.expire_every(1);
        let source = || connector(&server.base_url(), json!({}));
        let load = load(source, 1).await;
        assert_eq!(load.ids.len(), DOSES, "{together} together");
        assert!(load.handed_over <= 4 * DOSES, "{}", load.handed_over);
        assert!(server.requests().len() < 400, "{}", server.requests().len());
    }
}

#[tokio::test]
async fn a_server_that_begins_with_the_newest_loses_nothing_older() {
    let answers = ["links expire", "503", "sorted", "by chance"];
    for (together, answer) in [1, 10, 50]
        .into_iter()
        .flat_map(|n| answers.map(|a| (n, a)))
    {
        let server = FhirServer::start().await.unwrap();
        server.set_clock(Some("2021-07-10T11:00:00Z".parse().unwrap()));
        server.put(patient("p", "112-233-445 95"), "2021-06-01T00:00:00Z");
        let mut begin: DateTime<Utc> = "2021-06-01T10:00:00.250Z".parse().unwrap();
        for n in 0..300_usize {
            server.put(dose(&format!("d{n:03}"), "p"), &begin.to_rfc3339());
            if n % together == together - 1 {
                // Stamps far apart, and close together.
                begin += TimeDelta::seconds(if n < 150 { 7 } else { 12_345 });
            }
        }
        // All of the first page are of one stamp.
        for n in 0..50 {
            server.put(dose(&format!("new{n:02}"), "p"), "2021-07-09T10:00:00Z");
            server.put(dose(&format!("old{n:02}"), "p"), "2021-05-01T10:00:00Z");
        }
        server.page_limit(50);
        match answer {
            "sorted" => server.expire_every(2),
            // In the order of ids, which the first pages follow and the last ones do not.
            "by chance" => {
                server.ignore_sort();
                server.expire_every(1);
            }
            "503" => {
                server.newest_first();
                server.fail_every(11, 503, Some(31));
            }
            _ => {
                server.newest_first();
                server.expire_every(1);
            }
        }
        let source = || connector(&server.base_url(), json!({}));
        let load = load(source, 60).await;
        assert_eq!(load.ids.len(), 400, "{answer}, {together} together");
        server.end_rates();
        let quiet = run(&source(), FEED, load.stored.as_ref(), 1000).await;
        assert!(quiet.records.is_empty(), "{answer}: {:?}", quiet.ids());
    }
}

#[tokio::test]
async fn what_no_server_could_be_read_by_is_said_and_stays_where_it_is() {
    let server = clinic(DOSES).await;
    server.expire_every(1);
    let source = connector(&server.base_url(), json!({}));
    let page = source.page(request(FEED, None, true, 1000)).await.unwrap();
    assert_eq!(page.records.len(), 50);
    let next = request(FEED, page.next.as_ref(), false, 1000);
    let page = source.page(next).await.unwrap();
    let next = request(FEED, page.next.as_ref(), false, 1000);
    let error = source.page(next).await.unwrap_err();
    assert!(matches!(error, SourceError::Retry { .. }), "{error}");
    assert!(
        error.to_string().contains("one and the same stamp"),
        "{error}"
    );
}

#[tokio::test]
async fn an_import_in_one_transaction_is_read_once() {
    for rate in [false, true] {
        let server = clinic(DOSES).await;
        if rate {
            server.fail_every(5, 429, Some(0));
        }
        let source = connector(&server.base_url(), json!({}));
        let first = run(&source, FEED, None, 1000).await;
        assert_eq!(first.ids().len(), DOSES);
        server.clear_requests();
        let second = run(&source, FEED, first.resume.as_ref(), 1000).await;
        assert!(second.records.is_empty(), "{} again", second.ids().len());
        assert!(server.requests().len() < 8, "{:?}", server.requests());
        server.put(dose("later", "p"), "2021-06-03T10:00:00Z");
        let third = run(&source, FEED, first.resume.as_ref(), 1000).await;
        assert_eq!(third.ids(), ["later"]);
    }
}

#[tokio::test]
async fn an_import_of_a_moment_ago_is_read_until_it_has_closed() {
    let server = FhirServer::start().await.unwrap();
    let clock = |text: &str| server.set_clock(Some(text.parse().unwrap()));
    server.put(patient("p", "112-233-445 95"), "2021-06-01T00:00:00Z");
    let doses: Vec<Value> = (0..40).map(|n| dose(&format!("d{n}"), "p")).collect();
    server.import(doses, "2021-07-01T10:00:00Z");
    clock("2021-07-01T10:01:00Z");
    let source = connector(&server.base_url(), json!({"overlap_seconds": 300}));
    let first = run(&source, FEED, None, 100).await;
    let mut stored = first.resume;
    // Committed late, within the overlap.
    server.put(dose("late", "p"), "2021-07-01T09:58:00Z");
    for (at, read) in [("10:05:00", 41), ("10:06:01", 40), ("10:07:00", 0)] {
        clock(&format!("2021-07-01T{at}Z"));
        let again = run(&source, FEED, stored.as_ref(), 100).await;
        assert_eq!(again.records.len(), read, "{at}");
        stored = again.resume.or(stored);
    }
}

#[tokio::test]
async fn stamps_that_come_late_are_noticed_and_the_overlap_is_paid_again() {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-06-01T00:00:00Z");
    server.put(dose("a", "p"), "2021-07-01T10:00:00Z");
    let source = connector(&server.base_url(), json!({"overlap_seconds": 300}));
    let first = run(&source, FEED, None, 100).await;
    // Its clock is an hour behind the one it tells.
    server.put(dose("b", "p"), "2021-07-01T10:01:00Z");
    let second = run(&source, FEED, first.resume.as_ref(), 100).await;
    assert_eq!(second.ids(), ["b"]);
    server.put(dose("c", "p"), "2021-07-01T10:00:30Z");
    let third = run(&source, FEED, second.resume.as_ref(), 100).await;
    assert_eq!(third.ids(), ["a", "c", "b"]);
}

#[tokio::test]
async fn a_sweep_completes_at_every_rate_of_failures() {
    for (what, together, every) in [("503", 1, 7), ("one stamp", DOSES, 7)] {
        let server = clinic(together).await;
        server.fail_every(every, 503, None);
        let source = connector(&server.base_url(), json!({}));
        let keys = try_keys(&source, 2000, |_| {}).await.unwrap();
        let keys: BTreeSet<_> = keys.into_iter().map(|key| key.record_id).collect();
        assert_eq!(keys.len(), DOSES, "{what}");
    }
    let server = clinic(1).await;
    server.expire_every(1);
    let source = connector(&server.base_url(), json!({}));
    let keys = try_keys(&source, 2000, |_| {}).await.unwrap();
    let keys: BTreeSet<_> = keys.into_iter().map(|key| key.record_id).collect();
    assert_eq!(keys.len(), DOSES, "no link is followed");
}

#[tokio::test]
async fn patients_are_looked_up_at_every_rate_of_failures() {
    let server = FhirServer::start().await.unwrap();
    server.without_include();
    for n in 0..300 {
        let person = patient(&format!("p{n:03}"), &format!("snils-{n:03}"));
        server.put(person, "2021-06-01T00:00:00Z");
        let dose = dose(&format!("d{n:03}"), &format!("p{n:03}"));
        server.put(dose, "2021-06-01T10:00:00Z");
    }
    server.page_limit(20);
    server.fail_every(3, 503, None);
    server.expire_every(2);
    let source = connector(&server.base_url(), json!({}));
    let mut load = Load {
        ids: BTreeSet::new(),
        handed_over: 0,
        runs: 0,
        stored: None,
    };
    // 300 of one stamp in pages of 20: only links lead on, and every second one has expired.
    assert!(try_run(&source, &mut load).await.is_err());
    server.end_rates();
    server.fail_every(3, 503, None);
    let all = run(&source, FEED, None, 1000).await;
    assert_eq!(all.records.len(), 300);
    let nameless = |record: &&connector_kit::ClinicRecord| record.person.identifiers.is_empty();
    assert_eq!(all.records.iter().filter(nameless).count(), 0);
}
