//! The identity in a Patient's identifiers, and the numbering each of them belongs to.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use connector_kit::{Field, IdentifierKind, Person};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{FhirConfig, IdentifierName};
use crate::content_settings::ContentSettings;
use crate::date;
use crate::model::{Identifier, Patient};
use crate::patient_links::PatientLinks;

/// Systems known without configuration.
const BUILT_IN: [(&str, IdentifierName); 3] = [
    (
        "https://fhir.ru/ig/core/systems/snils",
        IdentifierName::Snils,
    ),
    ("urn:oid:1.2.643.100.3", IdentifierName::Snils),
    ("https://fhir.ru/ig/core/systems/oms", IdentifierName::Oms),
];
/// HL7's own passport systems end in the issuing country's ISO 3166-1 alpha-3 code.
const PASSPORT_PREFIX: &str = "http://hl7.org/fhir/sid/passport-";
/// Identifier types of HL7 version 2, table 0203, in the two spellings in use.
const TYPE_SYSTEMS: [&str; 2] = [
    "http://terminology.hl7.org/CodeSystem/v2-0203",
    "http://hl7.org/fhir/v2/0203",
];
/// The code system of countries.
const COUNTRY_SYSTEM: &str = "urn:iso:std:iso:3166";
/// A Russian citizen has an internal and a travel passport; without configuration nobody knows
/// which this is.
const RUSSIA: [&str; 2] = ["RU", "RUS"];

/// The meaning of identifier systems, from configuration and the built-in list.
pub(crate) struct IdentifierSystems {
    systems: BTreeMap<String, IdentifierName>,
    countries: BTreeMap<String, String>,
    zone: Tz,
}

/// What an identifier system lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lack {
    Meaning,
    Country,
}

/// Meaning of an identifier system.
enum SystemMeaning {
    Kind(IdentifierKind, Option<String>),
    Ignored,
    Unknown,
}

/// A person's identifiers, read once and copied into each of their records.
#[derive(Default)]
pub(crate) struct KnownIdentifiers {
    identifiers: Vec<(IdentifierKind, SecretString, Option<String>)>,
    unreadable: bool,
}

/// A Patient, as far as records need it.
#[derive(Default)]
pub(crate) struct KnownPatient {
    /// The Patient's own identifiers.
    pub identifiers: KnownIdentifiers,
    pub links: PatientLinks,
}

impl IdentifierSystems {
    pub(crate) fn new(config: &FhirConfig) -> Self {
        Self::of(config.into())
    }

    pub(crate) fn of(settings: ContentSettings<'_>) -> Self {
        let mut systems: BTreeMap<_, _> = BUILT_IN
            .map(|(system, name)| (system.to_owned(), name))
            .into();
        systems.extend(settings.identifier_systems.clone());
        Self {
            systems,
            countries: settings.identifier_countries.clone(),
            zone: settings.zone,
        }
    }

    /// Reads a Patient; one that cannot be parsed counts as unreadable, not as absent.
    pub(crate) fn patient(&self, json: &str, now: DateTime<Utc>) -> KnownPatient {
        let mut known = KnownPatient::default();
        match serde_json::from_str::<Patient>(json) {
            Ok(patient) => {
                known.links = PatientLinks::of(&patient);
                for identifier in &patient.identifier {
                    self.add(&mut known.identifiers, identifier, now);
                }
            }
            Err(_) => known.identifiers.unreadable = true,
        }
        known
    }

    /// Adds an identifier that is in use and of a known system.
    pub(crate) fn add(
        &self,
        known: &mut KnownIdentifiers,
        identifier: &Identifier,
        now: DateTime<Utc>,
    ) {
        let Some(value) = identifier
            .value
            .as_ref()
            .filter(|value| !value.expose_secret().trim().is_empty())
        else {
            return;
        };
        if self.is_over(identifier, now) {
            return;
        }
        if let SystemMeaning::Kind(kind, country) = self.meaning(identifier) {
            known.identifiers.push((kind, value.clone(), country));
        }
    }

    /// Systems of a Patient's identifiers that `check` tells of, each with what it lacks; an
    /// identifier without a system counts as nothing.
    pub(crate) fn lacking(&self, json: &str) -> BTreeSet<(Lack, String)> {
        let patient = serde_json::from_str::<Patient>(json).unwrap_or_default();
        let lack = |identifier: &Identifier| {
            let lack = match self.meaning(identifier) {
                SystemMeaning::Unknown => Lack::Meaning,
                SystemMeaning::Kind(kind, None) if needs_country(kind) => Lack::Country,
                SystemMeaning::Kind(..) | SystemMeaning::Ignored => return None,
            };
            Some((lack, identifier.system.clone()?))
        };
        patient.identifier.iter().filter_map(lack).collect()
    }

