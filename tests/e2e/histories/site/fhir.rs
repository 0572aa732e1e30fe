//! Rows of a generated clinic on a FHIR server: an Immunization or an Observation, and a Patient,
//! for each.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use testbed::fhir::FhirServer;

use super::row::{Row, Trouble, dose, is_test};

/// Identifier system of the clinic's own, which only its configuration knows.
const SYSTEM: &str = "urn:generated:snils";
/// Code systems of vaccines and results, likewise.
const WORDS: &str = "urn:generated:words";

const TYPES: [&str; 2] = ["Immunization", "Observation"];

/// The `[source.mis]` section; the clinic's identifier system is mapped or not.
pub(super) fn source(server: &FhirServer, mapped: bool) -> String {
    let system = if mapped { SYSTEM } else { "urn:other" };
    format!(
        "[source.mis]\npage_records = 7\n[source.mis.fhir]\nbase_url = \"{}\"\nfeeds = \
         [\"vaccinations\", \"tests\"]\noverlap_seconds = 2\n[source.mis.fhir.identifier_systems]\n\
         \"{system}\" = \"snils\"\n",
        server.base_url()
    )
}

/// Has the server's searches leave these rows out, and no others.
pub(super) fn unlist(server: &FhirServer, rows: &BTreeSet<u32>) {
    let resources = rows.iter().map(|id| address(*id));
    server.unlist(&resources.collect::<Vec<_>>());
}

pub(super) fn write(server: &FhirServer, rows: &[(u32, &Row)], now: DateTime<Utc>) {
    let now = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    for (id, row) in rows {
        let stamp = row.stamp.to_rfc3339_opts(SecondsFormat::Millis, true);
        let patient = format!("p{id}");
        if row.trouble == Some(Trouble::Unreadable) {
            server.delete("Patient", &patient);
        } else {
            // A Patient's own stamp never lies here.
            server.put(person(&patient, row), &now);
        }
        server.put(fact(*id, &patient, row), &stamp);
    }
}

fn person(id: &str, row: &Row) -> Value {
    let identifier = row
        .snils()
        .map(|snils| json!({ "system": SYSTEM, "value": snils }));
    json!({ "resourceType": "Patient", "id": id,
            "identifier": identifier.into_iter().collect::<Vec<_>>() })
}

fn fact(id: u32, patient: &str, row: &Row) -> Value {
    let subject = match row.trouble {
        Some(Trouble::TwoRows) => Value::Null,
        Some(Trouble::Domain) => json!({ "reference": "Patient/never-there" }),
        _ => json!({ "reference": format!("Patient/{patient}") }),
    };
    let status = |holds: &str| match row.trouble {
        Some(Trouble::Status) => "no-such-word".to_owned(),
        _ if row.holds => holds.to_owned(),
        _ => "entered-in-error".to_owned(),
    };
    let day = row.day(id).map(|day| day.to_string());
    let code = json!({ "coding": [{ "system": WORDS, "code": row.code(id) }],
                       "text": row.code(id) });
    if is_test(id) {
        json!({ "resourceType": TYPES[1], "id": format!("r{id}"), "status": status("final"),
                "code": { "coding": [{ "system": "http://loinc.org", "code": "94500-6" }] },
                "subject": subject, "effectiveDateTime": day, "valueCodeableConcept": code })
    } else {
        json!({ "resourceType": TYPES[0], "id": format!("r{id}"), "status": status("completed"),
                "occurrenceDateTime": day, "vaccineCode": code, "patient": subject,
                "protocolApplied": [{ "doseNumberPositiveInt": dose(id) }] })
    }
}

/// Address of a fact's resource below the server's own.
fn address(id: u32) -> String {
    format!("{}/r{id}", TYPES[usize::from(is_test(id))])
}

pub(super) fn delete(server: &FhirServer, id: u32) {
    server.delete(TYPES[usize::from(is_test(id))], &format!("r{id}"));
    server.delete("Patient", &format!("p{id}"));
}

/// Forbids what broken feeds read, and allows it again.
pub(super) fn set_broken(server: &FhirServer, broken: [bool; 2]) {
    let forbidden = TYPES.iter().zip(broken).filter(|(_, broken)| *broken);
    let forbidden: Vec<&str> = forbidden.map(|(kind, _)| *kind).collect();
    server.forbid_types(&forbidden);
}

/// Has every so-many-th request fail from now on, each in another way; 0 ends it.
pub(super) fn set_failing(server: &FhirServer, every: u8) {
    server.end_rates();
    match every {
        0 => {}
        _ if every.is_multiple_of(3) => server.fail_every(every.into(), 503, None),
        _ if every % 3 == 1 => server.fail_every(every.into(), 429, Some(0)),
        _ => server.expire_every(every.into()),
    }
}
