//! Generated histories: honest clinics and a hostile account in any order. In the end the registry
//! holds what the newest honest versions say, and what the hostile account says in its own name.
//!
//! `HOSTILE_SEED=7 HOSTILE_SCALE=10` plays others, and more of them.

use std::collections::BTreeMap;

use contract::{Event, Pseudonym, RecordDigest, Scheme, SealedBatch, Version};
use hostile::dice::Dice;
use hostile::people::{INVENTED, Person, fact, name, people};
use hostile::{Account, City, Clinic, Known, Servers, forgery, model, size};
use linking::LinkRules;

/// Steps of one history.
const STEPS: u32 = 120;

/// Numbers of records that each sender uses.
const RECORDS: u32 = 10;

struct History {
    city: City,
    people: Vec<Person>,
    clinics: [Clinic; 2],
    forger: Clinic,
    /// Greatest version that the hostile account gave each of its own records.
    forged: BTreeMap<RecordDigest, Event>,
    account: Account,
    /// Honest events whose records the registry holds. Who could name a record before that could
    /// claim it; but nobody reads a digest from a sealed batch.
    stored: Vec<Event>,
    /// Every batch that was ever sent.
    past: Vec<SealedBatch>,
    dice: Dice,
}

impl History {
    fn new(city: City, seed: u64) -> Self {
        Self {
            account: city.account().unwrap(),
            city,
            people: people(6),
            clinics: [Clinic::new(seed), Clinic::in_generation(seed ^ 1, 5)],
            forger: Clinic::new(seed ^ 2),
            forged: BTreeMap::new(),
            stored: Vec::new(),
            past: Vec::new(),
            dice: Dice::new(seed),
        }
    }

    async fn play(mut self) {
        for _ in 0..STEPS {
            let events = match self.dice.below(16) {
                0..=4 => vec![self.honest_statement()],
                5 => self.honest_withdrawal(),
                6 => self.clinics[self.dice.place(2)].restore(),
                7 | 8 => self.forgeries(),
                9 | 10 => vec![self.link()],
                11 => self.own_withdrawal(),
                12 => self.raised(),
                13 | 14 => {
                    self.replay().await;
                    continue;
                }
                _ => {
                    self.work().await;
                    continue;
                }
            };
            self.send(&events).await;
        }
        self.is_as_the_model().await;
        // Whatever the hostile account can take back, it takes back.
        let withdrawn = self.forger.withdraw_all();
        withdrawn.iter().for_each(|event| self.note(event));
        self.send(&withdrawn).await;
        self.is_as_the_model().await;
    }

    /// Lets the registry do a step, all of its work, or begin anew.
    async fn work(&mut self) {
        match self.dice.below(3) {
            0 => self.city.work_once().await.unwrap(),
            1 => self.city.restart().await.unwrap(),
            _ => {
                self.city.work().await.unwrap();
                let honest = self.clinics.iter().flat_map(Clinic::newest);
                self.stored = honest.cloned().collect();
            }
        }
    }

    async fn send(&mut self, events: &[Event]) {
        let size = 1 + self.dice.place(20);
        let sent = self.account.send_in_batches(events, size).await;
        sent.unwrap();
        self.past.extend(self.account.take_batches());
    }

    async fn replay(&mut self) {
        for _ in 0..self.dice.below(6) {
            if let Some(batch) = self.past.get(self.dice.place(self.past.len())) {
                self.account.replay(batch).await.unwrap();
            }
        }
    }

    /// Record of a person, now and then with a name of somebody else.
    fn honest_statement(&mut self) -> Event {
        let number = self.dice.below(RECORDS);
        let person = self.people[number as usize % self.people.len()];
        let mut names = person.names();
        if self.dice.below(4) == 0 {
            names.truncate(1 + self.dice.place(names.len()));
        }
        if self.dice.below(8) == 0 {
            let other = self.people[self.dice.place(self.people.len())];
            names.pop();
            names.push(other.weakest());
        }
        let fact = fact(number + 3 * self.dice.below(5));
        self.clinics[self.dice.place(2)].state(number, &names, fact)
    }

