//! JSON Schemas of fields whose values come from closed lists or patterns.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::constants::{ILLNESS_ICD10, SYSTEM_PREFIX};
use crate::{Scheme, Suite, TestCode, TestResult, Vaccine};

/// Schema of a CodeableConcept whose `coding` is one of the given arrays.
fn one_of_codings(codings: &[Value]) -> Schema {
    json_schema!({
        "type": "object",
        "properties": { "coding": { "enum": codings } },
        "required": ["coding"],
        "additionalProperties": false,
    })
}

fn coding(system: &str, code: &str) -> Value {
    json!({ "system": system, "code": code })
}

pub(super) fn vaccine_code(_: &mut SchemaGenerator) -> Schema {
    let codings = Vaccine::ALL.map(|vaccine| {
        let (system, code) = vaccine.coding();
        json!([
            coding(system, code),
            coding("http://www.whocc.no/atc", vaccine.atc()),
        ])
    });
    one_of_codings(&codings)
}

pub(super) fn test_code(_: &mut SchemaGenerator) -> Schema {
    one_of_codings(&TestCode::ALL.map(|test| json!([coding("http://loinc.org", test.loinc())])))
}

pub(super) fn test_result(_: &mut SchemaGenerator) -> Schema {
    let codings =
        TestResult::ALL.map(|result| json!([coding("http://snomed.info/sct", result.snomed())]));
    one_of_codings(&codings)
}

pub(super) fn illness_code(_: &mut SchemaGenerator) -> Schema {
    one_of_codings(&[json!([coding(
        "http://hl7.org/fhir/sid/icd-10",
        ILLNESS_ICD10
    )])])
}

pub(super) fn partial_date(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "description": "YYYY, YYYY-MM or YYYY-MM-DD: as precise as policy lets it leave; never a \
            time of day.",
        "pattern": "^(19|[2-9][0-9])[0-9]{2}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$",
    })
}

pub(super) fn pseudonym_system(_: &mut SchemaGenerator) -> Schema {
    let suites = Suite::ALL.map(Suite::as_str).join("|");
    let schemes = Scheme::ALL.map(Scheme::as_str).join("|");
    json_schema!({
        "type": "string",
        "description": "How the pseudonym was computed, from which numbering, under which key \
            (its epoch, from 1).",
        "pattern": format!("^{SYSTEM_PREFIX}({suites}):({schemes}):[1-9][0-9]{{0,4}}$"),
    })
}
