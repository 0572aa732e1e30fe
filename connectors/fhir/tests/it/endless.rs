//! Pages that never end: reported in words, soon; what they brought is handed over, and the stored
//! position stays.

use std::collections::BTreeSet;

use connector_kit::{Connector, Feed, SourceError};
use serde_json::json;
use testbed::fhir::{EndlessPages, FhirServer};

use crate::support::{all_keys, connector, dose, patient, request, run, try_keys};

const KINDS: [(EndlessPages, &str); 3] = [
    (EndlessPages::SamePage, "the same page again"),
    (EndlessPages::Cycle, "in a circle"),
    (EndlessPages::NewLinks, "the same entries again and again"),
];

#[tokio::test]
async fn pages_that_stay_empty_are_given_up() {
    let server = FhirServer::start().await.unwrap();
    server.put(dose("d", "p"), "2021-07-01T10:00:00Z");
    server.endless_pages(Some(EndlessPages::Empty));
    let source = connector(&server.base_url(), json!({"include": "always"}));
    let mut cursor = None;
    let error = loop {
        let asked = request(Feed::Vaccinations, cursor.as_ref(), cursor.is_none(), 3);
        match source.page(asked).await {
            Ok(page) => cursor = page.next,
            Err(error) => break error,
        }
        assert!(server.requests().len() < 150, "too late");
    };
    assert!(error.to_string().contains("bring nothing"), "{error}");
}

#[tokio::test]
async fn endless_pages_are_found_soon_and_nothing_is_lost() {
    for by_offset in [false, true] {
        for (endless, word) in KINDS {
            let server = FhirServer::start().await.unwrap();
            server.put(patient("p", "1"), "2021-07-01T00:00:00Z");
            for n in 0..10 {
                server.put(
                    dose(&format!("d{n}"), "p"),
                    &format!("2021-07-01T10:0{n}:00Z"),
                );
            }
            if by_offset {
                server.page_by_offset();
            }
            server.page_limit(3);
            let source = connector(&server.base_url(), json!({}));
            server.endless_pages(Some(endless));
            let mut cursor = None;
            let mut found = BTreeSet::new();
            let error = loop {
                let asked = request(Feed::Vaccinations, cursor.as_ref(), cursor.is_none(), 3);
                match source.page(asked).await {
                    Ok(page) => {
                        found.extend(page.records.into_iter().map(|record| record.record_id));
                        cursor = page.next;
                    }
                    Err(error) => break error,
                }
                assert!(server.requests().len() < 40, "too late");
            };
            assert!(
                matches!(&error, SourceError::Misconfigured { .. }),
                "{error}"
            );
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(found.len(), 10, "what the pages brought was handed over");
            let again = source
                .page(request(Feed::Vaccinations, cursor.as_ref(), false, 3))
                .await;
            assert_eq!(again.err(), Some(error), "and it stays an error");

            server.clear_requests();
            let error = try_keys(&source, 3, |_| {}).await.unwrap_err();
            assert!(
                matches!(&error, SourceError::Misconfigured { .. }),
                "{error}"
            );
            // In a window with one page, a cycle is the same page.
            assert!(
                KINDS
                    .iter()
                    .any(|(_, word)| error.to_string().contains(word)),
                "{error}"
            );
            assert!(server.requests().len() < 60, "{error}");

            server.endless_pages(None);
            assert_eq!(
                run(&source, Feed::Vaccinations, None, 3).await.ids().len(),
                10
            );
            assert_eq!(all_keys(&source, 20).await.len(), 10);
        }
    }
}
