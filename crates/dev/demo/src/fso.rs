//! The second clinic: an FHIR server of another vendor, with diplomats among its patients and
//! faults among its records.

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;

const CVX: &str = "http://hl7.org/fhir/sid/cvx";
const SNILS: &str = "https://fhir.ru/ig/core/systems/snils";
const OMS: &str = "https://fhir.ru/ig/core/systems/oms";

/// Fills the server with people (all invented) and their records; returns one line a record for the
/// reader.
pub(crate) fn fill(server: &FhirServer) -> Vec<[String; 4]> {
    for (id, identifiers) in people() {
        server.put(
            json!({ "resourceType": "Patient", "id": id, "identifier": identifiers }),
            "2021-06-01T09:00:00Z",
        );
    }
    let mut held = Vec::new();
    for (minute, (what, resource)) in records().into_iter().enumerate() {
        let id = format!(
            "{}/{}",
            text(&resource["resourceType"]),
            text(&resource["id"])
        );
        let person = resource["patient"]["reference"]
            .as_str()
            .or(resource["subject"]["reference"].as_str());
        held.push([
            "fso".into(),
            id,
            person.unwrap_or("—").to_owned(),
            what.to_owned(),
        ]);
        server.put(resource, &format!("2021-07-20T10:{minute:02}:00Z"));
    }
    held
}

/// The laboratory corrects a result: what had been "not detected" was a swapped sample.
pub(crate) fn correct(server: &FhirServer) {
    server.put(
        pcr(
            "t1",
            "ivanova",
            "94500-6",
            "260373001",
            "2021-07-12T08:30:00+03:00",
        ),
        "2021-07-21T08:00:00Z",
    );
}

/// Puts records of these days in: passes are of today, and what is old carries none.
pub(crate) fn add_of_these_days(server: &FhirServer, today: NaiveDate) {
    let before = |days: u64| {
        let day = today.checked_sub_days(Days::new(days));
        day.unwrap_or(today).to_string()
    };
    let yesterday = format!("{}T08:30:00+03:00", before(1));
    let negative = |id, person| pcr(id, person, "94500-6", "260415000", &yesterday);
    let records = [
        shot("v21", "orlova", "505", 1, 2, &before(60)),
        shot("v22", "orlova", "505", 2, 2, &before(39)),
        negative("t21", "dupont"),
        negative("t22", "petrov"),
    ];
    for (second, record) in records.into_iter().enumerate() {
        server.put(record, &format!("2021-07-22T08:00:{second:02}Z"));
    }
}

/// Puts one more record of these days in.
pub(crate) fn add_one_more(server: &FhirServer, today: NaiveDate) {
    let yesterday = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    let moment = format!("{yesterday}T08:30:00+03:00");
    let negative = pcr("t23", "orlova", "94500-6", "260415000", &moment);
    server.put(negative, "2021-07-24T08:00:00Z");
}

/// Somebody who has broken in states a vaccination that never was, of a person whom nobody knows.
pub(crate) fn forge(server: &FhirServer, today: NaiveDate) {
    let month_ago = today.checked_sub_days(Days::new(30)).unwrap_or(today);
    let identifier = json!([{ "system": SNILS, "value": "501-377-207 45" }]);
    server.put(
        json!({ "resourceType": "Patient", "id": "customer", "identifier": identifier }),
        "2021-07-25T08:00:00Z",
    );
    let forged = shot("v31", "customer", "504", 1, 1, &month_ago.to_string());
    server.put(forged, "2021-07-25T08:00:01Z");
}

