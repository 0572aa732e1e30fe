//! One search answer, taken apart: the records, the patients that came along, the link onwards.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::date;
use crate::model::{Bundle, Head};
use crate::outcome::{self, Weight};

/// Longest resource id taken over; FHIR R4 allows 64.
const MAX_ID_BYTES: usize = 128;

/// What to do about a server that answers with a complaint that will not pass.
const OUTCOME_HELP: &str =
    "compare the server's search parameters with this source's settings, and its account's rights";

/// One page as the server sends it.
pub(crate) struct ServerPage {
    /// Resources of the type that was asked for, in the server's order.
    pub matches: Vec<Resource>,
    /// Patients in the page that were included.
    pub patients: Vec<PatientEntry>,
    /// The link to the next page, as written.
    pub next: Option<String>,
    /// How many matches the server counts, if it does.
    pub total: Option<u64>,
}

/// One match; its content is still unparsed.
pub(crate) struct Resource {
    /// `Type/id`; without a usable id `Type/?` and what tells the resource from others of its page.
    pub record_id: String,
    /// Its usable id.
    pub id: Option<String>,
    /// The entry's address.
    pub full_url: Option<String>,
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

impl From<Resource> for PatientEntry {
    fn from(resource: Resource) -> Self {
        Self { id: resource.id, full_url: resource.full_url, json: resource.json }
    }
}

/// Takes a search answer apart. A resource of the wrong shape stays in; an answer of the wrong shape is an error.
pub(crate) fn parse(body: &[u8], resource_type: &str) -> Result<ServerPage, SourceError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let head: Head = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    if head.resource_type == "OperationOutcome" {
        let said = outcome::words(body).map(|words| format!(" (it says: {words})")).unwrap_or_default();
        let what = format!("the FHIR server answers a search with a complaint instead of a Bundle{said}");
        return Err(match outcome::weight(body) {
            Weight::Passing => SourceError::retry(what),
            Weight::Remark | Weight::Lasting => SourceError::misconfigured(what, OUTCOME_HELP),
        });
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
        let id = usable_id(&head.id);
        match head.resource_type.as_str() {
            Some("OperationOutcome") => heed(json.get().as_bytes(), resource_type)?,
            Some("Patient") if resource_type != "Patient" => {
                page.patients.push(PatientEntry { id, full_url: entry.full_url, json });
            }
            Some(other) if other != resource_type => {}
            // A resource without a type cannot be told from a match: it is kept, to be refused visibly.
            _ => page.matches.push(Resource {
                record_id: match &id {
                    Some(id) => format!("{resource_type}/{id}"),
                    None => {
                        format!("{resource_type}/?{}", makeshift(&head.id, entry.full_url.as_deref(), &json))
                    }
                },
                id,
                full_url: entry.full_url,
                stamp: head.meta["lastUpdated"].as_str().and_then(date::instant),
                is_first_version: head.meta["versionId"] == "1",
                json,
            }),
        }
    }
    Ok(page)
}

/// An OperationOutcome among the entries: a remark, or the reason why the answer is not whole.
///
/// One that misses a Patient is a remark: that record is refused visibly, and must not hold up all the others.
fn heed(outcome: &[u8], resource_type: &str) -> Result<(), SourceError> {
    let words = outcome::words(outcome).unwrap_or_default();
    let what = || format!("the FHIR server says that its answer to a search is not whole: {words}");
    match outcome::weight(outcome) {
        Weight::Lasting if resource_type == "Patient" && outcome::only_misses(outcome) => Ok(()),
        Weight::Remark => {
            tracing::warn!(outcome = words, "the FHIR server adds a remark to its answer");
            Ok(())
        }
        Weight::Passing => Err(SourceError::retry(what())),
        Weight::Lasting => Err(SourceError::misconfigured(what(), OUTCOME_HELP)),
    }
}

/// The id as text; some servers write their key as a JSON number.
fn usable_id(id: &Value) -> Option<String> {
    match id {
        Value::String(id) => is_id(id).then(|| id.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// What a resource without a usable id goes by, so that two refusals are not taken for one: the end of its address, or
/// a fingerprint of the id it has, else of its content.
fn makeshift(id: &Value, full_url: Option<&str>, json: &RawValue) -> String {
    if let Some(tail) = full_url.and_then(|url| url.rsplit(['/', ':']).next()).filter(|tail| is_id(tail)) {
        return tail.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    match id {
        Value::String(id) if !id.trim().is_empty() => id.hash(&mut hasher),
        _ => json.get().hash(&mut hasher),
    }
    format!("{:016x}", hasher.finish())
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
        assert_eq!((ids[0], ids[3]), ("Immunization/5", "Immunization/2"), "a number is an id");
        assert!(ids[1].starts_with("Immunization/?") && ids[2].starts_with("Immunization/?"), "{ids:?}");
        assert!(page.matches.iter().all(|resource| resource.stamp.is_none()));
    }

    #[test]
    fn resources_without_a_usable_id_stay_apart() {
        let of = |id: Value, day: &str| json!({"resource": {"resourceType": "Immunization", "id": id, "occurrenceDateTime": day}});
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
        let ids: std::collections::BTreeSet<_> =
            page.matches.iter().map(|resource| &resource.record_id).collect();
        assert_eq!(ids.len(), 7, "{ids:?}");
        assert!(ids.iter().all(|id| id.starts_with("Immunization/?") && id.len() < 64), "{ids:?}");
        assert!(ids.contains(&"Immunization/?7-7".to_owned()));
        let later = of(json!("x".repeat(129)), "2021-07-09");
        let later = parsed(&json!({"resourceType": "Bundle", "entry": [later]}));
        assert!(ids.contains(&later.matches[0].record_id), "a bad id names its resource all the same");
    }

    #[test]
    fn an_outcome_among_the_entries_may_mean_that_records_are_missing() {
        let answer = |severity: &str, code: &str| {
            let outcome = json!({"resourceType": "OperationOutcome", "issue": [
                {"severity": "information", "code": "informational"}, {"severity": severity, "code": code}]});
            let bundle = json!({"resourceType": "Bundle", "entry": [{"resource": outcome, "search": {"mode": "outcome"}}]});
            parse(bundle.to_string().as_bytes(), "Immunization").err()
        };
        for (severity, code) in
            [("information", "informational"), ("warning", "not-supported"), ("warning", "")]
        {
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
            assert!(matches!(answer(severity, code), Some(SourceError::Retry { .. })), "{severity} {code}");
        }
        for (severity, code) in
            [("warning", "too-costly"), ("error", "forbidden"), ("error", "not-supported")]
        {
            assert!(
                matches!(answer(severity, code), Some(SourceError::Misconfigured { .. })),
                "{severity} {code}"
            );
        }
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
