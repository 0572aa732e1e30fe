//! Whose the records of an export are.

use connector_kit::{Feed, RecordStatus, SourceError};
use serde_json::{Value, json};

use super::export::{Export, run, statuses};
use crate::support::{dose, patient, values};

const FEED: Feed = Feed::Vaccinations;
const BASE: &str = "https://mis.example/fhir";

/// A dose of whom a reference names.
fn dose_of(id: &str, reference: &str) -> Value {
    let mut dose = dose(id, "p");
    dose["patient"] = json!({"reference": reference});
    dose
}

/// The numbers of the persons of all doses, in the order of the doses' ids.
async fn numbers(export: &Export, settings: Value) -> Vec<Vec<String>> {
    let mut settings = settings;
    settings["feeds"] = json!(["vaccinations"]);
    let found = run(&export.connector(&settings), FEED, None).await.unwrap();
    let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
    found
        .records
        .iter()
        .map(|record| owned(values(record)))
        .collect()
}

#[tokio::test]
async fn references_lead_to_the_folders_patients() {
    let mut export = Export::new();
    export.put(
        "Patient.ndjson",
        &[patient("p", "one"), patient("q", "two")],
    );
    let mut contained = dose_of("d", "#x");
    contained["contained"] = json!([patient("x", "inside")]);
    let mut logical = dose("e", "p");
    logical["patient"] =
        json!({"identifier": {"system": crate::support::SNILS, "value": "logical"}});
    export.put(
        "Immunization.ndjson",
        &[
            dose_of("a", "Patient/p"),
            dose_of("b", &format!("{BASE}/Patient/q")),
            dose_of("c", "https://elsewhere.example/fhir/Patient/q"),
            contained,
            logical,
            dose_of("f", "Patient/nobody"),
        ],
    );
    // Without its address nobody knows whose server's patient 7 is meant.
    let unknown: [&[&str]; 6] = [&["one"], &[], &[], &["inside"], &["logical"], &[]];
    assert_eq!(numbers(&export, json!({})).await, unknown);
    let known: [&[&str]; 6] = [&["one"], &["two"], &[], &["inside"], &["logical"], &[]];
    assert_eq!(numbers(&export, json!({"base_url": BASE})).await, known);
}

#[tokio::test]
async fn merged_patients_are_followed_from_either_side() {
    let mut export = Export::new();
    let link = |mut patient: Value, kind: &str, other: &str| {
        patient["link"] =
            json!([{"type": kind, "other": {"reference": format!("Patient/{other}")}}]);
        patient
    };
    let mut inactive = patient("d", "four");
    inactive["active"] = json!(false);
    export.put(
        "Patient.ndjson",
        &[
            link(patient("a", "one"), "replaced-by", "b"),
            patient("b", "two"),
            link(patient("c", "three"), "refer", "b"),
            inactive,
            link(patient("e", "five"), "replaces", "d"),
            link(patient("f", "six"), "replaced-by", "g"),
            link(patient("g", "seven"), "replaced-by", "f"),
        ],
    );
    let doses: Vec<_> = ["a", "b", "c", "d", "f"]
        .iter()
        .map(|id| dose(id, id))
        .collect();
    export.put("Immunization.ndjson", &doses);
    let expected: [&[&str]; 5] = [&["two"], &["two"], &["three", "two"], &["five"], &[]];
    assert_eq!(numbers(&export, json!({})).await, expected);
}

#[tokio::test]
async fn a_folder_that_shows_none_of_the_patients_stops_the_feed() {
    let mut export = Export::new();
    let doses: Vec<_> = (0..20)
        .map(|number| dose(&format!("d{number:02}"), &format!("p{number}")))
        .collect();
    export.put("Immunization.ndjson", &doses[..1]);
    let failure = |export: &Export| {
        let source = export.doses();
        async move {
            let request = crate::support::request(FEED, None, true, 20);
            connector_kit::Connector::page(&source, request).await.err()
        }
    };
    let without = failure(&export).await;
    assert!(
        matches!(without, Some(SourceError::Misconfigured { .. })),
        "{without:?}"
    );
    // Those of another export.
    export.put("Patient.ndjson", &[patient("other", "one")]);
    export.put("Immunization.ndjson", &doses[..19]);
    assert_eq!(failure(&export).await, None, "19 may all be gone");
    export.put("Immunization.ndjson", &doses);
    let without = failure(&export).await;
    assert!(
        matches!(without, Some(SourceError::Misconfigured { .. })),
        "{without:?}"
    );
    export.put("Patient.ndjson", &[patient("p7", "one")]);
    assert_eq!(failure(&export).await, None);
}

#[tokio::test]
async fn who_is_in_no_file_is_not_taken_for_gone() {
    let mut export = Export::new();
    let of_both = [dose("a", "p"), dose("b", "q")];
    export.put("Immunization.ndjson", &of_both);
    export.put("Patient.ndjson", &[patient("p", "one")]);
    let found = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(
        statuses(&found.records),
        [RecordStatus::Final, RecordStatus::PersonHidden]
    );
    // The other of two parts comes.
    export.put("Patient.2.ndjson", &[patient("q", "two")]);
    let found = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(statuses(&found.records), [RecordStatus::Final; 2]);
    assert_eq!(values(&found.records[1]), ["two"]);
    // The person whom a merge leads to is in no file.
    let mut merged = patient("q", "two");
    merged["link"] = json!([{"type": "replaced-by", "other": {"reference": "Patient/r"}}]);
    export.put("Patient.2.ndjson", &[merged]);
    let found = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(
        statuses(&found.records),
        [RecordStatus::Final, RecordStatus::PersonHidden]
    );
}

#[tokio::test]
async fn while_a_patients_line_cannot_be_read_nobody_is_taken_for_gone() {
    let mut export = Export::new();
    let lines = format!("{}\n{{\"resourceType\":\n", patient("p", "one"));
    export.put_text("Patient.ndjson", &lines);
    export.put("Immunization.ndjson", &[dose("a", "p"), dose("b", "q")]);
    let found = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(
        statuses(&found.records),
        [RecordStatus::Final, RecordStatus::PersonHidden]
    );
}
