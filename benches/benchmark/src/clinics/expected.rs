//! Facts that the registry must hold in the end: computed from the clinics' rows with the project's
//! own libraries and keys.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;

use chrono::NaiveDate;
use contract::{Body, Fact, Pseudonym, RecordDigest};
use registry::{CityPseudonym, Reader, Stats, StoredFact};

use crate::clinics::keys::{ClinicKeys, clinic_record};
use crate::error::Error;

/// Number of differences that an error shows.
const MOST_SHOWN: usize = 3;

/// Facts of all clinics by their records, and all pseudonyms that any clinic knows a person under.
#[derive(Default)]
pub(crate) struct ExpectedFacts {
    facts: HashMap<RecordDigest, (Fact, u64)>,
    persons: BTreeMap<u64, HashSet<Pseudonym>>,
}

impl ExpectedFacts {
    /// Number of facts.
    pub(crate) fn facts(&self) -> u64 {
        self.facts.len() as u64
    }

    /// Number of persons.
    pub(crate) fn persons(&self) -> u64 {
        self.persons.len() as u64
    }

    /// Adds a row of a clinic, a line of COPY's text format, about the person with this number.
    pub(crate) fn add(
        &mut self,
        clinic: &ClinicKeys,
        person: u64,
        line: &str,
        today: NaiveDate,
    ) -> Result<(), Error> {
        let record =
            clinic_record(line).ok_or_else(|| wrong("a line of a clinic cannot be read back"))?;
        let draft = clinic.draft(record, today)?;
        let Some(Body::Asserted { subject, fact }) = draft.body.ready() else {
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
    pub(crate) async fn compare(&self, registry: &Reader) -> Result<(), Error> {
        let failed = |error: registry::StoreError| wrong(error);
        let stored = registry.facts().await.map_err(failed)?;
        let stats = registry.stats().await.map_err(failed)?;
        let city = AtCity {
            pseudonym: |pseudonym: &_| {
                let stored = registry.second_layer(pseudonym);
                stored.expect("every value is a digest's")
            },
            record: |record: &_| registry.stored_record(record),
        };
        let differences = self.differences(&stored, &stats, &city);
        if differences.is_empty() {
            return Ok(());
        }
        let shown = differences
            .iter()
            .take(MOST_SHOWN)
            .cloned()
            .collect::<Vec<_>>()
            .join("; ");
        Err(wrong(format!(
            "the registry differs from the clinics in {} ways: {shown}",
            differences.len()
        )))
    }

    /// Differences in words; none when everything is as it must be.
    fn differences(
        &self,
        stored: &[StoredFact],
        stats: &Stats,
        city: &AtCity<impl Fn(&Pseudonym) -> CityPseudonym, impl Fn(&RecordDigest) -> [u8; 32]>,
    ) -> Vec<String> {
        let facts = self.facts.iter();
        let facts = facts
            .map(|(record, (fact, person))| ((city.record)(record), (fact, *person)))
            .collect();
        let subjects: BTreeMap<u64, HashSet<CityPseudonym>> = self
            .persons
            .iter()
            .map(|(person, known)| (*person, known.iter().map(&city.pseudonym).collect()))
            .collect();
        let mut differences: Vec<String> = stored
            .iter()
            .filter_map(|fact| difference(fact, &facts, &subjects))
            .collect();
        for (what, found, expected) in [
            ("facts", stored.len() as u64, self.facts()),
            ("subjects", stats.subjects, self.persons()),
            ("conflicts", stats.conflicts, 0),
            ("refused events", stats.refusals.values().sum(), 0),
            ("withdrawn facts", stats.withdrawn.values().sum(), 0),
        ] {
            if found != expected {
                differences.push(format!("{found} {what} instead of {expected}"));
            }
        }
        differences
    }
}

/// Values of a clinic as the city keeps them.
struct AtCity<P, R> {
    pseudonym: P,
    record: R,
}

/// Difference of one stored fact, in words. `facts` are by the stored records.
fn difference(
    stored: &StoredFact,
    facts: &HashMap<[u8; 32], (&Fact, u64)>,
    subjects: &BTreeMap<u64, HashSet<CityPseudonym>>,
) -> Option<String> {
    let name = RecordDigest(stored.record).to_hex();
    let name = &name[..8];
    let Some((content, person)) = facts.get(&stored.record) else {
        return Some(format!("record {name}… is no clinic's"));
    };
    if stored.fact.as_ref() != Some(*content) {
        return Some(format!(
            "record {name}… says {:?} instead of {content:?}",
            stored.fact
        ));
    }
    let known = stored.subject.iter().copied().collect::<HashSet<_>>();
    let expected = &subjects[person];
    (known != *expected).then(|| {
        let known = known.len();
        let expected = expected.len();
        format!("record {name}… hangs at {known} pseudonyms that are not its person's {expected}")
    })
}

fn wrong(error: impl Display) -> Error {
    Error::WrongResult(error.to_string())
}

#[cfg(test)]
mod tests {
    use contract::Version;
    use pseudonym::KeyRing;

    use super::*;
    use crate::clinics::people::{self, CopyLines};

    /// Person with a vaccination's two doses and a test, at two clinics of one city.
    fn two_clinics() -> ExpectedFacts {
        let first = KeyRing::generate();
        let mut expected = ExpectedFacts::default();
        let second = KeyRing::from_shared(first.shared());
        let today = NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
        for ring in [&first, &second] {
            let CopyLines {
                vaccinations,
                tests,
            } = people::lines(3..6);
            let clinic = ClinicKeys::new(ring).unwrap();
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
        assert!(clinic_record("1\t2021-07-01\t\\N").is_none());
    }

    #[test]
    fn every_difference_is_reported() {
        let expected = two_clinics();
        let subject: Vec<CityPseudonym> = expected.persons[&1].iter().map(city).collect();
        let as_stored = |(record, (fact, _)): (&RecordDigest, &(Fact, u64))| StoredFact {
            record: record.0,
            version: Version::new(1).unwrap(),
            kind: fact.kind(),
            fact: Some(fact.clone()),
            subject: subject.clone(),
        };
        let stored: Vec<StoredFact> = expected.facts.iter().map(as_stored).collect();
        let stats = Stats {
            subjects: 1,
            ..Stats::default()
        };
        let reported = |stored: &[StoredFact], stats: &Stats| {
            let record = |record: &RecordDigest| record.0;
            let city = AtCity {
                pseudonym: city,
                record,
            };
            expected.differences(stored, stats, &city).join("; ")
        };
        assert_eq!(reported(&stored, &stats), "");

        assert_eq!(reported(&stored[1..], &stats), "5 facts instead of 6");
        assert_eq!(
            reported(
                &stored,
                &Stats {
                    conflicts: 2,
                    ..stats.clone()
                }
            ),
            "2 conflicts instead of 0"
        );
        assert_eq!(
            reported(
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
            reported(&stored, &stats)
        };
        assert!(changed(&|fact| fact.record[0] ^= 1).contains("is no clinic's"));
        assert!(changed(&|fact| fact.fact = None).contains("says None instead of"));
        assert!(changed(&|fact| fact.subject.truncate(1)).contains("hangs at 1 pseudonyms"));
    }
}