/// The laboratory finds that yesterday's sample was another person's.
pub(crate) fn correct_yesterdays(server: &FhirServer, today: NaiveDate) {
    let yesterday = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    let moment = format!("{yesterday}T08:30:00+03:00");
    let positive = pcr("t22", "petrov", "94500-6", "260373001", &moment);
    server.put(positive, "2021-07-23T08:00:00Z");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn people() -> [(&'static str, Value); 6] {
    let snils = |value: &str| json!({ "system": SNILS, "value": value });
    let oms = |value: &str| json!({ "system": OMS, "value": value });
    // The system that says "passport of France", as HL7's identifier registry names it.
    let french =
        |value: &str| json!({ "system": "http://hl7.org/fhir/sid/passport-FRA", "value": value });
    [
        (
            "ivanova",
            json!([snils("501-377-201 39"), oms("7701885000000019")]),
        ),
        (
            "orlova",
            json!([snils("612-480-911 69"), oms("7701885000000035")]),
        ),
        ("petrov", json!([snils("501-377-202 40")])),
        ("dupont", json!([french("12AB34567")])),
        ("sidorov", json!([snils("501-377-203 99")])),
        ("nobody", json!([])),
    ]
}

fn records() -> Vec<(&'static str, Value)> {
    vec![
        (
            "Sputnik V, dose 1 of 2",
            shot("v1", "orlova", "505", 1, 2, "2021-06-10"),
        ),
        (
            "Sputnik V, dose 2 of 2",
            shot("v2", "orlova", "505", 2, 2, "2021-07-01"),
        ),
        (
            "Sputnik Light",
            shot("v3", "petrov", "504", 1, 1, "2021-07-05"),
        ),
        (
            "Comirnaty, dose 1 of 2, a French passport",
            shot("v4", "dupont", "208", 1, 2, "2021-05-11"),
        ),
        (
            "EpiVacCorona, wrong SNILS check digits",
            shot("v5", "sidorov", "509", 1, 2, "2021-07-08"),
        ),
        (
            "CoviVac, the person has no identifier",
            shot("v6", "nobody", "503", 1, 2, "2021-07-09"),
        ),
        (
            "influenza vaccine",
            shot("v7", "petrov", "150", 1, 1, "2020-10-02"),
        ),
        (
            "an unheard-of vaccine code",
            shot("v8", "petrov", "99999", 1, 1, "2021-07-11"),
        ),
        (
            "PCR not detected, of a person the FSB clinic vaccinated",
            pcr(
                "t1",
                "ivanova",
                "94500-6",
                "260415000",
                "2021-07-12T08:30:00+03:00",
            ),
        ),
        (
            "PCR detected",
            pcr(
                "t2",
                "petrov",
                "94759-8",
                "260373001",
                "2021-02-03T19:10:00+03:00",
            ),
        ),
        (
            "PCR of a day that does not exist",
            pcr("t3", "dupont", "94500-6", "260415000", "2021-02-30"),
        ),
        (
            "recovered",
            illness("c1", "petrov", "resolved", "2021-02-03", Some("2021-02-21")),
        ),
        (
            "still ill",
            illness("c2", "dupont", "active", "2021-07-15", None),
        ),
    ]
}

fn shot(id: &str, person: &str, cvx: &str, dose: u32, doses: u32, day: &str) -> Value {
    json!({
        "resourceType": "Immunization", "id": id, "status": "completed",
        "vaccineCode": { "coding": [{ "system": CVX, "code": cvx }] },
        "patient": { "reference": format!("Patient/{person}") },
        "occurrenceDateTime": day, "lotNumber": "II-180521",
        "performer": [{ "actor": { "display": "Procedure room 3" } }],
        "protocolApplied": [{ "doseNumberPositiveInt": dose, "seriesDosesPositiveInt": doses }],
    })
}

fn pcr(id: &str, person: &str, loinc: &str, snomed: &str, moment: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final",
        "code": { "coding": [{ "system": "http://loinc.org", "code": loinc }] },
        "subject": { "reference": format!("Patient/{person}") },
        "effectiveDateTime": moment,
        "valueCodeableConcept": {
            "coding": [{ "system": "http://snomed.info/sct", "code": snomed }],
        },
    })
}

fn illness(id: &str, person: &str, clinical: &str, began: &str, ended: Option<&str>) -> Value {
    let coded = |system: &str, code: &str| {
        let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
        json!({ "coding": [{ "system": system, "code": code }] })
    };
    let mut condition = json!({
        "resourceType": "Condition", "id": id,
        "clinicalStatus": coded("condition-clinical", clinical),
        "verificationStatus": coded("condition-ver-status", "confirmed"),
        "code": { "coding": [{ "system": "http://hl7.org/fhir/sid/icd-10", "code": "U07.1" }] },
        "subject": { "reference": format!("Patient/{person}") },
        "onsetDateTime": began,
    });
    if let Some(ended) = ended {
        condition["abatementDateTime"] = ended.into();
    }
    condition
}
