//! Corrected patients: their records are handed over again although they themselves did not change.

use std::sync::{Arc, Mutex};

use connector_kit::{Connector, Feed, Level, SourceError};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::support::{connector, dose, now, patient, request, run, values};

/// A clinic with one dose a patient; stamps are days of July.
#[derive(Clone)]
struct Clinic(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    patients: Vec<(String, String, u32)>,
    doses: Vec<(String, u32)>,
    page: usize,
    /// Status of a search for changed patients, where it fails.
    refuses: Option<u16>,
    ignores_patient: bool,
    ignores_stamps: bool,
}

impl Clinic {
    async fn start(patients: usize, page: usize) -> (Self, MockServer) {
        let names = (0..patients).map(|n| format!("p{n:02}"));
        let state = State {
            patients: names
                .clone()
                .map(|id| (id.clone(), format!("old-{id}"), 1))
                .collect(),
            doses: names.map(|id| (id, 2)).collect(),
            page,
            ..State::default()
        };
        let clinic = Self(Arc::new(Mutex::new(state)));
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(clinic.clone())
            .mount(&server)
            .await;
        (clinic, server)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    /// Mends the first `count` patients on a day.
    fn correct(&self, count: usize, day: u32) {
        self.set(|state| {
            for patient in &mut state.patients[..count] {
                (patient.1, patient.2) = (format!("new-{}", patient.0), day);
            }
        });
    }
}

fn stamp(day: u32) -> String {
    format!("2021-07-{day:02}T10:00:00.000Z")
}

impl Respond for Clinic {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if request.url.path() == "/metadata" {
            let statement = json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"});
            return ResponseTemplate::new(200)
                .set_body_raw(statement.to_string(), "application/fhir+json");
        }
        let state = self.0.lock().unwrap();
        let query = |name: &str| {
            request
                .url
                .query_pairs()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        let among = |list: Option<String>, id: &str| {
            list.is_none_or(|list| list.split(',').any(|one| one == id))
        };
        let since = query("_lastUpdated")
            .filter(|_| !state.ignores_stamps || request.url.path() != "/Patient");
        let is_new = |day: u32| {
            since
                .as_ref()
                .is_none_or(|since| stamp(day).as_str() >= &since[2..])
        };
        let mut found: Vec<(u32, Value)> = if request.url.path() == "/Patient" {
            if let (Some(status), Some(_)) = (state.refuses, query("_lastUpdated")) {
                return ResponseTemplate::new(status);
            }
            let those = state
                .patients
                .iter()
                .filter(|(id, _, day)| is_new(*day) && among(query("_id"), id));
            those
                .map(|(id, snils, day)| (*day, patient(id, snils)))
                .collect()
        } else {
            let asked = query("patient").filter(|_| !state.ignores_patient);
            let those = state
                .doses
                .iter()
                .filter(|(id, day)| is_new(*day) && among(asked.clone(), id));
            those
                .map(|(id, day)| (*day, dose(&format!("d-{id}"), id)))
                .collect()
        };
        found.sort_by_key(|(day, _)| *day);
        let offset: usize = query("offset").map_or(0, |text| text.parse().unwrap());
        let entry = |(day, mut resource): (u32, Value)| {
            resource["meta"] = json!({"lastUpdated": stamp(day)});
            json!({"resource": resource})
        };
        let total = found.len();
        let entries: Vec<Value> = found
            .into_iter()
            .skip(offset)
            .take(state.page)
            .map(entry)
            .collect();
        let mut bundle = json!({"resourceType": "Bundle", "entry": entries, "link": []});
        if offset + state.page < total {
            let mut next = request.url.clone();
            let kept: Vec<_> = request
                .url
                .query_pairs()
                .filter(|(key, _)| key != "offset")
                .collect();
            let offset = (offset + state.page).to_string();
            next.query_pairs_mut()
                .clear()
                .extend_pairs(kept)
                .append_pair("offset", &offset);
            let link = format!("{}?{}", next.path(), next.query().unwrap());
            bundle["link"] = json!([{"relation": "next", "url": link}]);
        }
        ResponseTemplate::new(200).set_body_raw(bundle.to_string(), "application/fhir+json")
    }
}

const FEED: Feed = Feed::Vaccinations;

fn settings() -> Value {
    json!({"overlap_seconds": 60})
}

#[tokio::test]
async fn a_number_mended_in_a_patient_is_handed_over_with_every_record_of_theirs() {
    for (patients, corrected, page, limit) in [
        (3, 1, 100, 100),
        (50, 45, 100, 100),
        (50, 45, 3, 4),
        (50, 45, 100, 2),
        (50, 45, 7, 1),
    ] {
        let (clinic, server) = Clinic::start(patients, page).await;
        let source = connector(&server.uri(), settings());
        let first = run(&source, FEED, None, limit).await;
        assert_eq!(
            first.records.len(),
            patients,
            "the first run has no second pass"
        );
        clinic.correct(corrected, 5);
        let second = run(&source, FEED, first.resume.as_ref(), limit).await;
        let mended = |record: &connector_kit::ClinicRecord| values(record)[0].starts_with("new-");
        let ids: std::collections::BTreeSet<_> = second
            .records
            .iter()
            .filter(|record| mended(record))
            .map(|record| &record.record_id)
            .collect();
        assert_eq!(ids.len(), corrected, "{page} {limit}");
        clinic.set(|state| state.patients[0].2 = 7);
        let third = run(&source, FEED, second.resume.as_ref(), limit).await;
        assert!(third.ids().contains(&"d-p00"), "{:?}", third.ids());
        let before = searches_by_patient(&server).await.len();
        run(&source, FEED, third.resume.as_ref(), limit).await;
        let searches = searches_by_patient(&server).await.split_off(before);
        assert!(!searches.is_empty());
        assert!(
            searches.iter().all(|ids| ids == "p00"),
            "the stamp of the patients moves on: {searches:?}"
        );
    }
}

/// The ids of every search for the records of patients.
async fn searches_by_patient(server: &MockServer) -> Vec<String> {
    let ids = |request: Request| {
        let mut pairs = request.url.query_pairs();
        pairs
            .find(|(name, _)| name == "patient")
            .map(|(_, ids)| ids.into_owned())
    };
    server
        .received_requests()
        .await
        .unwrap()
        .into_iter()
        .filter_map(ids)
        .collect()
}

#[tokio::test]
async fn the_cursor_moves_only_behind_the_second_pass() {
    let (clinic, server) = Clinic::start(30, 100).await;
    let source = connector(&server.uri(), settings());
    let first = run(&source, FEED, None, 100).await.resume;
    clinic.correct(25, 5);
    clinic.set(|state| state.doses[29].1 = 6);
    let page = source
        .page(request(FEED, first.as_ref(), true, 100))
        .await
        .unwrap();
    let broken_off = source
        .page(request(FEED, page.next.as_ref(), false, 100))
        .await
        .unwrap();
    assert!(broken_off.next.is_some());
    assert_eq!(broken_off.records.len(), 20);
    // What is stored at any moment leaves nothing out that has not been handed over.
    for (stored, handed_over) in [(page.resume, 0), (broken_off.resume, 20)] {
        let rest = run(&source, FEED, stored.as_ref(), 100).await;
        for patient in handed_over..25 {
            let id = format!("d-p{patient:02}");
            assert!(rest.ids().contains(&id.as_str()), "{id}: {:?}", rest.ids());
        }
    }
    clinic.set(|state| state.refuses = Some(503));
    let busy = source
        .page(request(FEED, page.next.as_ref(), false, 100))
        .await
        .unwrap_err();
    assert!(matches!(busy, SourceError::Retry { .. }), "{busy}");
}

#[tokio::test]
async fn a_server_that_cannot_search_like_this_is_read_without_and_reported() {
    type Fault = fn(&mut State, bool);
    let faults: [(Fault, &str); 3] = [
        (
            |state, on| state.refuses = on.then_some(403),
            "search for changed patients",
        ),
        (
            |state, on| state.ignores_patient = on,
            "search for Immunization by patient",
        ),
        (|state, on| state.ignores_stamps = on, ""),
    ];
    for (fault, warning) in faults {
        let (clinic, server) = Clinic::start(3, 100).await;
        let source = connector(&server.uri(), settings());
        let first = run(&source, FEED, None, 100).await.resume;
        clinic.set(|state| fault(state, true));
        clinic.correct(1, 5);
        clinic.set(|state| state.doses[2].1 = 6);
        let second = run(&source, FEED, first.as_ref(), 100).await;
        assert!(
            second.ids().contains(&"d-p02") && second.resume.is_some(),
            "{:?}",
            second.ids()
        );
        if !warning.is_empty() {
            let report = connector(&server.uri(), json!({"feeds": ["vaccinations"]}))
                .check(now())
                .await;
            let found = report
                .findings
                .iter()
                .any(|f| f.level == Level::Warning && f.what.contains(warning));
            assert!(found, "{report:?}");
        }
        clinic.set(|state| fault(state, false));
        let third = run(&source, FEED, second.resume.as_ref(), 100).await;
        assert!(
            third.ids().contains(&"d-p00"),
            "what was missed is found once it can be: {:?}",
            third.ids()
        );
    }
}
