//! Finds the Patient a record refers to: in the same page, inside the record, by a batched read, or
//! by identifier.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use connector_kit::Person;
use serde_json::value::RawValue;

use crate::bundle::PatientEntry;
use crate::identity::{IdentifierSystems, KnownIdentifiers, KnownPatient};
use crate::ids::is_fhir_id;
use crate::links::OwnAddresses;
use crate::model::{Head, Reference};
use crate::patient_links::{self, MAX_LINKED};

/// The patients known while one page is mapped.
pub(crate) struct Patients<'a> {
    identifier_systems: &'a IdentifierSystems,
    addresses: OwnAddresses,
    now: DateTime<Utc>,
    known: Vec<KnownPatient>,
    index: HashMap<String, usize>,
    /// Ids of the patients whom the account may not read.
    hidden: HashSet<String>,
}

/// Outcome of following a reference to a person.
enum Followed {
    Found(KnownIdentifiers),
    /// The account may not read the Patient at the end.
    Hidden,
    /// There is no such Patient, or none can be told.
    Nobody,
}

/// Target of a literal reference.
#[derive(Debug, PartialEq, Eq)]
enum ReferenceTarget<'a> {
    /// `#id`: a resource inside the record.
    Contained(&'a str),
    /// A Patient of this server, by id.
    Patient(&'a str),
    /// Some other address, known only if an entry of the page has it as its `fullUrl`.
    Address(&'a str),
    /// No target, or something that is no Patient.
    Nowhere,
}

impl<'a> Patients<'a> {
    pub(crate) fn new(
        systems: &'a IdentifierSystems,
        addresses: OwnAddresses,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            identifier_systems: systems,
            addresses,
            now,
            known: Vec::new(),
            index: HashMap::new(),
            hidden: HashSet::new(),
        }
    }

    /// Number of patients known.
    pub(crate) const fn count(&self) -> usize {
        self.known.len()
    }

    /// Notes patients whom the account may not read.
    pub(crate) fn hide(&mut self, ids: HashSet<String>) {
        self.hidden.extend(ids);
    }

    /// True if the reference is to a Patient whom the account may not read, or who was merged into
    /// such a one.
    pub(crate) fn is_hidden(&self, reference: &Reference) -> bool {
        let found = self.follow(&target(reference, &self.addresses), &mut Vec::new());
        matches!(found, Followed::Hidden)
    }

    /// Adds a Patient of a page or of a batched read.
    pub(crate) fn insert(&mut self, entry: PatientEntry) {
        let position = self.known.len();
        self.known
            .push(self.identifier_systems.patient(entry.json.get(), self.now));
        for key in entry
            .id
            .map(|id| format!("Patient/{id}"))
            .into_iter()
            .chain(entry.full_url)
        {
            self.index.insert(key, position);
        }
    }

    /// Notes that a Patient was merged into another one, by the other one's word.
    pub(crate) fn replace(&mut self, old: &str, by: &str) {
        if let Some(position) = self.index.get(&format!("Patient/{old}")) {
            let links = &mut self.known[*position].links;
            links.replaced_by.insert(format!("Patient/{by}"));
        }
    }

    /// Looks at the Patient that a record refers to, and at those it is linked to: adds the ids to
    /// ask the server for to `missing`, and to `unlinked` the ids of patients that are no longer in
    /// use and do not say who is instead.
    pub(crate) fn look_through(
        &self,
        subject: &Reference,
        missing: &mut BTreeSet<String>,
        unlinked: &mut BTreeSet<String>,
    ) {
        let mut waiting = vec![subject.reference.clone().unwrap_or_default()];
        let mut seen = Vec::new();
        while let Some(text) = waiting.pop() {
            let subject = patient_links::reference(&text);
            let target = target(&subject, &self.addresses);
            let Some(position) = self.find(&target) else {
                if let ReferenceTarget::Patient(id) = target {
                    missing.insert(id.to_owned());
                }
                continue;
            };
            if seen.contains(&position) || seen.len() >= MAX_LINKED {
                continue;
            }
            seen.push(position);
            let links = &self.known[position].links;
            if links.is_inactive
                && links.replaced_by.is_empty()
                && let ReferenceTarget::Patient(id) = target
            {
                unlinked.insert(id.to_owned());
            }
            waiting.extend(links.replaced_by.iter().cloned());
            if links.replaced_by.is_empty() {
                waiting.extend(links.refers.iter().cloned());
            }
        }
    }

    /// The person a record is about. One who cannot be found has no identifiers, so that the record
    /// is refused visibly.
    pub(crate) fn person(&self, reference: &Reference, contained: &[Box<RawValue>]) -> Person {
        let mut person = KnownIdentifiers::default();
        match target(reference, &self.addresses) {
            ReferenceTarget::Contained(id) => {
                for json in contained.iter().filter(|json| is_patient(json, id)) {
                    let patient = self.identifier_systems.patient(json.get(), self.now);
                    person.merge(&self.of_patient(&patient, &mut Vec::new()));
                }
            }
            target => {
                if let Followed::Found(known) = self.follow(&target, &mut Vec::new()) {
                    person.merge(&known);
                }
            }
        }
        if let Some(identifier) = &reference.identifier {
            self.identifier_systems
                .add(&mut person, identifier, self.now);
        }
        person.into_person()
    }

    /// The person whom a reference leads to. `seen`: places of the patients it led through.
    fn follow(&self, target: &ReferenceTarget<'_>, seen: &mut Vec<usize>) -> Followed {
        let Some(position) = self.find(target) else {
            let is_hidden =
                matches!(target, ReferenceTarget::Patient(id) if self.hidden.contains(*id));
            return if is_hidden {
                Followed::Hidden
            } else {
                Followed::Nobody
            };
        };
        // Links in a circle, or more of them than anybody merges patients.
        if seen.contains(&position) || seen.len() >= MAX_LINKED {
            return Followed::Nobody;
        }
        seen.push(position);
        let patient = &self.known[position];
        let mut replaced_by = patient.links.replaced_by.iter();
        match (replaced_by.next(), replaced_by.next()) {
            (None, _) => Followed::Found(self.of_patient(patient, seen)),
            (Some(other), None) => {
                let other = patient_links::reference(other);
                self.follow(&self::target(&other, &self.addresses), seen)
            }
            // Nobody can say which of two the facts are of.
            (Some(_), Some(_)) => Followed::Nobody,
        }
    }

    /// The identifiers of a Patient, with those of the patients it refers to. None of one that was
    /// merged into another.
    fn of_patient(&self, patient: &KnownPatient, seen: &mut Vec<usize>) -> KnownIdentifiers {
        let mut person = KnownIdentifiers::default();
        if !patient.links.replaced_by.is_empty() {
            return person;
        }
        person.merge(&patient.identifiers);
        for other in &patient.links.refers {
            let other = patient_links::reference(other);
            if let Followed::Found(known) = self.follow(&target(&other, &self.addresses), seen) {
                person.merge(&known);
            }
        }
        person
    }

    fn find(&self, target: &ReferenceTarget<'_>) -> Option<usize> {
        let position = match target {
            ReferenceTarget::Patient(id) => self.index.get(&format!("Patient/{id}")),
            ReferenceTarget::Address(address) => self.index.get(*address),
            ReferenceTarget::Contained(_) | ReferenceTarget::Nowhere => None,
        };
        position.copied()
    }
}

/// The id of the Patient of this server that a reference points at, if it does.
pub(crate) fn patient_id<'a>(
    reference: &'a Reference,
    addresses: &OwnAddresses,
) -> Option<&'a str> {
    match target(reference, addresses) {
        ReferenceTarget::Patient(id) => Some(id),
        _ => None,
    }
}

