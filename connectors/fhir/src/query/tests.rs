//! The addresses of searches, and links that lead off the server.

use serde_json::json;

use super::*;
use crate::config::Links;
use crate::links::{self, OwnAddresses};

fn queries() -> Queries {
    let config = json!({
        "base_url": "https://mis.example:8443/fhir/r4",
        "diagnosis_codes": ["U07.1", "urn:x|77"],
    });
    Queries::new(&serde_json::from_value(config).unwrap()).unwrap()
}

fn pairs(url: &Url) -> Vec<(String, String)> {
    url.query_pairs()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

#[test]
fn a_search_names_codes_stamp_order_and_size() {
    let since = "2021-07-01T10:00:00.123456Z".parse().unwrap();
    let url = queries().search(Feed::Recoveries, Span::since(Some(since)), 200, true);
    assert_eq!(url.path(), "/fhir/r4/Condition");
    let expected = [
        ("code", "http://hl7.org/fhir/sid/icd-10|U07.1,urn:x|77"),
        ("_lastUpdated", "ge2021-07-01T10:00:00.123Z"),
        ("_sort", "_lastUpdated"),
        ("_count", "200"),
        ("_include", "Condition:patient"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(pairs(&url), expected);
    let first = queries().search(Feed::Vaccinations, Span::default(), 5, false);
    assert_eq!(first.query(), Some("_sort=_lastUpdated&_count=5"));
}

#[test]
fn a_link_off_the_server_is_not_followed() {
    let queries = queries();
    let page = queries.search(Feed::Tests, Span::default(), 1, false);
    let addresses = OwnAddresses::new(queries.base().as_str());
    let follow =
        |page: &Url, link| links::follow(queries.base(), page, link, Links::Refuse, &addresses);
    for off in [
        "https://mis.example/fhir",
        "http://mis.example:8443/x",
        "//evil.example/x",
        "https://a:b@mis.example:8443/x",
        "file:///etc/passwd",
    ] {
        assert!(
            matches!(follow(&page, off), Err(SourceError::Misconfigured { .. })),
            "{off}"
        );
    }
    let on = follow(&page, "?_getpages=1&x=%7C").unwrap();
    assert_eq!(Queries::path(&on), "/fhir/r4/Observation?_getpages=1&x=%7C");
    assert_eq!(
        queries.at_path(Queries::path(&on)),
        Some(on),
        "it survives the cursor"
    );
    assert_eq!(
        queries.at_path("//evil.example/x").unwrap().host_str(),
        Some("mis.example")
    );
    assert_eq!(queries.at_path("https://evil.example/x"), None);
}

#[test]
fn a_code_that_would_change_the_search_is_refused() {
    for wrong in ["", "a,b", "a|b|c", "a$b", "a\\"] {
        assert!(
            tokens(&[wrong.into()], LOINC, "test_codes").is_err(),
            "{wrong}"
        );
    }
}
