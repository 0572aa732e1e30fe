//! One search answer, taken apart: the records, the patients that came along, the link onwards.

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use serde_json::value::RawValue;

use crate::date;
use crate::model::{Bundle, Head};
use crate::outcome;

/// Longest resource id taken over; FHIR R4 allows 64.
const MAX_ID_BYTES: usize = 128;

/// One page as the server sends it.
pub(crate) struct ServerPage {
    /// Resources of the type that was asked for, in the server's order.
    pub matches: Vec<Resource>,
    /// Patients in the page, included or asked for.
    pub patients: Vec<PatientEntry>,
    /// The link to the next page, as written.
    pub next: Option<String>,
    /// How many matches the server counts, if it does.
    pub total: Option<u64>,
}

/// One match; its content is still unparsed.
pub(crate) struct Resource {
    /// `Type/id`; the id is `?` where the resource has none.
    pub record_id: String,
    /// `meta.lastUpdated`.
    pub stamp: Option<DateTime<Utc>>,
    /// `meta.versionId` says that this is the first version.
    pub is_first_version: bool,
    /// The resource.
    pub json: Box<RawValue>,
}

/// One Patient, still unparsed.
pub(crate) struct PatientEntry {
    pub id: Option<String>,
    pub full_url: Option<String>,
    pub json: Box<RawValue>,
}

/// Takes a search answer apart. A resource of the wrong shape stays in; an answer of the wrong shape is an error.
pub(crate) fn parse(body: &[u8], resource_type: &str) -> Result<ServerPage, SourceError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let head: Head = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    if head.resource_type == "OperationOutcome" {
        let said = outcome::words(body).map(|words| format!(" (it says: {words})")).unwrap_or_default();
        return Err(SourceError::misconfigured(
            format!("the FHIR server answers a search with a complaint instead of a Bundle{said}"),
            "compare the server's search parameters with this source's settings",
        ));
    }
    if head.resource_type != "Bundle" {
        return Err(not_a_bundle());
    }
    let bundle: Bundle = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    let next = bundle.link.into_iter().find(|link| link.relation == "next").map(|link| link.url);
    let mut page = ServerPage { matches: Vec::new(), patients: Vec::new(), next, total: bundle.total };
    for entry in bundle.entry {
        let Some(json) = entry.resource else { continue };
        let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
        let id = head.id.as_str().filter(|id| is_id(id)).map(str::to_owned);
        match head.resource_type.as_str() {
            Some("OperationOutcome") => {
                let words = outcome::words(json.get().as_bytes()).unwrap_or_default();
                tracing::warn!(outcome = words, "the FHIR server adds a remark to its answer");
            }
            Some("Patient") => page.patients.push(PatientEntry { id, full_url: entry.full_url, json }),
            Some(other) if other != resource_type => {}
            // A resource without a type cannot be told from a match: it is kept, to be refused visibly.
            _ => page.matches.push(Resource {
                record_id: format!("{resource_type}/{}", id.as_deref().unwrap_or("?")),
                stamp: head.meta["lastUpdated"].as_str().and_then(date::instant),
                is_first_version: head.meta["versionId"] == "1",
                json,
            }),
        }
    }
    Ok(page)
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.contains(|c: char| c.is_control() || c.is_whitespace())
}

fn not_a_bundle() -> SourceError {
    SourceError::misconfigured(
        "the FHIR server's answer to a search is no FHIR Bundle",
        "check that base_url is a FHIR R4 base address, and the server's health",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::fact;

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
                {"resource": {"resourceType": "OperationOutcome", "issue": [{"code": "informational"}]}},
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
            {"resource": {"resourceType": "Immunization", "id": "2", "meta": {"lastUpdated": "yesterday"}}}]}));
        let ids: Vec<_> = page.matches.iter().map(|resource| resource.record_id.as_str()).collect();
        assert_eq!(ids, ["Immunization/?", "Immunization/?", "Immunization/?", "Immunization/2"]);
        assert!(page.matches.iter().all(|resource| resource.stamp.is_none()));
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
                matches!(parse(wrong.as_bytes(), "Condition"), Err(SourceError::Misconfigured { .. })),
                "{wrong:.40}"
            );
        }
        let outcome =
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"throttled"}]}"#;
        let error = parse(outcome.as_bytes(), "Condition").err().unwrap().to_string();
        assert!(error.contains("too many requests"), "{error}");
    }

    #[test]
    fn a_resource_nested_without_end_is_refused_and_breaks_nothing() {
        let deep = format!("{}{}", r#"{"extension":["#.repeat(50_000), "]}".repeat(50_000));
        let body = format!(
            r#"{{"resourceType":"Bundle","entry":[{{"resource":{{"resourceType":"Immunization","id":"1","vaccineCode":{deep}}}}}]}}"#
        );
        let page = parse(body.as_bytes(), "Immunization").unwrap_or_else(|error| panic!("{error}"));
        let mapped = fact::map(connector_kit::Feed::Vaccinations, page.matches[0].json.get(), chrono_tz::UTC);
        assert_eq!(mapped.status, connector_kit::RecordStatus::Unknown, "it has no status");
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
                    map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, "Immunization");
            let _ = outcome::words(&bytes);
        }

        #[test]
        fn no_json_makes_the_parser_or_the_mapping_panic(entries in prop::collection::vec(any_json(), 0..4), whole in any_json()) {
            let _ = parse(whole.to_string().as_bytes(), "Immunization");
            let _ = outcome::words(whole.to_string().as_bytes());
            let entries: Vec<_> = entries.into_iter().map(|resource| json!({"resource": resource})).collect();
            let count = entries.iter().filter(|entry| !entry["resource"].is_null()).count();
            let page = parsed(&json!({"resourceType": "Bundle", "entry": entries}));
            prop_assert!(page.matches.len() + page.patients.len() <= count);
            for resource in page.matches {
                for feed in connector_kit::Feed::ALL {
                    let _ = fact::map(feed, resource.json.get(), chrono_tz::Europe::Moscow);
                }
            }
        }
    }
}
