//! Pulling from the testbed's FHIR server: whole runs, increments, patients, page limits, mid-run
//! changes.

use connector_kit::{ClinicFact, Connector, Feed, RecordStatus, SourceError};
use serde_json::json;
use testbed::fhir::{Auth, FhirServer};

use crate::support::{self, connector, dose, patient, request, run, values};

/// Doses d00, d01 … one minute apart on 1 July, each of a patient of its own.
async fn clinic(doses: usize) -> FhirServer {
    let server = FhirServer::start().await.unwrap();
    for n in 0..doses {
        server.put(
            patient(&format!("p{n:02}"), &format!("snils-{n:02}")),
            "2021-07-01T00:00:00Z",
        );
        server.put(
            dose(&format!("d{n:02}"), &format!("p{n:02}")),
            &format!("2021-07-01T10:{n:02}:00Z"),
        );
    }
    server
}

#[tokio::test]
async fn a_run_hands_over_every_record_once_with_its_person_whatever_the_page_sizes() {
    for (server_limit, limit) in [
        (500, 1),
        (500, 7),
        (500, 100),
        (3, 2),
        (3, 3),
        (3, 4),
        (1, 10),
        (7, 7),
    ] {
        let server = clinic(7).await;
        server.page_limit(server_limit);
        let source = connector(&server.base_url(), json!({}));
        let run = run(&source, Feed::Vaccinations, None, limit).await;
        assert_eq!(
            run.ids(),
            ["d00", "d01", "d02", "d03", "d04", "d05", "d06"],
            "{server_limit} {limit}"
        );
        for (n, record) in run.records.iter().enumerate() {
            assert_eq!(
                values(record),
                [format!("snils-{n:02}")],
                "the card number is of no known system"
            );
        }
        assert!(run.resume.is_some());
        assert!(
            server.requests()[0].contains(&format!("_count={limit}")),
            "{:?}",
            server.requests()
        );
    }
}

#[tokio::test]
async fn the_next_run_looks_back_over_the_overlap_and_finds_changes() {
    let server = clinic(10).await;
    server.set_clock(Some("2021-07-01T10:10:00Z".parse().unwrap()));
    let source = connector(&server.base_url(), json!({"overlap_seconds": 120}));
    let first = run(&source, Feed::Vaccinations, None, 4).await;
    let second = run(&source, Feed::Vaccinations, first.resume.as_ref(), 4).await;
    assert_eq!(
        second.ids(),
        ["d07", "d08", "d09"],
        "two minutes behind d09"
    );
    assert!(second.resume.is_none(), "the stored cursor stays");

    let mut cancelled = dose("d00", "p00");
    cancelled["status"] = json!("entered-in-error");
    server.put(cancelled, "2021-07-02T10:00:00Z");
    server.put(dose("late", "p01"), "2021-07-01T10:08:30Z");
    server.set_clock(Some("2021-07-02T10:01:00Z".parse().unwrap()));
    let third = run(&source, Feed::Vaccinations, first.resume.as_ref(), 4).await;
    assert_eq!(third.ids(), ["d07", "d08", "late", "d09", "d00"]);
    assert_eq!(third.records[4].status, RecordStatus::Cancelled);
    server.set_clock(None);
    let fourth = run(&source, Feed::Vaccinations, third.resume.as_ref(), 4).await;
    assert_eq!(fourth.ids(), ["d00"], "a minute old at the third run");
    let fifth = run(&source, Feed::Vaccinations, fourth.resume.as_ref(), 4).await;
    assert!(fifth.ids().is_empty(), "the overlap has closed");
}

#[tokio::test]
async fn stamps_in_the_future_do_not_move_the_cursor_past_the_present() {
    let server = clinic(1).await;
    server.put(dose("future", "p00"), "2031-01-01T00:00:00Z");
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, Feed::Vaccinations, None, 10).await;
    assert_eq!(first.ids(), ["d00", "future"]);
    server.put(dose("new", "p00"), "2021-07-10T11:59:00Z");
    let second = run(&source, Feed::Vaccinations, first.resume.as_ref(), 10).await;
    assert_eq!(second.ids(), ["new", "future"]);
}

