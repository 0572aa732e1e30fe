//! The FHIR R4 resources of the contract, and no field more than it uses.
//!
//! <https://hl7.org/fhir/R4/immunization.html>, <https://hl7.org/fhir/R4/observation.html>,
//! <https://hl7.org/fhir/R4/condition.html>, <https://hl7.org/fhir/R4/patient.html>

#![cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "fields that always say the same are checked when they are read"
    )
)]

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

#[cfg(test)]
use super::field_schema;
use super::fixed::fixed;

fixed! {
    ImmunizationName = "Immunization";
    ObservationName = "Observation";
    ConditionName = "Condition";
    PatientName = "Patient";

    PatientId = "p";
    PatientRef = "#p";

    Completed = "completed";
    Final = "final";
    Resolved = "resolved";
    Confirmed = "confirmed";
    EnteredInError = "entered-in-error";
    WithdrawnText = "withdrawn";
    UnknownDose = "unknown";
    Masked = "masked";

    Atc = "http://www.whocc.no/atc";
    Loinc = "http://loinc.org";
    Snomed = "http://snomed.info/sct";
    Icd10 = "http://hl7.org/fhir/sid/icd-10";
    ConditionClinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    ConditionVerification = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
    DataAbsentReason = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
}

/// A code and its system.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
pub(crate) struct Coding<S, C> {
    pub(crate) system: S,
    pub(crate) code: C,
}

/// A FHIR CodeableConcept: these codings, in this order.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
pub(crate) struct Concept<T> {
    pub(crate) coding: T,
}

/// A vaccine, in CVX or the contract's own list, and its group in ATC.
pub(crate) type VaccineCodings<'a> = (
    Coding<Cow<'a, str>, Cow<'a, str>>,
    Coding<Atc, Cow<'a, str>>,
);

/// A concept of one coding with one possible code.
pub(crate) type FixedConcept<S, C> = Concept<[Coding<S, C>; 1]>;

/// Concept in place of a code in a withdrawal.
pub(crate) type MaskedConcept = FixedConcept<DataAbsentReason, Masked>;

/// A reference to the contained Patient.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema), schemars(inline))]
#[serde(deny_unknown_fields)]
pub(crate) struct Reference {
    pub(crate) reference: PatientRef,
}

/// Pseudonym of the person.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Identifier<'a> {
    /// `urn:clinic-gateway:pseudonym:<suite>:<scheme>:<key epoch>`.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::pseudonym_system"))]
    pub(crate) system: Cow<'a, str>,
    /// The pseudonym: 32 bytes in lower-case hex.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{64}$")))]
    pub(crate) value: Cow<'a, str>,
}

/// The person of a fact: pseudonyms and nothing else.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Patient<'a> {
    pub(crate) resource_type: PatientName,
    pub(crate) id: PatientId,
    /// Every pseudonym the clinic could make.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(length(min = 1, max = "crate::Subject::MAX")))]
    pub(crate) identifier: Vec<Identifier<'a>>,
}

/// The person of a withdrawal: not even a pseudonym.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NoPatient {
    pub(crate) resource_type: PatientName,
    pub(crate) id: PatientId,
}

/// Number of the dose, and of the doses in the course.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ProtocolApplied {
    /// The dose, 1 to 9; FHIR wants this or the text.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "u8", range(min = 1, max = 9)))]
    pub(crate) dose_number_positive_int: Option<u8>,
    /// `unknown`: only the length of the course is known.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "UnknownDose"))]
    pub(crate) dose_number_string: Option<UnknownDose>,
    /// Number of doses in the course, 1 to 9.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "u8", range(min = 1, max = 9)))]
    pub(crate) series_doses_positive_int: Option<u8>,
}

/// A vaccination.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Immunization<'a> {
    pub(crate) resource_type: ImmunizationName,
    #[serde(borrow)]
    pub(crate) contained: [Patient<'a>; 1],
    pub(crate) status: Completed,
    /// The vaccine in CVX, or in the contract's own list where CVX has none; its group in ATC.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::vaccine_code"))]
    pub(crate) vaccine_code: Concept<VaccineCodings<'a>>,
    pub(crate) patient: Reference,
    /// The day, month or year.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::partial_date"))]
    pub(crate) occurrence_date_time: Cow<'a, str>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "[ProtocolApplied; 1]"))]
    pub(crate) protocol_applied: Option<[ProtocolApplied; 1]>,
}

/// A laboratory test.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Observation<'a> {
    pub(crate) resource_type: ObservationName,
    #[serde(borrow)]
    pub(crate) contained: [Patient<'a>; 1],
    pub(crate) status: Final,
    /// Kind of test, in LOINC.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::test_code"))]
    pub(crate) code: Concept<[Coding<Loinc, Cow<'a, str>>; 1]>,
    pub(crate) subject: Reference,
    /// The day, month or year the sample was taken.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::partial_date"))]
    pub(crate) effective_date_time: Cow<'a, str>,
    /// The result, in SNOMED CT.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::test_result"))]
    pub(crate) value_codeable_concept: Concept<[Coding<Snomed, Cow<'a, str>>; 1]>,
}

/// A recovery: an illness that ended.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Condition<'a> {
    pub(crate) resource_type: ConditionName,
    #[serde(borrow)]
    pub(crate) contained: [Patient<'a>; 1],
    pub(crate) clinical_status: FixedConcept<ConditionClinical, Resolved>,
    pub(crate) verification_status: FixedConcept<ConditionVerification, Confirmed>,
    /// The illness, in ICD-10.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::illness_code"))]
    pub(crate) code: Concept<[Coding<Icd10, Cow<'a, str>>; 1]>,
    pub(crate) subject: Reference,
    /// The day, month or year it began.
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(schema_with = "field_schema::partial_date"))]
    pub(crate) onset_date_time: Option<Cow<'a, str>>,
    /// The day, month or year the person was declared well.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(schema_with = "field_schema::partial_date"))]
    pub(crate) abatement_date_time: Cow<'a, str>,
}

/// A vaccination taken back.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WithdrawnImmunization {
    pub(crate) resource_type: ImmunizationName,
    pub(crate) contained: [NoPatient; 1],
    pub(crate) status: EnteredInError,
    pub(crate) vaccine_code: MaskedConcept,
    pub(crate) patient: Reference,
    /// FHIR wants an occurrence; the text is always the same.
    pub(crate) occurrence_string: WithdrawnText,
}

/// A laboratory test taken back.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WithdrawnObservation {
    pub(crate) resource_type: ObservationName,
    pub(crate) contained: [NoPatient; 1],
    pub(crate) status: EnteredInError,
    pub(crate) code: MaskedConcept,
    pub(crate) subject: Reference,
}

/// A recovery taken back; FHIR forbids a clinical status here (invariant con-5).
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize, schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WithdrawnCondition {
    pub(crate) resource_type: ConditionName,
    pub(crate) contained: [NoPatient; 1],
    pub(crate) verification_status: FixedConcept<ConditionVerification, EnteredInError>,
    pub(crate) code: MaskedConcept,
    pub(crate) subject: Reference,
}

/// An optional field that, where it stands, has a value: FHIR JSON knows no `null`.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
