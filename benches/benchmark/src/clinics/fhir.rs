//! A clinic whose system offers FHIR, filled with invented persons, and its pages followed as bare
//! as can be.

use std::hint::black_box;

use chrono::{Days, TimeDelta};
use hotpath::numbers::snils;
use serde_json::{Value, json};
use testbed::fhir::FhirServer;

use crate::clinics::people::{FIRST_DAY, FIRST_SNILS, FIRST_STAMP};
use crate::error::Error;

/// Records that each person has: two doses and a test.
const RECORDS_OF_A_PERSON: u64 = 3;
/// Resources on a page: most that the server gives.
const PAGE: u32 = 500;
/// The searches of the bare loop: those of the gateway's feeds, from the beginning.
const SEARCHES: [&str; 2] = [
    "Immunization?_include=Immunization:patient&_sort=_lastUpdated",
    "Observation?code=94500-6&_include=Observation:subject&_sort=_lastUpdated",
];

/// A filled clinic. This process serves it.
pub(crate) struct FhirClinic {
    /// Number of its records.
    pub records: u64,
    server: FhirServer,
}

impl FhirClinic {
    /// Makes and fills the server; `records` is rounded down to whole persons.
    pub(crate) async fn fill(records: u64) -> Result<Self, Error> {
        let server = FhirServer::start().await?;
        server.page_limit(az::saturating_cast(PAGE));
        let persons = records / RECORDS_OF_A_PERSON;
        for person in 0..persons {
            let stamp = FIRST_STAMP + TimeDelta::seconds(60 * person.cast_signed());
            server.import(resources(person), &stamp.to_rfc3339());
        }
        Ok(Self {
            records: persons * RECORDS_OF_A_PERSON,
            server,
        })
    }

    /// The sections of a gateway's configuration that concern its source.
    pub(crate) fn source(&self) -> String {
        format!(
            "[source.clinic.fhir]\nbase_url = \"{}\"\nfeeds = [\"vaccinations\", \"tests\"]\n",
            self.server.base_url()
        )
    }

    /// Follows the pages of both searches, parses each, and drops it. Number of records.
    pub(crate) async fn follow(&self) -> Result<u64, Error> {
        // The client wants a provider of cryptography even where it speaks plain HTTP. A second call
        // changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut records = 0;
        for search in SEARCHES {
            let first = format!("{}/{search}&_count={PAGE}", self.server.base_url());
            let mut next = Some(first);
            while let Some(url) = next {
                let answer = client.get(url).send().await?.error_for_status()?;
                let bundle: Value = serde_json::from_slice(&answer.bytes().await?)
                    .map_err(|error| Error::WrongResult(format!("a page: {error}")))?;
                records += matches(&bundle);
                next = next_link(&bundle);
                black_box(bundle);
            }
        }
        if records == self.records {
            return Ok(records);
        }
        Err(Error::WrongResult(format!(
            "the FHIR server's pages have {records} instead of {} records",
            self.records
        )))
    }
}

/// A person, with two doses and a test.
fn resources(person: u64) -> Vec<Value> {
    let reference = format!("Patient/p{person}");
    let day = |after: u64| (FIRST_DAY + Days::new(person % 120 + after)).to_string();
    let dose = |which: u64| {
        json!({
            "resourceType": "Immunization",
            "id": format!("i{person}-{which}"),
            "status": "completed",
            "vaccineCode": {
                "coding": [{
                    "system": "https://www.whocc.no",
                    "code": "J07BN",
                    "display": "COVID-19 vaccines",
                }],
                "text": "Sputnik V",
            },
            "patient": { "reference": reference, "display": "Ivan Ivanov" },
            "occurrenceDateTime": day(which * 21),
            "lotNumber": format!("A-{:06}", person % 1_000_000),
            "performer": [{ "actor": { "display": "Dr Petrova" } }],
            "protocolApplied": [{
                "doseNumberPositiveInt": which + 1,
                "seriesDosesPositiveInt": 2,
            }],
        })
    };
    let result = if person.is_multiple_of(7) {
        json!({ "system": "http://snomed.info/sct", "code": "260373001", "display": "Detected" })
    } else {
        json!({ "system": "http://snomed.info/sct", "code": "260415000", "display": "Not detected" })
    };
    vec![
        json!({
            "resourceType": "Patient",
            "id": format!("p{person}"),
            "identifier": [{
                "system": "https://fhir.ru/ig/core/systems/snils",
                "value": snils(FIRST_SNILS + person),
            }],
            "name": [{ "family": "Ivanov", "given": ["Ivan", "Ivanovich"] }],
            "gender": "male",
            "birthDate": "1970-01-01",
            "address": [{ "city": "Moscow", "line": ["Tverskaya 1"], "postalCode": "125009" }],
        }),
        dose(0),
        dose(1),
        json!({
            "resourceType": "Observation",
            "id": format!("o{person}"),
            "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "94500-6" }] },
            "subject": { "reference": reference },
            "effectiveDateTime": day(60),
            "valueCodeableConcept": { "coding": [result] },
            "performer": [{ "display": "Laboratory 4" }],
        }),
    ]
}

/// Number of a page's records, without the patients included.
fn matches(bundle: &Value) -> u64 {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    entries
        .filter(|entry| entry["search"]["mode"] == "match")
        .map(|_| 1)
        .sum()
}

/// Address of the page behind this one.
fn next_link(bundle: &Value) -> Option<String> {
    let mut links = bundle["link"].as_array()?.iter();
    let next = links.find(|link| link["relation"] == "next")?;
    next["url"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_bare_loop_meets_every_record_of_the_clinic() {
        let clinic = FhirClinic::fill(1604).await.unwrap();
        assert_eq!(clinic.records, 1602);
        assert_eq!(clinic.follow().await.unwrap(), 1602);
        assert!(clinic.source().contains("http://127.0.0.1:"));
    }
}
