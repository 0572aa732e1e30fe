//! Facts that the registry must hold in the end: computed from the clinics' rows with the project's
//! own libraries and keys.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use chrono::NaiveDate;
use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Coding, Feed, Field, Identifier, IdentifierKind, Person,
    RecordStatus,
};
use contract::{Body, Draft, Event, Fact, Pseudonym, RecordDigest, Suite, Version};
use pseudonym::{CodesConfig, KeyRing, Policy, PolicyConfig, Pseudonymiser, RecordOutcome};
use registry::{CityPseudonym, Reader, Stats, StoredFact};
use secrecy::SecretString;

use crate::error::Error;

/// The source's name in every gateway's configuration.
const SOURCE: &str = "clinic";
/// Differences that a complaint tells of.
const MOST_TOLD: usize = 3;

/// A clinic's keys, and what its gateway is configured with.
pub(super) struct Clinic(Pseudonymiser);

impl Clinic {
    /// Of the key ring in a file.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        Self::new(&ring(path)?)
    }

    /// Of a key ring.
    pub(super) fn new(ring: &KeyRing) -> Result<Self, Error> {
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
        let policy = policy.map_err(|error| wrong(&error.to_string()))?;
        let made = Pseudonymiser::new(ring, Suite::Hmac, SOURCE, policy);
        Ok(Self(made.map_err(|error| wrong(&error.to_string()))?))
    }

    /// The record digest under which the registry knows a row.
    pub(super) fn record(&self, feed: Feed, id: &str) -> RecordDigest {
        self.0.record_digest(feed, id)
    }

    /// Event that a record becomes when it is sent for the first time.
    pub(super) fn event(&self, record: ClinicRecord, today: NaiveDate) -> Result<Event, Error> {
        let Draft {
            record,
            content,
            body,
            ..
        } = self.draft(record, today)?;
        let version = Version {
            generation: 1,
            count: 1,
        };
        Ok(Event {
            record,
            version,
            content: Some(content),
            body,
        })
    }

    fn draft(&self, record: ClinicRecord, today: NaiveDate) -> Result<Draft, Error> {
        match self.0.apply(record, today) {
            RecordOutcome::Draft(draft, _) => Ok(draft),
            RecordOutcome::OutOfScope(_) | RecordOutcome::Rejected(_) => {
                Err(wrong("a row of a clinic would not leave"))
            }
        }
    }
}

/// Reads a key ring's file.
pub(super) fn ring(path: &Path) -> Result<KeyRing, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read the key ring"))?;
    KeyRing::parse(&SecretString::from(text)).map_err(|error| wrong(&error.to_string()))
}

/// Facts of all clinics by their records, and all pseudonyms that any clinic knows a person under.
#[derive(Default)]
pub(super) struct Expected {
    facts: HashMap<RecordDigest, (Fact, u64)>,
    persons: BTreeMap<u64, HashSet<Pseudonym>>,
}

impl Expected {
    /// Number of facts.
    pub(super) fn facts(&self) -> u64 {
        self.facts.len() as u64
    }

    /// Number of persons.
    pub(super) fn persons(&self) -> u64 {
        self.persons.len() as u64
    }

    /// Adds a row of a clinic, a line of COPY's text format, about the person with this number.
    pub(super) fn add(
        &mut self,
        clinic: &Clinic,
        person: u64,
        line: &str,
        today: NaiveDate,
    ) -> Result<(), Error> {
        let record = record(line).ok_or_else(|| wrong("a line of a clinic cannot be read back"))?;
        let draft = clinic.draft(record, today)?;
        let Body::Asserted { subject, fact } = draft.body else {
            return Err(wrong("a row of a clinic would take something back"));
        };
        self.persons
            .entry(person)
            .or_default()
            .extend(subject.pseudonyms().iter().copied());
        match self.facts.insert(draft.record, (fact, person)) {
            None => Ok(()),
            Some(_) => Err(wrong("two rows have one record digest")),
        }
    }

    /// Fails unless the registry holds exactly these facts, each with its content, and each at a
    /// subject that has all of its person's pseudonyms and no others; and nothing refused and no
    /// conflict.
    pub(super) async fn compare(&self, registry: &Reader) -> Result<(), Error> {
        let complain = |error: registry::StoreError| wrong(&error.to_string());
        let stored = registry.facts().await.map_err(complain)?;
        let stats = registry.stats().await.map_err(complain)?;
        let differences = self.differences(&stored, &stats, |pseudonym| {
            registry.second_layer(pseudonym)
        });
        if differences.is_empty() {
            return Ok(());
        }
        let told = differences
            .iter()
            .take(MOST_TOLD)
            .cloned()
            .collect::<Vec<_>>()
            .join("; ");
        Err(wrong(&format!(
            "the registry differs from the clinics in {} ways: {told}",
            differences.len()
        )))
    }

    /// In words; none when everything is as it must be.
    fn differences(
        &self,
        stored: &[StoredFact],
        stats: &Stats,
        second_layer: impl Fn(&Pseudonym) -> CityPseudonym,
    ) -> Vec<String> {
        let subjects: BTreeMap<u64, HashSet<CityPseudonym>> = self
            .persons
            .iter()
            .map(|(person, known)| (*person, known.iter().map(&second_layer).collect()))
            .collect();
        let mut differences: Vec<String> = stored
            .iter()
            .filter_map(|fact| self.difference(fact, &subjects))
            .collect();
        for (what, found, wanted) in [
            ("facts", stored.len() as u64, self.facts()),
            ("subjects", stats.subjects, self.persons()),
            ("conflicts", stats.conflicts, 0),
            ("refused events", stats.refusals.values().sum(), 0),
            ("withdrawn facts", stats.withdrawn.values().sum(), 0),
        ] {
            if found != wanted {
                differences.push(format!("{found} {what} instead of {wanted}"));
            }
        }
        differences
    }

