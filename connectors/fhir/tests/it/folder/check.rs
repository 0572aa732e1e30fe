//! `check` of a folder: one clear sentence for each thing.

use connector_kit::{Connector, Feed, Level};
use serde_json::{Value, json};

use super::export::{Export, stamped};
use crate::support::{dose, now, patient};

async fn findings(export: &Export, settings: &Value) -> Vec<(Level, String)> {
    let report = export.connector(settings).check(now()).await;
    let findings = report.findings.into_iter();
    findings
        .map(|finding| {
            (
                finding.level,
                format!("{}; {}", finding.what, finding.help.unwrap_or_default()),
            )
        })
        .collect()
}

#[track_caller]
fn has(findings: &[(Level, String)], level: Level, word: &str) {
    let mut all = findings.iter();
    assert!(
        all.any(|(found, what)| *found == level && what.contains(word)),
        "no {word:?} in {findings:#?}"
    );
}

#[tokio::test]
async fn a_good_folder_is_good_and_says_what_it_holds() {
    let mut export = Export::new();
    let mut person = patient("p", "112-233-445 95");
    person["identifier"].as_array_mut().unwrap().truncate(1);
    export.put("Patient.ndjson", &[person]);
    let stamp = "2021-06-01T10:00:00Z";
    export.put(
        "Immunization.ndjson",
        &["a", "b"].map(|id| stamped(dose(id, "p"), stamp)),
    );
    let settings = json!({"feeds": ["vaccinations"], "vaccine_codes": ["505"]});
    let report = export.connector(&settings).check(now()).await;
    assert_eq!(report.worst(), Level::Good, "{report:?}");
    let findings = findings(&export, &settings).await;
    has(
        &findings,
        Level::Good,
        "2 files of an export: Immunization 2, Patient 1",
    );
    has(
        &findings,
        Level::Good,
        "2 records of 2 Immunization resources, by vaccine_codes",
    );
}

#[tokio::test]
async fn everything_that_is_odd_is_said_in_one_go() {
    let mut export = Export::new();
    let lines = format!(
        "{}\n{}\nno JSON\n",
        patient("p", "one"),
        patient("q", "two")
    );
    export.put_text("Patient.ndjson", &lines);
    let mut elsewhere = dose("c", "q");
    elsewhere["patient"] = json!({"reference": "https://mis.example/fhir/Patient/q"});
    let lines = format!(
        "{}\n{}\n{elsewhere}\nno JSON\n{}\n",
        dose("a", "p"),
        dose("b", "q"),
        dose("a", "p")
    );
    export.put_text("Immunization.ndjson", &lines);
    let test = json!({"resourceType": "Observation", "id": "o", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]},
        "subject": {"reference": "Patient/p"}});
    export.put("Observation.ndjson", &[test]);
    export.put(
        "deleted.ndjson",
        &[json!({"resourceType": "Bundle", "type": "transaction"})],
    );
    let findings = findings(&export, &json!({})).await;
    for (level, word) in [
        (Level::Good, "4 files of an export"),
        (Level::Good, "1 resources are there more than once"),
        (Level::Warning, "1 Bundles are no lists of what was deleted"),
        (
            Level::Warning,
            "1 lines of the files of Patient cannot be read",
        ),
        (
            Level::Warning,
            "vaccinations: 1 lines of the files of Immunization",
        ),
        (
            Level::Warning,
            "by a whole address, the first below https://mis.example/fhir/",
        ),
        (
            Level::Warning,
            "3 of the first 3 records come without meta.lastUpdated",
        ),
        (
            Level::Warning,
            "1 of the first 3 records have no identifier",
        ),
        (
            Level::Warning,
            "identifier systems without a meaning here (persons): urn:clinic:card (2)",
        ),
        (
            Level::Warning,
            "tests: 0 of 1 Observation resources match 94500-6",
        ),
        (Level::Warning, "http://loinc.org|2345-7 (1)"),
        (
            Level::Error,
            "recoveries: the folder has no resource of the type Condition",
        ),
    ] {
        has(&findings, level, word);
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_now_is_an_error_with_its_reason() {
    let mut export = Export::new();
    has(
        &findings(&export, &json!({})).await,
        Level::Error,
        "is not there",
    );
    export.put("Patient.ndjson", &[patient("p", "one")]);
    export.set_folder_time(now().into());
    has(
        &findings(&export, &json!({})).await,
        Level::Error,
        "settle_seconds",
    );
}

#[tokio::test]
async fn the_sample_has_the_first_and_the_newest_records_once() {
    let mut export = Export::new();
    export.put("Patient.ndjson", &[patient("p", "one")]);
    let doses: Vec<Value> = (0..700)
        .map(|number| {
            let mut dose = dose(&format!("d{number:03}"), "p");
            dose["occurrenceDateTime"] = json!("2021-06-01T22:00:00Z");
            let stamp = format!("2021-06-01T10:{:02}:{:02}Z", number / 60, number % 60);
            stamped(dose, &stamp)
        })
        .collect();
    export.put("Immunization.ndjson", &doses);
    let sample = export
        .doses()
        .sample(Feed::Vaccinations, now())
        .await
        .unwrap();
    let ids: std::collections::BTreeSet<&str> = sample
        .iter()
        .map(|sampled| sampled.record.record_id.as_str())
        .collect();
    assert_eq!((sample.len(), ids.len()), (500, 500));
    assert!(ids.contains("Immunization/d000") && ids.contains("Immunization/d699"));
    assert!(!ids.contains("Immunization/d300"));
    let instant = sample[0].instants[0];
    assert_eq!(instant.at.to_rfc3339(), "2021-06-01T22:00:00+00:00");
}
