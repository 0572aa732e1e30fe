//! Limits and names of the wire form.

/// Most events in one batch.
pub const MAX_EVENTS: usize = 1000;

/// Largest encoded batch, in bytes; a batch that expands beyond it is refused whole.
pub const MAX_ENCODED_BYTES: usize = 8 << 20;

/// System of a pseudonym, up to its suite, scheme and key epoch.
pub(super) const SYSTEM_PREFIX: &str = "urn:clinic-gateway:pseudonym:";

/// Code of the illness that all recoveries are from (`http://hl7.org/fhir/sid/icd-10`): COVID-19,
/// virus identified.
pub(super) const ILLNESS_ICD10: &str = "U07.1";
