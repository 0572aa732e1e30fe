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
    /// Register of medicines authorised in the EU, and the EU value set of vaccines.
    UnionRegister,
    /// HL7 v3 `ObservationInterpretation`, and its v2 table 0078.
    Interpretation,
}

impl System {
    /// By URI or OID, as FHIR R4 (section 4.3.0) and the national guides write them; with `http` or
    /// `https`, with or without a slash at the end and `urn:oid:` before an OID.
    pub(crate) fn of(uri: &str) -> Option<Self> {
        let uri = uri.trim().trim_end_matches('/');
        let uri = uri
            .strip_prefix("https://")
            .or_else(|| uri.strip_prefix("http://"))
            .or_else(|| uri.strip_prefix("urn:oid:"))
            .unwrap_or(uri);
        Some(match uri {
            "hl7.org/fhir/sid/cvx" | "2.16.840.1.113883.12.292" => Self::Cvx,
            "www.whocc.no/atc"
            | "2.16.840.1.113883.6.73"
            | "fhir.de/CodeSystem/bfarm/atc"
            | "fhir.de/CodeSystem/dimdi/atc" => Self::Atc,
            "loinc.org" | "2.16.840.1.113883.6.1" => Self::Loinc,
            "snomed.info/sct" | "2.16.840.1.113883.6.96" => Self::Snomed,
            "2.16.840.1.113883.6.3"
            | "2.16.840.1.113883.6.90"
            | "1.2.643.5.1.13.13.11.1005"
            | "fhir.de/CodeSystem/bfarm/icd-10-gm"
            | "fhir.de/CodeSystem/dimdi/icd-10-gm" => Self::Icd10,
            "terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
            | "terminology.hl7.org/CodeSystem/v2-0078"
            | "hl7.org/fhir/v2/0078" => Self::Interpretation,
            // National editions and releases hang on the same stem.
            _ if uri.starts_with("snomed.info/sct/") => Self::Snomed,
            _ if uri.starts_with("hl7.org/fhir/sid/icd-10") => Self::Icd10,
            _ if uri.starts_with("id.who.int/icd/release/11") || uri == "id.who.int/icd11/mms" => {
                Self::Icd11
            }
            _ if uri.starts_with("ec.europa.eu/health/documents/community-register") => {
                Self::UnionRegister
            }
            _ => return None,
        })
    }
}
