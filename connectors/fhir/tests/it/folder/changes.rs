//! What changes from one export to the next.

use connector_kit::{Connector, Feed, RecordStatus, SourceSurprise};
use serde_json::{Value, json};

use super::export::{Export, fetch, keys, run, stamped, statuses};
use crate::support::{dose, now, patient, values};

const FEED: Feed = Feed::Vaccinations;

fn export(doses: &[Value]) -> Export {
    let mut export = Export::new();
    export.put("Patient.ndjson", &[patient("p", "112-233-445 95")]);
    export.put("Immunization.ndjson", doses);
    export
}

#[tokio::test]
async fn a_run_over_the_stored_state_reads_nothing_and_another_state_everything() {
    let mut export = export(&[dose("c", "p"), dose("a", "p"), dose("b", "p")]);
    let first = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(first.ids(), ["a", "b", "c"], "in the order of their ids");
    let quiet = run(&export.doses(), FEED, first.stored.as_ref())
        .await
        .unwrap();
    assert!(quiet.ids().is_empty() && quiet.stored == first.stored);
    // A corrected Patient changes no record, and comes with all of them.
    export.put("Patient.ndjson", &[patient("p", "160-722-773 89")]);
    let source = export.doses();
    let second = run(&source, FEED, first.stored.as_ref()).await.unwrap();
    assert_eq!(second.ids(), ["a", "b", "c"]);
    assert!(
        second
            .records
            .iter()
            .all(|record| values(record) == ["160-722-773 89"])
    );
    export.put("Immunization.ndjson", &[dose("b", "p"), dose("d", "p")]);
    let third = run(&source, FEED, second.stored.as_ref()).await.unwrap();
    assert_eq!(third.ids(), ["b", "d"]);
    let listed: Vec<_> = keys(&source)
        .await
        .unwrap()
        .into_iter()
        .map(|key| key.record_id)
        .collect();
    assert_eq!(listed, ["Immunization/b", "Immunization/d"]);
    assert!(fetch(&source, &["a"]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stopped_run_goes_on_in_the_same_state_and_begins_anew_in_another() {
    let mut export = export(&["a", "b", "c", "d"].map(|id| dose(id, "p")));
    let source = export.doses();
    let page = source
        .page(crate::support::request(FEED, None, true, 3))
        .await
        .unwrap();
    assert_eq!(page.records.len(), 3);
    let rest = run(&export.doses(), FEED, page.resume.as_ref())
        .await
        .unwrap();
    assert_eq!(rest.ids(), ["d"]);
    export.put(
        "Immunization.ndjson",
        &["a", "b", "c", "d"].map(|id| dose(id, "p")),
    );
    let again = run(&export.doses(), FEED, page.resume.as_ref())
        .await
        .unwrap();
    assert_eq!(again.ids(), ["a", "b", "c", "d"]);
    // A run in the middle of which the folder changes is followed by a whole one.
    let page = source
        .page(crate::support::request(FEED, None, true, 3))
        .await
        .unwrap();
    export.put(
        "Immunization.ndjson",
        &["a", "b", "c", "e"].map(|id| dose(id, "p")),
    );
    let second = source
        .page(crate::support::request(FEED, page.next.as_ref(), false, 3))
        .await
        .unwrap();
    assert!(second.next.is_none() && second.records.len() == 1);
    let after = run(&source, FEED, second.resume.as_ref()).await.unwrap();
    assert_eq!(after.ids(), ["a", "b", "c", "e"]);
}

#[tokio::test]
async fn of_several_versions_the_newest_counts_wherever_it_stands() {
    let dose_on = |day: &str, stamp: &str| {
        let mut dose = stamped(dose("a", "p"), stamp);
        dose["occurrenceDateTime"] = json!(day);
        dose
    };
    let mut export = export(&[
        dose_on("2021-06-03", "2021-06-03T10:00:00Z"),
        dose_on("2021-06-01", "2021-06-01T10:00:00Z"),
    ]);
    export.put(
        "Immunization.1.ndjson",
        &[dose_on("2021-06-02", "2021-06-02T10:00:00Z")],
    );
    let source = export.doses();
    let day = async |export: &Export| {
        let run = run(&export.doses(), FEED, None).await.unwrap();
        assert_eq!(run.ids(), ["a"]);
        let connector_kit::ClinicFact::Vaccination { occurred_on, .. } = &run.records[0].fact
        else {
            panic!("a vaccination");
        };
        format!("{occurred_on:?}")
    };
    assert!(day(&export).await.contains("2021-06-03"));
    assert_eq!(keys(&source).await.unwrap().len(), 1);
    let mut unstamped = dose("a", "p");
    unstamped["occurrenceDateTime"] = json!("2021-05-01");
    export.put("Immunization.ndjson", &[unstamped.clone()]);
    unstamped["occurrenceDateTime"] = json!("2021-05-02");
    export.put("Immunization.1.ndjson", &[unstamped.clone()]);
    // `Immunization.1.ndjson` comes before `Immunization.ndjson` by its name.
    assert!(day(&export).await.contains("2021-05-01"));
}

#[tokio::test]
async fn types_are_told_by_the_lines_and_feeds_by_their_codes() {
    let test = |id: &str, code: &str| {
        json!({"resourceType": "Observation", "id": id, "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2021-06-01",
            "valueCodeableConcept": {"coding": [
                {"system": "http://snomed.info/sct", "code": "260373001"}]}})
    };
    let illness = |id: &str, code: &str| {
        json!({"resourceType": "Condition", "id": id,
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": code}]},
            "clinicalStatus": {"coding": [{"code": "resolved"}]},
            "subject": {"reference": "Patient/p"}, "abatementDateTime": "2021-06-01"})
    };
    let mut export = Export::new();
    let encounter = json!({"resourceType": "Encounter", "id": "a"});
    let person = patient("p", "112-233-445 95");
    export.put(
        "everything.ndjson",
        &[encounter, test("a", "94500-6"), dose("a", "p"), person],
    );
    export.put(
        "1.Patient.ndjson",
        &[
            illness("a", "U07.1"),
            illness("b", "J10.1"),
            test("b", "2345-7"),
        ],
    );
    let source = export.connector(&json!({}));
    for feed in Feed::ALL {
        let found = run(&source, feed, None).await.unwrap();
        assert_eq!(found.ids(), ["a"], "{feed}");
        assert_eq!(statuses(&found.records), [RecordStatus::Final], "{feed}");
        assert_eq!(values(&found.records[0]), ["112-233-445 95"], "{feed}");
    }
    // A code that is corrected to another one takes the record out of its feed.
    let fetched = source
        .fetch(Feed::Tests, &["Observation/b".to_owned()], now())
        .await;
    assert!(fetched.unwrap().is_empty());
}

#[tokio::test]
async fn an_older_export_in_place_of_a_newer_one_is_said_once() {
    let older = stamped(dose("a", "p"), "2021-06-01T10:00:00Z");
    let newer = stamped(dose("b", "p"), "2021-06-02T10:00:00Z");
    let future = stamped(dose("c", "p"), "2031-06-02T10:00:00Z");
    let mut export = export(&[older.clone(), newer.clone(), future]);
    let source = export.doses();
    let first = run(&source, FEED, None).await.unwrap();
    export.put("Immunization.ndjson", &[older.clone(), newer.clone()]);
    let second = run(&source, FEED, first.stored.as_ref()).await.unwrap();
    assert!(
        second.surprises.is_empty(),
        "a stamp of the future is no measure"
    );
    export.put("Immunization.ndjson", std::slice::from_ref(&older));
    let third = run(&source, FEED, second.stored.as_ref()).await.unwrap();
    assert_eq!(third.surprises, [SourceSurprise::StampsWentBack]);
    export.put("Immunization.ndjson", std::slice::from_ref(&older));
    let fourth = run(&source, FEED, third.stored.as_ref()).await.unwrap();
    assert!(fourth.surprises.is_empty());
}

#[tokio::test]
async fn the_cursor_of_another_kind_of_source_is_refused() {
    let export = export(&[dose("a", "p")]);
    for foreign in ["", "17", r#"{"since":"2021-06-29T20:53:27Z"}"#] {
        let cursor = connector_kit::Cursor::new(foreign).unwrap();
        let failure = run(&export.doses(), FEED, Some(&cursor))
            .await
            .err()
            .unwrap();
        assert!(failure.to_string().contains("sync --full"), "{failure}");
    }
}