#[tokio::test]
async fn tests_and_recoveries_are_searched_by_code() {
    let server = clinic(1).await;
    let of = |kind: &str, id: &str, system: &str, code: &str| {
        json!({"resourceType": kind, "id": id, "status": "final",
            "clinicalStatus": {"coding": [{"code": "resolved"}]}, "abatementDateTime": "2021-06-20",
            "effectiveDateTime": "2021-06-20",
            "code": {"coding": [{"system": system, "code": code}]},
            "subject": {"reference": "Patient/p00"}})
    };
    let loinc = "http://loinc.org";
    let icd = "http://hl7.org/fhir/sid/icd-10";
    for (kind, id, system, code) in [
        ("Observation", "pcr", loinc, "94500-6"),
        ("Observation", "glucose", loinc, "2345-7"),
        ("Observation", "local", "urn:lab", "PCR"),
        ("Condition", "covid", icd, "U07.1"),
        ("Condition", "flu", icd, "J10"),
    ] {
        server.put(of(kind, id, system, code), "2021-07-01T10:00:00Z");
    }
    let source = connector(
        &server.base_url(),
        json!({"test_codes": ["94500-6", "urn:lab|PCR"]}),
    );
    let tests = run(&source, Feed::Tests, None, 10).await;
    let mut ids = tests.ids();
    ids.sort_unstable();
    assert_eq!(ids, ["local", "pcr"]);
    assert_eq!(values(&tests.records[0]), ["snils-00"]);
    let recoveries = run(&source, Feed::Recoveries, None, 10).await;
    assert_eq!(recoveries.ids(), ["covid"]);
    assert_eq!(recoveries.records[0].status, RecordStatus::Final);
    assert!(matches!(
        recoveries.records[0].fact,
        ClinicFact::Recovery { .. }
    ));
    let only = connector(
        &server.base_url(),
        json!({"feeds": ["recoveries", "vaccinations"]}),
    );
    assert_eq!(only.feeds(), [Feed::Vaccinations, Feed::Recoveries]);
}

#[tokio::test]
async fn patients_the_server_leaves_out_are_read_in_batches() {
    for (settings, include, batches) in [
        (json!({}), true, 0),
        (json!({}), false, 2),
        (json!({"include": "never"}), true, 2),
        (json!({"include": "always"}), false, 0),
    ] {
        let server = clinic(60).await;
        if !include {
            server.without_include();
        }
        let source = connector(&server.base_url(), settings.clone());
        let run = run(&source, Feed::Vaccinations, None, 60).await;
        let reads = server
            .requests()
            .iter()
            .filter(|line| line.starts_with("GET /fhir/Patient?_id="))
            .count();
        assert_eq!(reads, batches, "{settings}");
        let found = run
            .records
            .iter()
            .filter(|record| !record.person.identifiers.is_empty())
            .count();
        let expected = if settings == json!({"include": "always"}) {
            0
        } else {
            60
        };
        assert_eq!(
            (run.records.len(), found),
            (60, expected),
            "nobody is dropped: {settings}"
        );
        assert_eq!(
            server.requests()[0].contains("_include"),
            settings != json!({"include": "never"})
        );
    }
}

#[tokio::test]
async fn a_person_who_cannot_be_found_leaves_the_record_in_place() {
    let server = clinic(1).await;
    server.put(dose("orphan", "nobody"), "2021-07-01T11:00:00Z");
    let mut contained = dose("inside", "x");
    contained["patient"] = json!({"reference": "#me"});
    contained["contained"] = json!([{"resourceType": "Patient", "id": "me",
        "identifier": [{"system": support::SNILS, "value": "contained"}]}]);
    server.put(contained, "2021-07-01T12:00:00Z");
    let run = run(
        &connector(&server.base_url(), json!({})),
        Feed::Vaccinations,
        None,
        10,
    )
    .await;
    assert_eq!(run.ids(), ["d00", "orphan", "inside"]);
    assert!(values(&run.records[1]).is_empty());
    assert_eq!(values(&run.records[2]), ["contained"]);
}

