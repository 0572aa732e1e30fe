//! Stamps that go back: a server restored from a backup, or with its clock set back.

use chrono::TimeDelta;
use connector_kit::{Connector, Feed, SourceSurprise};
use serde_json::json;
use testbed::fhir::FhirServer;

use crate::support::{all_keys, connector, dose, now, patient, request, run};

const FEED: Feed = Feed::Vaccinations;

fn stamp(minutes: i64) -> String {
    let begin: chrono::DateTime<chrono::Utc> = "2021-07-01T10:00:00Z".parse().unwrap();
    (begin + TimeDelta::minutes(minutes)).to_rfc3339()
}

/// Doses d0 to d3, an hour apart.
async fn clinic() -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "1"), &stamp(-600));
    for n in 0..4 {
        server.put(dose(&format!("d{n}"), "p"), &stamp(n * 60));
    }
    server
}

#[tokio::test]
async fn after_a_restored_backup_the_cursor_follows_back_and_new_records_are_pulled_at_once() {
    for limit in [1, 50] {
        let server = clinic().await;
        let source = connector(&server.base_url(), json!({}));
        let backup = server.save();
        for n in 4..8 {
            server.put(dose(&format!("d{n}"), "p"), &stamp(n * 60));
        }
        let first = run(&source, FEED, None, limit).await;
        assert!(first.surprises.is_empty());
        let keys_before = all_keys(&source, 10).await;

        server.restore(&backup);
        let back = run(&source, FEED, first.resume.as_ref(), limit).await;
        assert_eq!(back.surprises, [SourceSurprise::StampsWentBack]);
        assert_eq!(back.ids(), ["d3"], "the newest there is");
        // Its clock is still behind; an id is given out again.
        server.put(dose("d4", "p"), &stamp(200));
        let next = run(&source, FEED, back.resume.as_ref(), limit).await;
        assert_eq!(
            (next.ids(), next.surprises.len()),
            (vec!["d3", "d4"], 0),
            "reported once"
        );
        assert!(next.resume.is_some());

        let keys = all_keys(&source, 10).await;
        assert_eq!(keys.len(), 5);
        let reused = &keys[4];
        let old = &keys_before[4];
        assert!(
            reused.0 == old.0 && reused.1 < old.1,
            "a reused id has another stamp: {reused:?} {old:?}"
        );
    }
}

#[tokio::test]
async fn a_clock_set_back_within_the_overlap_is_noticed_too() {
    let server = clinic().await;
    let source = connector(&server.base_url(), json!({"overlap_seconds": 3600}));
    let backup = server.save();
    server.put(dose("d4", "p"), &stamp(200));
    let first = run(&source, FEED, None, 10).await;
    server.restore(&backup);
    let back = run(&source, FEED, first.resume.as_ref(), 10).await;
    assert_eq!(
        (back.ids(), back.surprises.as_slice()),
        (vec!["d2", "d3"], &[SourceSurprise::StampsWentBack][..])
    );
    let quiet = run(&source, FEED, back.resume.as_ref(), 10).await;
    assert_eq!((quiet.ids(), quiet.surprises.len()), (vec!["d2", "d3"], 0));
}

#[tokio::test]
async fn patients_corrected_after_the_restore_are_followed_as_well() {
    let server = clinic().await;
    let source = connector(&server.base_url(), json!({"overlap_seconds": 60}));
    let backup = server.save();
    server.put(patient("q", "2"), &stamp(600));
    server.put(dose("d4", "q"), &stamp(600));
    let first = run(&source, FEED, None, 10).await;
    let second = run(&source, FEED, first.resume.as_ref(), 10).await;
    let stored = second.resume.as_ref().or(first.resume.as_ref());
    server.restore(&backup);
    let back = run(&source, FEED, stored, 10).await;
    assert_eq!(back.surprises, [SourceSurprise::StampsWentBack]);
    server.put(patient("p", "3"), &stamp(300));
    let next = run(&source, FEED, back.resume.as_ref(), 10).await;
    assert!(next.ids().contains(&"d0"), "{:?}", next.ids());
}

#[tokio::test]
async fn an_idle_server_is_no_surprise_and_an_emptied_one_leaves_the_cursor() {
    let server = clinic().await;
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, FEED, None, 10).await;
    server.clear_requests();
    let idle = run(&source, FEED, first.resume.as_ref(), 10).await;
    assert!(idle.surprises.is_empty() && idle.resume.is_none());
    assert!(
        server.requests().len() <= 5,
        "few questions: {:?}",
        server.requests()
    );
    for n in 0..4 {
        server.delete("Immunization", &format!("d{n}"));
    }
    let emptied = run(&source, FEED, first.resume.as_ref(), 10).await;
    assert!(emptied.surprises.is_empty() && emptied.resume.is_none() && emptied.records.is_empty());
    server.put(dose("new", "p"), &stamp(400));
    assert_eq!(
        run(&source, FEED, first.resume.as_ref(), 10).await.ids(),
        ["new"]
    );
}

#[tokio::test]
async fn a_run_that_breaks_off_notices_again_and_a_request_may_be_repeated() {
    let server = clinic().await;
    let source = connector(&server.base_url(), json!({"overlap_seconds": 7200}));
    let backup = server.save();
    server.put(dose("d9", "p"), &stamp(900));
    let first = run(&source, FEED, None, 10).await;
    server.restore(&backup);
    for _ in 0..2 {
        let page = source
            .page(request(FEED, first.resume.as_ref(), true, 1))
            .await
            .unwrap();
        assert_eq!(page.surprise, Some(SourceSurprise::StampsWentBack));
        assert!(page.next.is_some() && page.resume.is_none());
    }
    server.refuse_parameter("_sort=-_lastUpdated");
    let page = source
        .page(request(FEED, first.resume.as_ref(), true, 1))
        .await
        .unwrap();
    assert!(
        page.surprise.is_none() && page.resume.is_none(),
        "a server that cannot tell is read as before"
    );
    assert!(now() > stamp(900).parse::<chrono::DateTime<chrono::Utc>>().unwrap());
}
