//! The addresses of searches, and links that lead off the server.

use serde_json::json;

use super::*;
use crate::config::Links;
use crate::export::settings::{ExportFilter, FirstLoad};
use crate::links::{self, LinkTarget, OwnAddresses};

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
        ("code", "U07.1,urn:x|77"),
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
fn an_export_names_its_kind_the_type_and_the_format() {
    let of = |first_load| queries().export(&first_load, ExportFilter::None, Feed::Tests);
    let query = "_type=Observation&_outputFormat=application%2Ffhir%2Bndjson";
    for (first_load, path) in [
        (FirstLoad::SystemExport, "/fhir/r4/$export"),
        (FirstLoad::PatientExport, "/fhir/r4/Patient/$export"),
        (
            FirstLoad::GroupExport("g-1".into()),
            "/fhir/r4/Group/g-1/$export",
        ),
    ] {
        let url = of(first_load).unwrap();
        assert_eq!((url.path(), url.query()), (path, Some(query)));
    }
    assert!(of(FirstLoad::Search).is_none());
}

#[test]
fn an_exports_filter_has_a_query_for_each_code() {
    let config = json!({"base_url": "https://mis.example/",
        "diagnosis_codes": ["U07.1", "urn:x|7&7"]});
    let queries = Queries::new(&serde_json::from_value(config).unwrap()).unwrap();
    let of = |feed| {
        let url = queries.export(&FirstLoad::SystemExport, ExportFilter::Codes, feed);
        pairs(&url.unwrap())
    };
    let filter = (
        "_typeFilter",
        "Condition?code=U07.1,Condition?code=urn:x|7%267",
    );
    let last = of(Feed::Recoveries).pop().unwrap();
    assert_eq!((last.0.as_str(), last.1.as_str()), filter);
    assert_eq!(of(Feed::Vaccinations).len(), 2, "all vaccines: no filter");
}

#[test]
fn a_link_off_the_server_is_not_followed() {
    let queries = queries();
    let page = queries.search(Feed::Tests, Span::default(), 1, false);
    let addresses = OwnAddresses::new(queries.base().as_str());
    let follow = |page: &Url, link| {
        let target = LinkTarget::NextPage;
        links::follow(
            queries.base(),
            page,
            link,
            target,
            Links::Refuse,
            &addresses,
        )
    };
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
fn an_entry_that_can_match_nothing_is_refused() {
    let of = |codes: &[&str]| {
        let codes: Vec<String> = codes.iter().map(|code| (*code).to_owned()).collect();
        tokens(&codes, "test_codes").map_err(|error| error.to_string())
    };
    for (codes, word) in [
        (&[""][..], "entry 1 of test_codes is no code"),
        (&["a,b"], "is no code"),
        (&["a$b"], "is no code"),
        (&["a\\"], "is no code"),
        (&["a|b|c"], "names no code"),
        (
            &["x", "http://loinc.org|"],
            "entry 2 of test_codes names no code",
        ),
        (&["|94500-6"], "names no system"),
        (&["http://loinc.org"], "a system without a code"),
        (&["URN:oid:1.2"], "a system without a code"),
        (&["http://loinc.org| 94500-6"], "a blank"),
        (
            &["a", "b", "a"],
            "entry 3 of test_codes has no effect beside entry 1",
        ),
        (
            &["urn:x|a", "a"],
            "entry 1 of test_codes has no effect beside entry 2",
        ),
        (
            &["a", "urn:x|a"],
            "entry 2 of test_codes has no effect beside entry 1",
        ),
    ] {
        let error = of(codes).unwrap_err();
        assert!(error.contains(word), "{codes:?}: {error}");
    }
    let long = "x".repeat(200);
    assert_eq!(of(&[&long]).as_deref(), Ok(long.as_str()));
    assert!(of(&[&format!("{long}x")]).is_err());
    assert_eq!(
        of(&[" U07.1 ", "urn:x|77", "A B"]).unwrap(),
        "U07.1,urn:x|77,A B"
    );
}

#[test]
fn a_bare_code_is_meant_in_any_system() {
    let queries = queries();
    let asks = |system: Option<&str>, code: &str| {
        let system = system.map(str::to_owned);
        let code = code.to_owned();
        queries.asks_for(Feed::Recoveries, &[Coding { system, code }])
    };
    for system in [
        None,
        Some("http://hl7.org/fhir/sid/icd-10"),
        Some("urn:mkb"),
    ] {
        assert!(asks(system, "U07.1"), "{system:?}");
    }
    assert!(asks(Some("urn:x"), "77") && !asks(Some("urn:y"), "77") && !asks(None, "77"));
}