    fn difference(
        &self,
        stored: &StoredFact,
        subjects: &BTreeMap<u64, HashSet<CityPseudonym>>,
    ) -> Option<String> {
        let name = &stored.record.to_hex()[..8];
        let Some((content, person)) = self.facts.get(&stored.record) else {
            return Some(format!("record {name}… is no clinic's"));
        };
        if stored.fact.as_ref() != Some(content) {
            return Some(format!(
                "record {name}… says {:?} instead of {content:?}",
                stored.fact
            ));
        }
        let known = stored.subject.iter().copied().collect::<HashSet<_>>();
        let wanted = &subjects[person];
        (known != *wanted).then(|| {
            let known = known.len();
            let wanted = wanted.len();
            format!("record {name}… hangs at {known} pseudonyms that are not its person's {wanted}")
        })
    }
}

/// A line of a clinic's table as its connector hands it on.
pub(super) fn record(line: &str) -> Option<ClinicRecord> {
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
    let code = |word: &str| vec![Coding::local(word)];
    let fact = match *content {
        [
            Some(vaccine),
            Some(dose),
            Some(doses),
            Some(given),
            Some("done"),
        ] => ClinicFact::Vaccination {
            vaccine: code(vaccine),
            dose_number: Field::Value(dose.parse().ok()?),
            series_doses: Field::Value(doses.parse().ok()?),
            occurred_on: Field::Value(ClinicDate::Day(given.parse().ok()?)),
        },
        [Some(kind), Some(result), Some(taken), Some("done")] => ClinicFact::Test {
            test: code(kind),
            result: code(result),
            occurred_on: Field::Value(ClinicDate::Day(taken.parse().ok()?)),
        },
        _ => return None,
    };
    let person = Person {
        identifiers: identifiers.into_iter().flatten().collect(),
        unreadable: false,
    };
    let status = RecordStatus::Final;
    Some(ClinicRecord {
        record_id: (*id)?.to_owned(),
        status,
        person,
        fact,
        stamp: None,
    })
}

fn wrong(what: &str) -> Error {
    Error::WrongResult(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::people;

    /// One person, a vaccination's two doses and a test, at two clinics of one city.
    fn two_clinics() -> Expected {
        let first = KeyRing::generate();
        let mut expected = Expected::default();
        let second = KeyRing::from_shared(first.shared());
        let today = NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
        for ring in [&first, &second] {
            let mut vaccinations = String::new();
            let mut tests = String::new();
            (3..6).for_each(|index| people::append_record(index, &mut vaccinations, &mut tests));
            let clinic = Clinic::new(ring).unwrap();
            for line in vaccinations.lines().chain(tests.lines()) {
                expected.add(&clinic, 1, line, today).unwrap();
            }
            let repeated = expected
                .add(&clinic, 1, tests.trim_end(), today)
                .unwrap_err()
                .to_string();
            assert!(repeated.contains("one record digest"), "{repeated}");
        }
        expected
    }

    fn city(pseudonym: &Pseudonym) -> CityPseudonym {
        let Pseudonym {
            scheme,
            suite,
            epoch,
            value,
        } = *pseudonym;
        CityPseudonym {
            scheme,
            suite,
            epoch,
            value,
        }
    }

    #[test]
    fn a_person_at_two_clinics_is_one_person_with_facts_of_both() {
        let expected = two_clinics();
        assert_eq!((expected.facts(), expected.persons()), (6, 1));
        assert_eq!(
            expected.persons[&1].len(),
            2,
            "a SNILS and an OMS number, the same at both"
        );
        assert!(record("1\t2021-07-01\t\\N").is_none());
    }

    #[test]
    fn whatever_differs_is_told() {
        let expected = two_clinics();
        let subject: Vec<CityPseudonym> = expected.persons[&1].iter().map(city).collect();
        let as_stored = |(record, (fact, _)): (&RecordDigest, &(Fact, u64))| StoredFact {
            record: *record,
            version: Version::from_u64(1),
            kind: fact.kind(),
            fact: Some(fact.clone()),
            subject: subject.clone(),
        };
        let stored: Vec<StoredFact> = expected.facts.iter().map(as_stored).collect();
        let stats = Stats {
            subjects: 1,
            ..Stats::default()
        };
        let told = |stored: &[StoredFact], stats: &Stats| {
            expected.differences(stored, stats, city).join("; ")
        };
        assert_eq!(told(&stored, &stats), "");

        assert_eq!(told(&stored[1..], &stats), "5 facts instead of 6");
        assert_eq!(
            told(
                &stored,
                &Stats {
                    conflicts: 2,
                    ..stats.clone()
                }
            ),
            "2 conflicts instead of 0"
        );
        assert_eq!(
            told(
                &stored,
                &Stats {
                    subjects: 2,
                    ..stats.clone()
                }
            ),
            "2 subjects instead of 1"
        );
        let changed = |change: &dyn Fn(&mut StoredFact)| {
            let mut stored = stored.clone();
            change(&mut stored[0]);
            told(&stored, &stats)
        };
        assert!(changed(&|fact| fact.record.0[0] ^= 1).contains("is no clinic's"));
        assert!(changed(&|fact| fact.fact = None).contains("says None instead of"));
        assert!(changed(&|fact| fact.subject.truncate(1)).contains("hangs at 1 pseudonyms"));
    }
}
