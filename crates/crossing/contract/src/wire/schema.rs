//! The JSON Schema of a batch, generated from the wire types; `docs.rs` keeps the published copy
//! equal to it.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::envelope::{Envelope, FactType, WithdrawalType};
use super::fhir::{
    Condition, Immunization, Observation, WithdrawnCondition, WithdrawnImmunization,
    WithdrawnObservation,
};
use super::{ILLNESS_ICD10, MAX_EVENTS, SYSTEM_PREFIX};
use crate::{Scheme, Suite, TestCode, TestResult, Vaccine};

/// Every shape an event may have.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is wanted")]
enum CloudEvent<'a> {
    /// A vaccination.
    Vaccination(Envelope<'a, FactType, Immunization<'a>>),
    /// A laboratory test.
    Test(Envelope<'a, FactType, Observation<'a>>),
    /// A recovery.
    Recovery(Envelope<'a, FactType, Condition<'a>>),
    /// A vaccination taken back.
    WithdrawnVaccination(Envelope<'a, WithdrawalType, WithdrawnImmunization>),
    /// A laboratory test taken back.
    WithdrawnTest(Envelope<'a, WithdrawalType, WithdrawnObservation>),
    /// A recovery taken back.
    WithdrawnRecovery(Envelope<'a, WithdrawalType, WithdrawnCondition>),
}

/// The schema of a whole decoded batch (JSON Schema 2020-12).
pub(crate) fn batch() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(join_description_lines))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Vec<CloudEvent<'_>>>();
    schema.insert("title".into(), json!("Decoded batch of the clinic gateway"));
    schema.insert("minItems".into(), json!(1));
    schema.insert("maxItems".into(), json!(MAX_EVENTS));
    schema.to_value()
}

/// Joins the lines of each paragraph of a description: doc comments are wrapped for readers of the
/// source.
fn join_description_lines(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        let paragraphs = description.split("\n\n");
        *description = paragraphs
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect::<Vec<_>>()
            .join("\n\n");
    }
}

/// A CodeableConcept whose `coding` is one of the given arrays.
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
        json!([
            coding("http://hl7.org/fhir/sid/cvx", vaccine.cvx()),
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
