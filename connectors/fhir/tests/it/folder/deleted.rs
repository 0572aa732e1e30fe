//! Lists of what was deleted in a folder, beside exports of what has changed since.

use connector_kit::{Feed, RecordStatus, SourceError};
use serde_json::{Value, json};

use super::export::{Export, fetch, keys, run, stamped, statuses};
use crate::support::{dose, patient, values};

const FEED: Feed = Feed::Vaccinations;
const FIRST: &str = "2021-06-01T00:00:00Z";
const SECOND: &str = "2021-06-02T00:00:00Z";
const THIRD: &str = "2021-06-03T00:00:00Z";

/// A list of deletions, made at a moment.
fn deleted(urls: &[&str], moment: Option<&str>) -> Value {
    let entries: Vec<Value> = urls
        .iter()
        .map(|url| json!({"request": {"method": "DELETE", "url": url}}))
        .collect();
    let mut bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    if let Some(moment) = moment {
        bundle["meta"] = json!({"lastUpdated": moment});
    }
    bundle
}

/// A folder with doses of the first moment.
fn export(ids: &[&str]) -> Export {
    let mut export = Export::new();
    let patients = ["p", "q"].map(|id| stamped(patient(id, "112-233-445 95"), FIRST));
    export.put("Patient.ndjson", &patients);
    let doses: Vec<Value> = ids
        .iter()
        .map(|id| stamped(dose(id, if *id == "of-q" { "q" } else { "p" }), FIRST))
        .collect();
    export.put("Immunization.ndjson", &doses);
    export
}

async fn ids(export: &Export) -> Vec<String> {
    let all = keys(&export.doses()).await.unwrap();
    let names = all.into_iter().map(|key| key.record_id);
    names.map(|id| id.replace("Immunization/", "")).collect()
}

#[tokio::test]
async fn what_was_deleted_after_its_newest_version_is_gone_and_nothing_else_is() {
    let mut export = export(&["again", "gone", "kept"]);
    let urls = [
        "Immunization/gone",
        "Immunization/again",
        "Observation/kept",
        "Immunization/never-there",
    ];
    export.put("deleted.ndjson", &[deleted(&urls, Some(SECOND))]);
    // Written anew behind its deletion.
    let again = stamped(dose("again", "p"), THIRD);
    export.put("Immunization.since.ndjson", &[again]);
    assert_eq!(ids(&export).await, ["again", "kept"]);
    let source = export.doses();
    let read = run(&source, FEED, None).await.unwrap();
    assert_eq!(read.ids(), ["again", "kept"]);
    let fetched = fetch(&source, &["gone", "kept"]).await.unwrap();
    assert_eq!(fetched.len(), 1, "as a sweep asks before it withdraws");

    // A version of the very moment of the list was there before the list was made.
    export.put(
        "Immunization.since.ndjson",
        &[stamped(dose("gone", "p"), SECOND)],
    );
    assert_eq!(ids(&export).await, ["kept"]);
    // A later list counts, and an earlier one beside it changes nothing.
    export.put(
        "Immunization.since.ndjson",
        &[stamped(dose("gone", "p"), THIRD)],
    );
    assert_eq!(ids(&export).await, ["gone", "kept"]);
    export.put(
        "deleted.later.ndjson",
        &[deleted(&["Immunization/gone"], Some(THIRD))],
    );
    assert_eq!(ids(&export).await, ["kept"]);
}

#[tokio::test]
async fn what_nobody_can_order_stops_the_folder_and_withdraws_nothing() {
    for (moment, is_stamped) in [(None, true), (Some(SECOND), false), (None, false)] {
        let mut export = export(&["kept"]);
        let mut unclear = dose("unclear", "p");
        if is_stamped {
            unclear = stamped(unclear, FIRST);
        }
        export.put("Immunization.more.ndjson", &[unclear]);
        export.put(
            "deleted.ndjson",
            &[deleted(&["Immunization/unclear"], moment)],
        );
        let failure = run(&export.doses(), FEED, None).await.err();
        let Some(SourceError::Misconfigured { what, .. }) = &failure else {
            panic!("{failure:?}");
        };
        assert!(what.contains("which came later"), "{what}");
        assert!(keys(&export.doses()).await.is_err());
        // A list without a moment of what is not there anyway hinders nothing.
        export.remove("Immunization.more.ndjson");
        assert_eq!(ids(&export).await, ["kept"]);
    }
}

#[tokio::test]
async fn records_of_a_deleted_patient_have_no_person() {
    let mut export = export(&["of-p", "of-q"]);
    export.put("deleted.ndjson", &[deleted(&["Patient/q"], Some(SECOND))]);
    let read = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(read.ids(), ["of-p", "of-q"]);
    assert_eq!(values(&read.records[0]), ["112-233-445 95"]);
    assert!(values(&read.records[1]).is_empty());
    assert_eq!(statuses(&read.records), [RecordStatus::Final; 2]);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_stops_the_folder() {
    let mut export = export(&["kept"]);
    let list = deleted(&["Immunization/kept"], Some(SECOND)).to_string();
    export.put_text(
        "deleted.ndjson",
        &format!("{list}\n{}\n", &list[..list.len() - 9]),
    );
    let failure = run(&export.doses(), FEED, None).await.err();
    assert!(
        failure.is_some_and(|error| error.to_string().contains("which lists what was deleted"))
    );
}
