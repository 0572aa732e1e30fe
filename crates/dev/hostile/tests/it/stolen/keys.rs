//! Keys by which a city's clinics and its portal make pseudonyms, and the numbers of its persons.

use contract::{Pseudonym, Suite};
use oprf::{Blinding, Request, ServiceKey};
use pseudonym::{
    CitizenBlinding, CitizenPseudonyms, IdentifierKind, KeyRing, Policy, PolicyConfig,
    StatedIdentifier,
};

/// Numbers that are tried; those of persons of whom there are facts are every [`EVERY`]th.
pub(super) const NUMBERS: u32 = 120;
const EVERY: u32 = 2;

/// Questions that a client's ceiling permits at each key service.
pub(super) const CEILING: u32 = 50;

/// Numbers of the persons of whom there are facts.
pub(super) fn persons() -> impl Iterator<Item = u32> {
    (0..NUMBERS).filter(|number| number % EVERY == 0)
}

/// Keys of a city.
pub(super) struct PseudonymKeys {
    pub(super) suite: Suite,
    services: [ServiceKey; 2],
    ring: KeyRing,
}

impl PseudonymKeys {
    /// Fresh keys.
    pub(super) fn new(suite: Suite) -> Self {
        Self {
            suite,
            services: [ServiceKey::generate(), ServiceKey::generate()],
            ring: KeyRing::generate(),
        }
    }

    /// Pseudonym of a number, if every key service may be asked, by its place; the ring is used by
    /// the suites of HMAC.
    pub(super) fn pseudonym(
        &self,
        number: u32,
        may_ask: impl Fn(usize) -> bool,
    ) -> Option<Pseudonym> {
        if self.suite != Suite::Voprf {
            let keyed = CitizenPseudonyms::new(&self.ring.shared(), self.suite, policy());
            return Some(keyed.of(stated(number)).unwrap()[0]);
        }
        let all = (0..self.services.len()).all(may_ask);
        all.then(|| evaluated(number, &self.services))
    }

    /// Pseudonyms of a number where another key stands in for either key service, and for both.
    pub(super) fn with_another_key(&self, number: u32, key: &ServiceKey) -> [Pseudonym; 3] {
        let [first, second] = &self.services;
        let all = [[key, second], [first, key], [key, key]];
        all.map(|keys| evaluated(number, keys))
    }
}

/// Pseudonym of a number under these keys, one after the other.
fn evaluated<'a>(number: u32, keys: impl IntoIterator<Item = &'a ServiceKey>) -> Pseudonym {
    let citizen = CitizenBlinding::new(policy()).of(stated(number)).unwrap();
    let mut blinding: Blinding = citizen.blind().unwrap();
    for key in keys {
        let request = Request::parse(&blinding.request(1)).unwrap();
        let answer = key.evaluate(&request);
        blinding.accept(&answer, 1, &key.public_key()).unwrap();
    }
    citizen.pseudonyms(1, &blinding.unblind())[0]
}

/// An invented SNILS above 001-001-998 with the right control number.
fn snils(number: u32) -> String {
    let digits = format!("{:09}", 112_233_000 + number);
    let sum: u32 = digits
        .bytes()
        .zip((1..=9).rev())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    format!("{digits}{:02}", sum % 101 % 100)
}

fn stated(number: u32) -> Vec<StatedIdentifier> {
    vec![StatedIdentifier {
        kind: IdentifierKind::Snils,
        value: snils(number).into(),
        country: None,
    }]
}

fn policy() -> Policy {
    Policy::new(&PolicyConfig::default()).unwrap()
}