#[tokio::test]
async fn a_server_that_does_not_sort_loses_nothing() {
    let server = clinic(9).await;
    server.ignore_sort();
    server.page_limit(2);
    let source = connector(&server.base_url(), json!({}));
    let first = run(&source, Feed::Vaccinations, None, 5).await;
    let mut ids = first.ids();
    ids.sort_unstable();
    assert_eq!(ids.len(), 9);
    server.put(dose("later", "p00"), "2021-07-01T10:08:30Z");
    let second = run(&source, Feed::Vaccinations, first.resume.as_ref(), 5).await;
    assert!(second.ids().contains(&"later"), "{:?}", second.ids());
}

#[tokio::test]
async fn changes_and_deletions_during_a_run_reach_the_registry_by_the_next() {
    let server = clinic(6).await;
    let source = connector(&server.base_url(), json!({"overlap_seconds": 0}));
    let page = source
        .page(request(Feed::Vaccinations, None, true, 2))
        .await
        .unwrap();
    let mut corrected = dose("d00", "p00");
    corrected["occurrenceDateTime"] = json!("2021-06-02");
    server.put(corrected, "2021-07-05T10:00:00Z");
    assert!(server.delete("Immunization", "d04"));
    let mut seen: Vec<String> = page
        .records
        .iter()
        .map(|record| record.record_id.clone())
        .collect();
    let mut next = page.next;
    let mut resume = None;
    while let Some(cursor) = next {
        let page = source
            .page(request(Feed::Vaccinations, Some(&cursor), false, 2))
            .await
            .unwrap();
        seen.extend(page.records.iter().map(|record| record.record_id.clone()));
        (next, resume) = (page.next, page.resume);
    }
    for id in ["d01", "d02", "d03", "d05"] {
        assert!(seen.contains(&format!("Immunization/{id}")), "{seen:?}");
    }
    let second = run(&source, Feed::Vaccinations, resume.as_ref(), 2).await;
    assert!(
        second.ids().contains(&"d00"),
        "the correction: {:?}",
        second.ids()
    );
}

#[tokio::test]
async fn the_same_request_may_be_repeated() {
    let server = clinic(5).await;
    let source = connector(&server.base_url(), json!({}));
    let first = source
        .page(request(Feed::Vaccinations, None, true, 2))
        .await
        .unwrap();
    let cursor = first.next.unwrap();
    let ids = |page: connector_kit::Page| {
        page.records
            .into_iter()
            .map(|r| r.record_id)
            .collect::<Vec<_>>()
    };
    let once = ids(source
        .page(request(Feed::Vaccinations, Some(&cursor), false, 2))
        .await
        .unwrap());
    let twice = ids(source
        .page(request(Feed::Vaccinations, Some(&cursor), false, 2))
        .await
        .unwrap());
    assert_eq!(once, twice);
}

#[tokio::test]
async fn credentials_open_the_server_and_wrong_ones_are_reported() {
    let server = clinic(1).await;
    server.set_auth(Some(Auth::Basic {
        user: "gateway".into(),
        password: "geheim".into(),
    }));
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::set_permissions(
            folder.path().join(name),
            std::fs::Permissions::from_mode(0o600),
        )
        .unwrap();
    };
    secret("right", "geheim\n");
    secret("wrong", "falsch\n");
    let with =
        |auth| support::try_connector(&server.base_url(), json!({"auth": auth}), folder.path());
    let basic = |file: &str| json!({"basic": {"user": "gateway", "password": {"file": file}}});
    assert_eq!(
        run(&with(basic("right")).unwrap(), Feed::Vaccinations, None, 5)
            .await
            .ids(),
        ["d00"]
    );
    for source in [with(basic("wrong")).unwrap(), with(json!("none")).unwrap()] {
        let error = support::first(&source, Feed::Vaccinations)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, SourceError::Misconfigured { .. })
                && error.to_string().contains("401"),
            "{error}"
        );
        assert!(!error.to_string().contains("falsch"));
    }
    server.set_auth(Some(Auth::Bearer("geheim".into())));
    let source = with(json!({"bearer": {"file": "right"}})).unwrap();
    assert_eq!(
        run(&source, Feed::Vaccinations, None, 5).await.ids(),
        ["d00"]
    );
    assert!(
        with(basic("absent"))
            .err()
            .unwrap()
            .to_string()
            .contains("absent")
    );
}
