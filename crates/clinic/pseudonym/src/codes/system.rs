//! Code systems known by their URI.

/// A code system this crate knows something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Cvx,
    Atc,
    Loinc,
    Snomed,
    Icd10,
    Icd11,
    /// HL7 v3 `ObservationInterpretation`, and its v2 table 0078.
    Interpretation,
}

impl System {
    /// By URI or OID, as FHIR R4 (section 4.3.0) and the national guides write them.
    pub(crate) fn of(uri: &str) -> Option<Self> {
        Some(match uri {
            "http://hl7.org/fhir/sid/cvx" | "urn:oid:2.16.840.1.113883.12.292" => Self::Cvx,
            "http://www.whocc.no/atc" | "urn:oid:2.16.840.1.113883.6.73" => Self::Atc,
            "http://loinc.org" | "urn:oid:2.16.840.1.113883.6.1" => Self::Loinc,
            "http://snomed.info/sct" | "urn:oid:2.16.840.1.113883.6.96" => Self::Snomed,
            "urn:oid:2.16.840.1.113883.6.3"
            | "urn:oid:2.16.840.1.113883.6.90"
            | "urn:oid:1.2.643.5.1.13.13.11.1005" => Self::Icd10,
            "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
            | "http://terminology.hl7.org/CodeSystem/v2-0078"
            | "http://hl7.org/fhir/v2/0078" => Self::Interpretation,
            // National editions and releases hang on the same stem.
            _ if uri.starts_with("http://hl7.org/fhir/sid/icd-10") => Self::Icd10,
            _ if uri.starts_with("http://id.who.int/icd/release/11")
                || uri == "http://id.who.int/icd11/mms" =>
            {
                Self::Icd11
            }
            _ => return None,
        })
    }
}
