//! Servers that mix resources with and without `meta.lastUpdated`: none is skipped.

use std::collections::BTreeSet;

use connector_kit::{Connector, Feed};
use serde_json::json;
use testbed::fhir::FhirServer;

use crate::support::{all_keys, connector, dose, patient, request, run};

const FEED: Feed = Feed::Vaccinations;

/// 40 doses, some minutes apart, and `unstamped` ones.
async fn clinic(unstamped: usize) -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    server.put(patient("p", "112-233-445 95"), "2021-07-01T00:00:00Z");
    for n in 0..40 {
        let stamp = format!("2021-07-01T10:{n:02}:00Z");
        server.put(dose(&format!("d{n:02}"), "p"), &stamp);
    }
    for n in 0..unstamped {
        server.put_unstamped(dose(&format!("u{n}"), "p"));
    }
    server
}

#[tokio::test]
async fn every_run_and_every_sweep_has_the_unstamped_ones() {
    for (shape, page_limit) in [("sorted", 500), ("sorted", 7), ("not sorted", 7)] {
        let server = clinic(3).await;
        server.page_limit(page_limit);
        if shape == "not sorted" {
            server.ignore_sort();
        }
        let source = connector(&server.base_url(), json!({}));
        let first = run(&source, FEED, None, 10).await;
        let ids: BTreeSet<_> = first.ids().into_iter().collect();
        assert_eq!(ids.len(), 43, "{shape} {page_limit}");
        // The gateway starts anew, and only then one more comes.
        for n in 3..5 {
            let source = connector(&server.base_url(), json!({}));
            server.put_unstamped(dose(&format!("u{n}"), "p"));
            let next = run(&source, FEED, first.resume.as_ref(), 10).await;
            let new = format!("u{n}");
            assert!(next.ids().contains(&new.as_str()), "{shape} {page_limit}");
            let keys = all_keys(&source, 10).await;
            assert_eq!(keys.len(), 41 + n, "{shape} {page_limit}");
        }
    }
}

#[tokio::test]
async fn the_first_unstamped_one_is_found_by_a_sweep_and_by_the_runs_behind_it() {
    let server = clinic(0).await;
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, FEED, None, 10).await;
    server.put_unstamped(dose("u", "p"));
    let keys = all_keys(&source, 10).await;
    assert!(
        keys.iter().any(|(id, _)| id == "Immunization/u"),
        "{keys:?}"
    );
    let next = run(&source, FEED, first.resume.as_ref(), 10).await;
    assert!(next.ids().contains(&"u"), "{:?}", next.ids());
}

#[tokio::test]
async fn a_run_that_breaks_off_does_not_go_on_past_unstamped_ones() {
    let server = clinic(5).await;
    let source = connector(&server.base_url(), json!({}));
    let page = source.page(request(FEED, None, true, 10)).await.unwrap();
    assert!(page.next.is_some());
    assert!(
        page.resume.is_none(),
        "a search from a stamp would miss them"
    );
}
