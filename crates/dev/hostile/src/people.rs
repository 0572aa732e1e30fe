//! Invented persons: their pseudonyms, and facts about them.

use contract::{Epoch, Fact, PartialDate, Pseudonym, Scheme, Suite, TestCode, TestResult, Vaccine};
use sha2::{Digest, Sha256};

/// First number of the names that only the hostile account uses.
pub const INVENTED: u32 = 1 << 24;

/// Names that the records of a person may state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Papers {
    /// SNILS, OMS policy and passport.
    Three,
    /// SNILS and passport.
    Two,
    /// Foreign passport and residence permit; no SNILS.
    Foreign,
    /// Passport alone.
    One,
}

/// Person with made-up identifiers.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// Number that the identifiers are made of.
    pub number: u32,
    /// Kinds of identifiers.
    pub papers: Papers,
    /// Number of honest records that state all of the names together.
    pub records: u32,
}

impl Person {
    /// Names of the person, the strongest first.
    #[must_use]
    pub fn names(&self) -> Vec<Pseudonym> {
        let schemes: &[Scheme] = match self.papers {
            Papers::Three => &[Scheme::Snils, Scheme::Oms, Scheme::PassportRu],
            Papers::Two => &[Scheme::Snils, Scheme::PassportRu],
            Papers::Foreign => &[Scheme::PassportForeign, Scheme::ResidencePermit],
            Papers::One => &[Scheme::PassportRu],
        };
        let schemes = schemes.iter();
        schemes.map(|scheme| name(*scheme, self.number)).collect()
    }

    /// Weakest name of the person.
    #[must_use]
    pub fn weakest(&self) -> Pseudonym {
        let last = self.names().pop();
        last.unwrap_or_else(|| name(Scheme::Snils, self.number))
    }

    /// True where the person's records state a SNILS.
    #[must_use]
    pub const fn has_snils(&self) -> bool {
        matches!(self.papers, Papers::Three | Papers::Two)
    }

    /// True where two honest records or more state a SNILS with the other names: then no single
    /// forged record may take a name away, or give the facts of another SNILS.
    #[must_use]
    pub const fn is_firm(&self) -> bool {
        self.records >= 2 && self.has_snils()
    }
}

/// Persons of every kind, `count` of them.
#[must_use]
pub fn people(count: u32) -> Vec<Person> {
    let kinds = [
        (Papers::Three, 2),
        (Papers::Two, 2),
        (Papers::Foreign, 2),
        (Papers::Two, 1),
        (Papers::One, 1),
        (Papers::Three, 3),
    ];
    let kinds = kinds.into_iter().cycle();
    let numbered = (0..count).zip(kinds);
    numbered
        .map(|(number, (papers, records))| Person {
            number,
            papers,
            records,
        })
        .collect()
}

/// Pseudonym of the person with this number, under the open epoch.
#[must_use]
pub fn name(scheme: Scheme, number: u32) -> Pseudonym {
    name_of_epoch(scheme, number, 1)
}

/// Pseudonym of the person with this number, under any epoch.
#[must_use]
pub fn name_of_epoch(scheme: Scheme, number: u32, epoch: Epoch) -> Pseudonym {
    let digest = Sha256::new()
        .chain_update(scheme.as_str())
        .chain_update(number.to_be_bytes())
        .chain_update(epoch.to_be_bytes());
    Pseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch,
        value: digest.finalize().into(),
    }
}

/// Fact that a number decides.
#[must_use]
pub fn fact(number: u32) -> Fact {
    let occurred_on = PartialDate::from_month(2021, 1 + number % 6);
    let occurred_on = occurred_on.expect("the first half of 2021 has these months");
    match number % 3 {
        0 => Fact::Vaccination {
            vaccine: Vaccine::ALL[number as usize % Vaccine::ALL.len()],
            dose_number: Some(1),
            series_doses: Some(2),
            occurred_on,
        },
        1 => Fact::Test {
            test: TestCode::RnaRespiratory,
            result: TestResult::NotDetected,
            occurred_on,
        },
        _ => Fact::Recovery {
            began_on: None,
            occurred_on,
        },
    }
}
