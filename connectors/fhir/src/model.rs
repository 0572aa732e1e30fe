//! The few FHIR R4 elements that are read. Names, birth dates and addresses have no field here, so
//! they are skipped.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The beginning of every resource; untyped, so that a fault in one element does not hide the
/// others.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Head {
    pub resource_type: Value,
    pub id: Value,
    pub meta: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Bundle {
    pub total: Option<u64>,
    #[serde(deserialize_with = "list")]
    pub link: Vec<Link>,
    #[serde(deserialize_with = "list")]
    pub entry: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Link {
    pub relation: String,
    pub url: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Entry {
    pub full_url: Option<String>,
    pub search: EntrySearch,
    pub request: EntryRequest,
    /// The resource, parsed on its own: one malformed resource must not take its page with it.
    pub resource: Option<Box<RawValue>>,
}

/// Request that made a version in a history: its method, and the address it was for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct EntryRequest {
    pub method: Value,
    pub url: Value,
}

/// Reason why an entry is in the answer: `match`, `include`, `outcome`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct EntrySearch {
    /// The mode, untyped: a fault in it must not take the page with it.
    pub mode: Value,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Immunization {
    pub status: Option<String>,
    pub vaccine_code: CodeableConcept,
    pub patient: Reference,
    pub occurrence_date_time: Option<String>,
    pub occurrence_string: Option<String>,
    #[serde(deserialize_with = "list")]
    pub protocol_applied: Vec<ProtocolApplied>,
    #[serde(deserialize_with = "list")]
    pub contained: Vec<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ProtocolApplied {
    pub dose_number_positive_int: Option<Value>,
    pub dose_number_string: Option<Value>,
    pub series_doses_positive_int: Option<Value>,
    pub series_doses_string: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Observation {
    pub status: Option<String>,
    pub code: CodeableConcept,
    pub subject: Reference,
    pub effective_date_time: Option<String>,
    pub effective_instant: Option<String>,
    pub effective_period: Option<Period>,
    pub value_codeable_concept: Option<CodeableConcept>,
    pub value_string: Option<String>,
    /// Untyped: a list, or one alone.
    pub interpretation: Value,
    #[serde(deserialize_with = "list")]
    pub contained: Vec<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Condition {
    pub meta: Value,
    pub clinical_status: CodeableConcept,
    pub verification_status: CodeableConcept,
    pub code: CodeableConcept,
    pub subject: Reference,
    pub onset_date_time: Option<String>,
    pub onset_period: Option<Period>,
    pub onset_string: Option<String>,
    pub abatement_date_time: Option<String>,
    pub abatement_period: Option<Period>,
    pub abatement_string: Option<String>,
    #[serde(deserialize_with = "list")]
    pub contained: Vec<Box<RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Patient {
    /// Untyped, like the links: a fault in them must not hide the identifiers.
    pub active: Value,
    #[serde(deserialize_with = "list")]
    pub identifier: Vec<Identifier>,
    #[serde(deserialize_with = "list")]
    pub link: Vec<PatientLink>,
}

/// A link from a Patient to another one of the same person.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct PatientLink {
    #[serde(rename = "type")]
    pub kind: Value,
    pub other: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Reference {
    pub reference: Option<String>,
    pub identifier: Option<Identifier>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Identifier {
    #[serde(rename = "use")]
    pub usage: Option<String>,
    #[serde(rename = "type")]
    pub kind: CodeableConcept,
    pub system: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub value: Option<SecretString>,
    pub period: Option<Period>,
    pub assigner: Option<Assigner>,
    #[serde(deserialize_with = "list")]
    pub extension: Vec<Extension>,
}

/// The organisation that issued an identifier: for a passport, a state.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Assigner {
    pub identifier: Option<AssignerIdentifier>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct AssignerIdentifier {
    pub system: Option<String>,
    pub value: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Extension {
    pub value_coding: Option<Coding>,
    pub value_codeable_concept: Option<CodeableConcept>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct CodeableConcept {
    #[serde(deserialize_with = "list")]
    pub coding: Vec<Coding>,
    pub text: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Coding {
    pub system: Option<String>,
    pub code: Option<String>,
    /// The display, untyped: a fault in it must not hide the code.
    pub display: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Period {
    pub start: Option<String>,
    pub end: Option<String>,
}

/// An OperationOutcome without `diagnostics`, which may quote a patient.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct OperationOutcome {
    #[serde(deserialize_with = "list")]
    pub issue: Vec<Issue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Issue {
    pub severity: Option<String>,
    pub code: Option<String>,
    pub details: CodeableConcept,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct CapabilityStatement {
    pub fhir_version: Option<String>,
    #[serde(deserialize_with = "list")]
    pub rest: Vec<Rest>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Rest {
    pub mode: Option<String>,
    #[serde(deserialize_with = "list")]
    pub resource: Vec<RestResource>,
    #[serde(deserialize_with = "list")]
    pub search_param: Vec<SearchParam>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RestResource {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "list")]
    pub search_param: Vec<SearchParam>,
    #[serde(deserialize_with = "list")]
    pub search_include: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub interaction: Vec<Interaction>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Interaction {
    pub code: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct SearchParam {
    pub name: Option<String>,
}

/// A list that some servers write as `null` where there is nothing.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}
