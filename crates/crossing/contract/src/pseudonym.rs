//! Pseudonyms as they travel: scheme, suite, key epoch and 32 opaque bytes.

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Kind of identifier that a pseudonym was made from. A closed list: a free name could name an
/// institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Russian personal insurance account number.
    Snils,
    /// Russian compulsory medical insurance policy (ENP).
    Oms,
    /// Russian internal passport.
    PassportRu,
    /// Number of a person, or of an identity card, in another country, with that country.
    NationalId,
    /// A foreign passport, with its issuing country.
    PassportForeign,
    /// European health insurance card.
    Ehic,
    /// Residence permit.
    ResidencePermit,
    /// Birth certificate.
    BirthCertificate,
}

impl Scheme {
    /// All schemes, strongest first: the order in which a registry trusts them to name one person.
    pub const ALL: [Self; 8] = [
        Self::Snils,
        Self::Oms,
        Self::PassportRu,
        Self::NationalId,
        Self::PassportForeign,
        Self::Ehic,
        Self::ResidencePermit,
        Self::BirthCertificate,
    ];

    /// Name used on the wire and in keyed input.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snils => "snils",
            Self::Oms => "oms",
            Self::PassportRu => "passport-ru",
            Self::NationalId => "national-id",
            Self::PassportForeign => "passport-foreign",
            Self::Ehic => "ehic",
            Self::ResidencePermit => "residence-permit",
            Self::BirthCertificate => "birth-certificate",
        }
    }
}

/// Algorithm that a pseudonym was computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// HMAC-SHA-256 (RFC 2104, FIPS 180-4).
    Hmac,
    /// HMAC over GOST R 34.11-2012, 256 bits (RFC 7836).
    HmacStreebog,
    /// Blind evaluation by key services: RFC 9497 over ristretto255, verifiable mode, without the
    /// final hash. The value is a compressed element of the group (RFC 9496, section 4.3.2).
    Voprf,
}

impl Suite {
    /// All suites.
    pub const ALL: [Self; 3] = [Self::Hmac, Self::HmacStreebog, Self::Voprf];

    /// Name used on the wire, in configuration and in keyed input.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hmac => "hmac",
            Self::HmacStreebog => "hmac-streebog",
            Self::Voprf => "voprf",
        }
    }
}

/// Error of the closed-list parsers: the word is not on the list. The word itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not on the closed list")]
pub struct NotListed;

impl FromStr for Scheme {
    type Err = NotListed;
    fn from_str(text: &str) -> Result<Self, NotListed> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.as_str() == text)
            .ok_or(NotListed)
    }
}

impl FromStr for Suite {
    type Err = NotListed;
    fn from_str(text: &str) -> Result<Self, NotListed> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.as_str() == text)
            .ok_or(NotListed)
    }
}

/// Number of a pseudonymisation key; two may be open at once while a rotation runs. From 1.
pub type Epoch = u16;

/// A person's pseudonym under one scheme, suite and key epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym {
    /// Kind of identifier it was made from.
    pub scheme: Scheme,
    /// Algorithm it was computed with.
    pub suite: Suite,
    /// Number of the key it was computed under.
    pub epoch: Epoch,
    /// Keyed digest, or group element under [`Suite::Voprf`]; 32 bytes, which are not looked into
    /// here.
    pub value: [u8; 32],
}

impl Pseudonym {
    /// Scheme, suite and key epoch: names that have them in common are comparable.
    #[must_use]
    pub const fn numbering(&self) -> (Scheme, Suite, Epoch) {
        (self.scheme, self.suite, self.epoch)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = hex::encode(&self.value[..4]);
        write!(
            f,
            "Pseudonym({}/{}/{} {head}…)",
            self.suite.as_str(),
            self.scheme.as_str(),
            self.epoch
        )
    }
}

/// A person: every pseudonym the clinic could make, sorted, without repeats; 1 to [`Subject::MAX`],
/// at most [`Subject::MAX_OF_A_SCHEME`] of one scheme under one suite and key epoch, and of SNILS,
/// which a person has one of for life, one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(Vec<Pseudonym>);

impl Subject {
    /// Most pseudonyms a person may have in one event.
    pub const MAX: usize = 16;

    /// Most pseudonyms of one scheme, suite and key epoch in one event: an old passport beside the
    /// new one, but no list that would join many persons.
    pub const MAX_OF_A_SCHEME: usize = 2;

    /// Sorts the pseudonyms and removes repeats; `None` when there is none, or more than
    /// the limits allow.
    #[must_use]
    pub fn new(mut pseudonyms: Vec<Pseudonym>) -> Option<Self> {
        pseudonyms.sort_unstable();
        pseudonyms.dedup();
        let has_more_than = |most: usize, scheme: Option<Scheme>| {
            pseudonyms.windows(most + 1).any(|names| {
                names[0].numbering() == names[most].numbering()
                    && scheme.is_none_or(|scheme| scheme == names[0].scheme)
            })
        };
        let within = (1..=Self::MAX).contains(&pseudonyms.len())
            && !has_more_than(Self::MAX_OF_A_SCHEME, None)
            && !has_more_than(1, Some(Scheme::Snils));
        within.then_some(Self(pseudonyms))
    }

    /// Pseudonyms of the person, sorted.
    #[must_use]
    pub fn pseudonyms(&self) -> &[Pseudonym] {
        &self.0
    }

    fn wipe(&mut self) {
        for pseudonym in &mut self.0 {
            pseudonym.value.zeroize();
        }
    }
}

impl Drop for Subject {
    /// Wipes the pseudonyms: the registry keeps only what the second layer makes of them.
    fn drop(&mut self) {
        self.wipe();
    }
}

impl ZeroizeOnDrop for Subject {}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(scheme: Scheme, epoch: Epoch, number: u8) -> Pseudonym {
        Pseudonym {
            scheme,
            suite: Suite::Hmac,
            epoch,
            value: [number; 32],
        }
    }

    #[test]
    fn nothing_of_a_wiped_person_is_left() {
        let names = vec![name(Scheme::Snils, 1, 7), name(Scheme::Oms, 1, 9)];
        let mut subject = Subject::new(names).expect("a person");
        subject.wipe();
        assert!(subject.0.iter().all(|name| name.value == [0; 32]));
    }

    #[test]
    fn names_of_one_scheme_are_limited_under_each_key() {
        let passports = |epoch, count: u8| {
            (0..count).map(move |number| name(Scheme::PassportRu, epoch, number))
        };
        let both = |count| Subject::new(passports(1, count).chain(passports(2, count)).collect());
        assert_eq!(both(2).unwrap().pseudonyms().len(), 4);
        assert_eq!(both(3), None);
        let repeated = Subject::new(passports(1, 2).chain(passports(1, 2)).collect());
        assert_eq!(
            repeated.unwrap().pseudonyms().len(),
            2,
            "repeats count once"
        );
        let snils = |numbers: &[(Epoch, u8)]| {
            let names = numbers
                .iter()
                .map(|(epoch, number)| name(Scheme::Snils, *epoch, *number));
            Subject::new(names.collect())
        };
        assert!(snils(&[(1, 1), (2, 1)]).is_some());
        assert_eq!(snils(&[(1, 1), (1, 2)]), None);
    }
}
