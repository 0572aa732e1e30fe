//! Classes of facts that leave alike, as they rest on the gateway's disk: keyed digests of what a
//! fact says, and of the persons of whom it says it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::values::first;

/// Keyed digest of what a fact says without the person: facts that leave alike have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassDigest(pub [u8; 16]);

/// Keyed digest of an identifier of a person of a class. It differs from class to class, so that
/// digests do not tell which classes one person is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassPerson(pub [u8; 8]);

/// Keyed states for classes, under the clinic's record key.
#[derive(Clone)]
pub struct ClassSecrets {
    class: Hmac<Sha256>,
    person: Hmac<Sha256>,
}

impl ClassSecrets {
    /// Prepares the keyed states; `keyed` has taken in the record key and nothing else.
    pub(crate) fn new(keyed: &Hmac<Sha256>) -> Self {
        let purpose = |name: &[u8]| keyed.clone().chain_update(name).chain_update([0]);
        Self {
            class: purpose(b"clinic-gateway/fact-class/v1"),
            person: purpose(b"clinic-gateway/fact-class-person/v1"),
        }
    }

    /// Digest of the class of a fact, by the fact's canonical bytes and the least number of persons
    /// that the class must have: under another number it is another class, counted anew.
    #[must_use]
    pub fn digest(&self, least_persons: u8, fact: &[u8]) -> ClassDigest {
        let state = self.class.clone().chain_update([least_persons]);
        ClassDigest(first(&state.chain_update(fact).finalize().into_bytes()))
    }

    /// Digest of an identifier of a person of the class.
    #[must_use]
    pub fn person(&self, class: &ClassDigest, identifier: &[u8]) -> ClassPerson {
        let state = self.person.clone().chain_update(class.0);
        ClassPerson(first(
            &state.chain_update(identifier).finalize().into_bytes(),
        ))
    }
}

impl fmt::Debug for ClassSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClassSecrets(…)")
    }
}

#[cfg(test)]
mod tests {
    use crate::RecordSecrets;

    #[test]
    fn another_number_of_persons_or_another_fact_is_another_class() {
        let secrets = RecordSecrets::new(&[0x0b; 32]);
        let classes = secrets.classes();
        let class = classes.digest(5, b"a fact");
        assert_eq!(class, classes.digest(5, b"a fact"));
        assert_ne!(class, classes.digest(6, b"a fact"));
        assert_ne!(class, classes.digest(5, b"another"));
        let foreign = RecordSecrets::new(&[0x0c; 32]);
        assert_ne!(class, foreign.classes().digest(5, b"a fact"));
    }

    #[test]
    fn a_person_is_another_one_in_another_class() {
        let secrets = RecordSecrets::new(&[0x0b; 32]);
        let classes = secrets.classes();
        let [one, other] = [5, 6].map(|least| classes.digest(least, b"a fact"));
        let person = classes.person(&one, b"snils 11223344595");
        assert_eq!(person, classes.person(&one, b"snils 11223344595"));
        assert_ne!(person, classes.person(&other, b"snils 11223344595"));
        assert_ne!(person, classes.person(&one, b"snils 08765430300"));
    }
}
