//! Honest clinics, and the city that only they send to.

use std::collections::BTreeSet;

use contract::{Body, Event, Pseudonym, RecordDigest};
use hostile::people::{Person, fact, people};
use hostile::{Account, City, Clinic, Findings, Known};

/// Number by which the records of a clinic's person are told apart.
const RECORDS_OF_A_PERSON: u32 = 8;

/// Two honest clinics with the same persons, and what they have stated.
pub(crate) struct Honest {
    pub(crate) people: Vec<Person>,
    pub(crate) clinics: [Clinic; 2],
}

impl Honest {
    pub(crate) fn new(count: u32) -> Self {
        Self {
            people: people(count),
            clinics: [Clinic::new(1), Clinic::in_generation(2, 3)],
        }
    }

    /// First statements of every person's records, at each clinic in turn.
    pub(crate) fn first(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for person in &self.people {
            for record in 0..person.records {
                let number = person.number * RECORDS_OF_A_PERSON + record;
                let clinic = &mut self.clinics[record as usize % 2];
                events.push(clinic.state(number, &person.names(), fact(number)));
            }
        }
        events
    }

    /// Corrections that a round makes: of a third of the first records, with the same names.
    pub(crate) fn corrections(&mut self, round: u32) -> Vec<Event> {
        let mut events = Vec::new();
        for person in &self.people {
            if (person.number + round).is_multiple_of(3) {
                let number = person.number * RECORDS_OF_A_PERSON;
                // The same kind of fact, another month or code.
                let fact = fact(number + 3 * (round + 1));
                events.push(self.clinics[0].state(number, &person.names(), fact));
            }
        }
        events
    }

    /// New records that a round makes, of every fifth person.
    pub(crate) fn additions(&mut self, round: u32) -> Vec<Event> {
        let mut events = Vec::new();
        for person in &self.people {
            if (person.number + round).is_multiple_of(5) {
                let number = person.number * RECORDS_OF_A_PERSON + 4 + round % 4;
                events.push(self.clinics[1].state(number, &person.names(), fact(number)));
            }
        }
        events
    }

    /// Newest event of each record.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Event> {
        self.clinics.iter().flat_map(Clinic::newest)
    }

    pub(crate) fn asserted(&self) -> usize {
        let asserted = |event: &&Event| matches!(event.body, Body::Asserted { .. });
        self.newest().filter(asserted).count()
    }

    /// Names of all persons.
    pub(crate) fn names(&self) -> Vec<Pseudonym> {
        names(self.people.iter())
    }

    /// Records of the persons without a SNILS.
    pub(crate) fn records_without_snils(&self) -> BTreeSet<RecordDigest> {
        let without = self.people.iter().filter(|person| !person.has_snils());
        let numbers: BTreeSet<u32> = without.map(|person| person.number).collect();
        let of_person = |number: &u32| numbers.contains(&(number / RECORDS_OF_A_PERSON));
        let clinics = self.clinics.iter();
        let records = clinics.flat_map(|clinic| {
            let records = clinic.numbers().filter(of_person);
            records.map(|number| clinic.record(number))
        });
        records.collect()
    }

    /// Honest facts that each honest name finds in a city.
    pub(crate) async fn findings(&self, city: &City) -> Findings {
        let known = Known::new(city.reader(), self.newest());
        known.findings(&self.names()).await.unwrap()
    }
}

/// Names of these persons.
pub(crate) fn names<'a>(people: impl Iterator<Item = &'a Person>) -> Vec<Pseudonym> {
    people.flat_map(Person::names).collect()
}

/// City that the hostile account never sends to, with the honest clinics' account.
pub(crate) struct Reference {
    pub(crate) city: City,
    account: Account,
}

impl Reference {
    pub(crate) async fn new() -> Self {
        let city = City::small().await.unwrap();
        let account = city.account().unwrap();
        Self { city, account }
    }

    pub(crate) async fn take(&mut self, events: &[Event]) {
        self.account.send(events).await.unwrap();
        self.city.work().await.unwrap();
        let answer = self.account.answers(&mut self.city).await.unwrap();
        assert_eq!((answer.refused.len(), answer.superseded.len()), (0, 0));
    }
}

/// Sends honest events, and expects that all of them are accepted.
pub(crate) async fn send(city: &mut City, account: &mut Account, events: &[Event]) {
    account.send_in_batches(events, 40).await.unwrap();
    city.work().await.unwrap();
    accepted(city, account, events.len()).await;
}

/// Expects that so many events were accepted since the last look, and no other.
pub(crate) async fn accepted(city: &mut City, account: &mut Account, events: usize) {
    let answer = account.answers(city).await.unwrap();
    assert_eq!((answer.refused, answer.superseded), (vec![], vec![]));
    assert_eq!(answer.accepted as usize, events);
}
