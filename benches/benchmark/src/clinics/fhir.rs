//! Clinics whose systems offer FHIR, filled with invented persons, and their pages followed as bare
//! as can be: the testbed's server, or one that somebody else made.

use std::hint::black_box;

use chrono::{Days, TimeDelta};
use hotpath::numbers::snils;
use serde_json::{Value, json};
use testbed::fhir::FhirServer;

use crate::clinics::people::{FIRST_DAY, FIRST_SNILS, FIRST_STAMP};
use crate::error::Error;
use crate::http;

/// Records that each person has: two doses and a test.
const RECORDS_OF_A_PERSON: u64 = 3;
/// Resources on a page: most that the server gives.
const PAGE: u32 = 500;
/// Persons that are written with one request.
const WRITTEN_PERSONS: u64 = 50;

/// Form of the bare loop's searches, which are those of the gateway's feeds from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Searches {
    /// Each page brings the patients of its records along.
    WithPatients,
    /// Nobody reads the patients.
    RecordsAlone,
}

impl Searches {
    const fn all(self) -> [&'static str; 2] {
        match self {
            Self::WithPatients => [
                "Immunization?_include=Immunization:patient&_sort=_lastUpdated",
                "Observation?code=94500-6&_include=Observation:subject&_sort=_lastUpdated",
            ],
            Self::RecordsAlone => [
                "Immunization?_sort=_lastUpdated",
                "Observation?code=94500-6&_sort=_lastUpdated",
            ],
        }
    }
}

/// A filled clinic.
pub(crate) struct FhirClinic {
    /// Number of its records.
    pub records: u64,
    /// What the server calls itself; `None` for that of this process.
    pub software: Option<String>,
    base_url: String,
    /// The server, where this process is it.
    _served: Option<FhirServer>,
}

impl FhirClinic {
    /// Makes and fills a server in this process; `records` is rounded down to whole persons.
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
            software: None,
            base_url: server.base_url(),
            _served: Some(server),
        })
    }

    /// Fills a server that somebody else made by ordinary requests, unless it holds just that
    /// already; `records` is rounded down to whole persons. The server must ask for no login.
    pub(crate) async fn fill_server(base_url: &str, records: u64) -> Result<Self, Error> {
        let base_url = base_url.trim_end_matches('/');
        let persons = records / RECORDS_OF_A_PERSON;
        let client = http::client()?;
        let statement = get(&client, &format!("{base_url}/metadata")).await?;
        let software = &statement["software"];
        let word = |name: &str| software[name].as_str().unwrap_or("?").to_owned();
        let clinic = Self {
            records: persons * RECORDS_OF_A_PERSON,
            software: Some(format!("{} {}", word("name"), word("version"))),
            base_url: base_url.to_owned(),
            _served: None,
        };
        let count = async |kind: &str| {
            let found = get(&client, &format!("{base_url}/{kind}?_summary=count")).await?;
            Ok::<_, Error>(found["total"].as_u64())
        };
        let doses = count("Immunization").await?;
        let tests = count("Observation").await?;
        if doses == Some(2 * persons) && tests == Some(persons) {
            return Ok(clinic);
        }
        if doses != Some(0) || tests != Some(0) {
            return Err(Error::WrongResult(
                "the FHIR server at --fhir-url has other records; give it an empty one".into(),
            ));
        }
        let all: Vec<u64> = (0..persons).collect();
        for some in all.chunks(az::saturating_cast(WRITTEN_PERSONS)) {
            write(&client, base_url, some).await?;
        }
        Ok(clinic)
    }

    /// The sections of a gateway's configuration that concern its source.
    pub(crate) fn source(&self) -> String {
        format!(
            "[source.clinic.fhir]\nbase_url = \"{}\"\nfeeds = [\"vaccinations\", \"tests\"]\n",
            self.base_url
        )
    }

    /// Follows the pages of both searches, parses each, and drops it. Number of records.
    pub(crate) async fn follow(&self, searches: Searches) -> Result<u64, Error> {
        let client = http::client()?;
        let mut records = 0;
        for search in searches.all() {
            let first = format!("{}/{search}&_count={PAGE}", self.base_url);
            let mut next = Some(first);
            while let Some(url) = next {
                let bundle = get(&client, &url).await?;
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

async fn get(client: &reqwest::Client, url: &str) -> Result<Value, Error> {
    let answer = client.get(url).send().await?.error_for_status()?;
    parsed(&answer.bytes().await?)
}

fn parsed(body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body).map_err(|error| Error::WrongResult(format!("a page: {error}")))
}

/// Writes persons with all that they have, by one batch.
async fn write(client: &reqwest::Client, base_url: &str, persons: &[u64]) -> Result<(), Error> {
    let put = |resource: Value| {
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        let url = format!("{}/{}", text("resourceType"), text("id"));
        json!({"resource": resource, "request": {"method": "PUT", "url": url}})
    };
    let all = persons.iter().flat_map(|person| resources(*person));
    let entries: Vec<Value> = all.map(put).collect();
    let count = entries.len();
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
    let request = client
        .post(base_url)
        .header("content-type", "application/fhir+json")
        .body(batch.to_string());
    let answer = request.send().await?.error_for_status()?;
    let answer = parsed(&answer.bytes().await?)?;
    let written = answer["entry"].as_array().into_iter().flatten();
    let is_good = |entry: &&Value| {
        let status = entry["response"]["status"].as_str().unwrap_or_default();
        status.starts_with("20")
    };
    if written.filter(is_good).count() == count {
        return Ok(());
    }
    Err(Error::WrongResult(
        "the FHIR server at --fhir-url has not taken everything that was written".into(),
    ))
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
        assert_eq!(clinic.follow(Searches::WithPatients).await.unwrap(), 1602);
        assert_eq!(clinic.follow(Searches::RecordsAlone).await.unwrap(), 1602);
        assert!(clinic.source().contains("http://127.0.0.1:"));
    }
    #[tokio::test]
    #[ignore = "needs an empty FHIR server without a login at FHIR_URL"]
    async fn a_server_of_others_is_filled_once_and_read() {
        let base_url = std::env::var("FHIR_URL").unwrap();
        for _ in 0..2 {
            let clinic = FhirClinic::fill_server(&base_url, 600).await.unwrap();
            assert_eq!(clinic.follow(Searches::WithPatients).await.unwrap(), 600);
            assert!(clinic.software.is_some());
        }
        assert!(FhirClinic::fill_server(&base_url, 900).await.is_err());
    }
}
