//! JSON Schema of a batch, generated from the wire types; the tests in `docs` keep the published
//! copy equal to it.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::constants::MAX_EVENTS;
use super::envelope::{Envelope, FactType, WithdrawalType};
use super::fhir::{
    Condition, Immunization, Observation, WithdrawnCondition, WithdrawnImmunization,
    WithdrawnObservation,
};

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

/// JSON Schema of a whole decoded batch (2020-12).
pub(crate) fn batch() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(join_description_lines))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Vec<CloudEvent<'_>>>();
    schema.insert("title".into(), json!("Decoded batch of the clinic gateway"));
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
