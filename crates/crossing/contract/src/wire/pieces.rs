//! Texts between an event's values, in the order and spelling in which the encoder writes and the
//! quick reader expects them.

/// Up to the id.
pub(super) const HEAD: &str = r#"{"specversion":"1.0","id":""#;
/// Between id and record, of a fact.
pub(super) const FACT: &str = concat!(
    r#"","source":"urn:clinic-gateway","type":"clinic-gateway.fact.v2","#,
    r#""datacontenttype":"application/fhir+json","record":""#,
);
/// Between id and record, of a withdrawal.
pub(super) const WITHDRAWAL: &str = concat!(
    r#"","source":"urn:clinic-gateway","type":"clinic-gateway.withdrawal.v2","#,
    r#""datacontenttype":"application/fhir+json","record":""#,
);
/// Between record and version.
pub(super) const VERSION: &str = r#"","version":""#;
/// Between version and content.
pub(super) const CONTENT: &str = r#"","content":""#;
/// Between content and owner token.
pub(super) const OWNER: &str = r#"","owner":""#;
/// Up to the resource.
pub(super) const DATA: &str = r#"","data":"#;
/// After the resource.
pub(super) const END: &str = "}";

/// Between the items of a list.
pub(super) const NEXT: &str = ",";
/// Before a pseudonym, up to its suite; after it stand scheme and epoch, separated by
/// [`SEPARATOR`].
pub(super) const PSEUDONYM: &str = r#"{"system":"urn:clinic-gateway:pseudonym:"#;
pub(super) const SEPARATOR: &str = ":";
/// Between a pseudonym's system and its value.
pub(super) const VALUE: &str = r#"","value":""#;
/// After a pseudonym's value.
pub(super) const PSEUDONYM_END: &str = r#""}"#;

/// Up to the pseudonyms.
pub(super) const IMMUNIZATION: &str = concat!(
    r#"{"resourceType":"Immunization","contained":[{"resourceType":"Patient","id":"p","#,
    r#""identifier":["#,
);
/// From the pseudonyms to the vaccine's code in CVX.
pub(super) const CVX: &str = concat!(
    r#"]}],"status":"completed","#,
    r#""vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":""#,
);
/// From the pseudonyms to the vaccine's own code of the contract, where CVX has none.
pub(super) const OWN_VACCINE: &str = concat!(
    r#"]}],"status":"completed","#,
    r#""vaccineCode":{"coding":[{"system":"urn:clinic-gateway:vaccine","code":""#,
);
/// From there to its group in ATC.
pub(super) const ATC: &str = r#""},{"system":"http://www.whocc.no/atc","code":""#;
/// From there to the date.
pub(super) const OCCURRENCE: &str = r##""}]},"patient":{"reference":"#p"},"occurrenceDateTime":""##;
/// After the date, where doses are known: up to the dose's number, up to the course's after it, or
/// up to the course's where that alone is known.
pub(super) const DOSE: &str = r#"","protocolApplied":[{"doseNumberPositiveInt":"#;
pub(super) const SERIES: &str = r#","seriesDosesPositiveInt":"#;
pub(super) const UNKNOWN_DOSE: &str =
    r#"","protocolApplied":[{"doseNumberString":"unknown","seriesDosesPositiveInt":"#;
pub(super) const PROTOCOL_END: &str = "}]}";
/// After the last value of a resource, where that is a text.
pub(super) const RESOURCE_END: &str = r#""}"#;

/// Up to the pseudonyms.
pub(super) const OBSERVATION: &str = concat!(
    r#"{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p","#,
    r#""identifier":["#,
);
/// From the pseudonyms to the test's code in LOINC.
pub(super) const LOINC: &str =
    r#"]}],"status":"final","code":{"coding":[{"system":"http://loinc.org","code":""#;
/// From there to the date.
pub(super) const EFFECTIVE: &str = r##""}]},"subject":{"reference":"#p"},"effectiveDateTime":""##;
/// From there to the result's code in SNOMED CT.
pub(super) const SNOMED: &str =
    r#"","valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":""#;
/// After it.
pub(super) const OBSERVATION_END: &str = r#""}]}}"#;

/// Up to the pseudonyms.
pub(super) const CONDITION: &str =
    r#"{"resourceType":"Condition","contained":[{"resourceType":"Patient","id":"p","identifier":["#;
/// From the pseudonyms to the first date, or rather what names it.
pub(super) const ILLNESS: &str = concat!(
    r#"]}],"#,
    r#""clinicalStatus":{"coding":["#,
    r#"{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","#,
    r#""code":"resolved"}]},"#,
    r#""verificationStatus":{"coding":["#,
    r#"{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","#,
    r#""code":"confirmed"}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10","#,
    r##""code":"U07.1"}]},"subject":{"reference":"#p"},""##,
);
/// Up to the day it began, where that is known, and on to the next.
pub(super) const ONSET: &str = r#"onsetDateTime":""#;
pub(super) const ONSET_END: &str = r#"",""#;
/// Up to the day it ended.
pub(super) const ABATEMENT: &str = r#"abatementDateTime":""#;

/// A vaccination taken back.
pub(super) const WITHDRAWN_IMMUNIZATION: &str = concat!(
    r#"{"resourceType":"Immunization","contained":[{"resourceType":"Patient","id":"p"}],"#,
    r#""status":"entered-in-error","#,
    r#""vaccineCode":{"coding":["#,
    r#"{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","#,
    r##""code":"masked"}]},"patient":{"reference":"#p"},"occurrenceString":"withdrawn"}"##,
);
/// A laboratory test taken back.
pub(super) const WITHDRAWN_OBSERVATION: &str = concat!(
    r#"{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"#,
    r#""status":"entered-in-error","#,
    r#""code":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","#,
    r##""code":"masked"}]},"subject":{"reference":"#p"}}"##,
);
/// A recovery taken back.
pub(super) const WITHDRAWN_CONDITION: &str = concat!(
    r#"{"resourceType":"Condition","contained":[{"resourceType":"Patient","id":"p"}],"#,
    r#""verificationStatus":{"coding":["#,
    r#"{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","#,
    r#""code":"entered-in-error"}]},"#,
    r#""code":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","#,
    r##""code":"masked"}]},"subject":{"reference":"#p"}}"##,
);
