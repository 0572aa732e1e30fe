//! Tests of the bundle parser.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fact::{self, MappingRules};

fn parsed(value: &Value) -> ServerPage {
    parse(value.to_string().as_bytes(), "Immunization").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn matches_patients_and_the_next_link_are_told_apart() {
    let page = parsed(&json!({"resourceType": "Bundle", "total": 9,
        "link": [{"relation": "self", "url": "a"}, {"relation": "next", "url": "b"}],
        "entry": [
            {"resource": {"resourceType": "Immunization", "id": "1",
                          "meta": {"lastUpdated": "2021-07-01T10:00:00+03:00", "versionId": "1"}}},
            {"fullUrl": "urn:uuid:7", "resource": {"resourceType": "Patient", "id": "p"}},
            {"resource": {"resourceType": "Practitioner", "id": "x"}},
            {"resource": {"resourceType": "OperationOutcome",
                          "issue": [{"code": "informational"}]}},
            {"search": {"mode": "match"}}]}));
    assert_eq!((page.next.as_deref(), page.total), (Some("b"), Some(9)));
    assert_eq!(page.matches.len(), 1);
    assert_eq!(page.matches[0].record_id, "Immunization/1");
    assert!(page.matches[0].is_first_version);
    assert_eq!(page.matches[0].stamp, "2021-07-01T07:00:00Z".parse().ok());
    assert_eq!(page.patients[0].full_url.as_deref(), Some("urn:uuid:7"));
}

#[test]
fn a_malformed_entry_stays_and_does_not_take_its_page_with_it() {
    let page = parsed(&json!({"resourceType": "Bundle", "link": null, "entry": [
        {"resource": {"resourceType": "Immunization", "id": 5, "meta": "x"}},
        {"resource": [1]},
        {"resource": {"resourceType": "Immunization", "id": "two\nlines"}},
        {"resource": {"resourceType": "Immunization", "id": "2",
                      "meta": {"lastUpdated": "yesterday"}}}]}));
    let ids: Vec<_> = page
        .matches
        .iter()
        .map(|resource| resource.record_id.as_str())
        .collect();
    assert_eq!(
        (ids[0], ids[3]),
        ("Immunization/5", "Immunization/2"),
        "a number is an id"
    );
    assert!(
        ids[1].starts_with("Immunization/?") && ids[2].starts_with("Immunization/?"),
        "{ids:?}"
    );
    assert!(page.matches.iter().all(|resource| resource.stamp.is_none()));
}

#[test]
fn resources_without_a_usable_id_stay_apart() {
    let of = |id: Value, day: &str| {
        let resource = json!({"resourceType": "Immunization", "id": id, "occurrenceDateTime": day});
        json!({"resource": resource})
    };
    let mut with_address = of(json!(null), "2021-07-01");
    with_address["fullUrl"] = json!("urn:uuid:7-7");
    let entries = [
        of(json!("x".repeat(129)), "2021-07-01"),
        of(json!("y".repeat(129)), "2021-07-01"),
        of(json!("a b"), "2021-07-01"),
        of(json!(null), "2021-07-01"),
        of(json!(null), "2021-07-02"),
        of(json!(-1.5), "2021-07-03"),
        with_address,
    ];
    let page = parsed(&json!({"resourceType": "Bundle", "entry": entries}));
    assert!(page.matches.iter().all(|resource| resource.id.is_none()));
    let ids: std::collections::BTreeSet<_> = page
        .matches
        .iter()
        .map(|resource| &resource.record_id)
        .collect();
    assert_eq!(ids.len(), 7, "{ids:?}");
    assert!(
        ids.iter()
            .all(|id| id.starts_with("Immunization/?") && id.len() < 64),
        "{ids:?}"
    );
    assert!(ids.contains(&"Immunization/?7-7".to_owned()));
    let later = of(json!("x".repeat(129)), "2021-07-09");
    let later = parsed(&json!({"resourceType": "Bundle", "entry": [later]}));
    assert!(
        ids.contains(&later.matches[0].record_id),
        "a bad id names its resource all the same"
    );
}

#[test]
fn an_outcome_among_the_entries_may_mean_that_records_are_missing() {
    let answer = |severity: &str, code: &str| {
        let outcome = json!({"resourceType": "OperationOutcome", "issue": [
            {"severity": "information", "code": "informational"},
            {"severity": severity, "code": code}]});
        let entry = json!({"resource": outcome, "search": {"mode": "outcome"}});
        let bundle = json!({"resourceType": "Bundle", "entry": [entry]});
        parse(bundle.to_string().as_bytes(), "Immunization").err()
    };
    for (severity, code) in [
        ("information", "informational"),
        ("warning", "not-supported"),
        ("warning", ""),
    ] {
        assert!(answer(severity, code).is_none(), "{severity} {code}");
    }
    for (severity, code) in [
        ("error", "exception"),
        ("fatal", "timeout"),
        ("warning", "incomplete"),
        ("information", "throttled"),
        ("warning", "timeout"),
        ("error", "unheard-of"),
    ] {
        assert!(
            matches!(answer(severity, code), Some(SourceError::Retry { .. })),
            "{severity} {code}"
        );
    }
    for (severity, code) in [
        ("warning", "too-costly"),
        ("error", "forbidden"),
        ("error", "not-supported"),
    ] {
        assert!(
            matches!(
                answer(severity, code),
                Some(SourceError::Misconfigured { .. })
            ),
            "{severity} {code}"
        );
    }
}

#[test]
fn a_history_that_is_not_whole_is_an_error_in_words() {
    let deleted =
        |id: &str| json!({"request": {"method": "DELETE", "url": format!("Patient/{id}")}});
    let answer = |severity: &str, code: &str| {
        let issue = json!([{"severity": severity, "code": code}]);
        let outcome = json!({"resourceType": "OperationOutcome", "issue": issue});
        let entry = json!({"resource": outcome, "search": {"mode": "outcome"}});
        let bundle = json!({"resourceType": "Bundle", "type": "history",
            "entry": [deleted("a"), entry, deleted("b")]});
        [bundle, outcome].map(|body| parse_history(body.to_string().as_bytes(), "Patient"))
    };
    for (severity, code) in [
        ("information", "informational"),
        ("error", "deleted"),
        ("error", "not-found"),
    ] {
        let [among, alone] = answer(severity, code);
        assert_eq!(among.ok().unwrap().deleted, ["a", "b"], "{severity} {code}");
        assert!(
            matches!(alone, Err(SourceError::Misconfigured { .. })),
            "{severity} {code}"
        );
    }
    for (severity, code, words) in [
        ("warning", "incomplete", "not all of the data is available"),
        ("error", "throttled", "too many requests"),
        ("error", "exception", "an unexpected failure"),
    ] {
        for answer in answer(severity, code) {
            let error = answer.err().unwrap();
            assert!(matches!(error, SourceError::Retry { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    let [among, _] = answer("warning", "too-costly");
    assert!(matches!(among, Err(SourceError::Misconfigured { .. })));
}

#[test]
fn an_answer_that_is_no_bundle_is_an_error_in_words() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for wrong in [
        "",
        "{}",
        "[]",
        "null",
        "<html>",
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Bundle","entry":5}"#,
        &deep,
    ] {
        assert!(
            matches!(
                parse(wrong.as_bytes(), "Condition"),
                Err(SourceError::Misconfigured { .. })
            ),
            "{wrong:.40}"
        );
    }
    let outcome =
        r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"throttled"}]}"#;
    let error = parse(outcome.as_bytes(), "Condition")
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("too many requests"), "{error}");
}

#[test]
fn a_resource_nested_without_end_is_refused_and_breaks_nothing() {
    let deep = format!(
        "{}{}",
        r#"{"extension":["#.repeat(50_000),
        "]}".repeat(50_000)
    );
    let resource = format!(r#"{{"resourceType":"Immunization","id":"1","vaccineCode":{deep}}}"#);
    let body = format!(r#"{{"resourceType":"Bundle","entry":[{{"resource":{resource}}}]}}"#);
    let page = parse(body.as_bytes(), "Immunization").unwrap_or_else(|error| panic!("{error}"));
    let mapped = fact::map(
        connector_kit::Feed::Vaccinations,
        page.matches[0].json.get(),
        MappingRules::plain(chrono_tz::UTC),
    );
    assert_eq!(
        mapped.status,
        connector_kit::RecordStatus::Unknown,
        "it has no status"
    );
}

/// JSON that uses the element names the parser looks for, in every wrong place.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "resourceType",
        "id",
        "meta",
        "lastUpdated",
        "entry",
        "resource",
        "link",
        "url",
        "status",
        "code",
        "coding",
        "vaccineCode",
        "protocolApplied",
        "doseNumberPositiveInt",
        "occurrenceDateTime",
        "identifier",
        "value",
        "subject",
        "patient",
        "reference",
        "contained",
        "period",
        "end",
        "issue",
    ]);
    let word = prop::sample::select(vec![
        "Bundle",
        "Immunization",
        "Patient",
        "OperationOutcome",
        "completed",
        "2021-07-01",
        "2021-13",
        "#a",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(|map| Value::Object(
                map.into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, "Immunization");
        let _ = outcome::describe(&bytes);
    }

    #[test]
    fn no_json_makes_the_parser_or_the_mapping_panic(
        entries in prop::collection::vec(any_json(), 0..4),
        whole in any_json(),
    ) {
        let _ = parse(whole.to_string().as_bytes(), "Immunization");
        let _ = outcome::describe(whole.to_string().as_bytes());
        let entries: Vec<_> = entries
            .into_iter()
            .map(|resource| json!({"resource": resource}))
            .collect();
        let count = entries.iter().filter(|entry| !entry["resource"].is_null()).count();
        let page = parsed(&json!({"resourceType": "Bundle", "entry": entries}));
        prop_assert!(page.matches.len() + page.patients.len() <= count);
        for resource in page.matches {
            for feed in connector_kit::Feed::ALL {
                let _ = fact::map(feed, resource.json.get(), MappingRules::plain(chrono_tz::Europe::Moscow));
            }
        }
    }
}
