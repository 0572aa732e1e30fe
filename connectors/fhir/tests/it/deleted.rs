//! Patients that are deleted, emptied or merged: their records are handed over without identifiers,
//! so that the gateway takes back what it had sent of them.

use connector_kit::{Connector, Feed, SourceError};
use serde_json::json;
use testbed::fhir::FhirServer;

use crate::support::{Run, all_keys, connector, dose, now, patient, request, run, values};

const FEED: Feed = Feed::Vaccinations;

/// 30 doses, each of a patient of its own.
async fn clinic() -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    server.set_clock(Some("2021-07-05T10:00:00Z".parse().unwrap()));
    for n in 0..30 {
        let person = patient(&format!("p{n:02}"), &format!("snils-{n:02}"));
        server.put(person, "2021-07-01T09:00:00Z");
        let dose = dose(&format!("d{n:02}"), &format!("p{n:02}"));
        server.put(dose, "2021-07-01T10:00:00Z");
    }
    server
}

/// Ids of the records that came without identifiers.
fn nameless(run: &Run) -> Vec<&str> {
    let nobody = run
        .records
        .iter()
        .filter(|record| values(record).is_empty());
    nobody
        .map(|record| record.record_id.split_once('/').unwrap().1)
        .collect()
}

#[tokio::test]
async fn records_of_a_deleted_patient_come_again_without_identifiers() {
    for (gone, page_limit) in [(1, 500), (25, 500), (25, 4)] {
        let server = clinic().await;
        server.page_limit(page_limit);
        let source = connector(&server.base_url(), json!({}));
        let first = run(&source, FEED, None, 100).await;
        assert!(nameless(&first).is_empty());
        let quiet = run(&source, FEED, first.resume.as_ref(), 100).await;
        let stored = quiet.resume.or(first.resume);
        server.set_clock(Some("2021-07-05T11:00:00Z".parse().unwrap()));
        for n in 0..gone {
            server.delete("Patient", &format!("p{n:02}"));
        }
        server.set_clock(Some("2021-07-05T11:01:00Z".parse().unwrap()));
        let second = run(&source, FEED, stored.as_ref(), 100).await;
        let mut found = nameless(&second);
        found.sort_unstable();
        found.dedup();
        let expected: Vec<_> = (0..gone).map(|n| format!("d{n:02}")).collect();
        assert_eq!(found, expected, "{page_limit}");
        // A record of theirs comes back with its patient.
        server.put(patient("p00", "snils-00"), "2021-07-05T11:30:00Z");
        server.set_clock(Some("2021-07-05T12:00:00Z".parse().unwrap()));
        let third = run(&source, FEED, second.resume.as_ref(), 100).await;
        let back = third
            .records
            .iter()
            .any(|record| record.record_id == "Immunization/d00" && values(record) == ["snils-00"]);
        assert!(back, "{:?}", third.ids());
        let fourth = run(&source, FEED, third.resume.as_ref(), 100).await;
        assert!(
            nameless(&fourth).is_empty(),
            "told once: {:?}",
            fourth.ids()
        );
    }
}

#[tokio::test]
async fn a_pass_over_deleted_patients_that_breaks_off_misses_none() {
    for portions in 1..=4 {
        let server = clinic().await;
        for n in 30..60 {
            let person = patient(&format!("p{n:02}"), &format!("snils-{n:02}"));
            server.put(person, "2021-07-01T09:00:00Z");
            let dose = dose(&format!("d{n:02}"), &format!("p{n:02}"));
            server.put(dose, "2021-07-01T10:00:00Z");
        }
        let source = connector(&server.base_url(), json!({}));
        let first = run(&source, FEED, None, 100).await;
        let mut stored = first.resume;
        server.set_clock(Some("2021-07-05T11:00:00Z".parse().unwrap()));
        for n in 0..60 {
            server.delete("Patient", &format!("p{n:02}"));
        }
        // So that the list of changed patients has a position of its own.
        server.put(patient("other", "snils-other"), "2021-07-05T11:00:00Z");
        server.set_clock(Some("2021-07-05T12:00:00Z".parse().unwrap()));
        let mut broken = Run {
            records: Vec::new(),
            resume: None,
            pages: 0,
            surprises: Vec::new(),
        };
        let mut next = stored.clone();
        let mut left = portions;
        while left > 0 {
            let asked = request(FEED, next.as_ref(), broken.pages == 0, 100);
            let page = source.page(asked).await.unwrap();
            broken.pages += 1;
            left -= usize::from(!page.records.is_empty());
            broken.records.extend(page.records);
            stored = page.resume.or(stored);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let broke_off = nameless(&broken).len() < 60;
        assert_eq!(broke_off, portions < 3, "{}", nameless(&broken).len());
        let again = run(&source, FEED, stored.as_ref(), 100).await;
        let mut found = nameless(&broken);
        found.extend(nameless(&again));
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 60, "broken off behind {portions}");
        let quiet = run(&source, FEED, again.resume.or(stored).as_ref(), 100).await;
        assert!(nameless(&quiet).is_empty(), "told once");
    }
}

