//! Patients that were merged into others, or refer to others: the facts of the one are those of the
//! other.

use connector_kit::{Connector, Feed, RecordStatus};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;

use crate::support::{Run, connector, dose, now, patient, run, values};

const FEED: Feed = Feed::Vaccinations;
const LATER: &str = "2021-07-05T09:58:00Z";

/// A patient with links, each of a type and to a patient.
fn linked(id: &str, links: &[(&str, &str)]) -> Value {
    let mut patient = patient(id, &format!("snils-{id}"));
    let links = links.iter().map(
        |(kind, other)| json!({"type": kind, "other": {"reference": format!("Patient/{other}")}}),
    );
    patient["link"] = links.collect();
    patient
}

/// A clinic with a dose of each of these patients.
async fn clinic(patients: Vec<Value>) -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    server.set_clock(Some("2021-07-05T10:00:00Z".parse().unwrap()));
    for patient in patients {
        let id = patient["id"].as_str().unwrap().to_owned();
        server.put(dose(&format!("d-{id}"), &id), "2021-07-01T10:00:00Z");
        server.put(patient, "2021-07-01T09:00:00Z");
    }
    server
}

/// The identifiers of the person of a patient's dose, as a run hands it over last.
fn of<'a>(run: &'a Run, id: &str) -> Option<Vec<&'a str>> {
    let name = format!("Immunization/d-{id}");
    let mut records = run.records.iter().rev();
    let record = records.find(|record| record.record_id == name);
    record.map(values)
}

#[tokio::test]
async fn the_facts_of_a_merged_patient_are_those_of_the_surviving_one() {
    let patients = vec![
        linked("old", &[("replaced-by", "mid")]),
        linked("mid", &[("replaced-by", "new")]),
        linked("new", &[("replaces", "mid")]),
        linked("refers", &[("refer", "new")]),
        linked("alike", &[("seealso", "new")]),
        linked("nowhere", &[("replaced-by", "gone")]),
        linked("split", &[("replaced-by", "new"), ("replaced-by", "alike")]),
        linked("round", &[("replaced-by", "turn")]),
        linked("turn", &[("replaced-by", "round")]),
        linked("a", &[("refer", "b")]),
        linked("b", &[("refer", "a")]),
    ];
    for include in [true, false] {
        let server = clinic(patients.clone()).await;
        if !include {
            server.without_include();
        }
        let source = connector(&server.base_url(), json!({}));
        let read = run(&source, FEED, None, 100).await;
        for (id, expected) in [
            ("old", vec!["snils-new"]),
            ("mid", vec!["snils-new"]),
            ("new", vec!["snils-new"]),
            ("refers", vec!["snils-refers", "snils-new"]),
            ("alike", vec!["snils-alike"]),
            ("nowhere", vec![]),
            ("split", vec![]),
            ("round", vec![]),
            ("turn", vec![]),
            ("a", vec!["snils-a", "snils-b"]),
            ("b", vec!["snils-b", "snils-a"]),
        ] {
            assert_eq!(of(&read, id), Some(expected), "{id}");
        }
        let ids = ["Immunization/d-old".to_owned()];
        let records = source.fetch(FEED, &ids, now()).await.unwrap();
        assert_eq!(values(&records[0]), ["snils-new"]);
    }
}

#[tokio::test]
async fn chains_of_merges_are_followed_to_a_bound() {
    for (length, expected) in [(9, vec!["snils-p9"]), (10, vec![])] {
        let patients = (0..=length).map(|n| {
            let next = format!("p{}", n + 1);
            let links = [("replaced-by", next.as_str())];
            linked(&format!("p{n}"), if n < length { &links } else { &[] })
        });
        let server = clinic(patients.collect()).await;
        server.without_include();
        let source = connector(&server.base_url(), json!({}));
        let ids = ["Immunization/d-p0".to_owned()];
        let records = source.fetch(FEED, &ids, now()).await.unwrap();
        assert_eq!(values(&records[0]), expected, "{length}");
    }
}