    /// True for a system that is built in or configured.
    pub(crate) fn is_known(&self, system: &str) -> bool {
        self.systems.contains_key(system) || self.countries.contains_key(system)
    }

    fn is_over(&self, identifier: &Identifier, now: DateTime<Utc>) -> bool {
        if identifier.usage.as_deref() == Some("old") {
            return true;
        }
        let end = identifier
            .period
            .as_ref()
            .and_then(|period| period.end.as_deref());
        let today = now.with_timezone(&self.zone).date_naive();
        match date::clinic_date(end, self.zone) {
            Field::Value(end) => date::last_day(end).is_some_and(|end| end < today),
            Field::Missing | Field::Invalid(_) => false,
        }
    }

    fn meaning(&self, identifier: &Identifier) -> SystemMeaning {
        let system = identifier.system.as_deref().unwrap_or_default();
        let configured = || self.countries.get(system).cloned();
        if let Some(name) = self.systems.get(system) {
            return match name.kind() {
                Some(kind @ (IdentifierKind::PassportForeign | IdentifierKind::NationalId)) => {
                    let country = configured().or_else(|| issuing_country(identifier));
                    SystemMeaning::Kind(kind, country)
                }
                Some(kind) => SystemMeaning::Kind(kind, configured()),
                None => SystemMeaning::Ignored,
            };
        }
        if let Some(country) = system
            .strip_prefix(PASSPORT_PREFIX)
            .filter(|country| is_country(country))
        {
            return foreign(Some(country.to_owned()));
        }
        let is_passport = identifier.kind.coding.iter().any(|coding| {
            coding.code.as_deref() == Some("PPN")
                && coding
                    .system
                    .as_deref()
                    .is_some_and(|system| TYPE_SYSTEMS.contains(&system))
        });
        if is_passport {
            foreign(configured().or_else(|| issuing_country(identifier)))
        } else {
            SystemMeaning::Unknown
        }
    }
}

impl KnownIdentifiers {
    /// Reads the identifiers of `other` as well; those of both once.
    pub(crate) fn merge(&mut self, other: &Self) {
        for added in &other.identifiers {
            let is_known = self.identifiers.iter().any(|(kind, value, country)| {
                *kind == added.0
                    && value.expose_secret() == added.1.expose_secret()
                    && *country == added.2
            });
            if !is_known {
                self.identifiers.push(added.clone());
            }
        }
        self.unreadable |= other.unreadable;
    }

    /// A record's person.
    pub(crate) fn into_person(self) -> Person {
        let identifiers = self.identifiers.into_iter();
        Person {
            identifiers: identifiers
                .map(|(kind, value, country)| connector_kit::Identifier {
                    kind,
                    value,
                    country,
                })
                .collect(),
            unreadable: self.unreadable,
        }
    }
}

/// True for a numbering that means nothing without its country.
pub(crate) const fn needs_country(kind: IdentifierKind) -> bool {
    matches!(
        kind,
        IdentifierKind::PassportForeign | IdentifierKind::NationalId
    )
}

fn foreign(country: Option<String>) -> SystemMeaning {
    match country {
        Some(country) if RUSSIA.contains(&country.as_str()) => SystemMeaning::Unknown,
        country => SystemMeaning::Kind(IdentifierKind::PassportForeign, country),
    }
}

/// The issuing state, from the assigner's identifier or an extension coded with ISO 3166.
fn issuing_country(identifier: &Identifier) -> Option<String> {
    let assigner = identifier
        .assigner
        .as_ref()
        .and_then(|assigner| assigner.identifier.as_ref());
    let from_assigner = assigner.map(|id| (id.system.as_deref(), id.value.as_deref()));
    let from_extension = identifier.extension.iter().flat_map(|extension| {
        let concept = extension
            .value_codeable_concept
            .iter()
            .flat_map(|concept| &concept.coding);
        extension
            .value_coding
            .iter()
            .chain(concept)
            .map(|c| (c.system.as_deref(), c.code.as_deref()))
    });
    from_assigner
        .into_iter()
        .chain(from_extension)
        .find_map(|(system, code)| {
            let code = code.filter(|code| is_country(code))?;
            system
                .is_some_and(|system| system.starts_with(COUNTRY_SYSTEM))
                .then(|| code.to_owned())
        })
}

fn is_country(code: &str) -> bool {
    matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