fn target<'a>(reference: &'a Reference, addresses: &OwnAddresses) -> ReferenceTarget<'a> {
    let text = reference.reference.as_deref().unwrap_or_default().trim();
    if text.is_empty() {
        return ReferenceTarget::Nowhere;
    }
    if let Some(id) = text.strip_prefix('#') {
        return ReferenceTarget::Contained(id);
    }
    let local = addresses.local(text);
    if let Some(rest) = local.strip_prefix("Patient/") {
        let id = rest.split("/_history/").next().unwrap_or_default();
        return if is_fhir_id(id) {
            ReferenceTarget::Patient(id)
        } else {
            ReferenceTarget::Nowhere
        };
    }
    if local.contains(':') {
        ReferenceTarget::Address(local)
    } else {
        ReferenceTarget::Nowhere
    }
}

fn is_patient(json: &RawValue, id: &str) -> bool {
    let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
    let own = head.id.as_str().unwrap_or_default();
    head.resource_type == "Patient" && own.strip_prefix('#').unwrap_or(own) == id
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::*;

    const SNILS: &str = "https://fhir.ru/ig/core/systems/snils";
    const BASE: &str = "https://mis.example/fhir/";

    fn raw(value: &Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).unwrap()
    }

    fn patient(id: &str, snils: &str) -> Value {
        let identifier = json!({"system": SNILS, "value": snils});
        json!({"resourceType": "Patient", "id": id, "identifier": [identifier]})
    }

    fn rules() -> IdentifierSystems {
        IdentifierSystems::new(&serde_json::from_value(json!({"base_url": BASE})).unwrap())
    }

    fn found(reference: Value, contained: &[Value]) -> Vec<String> {
        let rules = rules();
        let mut patients = Patients::new(&rules, OwnAddresses::new(BASE), DateTime::UNIX_EPOCH);
        for (id, url) in [
            ("a", Some("https://mis.example/fhir/Patient/a")),
            ("b", Some("urn:uuid:b")),
            ("c", None),
        ] {
            let entry = PatientEntry {
                id: Some(id.into()),
                full_url: url.map(Into::into),
                json: raw(&patient(id, id)),
            };
            patients.insert(entry);
        }
        let reference: Reference = serde_json::from_value(reference).unwrap();
        let contained: Vec<_> = contained.iter().map(raw).collect();
        let person = patients.person(&reference, &contained);
        person
            .identifiers
            .into_iter()
            .map(|i| i.value.expose_secret().to_owned())
            .collect()
    }

    #[test]
    fn every_way_to_refer_to_a_patient() {
        assert_eq!(found(json!({"reference": "Patient/a"}), &[]), ["a"]);
        assert_eq!(
            found(json!({"reference": "Patient/a/_history/3"}), &[]),
            ["a"]
        );
        assert_eq!(
            found(
                json!({"reference": "https://mis.example/fhir/Patient/c"}),
                &[]
            ),
            ["c"]
        );
        assert_eq!(found(json!({"reference": "urn:uuid:b"}), &[]), ["b"]);
        assert_eq!(
            found(
                json!({"reference": "#p"}),
                &[patient("p", "inside"), patient("q", "other")]
            ),
            ["inside"]
        );
        assert_eq!(
            found(
                json!({"identifier": {"system": SNILS, "value": "logical"}}),
                &[]
            ),
            ["logical"]
        );
        assert_eq!(
            found(
                json!({"reference": "Patient/a", "identifier": {"system": SNILS, "value": "too"}}),
                &[]
            ),
            ["a", "too"]
        );
    }

    #[test]
    fn a_person_who_cannot_be_found_is_empty() {
        for reference in [
            "Patient/zz",
            "https://elsewhere.example/fhir/Patient/a",
            "Group/a",
            "#p",
            "",
            "Patient/a,b",
            "Patient?identifier=x",
        ] {
            assert!(
                found(
                    json!({"reference": reference}),
                    &[json!({"resourceType": "Group", "id": "p"})]
                )
                .is_empty(),
                "{reference}"
            );
        }
    }

    #[test]
    fn only_patients_of_this_server_are_asked_for() {
        let rules = rules();
        let patients = Patients::new(&rules, OwnAddresses::new(BASE), DateTime::UNIX_EPOCH);
        let mut ids = BTreeSet::new();
        for reference in [
            "Patient/1",
            "https://mis.example/fhir/Patient/2",
            "https://else.example/Patient/3",
            "#4",
            "Device/5",
            "Patient/6&x=y",
        ] {
            let reference = Reference {
                reference: Some(reference.into()),
                identifier: None,
            };
            patients.look_through(&reference, &mut ids, &mut BTreeSet::new());
        }
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["1", "2"]);
    }
}