#[tokio::test]
async fn a_merge_brings_the_records_of_the_merged_patient_again() {
    let server = clinic(vec![linked("old", &[]), linked("new", &[])]).await;
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, FEED, None, 100).await;
    assert_eq!(of(&first, "old"), Some(vec!["snils-old"]));
    server.put(linked("old", &[("replaced-by", "new")]), LATER);
    let second = run(&source, FEED, first.resume.as_ref(), 100).await;
    assert_eq!(of(&second, "old"), Some(vec!["snils-new"]));
    assert_eq!(of(&second, "new"), None);
    // A number of the surviving one that is mended later is the merged one's as well.
    let mut mended = patient("new", "snils-mended");
    server.put(mended.clone(), "2021-07-05T11:00:00Z");
    server.set_clock(Some("2021-07-05T12:00:00Z".parse().unwrap()));
    let third = run(&source, FEED, second.resume.as_ref(), 100).await;
    assert_eq!(of(&third, "old"), Some(vec!["snils-mended"]));
    // Once the surviving one is gone there is nobody left.
    server.set_clock(Some("2021-07-05T13:00:00Z".parse().unwrap()));
    server.delete("Patient", "new");
    let fourth = run(&source, FEED, third.resume.as_ref(), 100).await;
    assert_eq!(of(&fourth, "old"), Some(vec![]));
    // On a server that cannot search for links, what the surviving one says of itself counts.
    server.refuse_parameter("Patient?link");
    let source = connector(&server.base_url(), json!({}));
    mended["link"] = linked("x", &[("replaces", "old")])["link"].take();
    server.put(mended, "2021-07-05T14:00:00Z");
    server.set_clock(Some("2021-07-05T15:00:00Z".parse().unwrap()));
    let fifth = run(&source, FEED, fourth.resume.as_ref(), 100).await;
    assert_eq!(of(&fifth, "old"), Some(vec!["snils-mended"]));
}

#[tokio::test]
async fn a_merge_that_only_the_surviving_patient_tells_of_is_found() {
    let mut old = patient("old", "snils-old");
    old["active"] = json!(false);
    let mut left = patient("left", "snils-left");
    left["active"] = json!(false);
    let new = linked("new", &[("replaces", "old")]);
    let server = clinic(vec![old, left, new]).await;
    let source = connector(&server.base_url(), json!({}));
    let read = run(&source, FEED, None, 100).await;
    assert_eq!(of(&read, "old"), Some(vec!["snils-new"]));
    assert_eq!(of(&read, "left"), Some(vec!["snils-left"]), "as ever");
    for blind in ["refuses", "ignores"] {
        match blind {
            "refuses" => server.refuse_parameter("Patient?link"),
            _ => server.ignore_parameter("Patient?link"),
        }
        let source = connector(&server.base_url(), json!({}));
        let read = run(&source, FEED, None, 100).await;
        assert_eq!(of(&read, "old"), Some(vec!["snils-old"]), "{blind}");
    }
}

#[tokio::test]
async fn one_patient_may_bring_more_others_than_fit_into_one_search() {
    let mut patients = vec![linked("new", &[])];
    for n in 0..70 {
        patients.push(linked(&format!("old-{n:02}"), &[("replaced-by", "new")]));
    }
    patients.push(linked("other", &[]));
    let server = clinic(patients).await;
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, FEED, None, 1000).await;
    assert_eq!(first.records.len(), 72);
    let quiet = run(&source, FEED, first.resume.as_ref(), 1000).await;
    let stored = quiet.resume.or(first.resume);
    server.put(patient("new", "snils-mended"), LATER);
    server.put(patient("other", "snils-too"), LATER);
    let second = run(&source, FEED, stored.as_ref(), 1000).await;
    for n in 0..70 {
        let found = of(&second, &format!("old-{n:02}"));
        assert_eq!(found, Some(vec!["snils-mended"]), "{n}");
    }
    assert_eq!(of(&second, "other"), Some(vec!["snils-too"]));
}

#[tokio::test]
async fn a_surviving_patient_whom_the_account_may_not_read_hides_the_merged_one() {
    let patients = vec![
        linked("old", &[("replaced-by", "new")]),
        linked("new", &[]),
        linked("other", &[("refer", "new")]),
    ];
    let server = clinic(patients).await;
    server.forbid_types(&["Patient/new"]);
    let source = connector(&server.base_url(), json!({}));
    let read = run(&source, FEED, None, 100).await;
    let status = |id: &str| {
        let name = format!("Immunization/d-{id}");
        let mut records = read.records.iter();
        records
            .find(|record| record.record_id == name)
            .unwrap()
            .status
    };
    assert_eq!(status("old"), RecordStatus::PersonHidden);
    assert_eq!(status("other"), RecordStatus::Final);
    assert_eq!(of(&read, "other"), Some(vec!["snils-other"]));
}
