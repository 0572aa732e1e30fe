//! A clinic's keys: events that its rows become, computed with the project's own libraries.

use std::fmt::Display;
use std::path::Path;

use chrono::NaiveDate;
use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Coding, Dose, Feed, Field, Identifier, IdentifierKind,
    Person, RecordStatus,
};
use contract::{Event, RecordDigest, Suite};
use draft::Draft;
use pseudonym::{CodesConfig, KeyRing, Policy, PolicyConfig, Pseudonymiser, RecordOutcome};
use record_secrets::{RecordSecrets, Revision};
use secrecy::SecretString;

use crate::error::Error;

/// The source's name in every gateway's configuration.
const SOURCE: &str = "clinic";

/// A clinic's keys, and what its gateway is configured with.
pub(crate) struct ClinicKeys {
    pseudonymiser: Pseudonymiser,
    secrets: RecordSecrets,
}

impl ClinicKeys {
    /// Reads the key ring in a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        Self::new(&read_ring(path)?)
    }

    /// Takes a key ring.
    pub(crate) fn new(ring: &KeyRing) -> Result<Self, Error> {
        let words = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(word, name)| ((*word).to_owned(), (*name).to_owned()))
                .collect()
        };
        let codes = CodesConfig {
            vaccines: words(&[
                ("sputnik", "sputnik-v"),
                ("epivac", "epivaccorona"),
                ("covivac", "covivac"),
            ]),
            tests: words(&[("pcr", "94500-6")]),
            results: words(&[("neg", "not-detected"), ("pos", "detected")]),
            ..CodesConfig::default()
        };
        let policy = Policy::new(&PolicyConfig {
            codes,
            ..PolicyConfig::default()
        });
        let pseudonymiser = Pseudonymiser::new(ring, Suite::Hmac, SOURCE, policy.map_err(wrong)?);
        Ok(Self {
            pseudonymiser: pseudonymiser.map_err(wrong)?,
            secrets: ring.record_secrets(),
        })
    }

    /// The record digest under which the registry knows a row.
    pub(crate) fn record(&self, feed: Feed, id: &str) -> RecordDigest {
        self.pseudonymiser.record_digest(feed, id)
    }

    /// Event that a record becomes when it is sent for the first time.
    pub(crate) fn event(&self, record: ClinicRecord, today: NaiveDate) -> Result<Event, Error> {
        let Draft {
            record,
            content,
            body,
            ..
        } = self.draft(record, today)?;
        let first = Revision {
            generation: 1,
            count: 1,
        };
        let (owner, version) = self
            .secrets
            .owner_and_version(&record, first)
            .ok_or_else(|| wrong("the first revision is beyond the limits"))?;
        Ok(Event {
            record,
            version,
            content,
            owner,
            body: body
                .ready()
                .ok_or_else(|| wrong("a suite of HMAC leaves nobody to evaluate"))?,
        })
    }

    /// Draft that a record becomes.
    pub(crate) fn draft(&self, record: ClinicRecord, today: NaiveDate) -> Result<Draft, Error> {
        match self.pseudonymiser.apply(record, today) {
            RecordOutcome::Draft(draft, _) => Ok(draft),
            RecordOutcome::OutOfScope(_) | RecordOutcome::Rejected(_) => {
                Err(wrong("a row of a clinic would not leave"))
            }
        }
    }
}

/// Reads a key ring's file.
pub(crate) fn read_ring(path: &Path) -> Result<KeyRing, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read the key ring"))?;
    KeyRing::parse(&SecretString::from(text)).map_err(wrong)
}

/// A line of a clinic's table (COPY's text format) as its connector hands it on.
pub(crate) fn clinic_record(line: &str) -> Option<ClinicRecord> {
    let fields: Vec<Option<&str>> = line
        .trim_end()
        .split('\t')
        .map(|field| (field != "\\N").then_some(field))
        .collect();
    let [id, _, snils, oms, passport, country, content @ ..] = fields.as_slice() else {
        return None;
    };
    let identifier = |kind, value: &Option<&str>, country: Option<&str>| {
        let country = country.map(str::to_owned);
        value.map(|value| Identifier {
            kind,
            value: SecretString::from(value),
            country,
        })
    };
    let identifiers = [
        identifier(IdentifierKind::Snils, snils, None),
        identifier(IdentifierKind::Oms, oms, None),
        identifier(IdentifierKind::PassportForeign, passport, *country),
    ];
    let person = Person {
        identifiers: identifiers.into_iter().flatten().collect(),
        unreadable: false,
    };
    Some(ClinicRecord {
        record_id: (*id)?.to_owned(),
        status: RecordStatus::Final,
        unmapped_status: None,
        person,
        fact: clinic_fact(content)?,
        stamp: None,
    })
}

/// The fact in the fields behind those of the person.
fn clinic_fact(fields: &[Option<&str>]) -> Option<ClinicFact> {
    let code = |word: &str| vec![Coding::local(word)];
    match *fields {
        [
            Some(vaccine),
            Some(dose),
            Some(doses),
            Some(given),
            Some("done"),
        ] => Some(ClinicFact::Vaccination {
            vaccine: code(vaccine),
            dose_number: Field::Value(Dose::Number(dose.parse().ok()?)),
            series_doses: Field::Value(Dose::Number(doses.parse().ok()?)),
            occurred_on: Field::Value(ClinicDate::Day(given.parse().ok()?)),
        }),
        [Some(kind), Some(result), Some(taken), Some("done")] => Some(ClinicFact::Test {
            test: code(kind),
            result: code(result),
            occurred_on: Field::Value(ClinicDate::Day(taken.parse().ok()?)),
        }),
        _ => None,
    }
}

fn wrong(error: impl Display) -> Error {
    Error::WrongResult(error.to_string())
}
