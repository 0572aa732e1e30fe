//! Identifier systems of the patients that `check` sees.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::PatientEntry;
use crate::identity::{IdentifierSystems, Lack};
use crate::readable::readable;

/// The most systems that are named at once.
const MAX_SYSTEMS: usize = 20;
/// Persons who must have a system before one that is not configured is shown: what one person alone
/// has could be that person's.
const MIN_PERSONS: usize = 2;

/// Systems that lack a meaning or a country, with the patients who have them.
#[derive(Default)]
pub(crate) struct LackingSystems {
    patients: BTreeMap<(Lack, String), BTreeSet<String>>,
}

impl LackingSystems {
    /// Looks at a Patient.
    pub(crate) fn see(&mut self, systems: &IdentifierSystems, entry: &PatientEntry) {
        // Without either, patients are taken for one.
        let name = entry.id.as_deref().or(entry.full_url.as_deref());
        let name = name.unwrap_or_default();
        for lacking in systems.lacking(entry.json.get()) {
            self.patients
                .entry(lacking)
                .or_default()
                .insert(name.to_owned());
        }
    }

    /// The systems that lack something, each with its number of patients, the most frequent first;
    /// empty where there is none.
    pub(crate) fn told(&self, lack: Lack, systems: &IdentifierSystems) -> String {
        let of = self.patients.iter().filter(|((of, _), _)| *of == lack);
        let mut found: Vec<(&str, usize)> = of
            .map(|((_, system), patients)| (system.as_str(), patients.len()))
            .collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let rest = found.len().saturating_sub(MAX_SYSTEMS);
        let mut told: Vec<String> = found
            .into_iter()
            .take(MAX_SYSTEMS)
            .map(|(system, count)| {
                let is_shown = systems.is_known(system) || count >= MIN_PERSONS;
                let shown = if is_shown {
                    readable(system)
                } else {
                    "(one that a single person has)"
                };
                format!("{shown} ({count})")
            })
            .collect();
        if rest > 0 {
            told.push(format!("and {rest} more"));
        }
        told.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_system_is_shown_where_it_is_configured_or_several_persons_have_it() {
        let config = json!({"base_url": "https://x/",
            "identifier_systems": {"urn:known": "national-id"}});
        let systems = IdentifierSystems::new(&serde_json::from_value(config).unwrap());
        let mut seen = LackingSystems::default();
        let mut see = |id: &str, systems_of: &[&str]| {
            let identifiers = systems_of
                .iter()
                .map(|of| json!({"system": of, "value": "1"}));
            let patient = json!({"identifier": identifiers.collect::<Vec<_>>()});
            let entry = PatientEntry {
                id: Some(id.to_owned()),
                full_url: None,
                json: RawValue::from_string(patient.to_string()).unwrap(),
            };
            seen.see(&systems, &entry);
        };
        see("a", &["urn:cards", "urn:ivanov", "urn:known"]);
        see("b", &["urn:cards", "urn:cards", "Ivanov"]);
        see("b", &["urn:ivanova"]);
        see("b", &["urn:ivanova"]);
        see("c", &["Ivanov"]);
        assert_eq!(
            seen.told(Lack::Meaning, &systems),
            "(one that is no URI) (2), urn:cards (2), (one that a single person has) (1), (one \
             that a single person has) (1)"
        );
        assert_eq!(seen.told(Lack::Country, &systems), "urn:known (1)");
        assert_eq!(LackingSystems::default().told(Lack::Meaning, &systems), "");
    }
}
