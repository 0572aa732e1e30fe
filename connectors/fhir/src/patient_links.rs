//! What a Patient says of other patients (`Patient.link`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{Patient, Reference};

/// The most patients that one record's person is looked for among.
pub(crate) const MAX_LINKED: usize = 10;
/// Links looked at of one Patient, of each type.
const MAX_LINKS: usize = 100;

/// The links of a Patient, as references.
#[derive(Default, Clone)]
pub(crate) struct PatientLinks {
    /// Patients that must be used in place of this one.
    pub replaced_by: BTreeSet<String>,
    /// Patients that tell more of the same person.
    pub refers: BTreeSet<String>,
    /// Patients that were merged into this one.
    pub replaces: BTreeSet<String>,
    /// True for one that says that it is no longer in use (`active` is false).
    pub is_inactive: bool,
    /// True for one that has a link of any type.
    pub is_linked: bool,
}

impl PatientLinks {
    pub(crate) fn of(patient: &Patient) -> Self {
        let of = |kind: &str| {
            let links = patient.link.iter().filter(|link| link.kind == kind);
            // One without a readable reference leads nowhere, which is not the same as no link.
            let others = links.map(|link| link.other["reference"].as_str().unwrap_or_default());
            others.map(str::to_owned).take(MAX_LINKS).collect()
        };
        Self {
            replaced_by: of("replaced-by"),
            refers: of("refer"),
            replaces: of("replaces"),
            is_inactive: patient.active == Value::Bool(false),
            is_linked: !patient.link.is_empty(),
        }
    }

    pub(crate) fn read(json: &str) -> Self {
        serde_json::from_str(json).map_or_else(|_| Self::default(), |patient| Self::of(&patient))
    }
}

/// A reference to a Patient, as text.
pub(crate) fn reference(text: &str) -> Reference {
    Reference {
        reference: Some(text.to_owned()),
        identifier: None,
    }
}
