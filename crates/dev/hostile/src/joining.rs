//! Records by which one account tries to join persons, to tear them apart, or to make finding them
//! too dear. Each pair of names is stated by one forged record.

use contract::{Event, Pseudonym, Scheme, Subject, Suite};

use crate::clinic::Clinic;
use crate::dice::Dice;
use crate::people::{INVENTED, Person, fact, name};

/// Attack by records that the account itself states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAttack {
    /// Passports, or other weak names, of two strangers in one event.
    TwoStrangers,
    /// Invented SNILS beside the weakest name of twenty persons, one by one.
    FalseSnils,
    /// SNILS of one person beside the weakest name of the next.
    AnothersSnils,
    /// Chain through a name of every person.
    Chain,
    /// One passport that everybody is said to have.
    Hub,
    /// SNILS under the other suite, each beside the names of two persons.
    OtherSuite,
    /// Any names of any two persons.
    Random,
}

impl LinkAttack {
    /// Every attack.
    pub const ALL: [Self; 7] = [
        Self::TwoStrangers,
        Self::FalseSnils,
        Self::AnothersSnils,
        Self::Chain,
        Self::Hub,
        Self::OtherSuite,
        Self::Random,
    ];

    /// True where the records connect any number of persons, so that the coarse rule holds.
    #[must_use]
    pub const fn has_large_parts(self) -> bool {
        !matches!(self, Self::TwoStrangers | Self::FalseSnils)
    }

    /// Forged records about these persons, no two of which state the same pair of names.
    pub fn events(self, people: &[Person], account: &mut Clinic, dice: &mut Dice) -> Vec<Event> {
        let next = people.iter().cycle().skip(1);
        let pairs = people.iter().zip(next).zip(0_u32..);
        let mut stated: Vec<Vec<Pseudonym>> = Vec::new();
        for ((one, other), number) in pairs {
            let strongest = one.names()[0];
            match self {
                Self::TwoStrangers if number % 2 == 0 => {
                    stated.push(vec![one.weakest(), other.weakest()]);
                }
                Self::TwoStrangers => {}
                Self::FalseSnils if number < 20 => {
                    let snils = name(Scheme::Snils, INVENTED + number);
                    stated.push(vec![snils, one.weakest()]);
                }
                Self::FalseSnils => {}
                Self::AnothersSnils => stated.push(vec![strongest, other.weakest()]),
                Self::Chain => {
                    stated.push(vec![one.weakest(), name(Scheme::Oms, INVENTED + number)]);
                    stated.push(vec![name(Scheme::Oms, INVENTED + number), other.weakest()]);
                }
                Self::Hub => {
                    let hub = name(Scheme::PassportRu, INVENTED);
                    stated.push(vec![hub, one.weakest()]);
                }
                Self::OtherSuite => {
                    let snils = Pseudonym {
                        suite: Suite::HmacStreebog,
                        ..name(Scheme::Snils, INVENTED + number)
                    };
                    stated.push(vec![snils, strongest]);
                    stated.push(vec![snils, other.weakest()]);
                }
                Self::Random => {
                    let third = people[dice.place(people.len())];
                    let names = third.names();
                    stated.push(vec![one.weakest(), names[dice.place(names.len())]]);
                }
            }
        }
        let numbered = (0..).zip(stated);
        // Two SNILS in one event are no event: such a pair is not tried.
        let fitting = numbered.filter(|(_, names)| Subject::new(names.clone()).is_some());
        fitting
            .map(|(number, names)| account.state(number, &names, fact(number)))
            .collect()
    }
}

/// Records that make two parts of many names out of nothing: fifteen names in a record, one of
/// which is in the next. The first name of each part is returned with them.
pub fn giant(names: u32, account: &mut Clinic) -> ([Pseudonym; 2], Vec<Event>) {
    let mut firsts = [name(Scheme::Snils, INVENTED); 2];
    let mut events = Vec::new();
    for (part, first) in (0_u32..).zip(&mut firsts) {
        let snils = name(Scheme::Snils, INVENTED + part);
        *first = snils;
        for record in 0..names.div_ceil(12) {
            let number = INVENTED + 2 * record + part;
            let weak = Scheme::ALL[1..].iter().flat_map(|scheme| {
                let number = (1 << 26) + 4 * number;
                [name(*scheme, number), name(*scheme, number + 1)]
            });
            let mut stated = vec![snils];
            stated.extend(weak);
            events.push(account.state(number, &stated, fact(record)));
        }
    }
    (firsts, events)
}