    fn honest_withdrawal(&mut self) -> Vec<Event> {
        let number = self.dice.below(RECORDS);
        let clinic = &mut self.clinics[self.dice.place(2)];
        clinic.withdraw(number).into_iter().collect()
    }

    /// Some of all forgeries of an honest record.
    fn forgeries(&mut self) -> Vec<Event> {
        let Some(victim) = self.stored.get(self.dice.place(self.stored.len())) else {
            return Vec::new();
        };
        let mut forged = forgery::of_record(victim, &self.forger);
        self.dice.shuffle(&mut forged);
        forged.truncate(8);
        forged
    }

    /// Record of the hostile account's own, about two persons or an invented one.
    fn link(&mut self) -> Event {
        let number = self.dice.below(RECORDS);
        let one = self.people[self.dice.place(self.people.len())].weakest();
        let other = if self.dice.below(2) == 0 {
            name(Scheme::Snils, INVENTED + self.dice.below(3))
        } else {
            self.people[self.dice.place(self.people.len())].names()[0]
        };
        let fact = fact(number + 3 * self.dice.below(5));
        let event = self.forger.state(number, &[one, other], fact);
        self.note(&event);
        event
    }

    fn own_withdrawal(&mut self) -> Vec<Event> {
        let number = self.dice.below(RECORDS);
        let withdrawn = self.forger.withdraw(number);
        withdrawn.iter().for_each(|event| self.note(event));
        withdrawn.into_iter().collect()
    }

    /// Version of an own record that is as high as can be, or a little higher than before.
    fn raised(&mut self) -> Vec<Event> {
        let number = self.dice.below(RECORDS);
        let Some(held) = self.forger.newest_of(number) else {
            return Vec::new();
        };
        let version = held.version.to_u64().saturating_add(1);
        let higher = Version::new(version).unwrap_or(Version::MAX);
        let version = [higher, Version::MAX][usize::from(self.dice.below(8) == 0)];
        let raised = self.forger.raise(number, version);
        raised.iter().for_each(|event| self.note(event));
        raised.into_iter().collect()
    }

    fn note(&mut self, event: &Event) {
        let held = self
            .forged
            .entry(event.record)
            .or_insert_with(|| event.clone());
        if event.version > held.version {
            *held = event.clone();
        }
    }

    async fn is_as_the_model(&mut self) {
        self.city.work().await.unwrap();
        assert_eq!(self.city.dead, 0);
        let newest = || {
            let honest = self.clinics.iter().flat_map(Clinic::newest);
            honest.chain(self.forged.values())
        };
        let mut names: Vec<Pseudonym> = self.people.iter().flat_map(Person::names).collect();
        names.extend((0..3).map(|number| name(Scheme::Snils, INVENTED + number)));
        let known = Known::new(self.city.reader(), newest());
        let found = known.findings(&names).await.unwrap();
        let expected = model(newest(), &names, LinkRules::default());
        for name in found.differs(&expected) {
            println!(
                "{name:?}: {:?}\n  and not {:?}",
                found.0[&name], expected.0[&name]
            );
        }
        assert_eq!(found.differs(&expected), []);
    }
}

#[tokio::test]
async fn histories_on_a_directory_and_sqlite_end_as_the_model() {
    for number in 0..u64::from(8 * size::scale()) {
        let seed = size::seed() + number;
        println!("HOSTILE_SEED={seed}");
        let city = City::small().await.unwrap();
        History::new(city, seed).play().await;
    }
}

#[tokio::test]
async fn histories_on_rabbitmq_and_postgresql_end_as_the_model() {
    let servers = Servers::start().await.unwrap();
    for number in 0..u64::from(2 * size::scale()) {
        let seed = size::seed() + number;
        println!("HOSTILE_SEED={seed}");
        let city = City::large(&servers, &format!("history{number}")).await;
        History::new(city.unwrap(), seed).play().await;
    }
}
