//! The class of a record's fact, where the release policy wants one of several persons.

use connector_kit::ClinicRecord;
use contract::{Fact, Precision, Subject};
use draft::{ClassMember, CoarserFact, Draft, FactClass};
use zeroize::Zeroizing;

use crate::apply::Pseudonymiser;
use crate::canonical::Canonical;
use crate::identifier::{NormalForm, identifier_text, normalise};
use crate::release::generalised;

/// Precisions that a fact may be coarsened to, each coarser than the one before.
const COARSER: [Precision; 2] = [Precision::Month, Precision::Year];

/// The fact with coarser dates, each coarser than the one before.
pub fn coarser_facts(fact: &Fact) -> impl Iterator<Item = Fact> {
    let mut last = fact.clone();
    COARSER.into_iter().filter_map(move |precision| {
        let coarser = generalised(fact, precision);
        if coarser == last {
            return None;
        }
        last = coarser.clone();
        Some(coarser)
    })
}

impl Pseudonymiser {
    /// Class of the fact of a record's draft, as it leaves, with the record's person;
    /// `None` where a class may be of one person. It rests on identifiers, not on pseudonyms: these
    /// change with the city's keys.
    pub(crate) fn class_of(&self, record: &ClinicRecord, draft: &Draft) -> Option<FactClass> {
        let fact = draft.body.fact()?;
        let least_persons = self.release().smallest_class(fact.kind())?;
        let identifiers = self.identifiers(record);
        let member = |fact: &Fact| self.member(least_persons, fact, &identifiers);
        let coarser = coarser_facts(fact).map(|fact| CoarserFact {
            content: self
                .content_digest(&draft.record, &draft.body.clone().with_fact(fact.clone())),
            member: member(&fact),
            fact,
        });
        Some(FactClass {
            member: member(fact),
            least_persons,
            coarser: coarser.collect(),
        })
    }

    fn member(
        &self,
        least_persons: u8,
        fact: &Fact,
        identifiers: &[Zeroizing<Vec<u8>>],
    ) -> ClassMember {
        let classes = self.secrets().classes();
        let class = classes.digest(least_persons, Canonical::of_fact(fact).as_bytes());
        let person = identifiers
            .iter()
            .map(|identifier| classes.person(&class, identifier));
        ClassMember {
            person: person.collect(),
            class,
        }
    }

    /// Schemes and normal forms of a record's usable identifiers.
    fn identifiers(&self, record: &ClinicRecord) -> Vec<Zeroizing<Vec<u8>>> {
        let rules = &self.policy().identifiers;
        let mut normal_form = NormalForm::new();
        let mut identifiers = Vec::new();
        for identifier in record.person.identifiers.iter().take(Subject::MAX) {
            if normalise(identifier, rules, &mut normal_form).is_err() {
                continue;
            }
            identifiers.push(identifier_text(identifier.kind, normal_form.as_bytes()));
        }
        identifiers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovery(began_on: Option<&str>, occurred_on: &str) -> Fact {
        Fact::Recovery {
            began_on: began_on.map(|date| date.parse().expect("a date")),
            occurred_on: occurred_on.parse().expect("a date"),
        }
    }

    #[test]
    fn a_fact_is_coarsened_step_by_step_and_never_twice_to_the_same() {
        let coarser = |began_on, occurred_on| {
            coarser_facts(&recovery(began_on, occurred_on)).collect::<Vec<_>>()
        };
        assert_eq!(
            coarser(Some("2021-06-20"), "2021-07-04"),
            [
                recovery(Some("2021-06"), "2021-07"),
                recovery(Some("2021"), "2021")
            ]
        );
        assert_eq!(coarser(None, "2021-07"), [recovery(None, "2021")]);
        assert_eq!(
            coarser(Some("2021-06-20"), "2021"),
            [
                recovery(Some("2021-06"), "2021"),
                recovery(Some("2021"), "2021")
            ]
        );
        assert_eq!(coarser(None, "2021"), []);
    }
}