#[tokio::test]
async fn records_of_an_emptied_or_merged_patient_come_again_without_identifiers() {
    let server = clinic().await;
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, FEED, None, 100).await;
    server.put(
        json!({"resourceType": "Patient", "id": "p03", "identifier": []}),
        "2021-07-05T09:58:00Z",
    );
    let mut merged = patient("p04", "snils-04");
    merged["link"] = json!([{"other": {"reference": "Patient/p05"}, "type": "replaced-by"}]);
    server.put(merged, "2021-07-05T09:59:00Z");
    let second = run(&source, FEED, first.resume.as_ref(), 100).await;
    let mut found = nameless(&second);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, ["d03", "d04"]);
}

#[tokio::test]
async fn a_server_without_a_history_is_not_asked_for_one() {
    let server = clinic().await;
    server.without_history();
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, FEED, None, 100).await;
    for _ in 0..2 {
        run(&source, FEED, first.resume.as_ref(), 100).await;
    }
    let asked = |word: &str| {
        let requests = server.requests();
        requests.iter().filter(|line| line.contains(word)).count()
    };
    assert_eq!((asked("_history"), asked("metadata")), (0, 1));
    assert_eq!(source.kind(), "fhir");
}

#[tokio::test]
async fn a_sweep_finds_records_of_deleted_patients_where_there_is_no_history() {
    for shape in ["good", "no _elements", "no id lists"] {
        let server = clinic().await;
        server.without_history();
        match shape {
            "no _elements" => server.refuse_parameter("_elements"),
            "no id lists" => server.without_id_lists(),
            _ => {}
        }
        let source = connector(&server.base_url(), json!({}));
        let unstamped = async || {
            let keys = all_keys(&source, 10).await;
            assert_eq!(keys.len(), 30);
            let without = keys.into_iter().filter(|(_, stamp)| stamp.is_none());
            without.map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert!(unstamped().await.is_empty(), "{shape}");
        server.delete("Patient", "p07");
        // The gateway reads a row without a stamp again by its id.
        assert_eq!(unstamped().await, ["Immunization/d07"], "{shape}");
        let ids = ["Immunization/d07".to_owned()];
        let records = source.fetch(FEED, &ids, now()).await.unwrap();
        assert!(values(&records[0]).is_empty(), "{shape}");
        server.put(patient("p07", "snils-07"), "2021-07-05T11:00:00Z");
        assert!(unstamped().await.is_empty(), "{shape}");
    }
}

#[tokio::test]
async fn a_sweep_takes_patients_that_it_must_not_see_for_no_deleted_ones() {
    let server = clinic().await;
    let source = connector(&server.base_url(), json!({}));
    for n in 0..30 {
        server.delete("Patient", &format!("p{n:02}"));
    }
    let keys = all_keys(&source, 100).await;
    assert!(keys.iter().all(|(_, stamp)| stamp.is_some()), "all at once");
}

#[tokio::test]
async fn a_right_to_read_patients_that_is_gone_is_no_fact_about_them() {
    let cases: [(&[&str], &str); 3] = [
        (&["Patient/p03"], "(403): 1 of "),
        (&["Patient/p03", "Patient/p04"], "(403): "),
        (&["Patient"], "(403)"),
    ];
    for include in ["auto", "batched-reads"] {
        for (forbidden, words) in cases {
            let server = clinic().await;
            let source = connector(&server.base_url(), json!({"include": include}));
            let first = run(&source, FEED, None, 100).await;
            server.forbid_types(forbidden);
            server.put(dose("d03", "p03"), "2021-07-05T09:59:00Z");
            server.put(dose("d04", "p04"), "2021-07-05T09:59:00Z");
            let asked = request(FEED, first.resume.as_ref(), true, 100);
            let page = source.page(asked).await;
            let ids = ["Immunization/d03".to_owned()];
            let fetched = source.fetch(FEED, &ids, now()).await;
            for answer in [page.map(drop), fetched.map(drop)] {
                match answer {
                    Err(SourceError::Misconfigured { what, .. }) => {
                        assert!(what.contains("may not read Patient"), "{what}");
                        assert!(what.contains(words), "{include} {forbidden:?}: {what}");
                    }
                    other => panic!("{include} {forbidden:?}: {other:?}"),
                }
            }
            // A sweep does not take them for deleted ones.
            let stamped = all_keys(&source, 100).await;
            assert!(
                stamped.iter().all(|(_, stamp)| stamp.is_some()),
                "{forbidden:?}"
            );
            // Once the right is back, the run goes on where it was.
            server.forbid_types(&[]);
            let second = run(&source, FEED, first.resume.as_ref(), 100).await;
            assert!(nameless(&second).is_empty());
            assert!(second.ids().contains(&"d03"), "{:?}", second.ids());
        }
    }
}
