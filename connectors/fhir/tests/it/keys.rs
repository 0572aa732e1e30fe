//! `keys`: every record's id and stamp, on every kind of server, while others are changed and
//! deleted.

use std::cell::Cell;
use std::collections::BTreeSet;

use chrono::TimeDelta;
use connector_kit::{Feed, SourceError};
use serde_json::json;
use testbed::fhir::FhirServer;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{all_keys, connector, dose, keys_page, now, patient, run, try_keys};

/// Doses d000, d001 …, `together` of them a second, the next second `apart` seconds later.
async fn clinic(doses: i64, together: i64, apart: i64) -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-06-01T00:00:00Z");
    let begin: chrono::DateTime<chrono::Utc> = "2021-06-01T10:00:00.250Z".parse().unwrap();
    for n in 0..doses {
        let stamp = begin + TimeDelta::seconds(n / together * apart);
        server.put(dose(&format!("d{n:03}"), "p"), &stamp.to_rfc3339());
    }
    server
}

/// A kind of server, and how to make it of one.
type Shape = (&'static str, fn(&FhirServer));

/// Faults of a server that lose no key.
const SHAPES: [Shape; 9] = [
    ("good", |_| {}),
    ("small pages", |server| server.page_limit(3)),
    ("offset paging", FhirServer::page_by_offset),
    ("no _elements", |server| {
        server.ignore_parameter("_elements")
    }),
    ("refuses _elements", |server| {
        server.refuse_parameter("_elements")
    }),
    ("refuses the second sort key", |server| {
        server.refuse_parameter("_sort=_lastUpdated,_id")
    }),
    ("no _sort", FhirServer::ignore_sort),
    ("no _lastUpdated", |server| {
        server.ignore_parameter("_lastUpdated")
    }),
    ("no _count", |server| server.ignore_parameter("_count")),
];

#[tokio::test]
async fn keys_are_the_ids_and_stamps_of_the_pages_on_every_kind_of_server() {
    for (shape, set) in SHAPES {
        for (doses, together, apart, limit) in
            [(0, 1, 1, 5), (4, 4, 1, 5), (60, 1, 7200, 7), (60, 25, 1, 7)]
        {
            let server = clinic(doses, together, apart).await;
            set(&server);
            let source = connector(&server.base_url(), json!({}));
            let pulled = run(&source, Feed::Vaccinations, None, 50).await;
            let mut expected: Vec<_> = pulled
                .records
                .iter()
                .map(|record| (record.record_id.clone(), record.stamp))
                .collect();
            expected.sort();
            assert_eq!(
                all_keys(&source, limit).await,
                expected,
                "{shape}, {doses} by {together}"
            );
        }
    }
    let server = clinic(1, 1, 1).await;
    let keys = all_keys(&connector(&server.base_url(), json!({})), 5).await;
    assert_eq!(
        keys,
        [("Immunization/d000".to_owned(), Some(1_622_541_600_250_000))],
        "microseconds since 1970"
    );
}

#[tokio::test]
async fn a_sweep_asks_for_ids_and_stamps_only_and_not_too_often() {
    for (shape, set, most) in [
        ("good", (|_| {}) as fn(&FhirServer), 60),
        ("unsorted", FhirServer::ignore_sort, 150),
    ] {
        let server = clinic(600, 1, 1800).await;
        set(&server);
        server.clear_requests();
        assert_eq!(
            all_keys(&connector(&server.base_url(), json!({})), 20)
                .await
                .len(),
            600
        );
        let mut requests = server.requests();
        let patients = requests.iter().filter(|line| line.contains("/Patient?"));
        assert!(patients.count() <= most, "one for each page of keys");
        requests.retain(|line| line.contains("/Immunization?") && !line.contains("_summary"));
        assert!(
            requests
                .iter()
                .all(|line| line.contains("_elements=id%2Cmeta%2Cpatient")),
            "{requests:?}"
        );
        assert!(
            requests.len() <= most,
            "{shape}: {} requests for 30 pages",
            requests.len()
        );
    }
}

#[tokio::test]
async fn no_record_is_missed_while_others_are_deleted_changed_and_added() {
    for (shape, set) in SHAPES {
        for (together, apart) in [(1, 3600), (40, 1), (7, 1)] {
            for disturbed in [1, 2, 3, 4, 6, 9, 11] {
                let server = clinic(40, together, apart).await;
                server.page_limit(4);
                set(&server);
                let source = connector(&server.base_url(), json!({}));
                let spared: BTreeSet<String> = (3..40)
                    .filter(|n| *n != 20)
                    .map(|n| format!("Immunization/d{n:03}"))
                    .collect();
                let keys = try_keys(&source, 4, |page| {
                    if page == disturbed {
                        server.delete("Immunization", "d000");
                        server.delete("Immunization", "d020");
                        server.put(dose("d001", "p"), "2021-07-09T10:00:00Z");
                        server.put(dose("new", "p"), "2021-07-09T10:00:00Z");
                    }
                    if page == disturbed + 2 {
                        server.delete("Immunization", "d002");
                    }
                })
                .await
                .unwrap();
                let found: BTreeSet<String> = keys.into_iter().map(|key| key.record_id).collect();
                let missed: Vec<_> = spared.difference(&found).collect();
                assert!(
                    missed.is_empty(),
                    "{shape}, {together} together, page {disturbed}: {missed:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_window_that_never_comes_to_rest_is_given_up_in_words_and_gone_on_with_later() {
    let server = clinic(60, 60, 1).await;
    server.page_by_offset();
    server.page_limit(5);
    let source = connector(&server.base_url(), json!({}));
    let deleted = Cell::new(0);
    let mut next = None;
    let mut error = None;
    for _ in 0..500 {
        match keys_page(&source, next.as_ref(), 5, now()).await {
            Ok(page) => next = Some(page.next.unwrap()),
            Err(failure) => {
                error = Some(failure);
                break;
            }
        }
        // Once a reading, while it is under way.
        let readings = deleted.get();
        if server
            .requests()
            .iter()
            .filter(|line| line.contains("_offset=20"))
            .count()
            > readings
        {
            server.delete("Immunization", &format!("d{readings:03}"));
            deleted.set(readings + 1);
        }
    }
    let error = error.unwrap();
    assert!(matches!(&error, SourceError::Retry { .. }), "{error}");
    assert!(
        error.to_string().contains("each time they were listed"),
        "{error}"
    );
    let mut later = now() + TimeDelta::hours(1);
    let mut found = BTreeSet::new();
    loop {
        let page = keys_page(&source, next.as_ref(), 5, later).await.unwrap();
        later += TimeDelta::seconds(1);
        found.extend(page.keys.into_iter().map(|key| key.record_id));
        match page.next {
            Some(cursor) => next = Some(cursor),
            None => break,
        }
    }
    assert_eq!(found.len(), 60 - deleted.get());
}

#[tokio::test]
async fn page_links_that_expire_begin_their_window_again() {
    let server = clinic(30, 30, 1).await;
    server.page_limit(4);
    let source = connector(&server.base_url(), json!({}));
    let keys = try_keys(&source, 4, |page| {
        if page == 5 {
            server.expire_pages();
        }
    });
    let found: BTreeSet<_> = keys
        .await
        .unwrap()
        .into_iter()
        .map(|key| key.record_id)
        .collect();
    assert_eq!(found.len(), 30);
}

#[tokio::test]
async fn an_interrupted_sweep_goes_on_where_it_was() {
    let server = clinic(50, 1, 3600).await;
    let first = keys_page(&connector(&server.base_url(), json!({})), None, 10, now())
        .await
        .unwrap();
    server.fail_next(1, 503, Some(31));
    let source = connector(&server.base_url(), json!({}));
    let next_day = now() + TimeDelta::days(1);
    assert!(
        keys_page(&source, first.next.as_ref(), 10, next_day)
            .await
            .is_err()
    );
    server.clear_requests();
    let second = keys_page(&source, first.next.as_ref(), 10, next_day)
        .await
        .unwrap();
    assert!(!second.keys.is_empty());
    assert!(
        server
            .requests()
            .iter()
            .filter(|line| line.contains("/Immunization?"))
            .all(|line| line.contains("_lastUpdated=ge2021-06")),
        "{:?}",
        server.requests()
    );
    assert!(
        keys_page(
            &source,
            run(&source, Feed::Vaccinations, None, 10)
                .await
                .resume
                .as_ref(),
            5,
            now()
        )
        .await
        .is_err()
    );
}

#[tokio::test]
async fn deleted_records_and_old_ids_are_missing_and_new_ids_are_there() {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-06-01T00:00:00Z");
    for id in ["1001", "1002", "1003"] {
        server.put(dose(id, "p"), "2021-07-01T10:00:00Z");
    }
    let source = connector(&server.base_url(), json!({}));
    assert_eq!(all_keys(&source, 10).await.len(), 3);
    server.delete("Immunization", "1002");
    // The server was moved to another product: the same records under new ids.
    let uuids = [
        "5f0c7b1e-8c6c-4a0c-9a51-0d8f6d3f9a01",
        "0b1d9d0e-3a55-4f1f-8a77-6c2f0f1b2c03",
    ];
    for (old, new) in ["1001", "1003"].into_iter().zip(uuids) {
        server.delete("Immunization", old);
        server.put(dose(new, "p"), "2021-07-01T10:00:00Z");
    }
    let ids: BTreeSet<_> = all_keys(&source, 10)
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(ids, uuids.map(|id| format!("Immunization/{id}")).into());
}

#[tokio::test]
async fn an_answer_that_is_no_list_of_keys_is_an_error_never_an_empty_sweep() {
    let outcome = json!({"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": "exception", "diagnostics": "Ivanov"}]});
    let of = |resource: serde_json::Value, mode: Option<&str>| {
        let mut entry = json!({"resource": resource});
        if let Some(mode) = mode {
            entry["search"] = json!({"mode": mode});
        }
        json!({"resourceType": "Bundle", "entry": [entry]})
    };
    let other = json!({"resourceType": "Observation", "id": "o"});
    for (body, word) in [
        (outcome.clone(), "instead of a Bundle"),
        (of(outcome, Some("outcome")), "not whole"),
        (of(other.clone(), Some("match")), "another type"),
        (of(other, None), "another type"),
        (json!({"resourceType": "Patient"}), "no FHIR Bundle"),
    ] {
        let server = MockServer::start().await;
        let answer =
            ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/fhir+json");
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let source = connector(&server.uri(), json!({}));
        let error = keys_page(&source, None, 10, now())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(word) && !error.contains("Ivanov"), "{error}");
    }
    let server = clinic(1, 1, 1).await;
    server.delay_next(std::time::Duration::from_secs(20));
    let source = connector(&server.base_url(), json!({"request_timeout_seconds": 1}));
    let error = keys_page(&source, None, 10, now()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Retry { .. }), "{error}");
    assert!(
        error.to_string().contains("request_timeout_seconds"),
        "{error}"
    );
    let patient = connector(&server.base_url(), json!({}));
    let keys = keys_page(&patient, None, 10, now()).await.unwrap().keys;
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn records_without_ids_or_stamps_have_the_same_keys_as_their_pages() {
    let server = MockServer::start().await;
    let nameless =
        json!({"resource": {"resourceType": "Immunization", "status": "completed", "note": "x"}});
    let bare = json!({"resource": {"resourceType": "Immunization", "id": "bare"}});
    let twice =
        json!({"resource": {"resourceType": "Immunization", "id": "bare", "status": "completed"}});
    let whole = json!({"resourceType": "Bundle", "entry": [nameless, bare, twice]});
    let answer = |body: serde_json::Value| {
        ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/json")
    };
    let subset = json!({"resourceType": "Bundle", "entry": [
        {"resource": {"resourceType": "Immunization"}},
        {"resource": {"resourceType": "Immunization", "id": "bare"}}]});
    Mock::given(wiremock::matchers::query_param("_elements", "id,meta"))
        .respond_with(answer(subset))
        .mount(&server)
        .await;
    Mock::given(any())
        .respond_with(answer(whole))
        .mount(&server)
        .await;
    let source = connector(&server.uri(), json!({"include": "always"}));
    let pulled = run(&source, Feed::Vaccinations, None, 10).await;
    let mut expected: Vec<_> = pulled
        .records
        .iter()
        .map(|record| (record.record_id.clone(), record.stamp))
        .collect();
    expected.sort();
    assert_eq!(
        expected.len(),
        2,
        "an entry that is there twice is one record"
    );
    assert_eq!(all_keys(&source, 10).await, expected);
    assert!(expected.iter().all(|(_, stamp)| stamp.is_none()));
}

#[tokio::test]
async fn a_sweep_is_not_answered_from_a_list_of_a_moment_ago() {
    let server = clinic(3, 1, 60).await;
    server.reuse_searches();
    let source = connector(&server.base_url(), json!({}));
    assert_eq!(all_keys(&source, 10).await.len(), 3);
    server.put(dose("new", "p"), "2021-06-02T10:00:00Z");
    assert_eq!(
        run(&source, Feed::Vaccinations, None, 10).await.ids().len(),
        4
    );
    let keys = all_keys(&source, 10).await;
    let named = keys.iter().any(|(id, _)| id == "Immunization/new");
    assert!(named, "{keys:?}");
}
