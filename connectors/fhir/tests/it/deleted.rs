//! Patients that are deleted or emptied: their records are handed over without identifiers,
//! so that the gateway takes back what it had sent of them.

use connector_kit::{ClinicRecord, Connector, Feed, RecordStatus, SourceError};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

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
async fn records_of_an_emptied_patient_come_again_without_identifiers() {
    let server = clinic().await;
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, FEED, None, 100).await;
    server.put(
        json!({"resourceType": "Patient", "id": "p03", "identifier": []}),
        "2021-07-05T09:58:00Z",
    );
    let second = run(&source, FEED, first.resume.as_ref(), 100).await;
    let mut found = nameless(&second);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, ["d03"]);
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

/// Ids of the records whose person was hidden.
fn hidden(records: &[ClinicRecord]) -> Vec<&str> {
    let hidden = records
        .iter()
        .filter(|record| record.status == RecordStatus::PersonHidden);
    hidden
        .inspect(|record| assert_eq!((values(record).len(), record.stamp), (0, None)))
        .map(|record| record.record_id.split_once('/').unwrap().1)
        .collect()
}

#[tokio::test]
async fn a_hidden_patient_hides_its_records_and_holds_up_no_other() {
    for include in ["auto", "batched-reads"] {
        let server = clinic().await;
        let source = connector(&server.base_url(), json!({"include": include}));
        let first = run(&source, FEED, None, 100).await;
        assert!(hidden(&first.records).is_empty());
        server.forbid_types(&["Patient/p03", "Patient/p04"]);
        let mut cancelled = dose("d04", "p04");
        cancelled["status"] = json!("entered-in-error");
        server.put(cancelled, "2021-07-05T09:59:00Z");
        server.put(dose("d03", "p03"), "2021-07-05T09:59:00Z");
        // Alone on its page, and among others.
        let ids = ["Immunization/d03".to_owned()];
        let alone = source.fetch(FEED, &ids, now()).await.unwrap();
        assert_eq!(hidden(&alone), ["d03"], "{include}");
        let second = run(&source, FEED, first.resume.as_ref(), 100).await;
        assert_eq!(hidden(&second.records), ["d03"], "{include}");
        let whole = run(&source, FEED, None, 100).await;
        assert_eq!((whole.records.len(), nameless(&whole).len()), (30, 2));
        assert_eq!(hidden(&whole.records), ["d03"], "{include}");
        let status = |run: &Run| {
            run.records
                .iter()
                .find(|r| r.record_id.ends_with("d04"))
                .unwrap()
                .status
        };
        assert_eq!(status(&whole), RecordStatus::Cancelled, "needs no person");
        // A sweep does not take them for deleted ones, and reads the record again by its stamp.
        let stamped = all_keys(&source, 100).await;
        assert!(stamped.iter().all(|(_, stamp)| stamp.is_some()));
        server.forbid_types(&[]);
        let shown = source.fetch(FEED, &ids, now()).await.unwrap();
        assert_eq!(values(&shown[0]), ["snils-03"]);
        assert!(shown[0].stamp.is_some());
    }
}

#[tokio::test]
async fn a_patient_that_is_refused_for_the_credentials_counts_as_hidden_only_while_they_hold() {
    for (lasting, words) in [(false, None), (true, Some("refuses the credentials (401)"))] {
        let server = MockServer::start().await;
        let bundle = |entries: &[Value]| {
            let entries = entries.iter().map(|entry| json!({"resource": entry}));
            let entries: Vec<_> = entries.collect();
            ResponseTemplate::new(200).set_body_json(json!({"resourceType": "Bundle",
                "entry": entries}))
        };
        let doses = [dose("d1", "p1"), dose("d2", "p2")];
        let answers = [
            (path("/Immunization"), bundle(&doses)),
            (path("/Patient/p2"), ResponseTemplate::new(401)),
        ];
        for (address, answer) in answers {
            Mock::given(address)
                .respond_with(answer)
                .mount(&server)
                .await;
        }
        let people = Mock::given(path("/Patient")).respond_with(bundle(&[patient("p1", "1")]));
        if lasting {
            people.up_to_n_times(1).mount(&server).await;
            let refused = ResponseTemplate::new(401);
            Mock::given(path("/Patient"))
                .respond_with(refused)
                .mount(&server)
                .await;
        } else {
            people.mount(&server).await;
        }
        let source = connector(&server.uri(), json!({"include": "never"}));
        let ids = ["Immunization/d1".to_owned(), "Immunization/d2".to_owned()];
        match (source.fetch(FEED, &ids, now()).await, words) {
            (Ok(records), None) => assert_eq!(hidden(&records), ["d2"]),
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
            (other, _) => panic!("{lasting}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_right_to_read_patients_that_is_gone_is_no_fact_about_them() {
    let all: Vec<String> = (0..30).map(|n| format!("Patient/p{n:02}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let most = [&all[..], &["Patient/none"]].concat();
    // Of the last, the server shows one patient, whom no record names.
    let cases: [(&[&str], &str, bool); 3] = [
        (&["Patient"], "(403)", false),
        (&all, "(403): 1 of 1 patients", false),
        (&most, "(403): 30 of 30 patients", true),
    ];
    for include in ["auto", "batched-reads"] {
        for (forbidden, words, shows_another) in cases {
            let server = clinic().await;
            let source = connector(&server.base_url(), json!({"include": include}));
            let first = run(&source, FEED, None, 100).await;
            server.forbid_types(forbidden);
            let ids: Vec<String> = if shows_another {
                server.put(patient("other", "snils-99"), "2021-07-01T09:00:00Z");
                (0..30).map(|n| format!("Immunization/d{n:02}")).collect()
            } else {
                vec!["Immunization/d03".to_owned()]
            };
            server.put(dose("d03", "p03"), "2021-07-05T09:59:00Z");
            // Records of many patients are on the page of the first run only.
            let cursor = first.resume.as_ref().filter(|_| !shows_another);
            let page = source.page(request(FEED, cursor, true, 100)).await;
            let fetched = source.fetch(FEED, &ids, now()).await;
            for answer in [page.map(drop), fetched.map(drop)] {
                match answer {
                    Err(SourceError::Misconfigured { what, .. }) => {
                        assert!(what.contains("may not read Patient"), "{what}");
                        assert!(what.contains(words), "{include} {words}: {what}");
                    }
                    other => panic!("{include} {words}: {other:?}"),
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
