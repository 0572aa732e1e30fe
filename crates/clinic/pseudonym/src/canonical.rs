//! The canonical bytes of an asserted fact, from which its content digest is made. Never changes: a
//! changed byte would announce every record of every clinic again.

use contract::{Epoch, Fact, PartialDate, Precision, Pseudonym, Scheme, Subject, Suite};
use draft::LocalSubject;

/// Room for the longest body: a fact (at most 64 bytes) and [`Subject::MAX`] pseudonyms of at most
/// 66 bytes each.
const MAX_BYTES: usize = 64 + 66 * Subject::MAX;

/// Canonical bytes of a fact and its person in a fixed buffer; the layout is in the crate's README.
pub(crate) struct Canonical {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl Canonical {
    /// The bytes of a fact and its person.
    pub(crate) fn of(subject: &Subject, fact: &Fact) -> Self {
        let mut out = Self {
            bytes: [0; MAX_BYTES],
            len: 0,
        };
        out.push(b"A");
        out.fact(fact);
        out.subject(subject);
        out
    }

    /// The bytes of a fact and a person whose pseudonyms key services evaluate: they rest on local
    /// names, under the key epoch 0, so that a rotation of the services' keys changes no content.
    /// Pseudonyms of the suite that a city moves from follow, so that their coming and going does.
    pub(crate) fn of_local(person: &LocalSubject, beside: Option<&Subject>, fact: &Fact) -> Self {
        let mut out = Self {
            bytes: [0; MAX_BYTES],
            len: 0,
        };
        out.push(b"A");
        out.fact(fact);
        let beside = beside.map_or(&[][..], Subject::pseudonyms);
        out.count(person.names().len() + beside.len());
        for name in person.names() {
            out.name(name.scheme, Suite::Voprf, 0, &name.value);
        }
        out.names(beside);
        out
    }

    /// The bytes of a fact without its person.
    pub(crate) fn of_fact(fact: &Fact) -> Self {
        let mut out = Self {
            bytes: [0; MAX_BYTES],
            len: 0,
        };
        out.fact(fact);
        out
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        self.bytes[self.len..end].copy_from_slice(part);
        self.len = end;
    }

    /// A word of a closed list: its length in one byte, then its ASCII letters.
    fn word(&mut self, word: &str) {
        self.push(&[u8::try_from(word.len()).expect("the lists' words are short")]);
        self.push(word.as_bytes());
    }

    fn fact(&mut self, fact: &Fact) {
        self.word(fact.kind().as_str());
        match fact {
            Fact::Vaccination {
                vaccine,
                dose_number,
                series_doses,
                occurred_on,
            } => {
                self.word(vaccine.as_str());
                self.push(&[dose_number.unwrap_or(0), series_doses.unwrap_or(0)]);
                self.date(Some(*occurred_on));
            }
            Fact::Test {
                test,
                result,
                occurred_on,
            } => {
                self.word(test.loinc());
                self.word(result.as_str());
                self.date(Some(*occurred_on));
            }
            Fact::Recovery {
                began_on,
                occurred_on,
            } => {
                self.date(*began_on);
                self.date(Some(*occurred_on));
            }
        }
    }

    /// A precision letter (`-`, `Y`, `M`, `D`), then year (two bytes, big-endian), month and day, 0
    /// where unknown.
    fn date(&mut self, date: Option<PartialDate>) {
        let Some(date) = date else {
            return self.push(b"-\0\0\0\0");
        };
        let (year, month, day) = date.parts();
        let letter = match date.precision() {
            Precision::Year => b'Y',
            Precision::Month => b'M',
            Precision::Day => b'D',
        };
        let [high, low] = year.to_be_bytes();
        let month = month.unwrap_or(0);
        let day = day.unwrap_or(0);
        self.push(&[letter, high, low, month, day]);
    }

    /// Writes the number of pseudonyms in one byte; then, for each in its order, scheme, suite,
    /// epoch and value.
    fn subject(&mut self, subject: &Subject) {
        self.count(subject.pseudonyms().len());
        self.names(subject.pseudonyms());
    }

    fn names(&mut self, pseudonyms: &[Pseudonym]) {
        for pseudonym in pseudonyms {
            self.name(
                pseudonym.scheme,
                pseudonym.suite,
                pseudonym.epoch,
                &pseudonym.value,
            );
        }
    }

    /// Writes the number of a person's names in one byte.
    fn count(&mut self, names: usize) {
        self.push(&[u8::try_from(names).expect("a person has at most 16 names")]);
    }

    fn name(&mut self, scheme: Scheme, suite: Suite, epoch: Epoch, value: &[u8; 32]) {
        self.word(scheme.as_str());
        self.word(suite.as_str());
        self.push(&epoch.to_be_bytes());
        self.push(value);
    }
}

#[cfg(test)]
mod tests {
    use contract::{TestCode, TestResult, Vaccine};
    use draft::LocalName;

    use super::*;

    fn hex_of(fact: &Fact) -> String {
        let pseudonym = Pseudonym {
            scheme: Scheme::Snils,
            suite: Suite::Hmac,
            epoch: 0x0102,
            value: [0xab; 32],
        };
        let subject = Subject::new(vec![pseudonym]).unwrap();
        hex::encode(Canonical::of(&subject, fact).as_bytes())
    }

    /// Pinned: if this test fails, mend the encoder, not the test.
    #[test]
    fn the_encoding_never_changes() {
        let date = |text: &str| text.parse::<PartialDate>().unwrap();
        let subject = format!(
            "01 05 {} 04 {} 0102 {}",
            hex::encode("snils"),
            hex::encode("hmac"),
            "ab".repeat(32)
        );
        let expect = |fact: String| format!("41{fact}{subject}").replace(' ', "");
        let vaccination = Fact::Vaccination {
            vaccine: Vaccine::SputnikV,
            dose_number: Some(2),
            series_doses: None,
            occurred_on: date("2021-07-04"),
        };
        let words = (hex::encode("vaccination"), hex::encode("sputnik-v"));
        let vaccination_bytes = format!("0b {} 09 {} 02 00 44 07e5 07 04", words.0, words.1);
        assert_eq!(hex_of(&vaccination), expect(vaccination_bytes));
        let test = Fact::Test {
            test: TestCode::RnaRespiratory,
            result: TestResult::NotDetected,
            occurred_on: date("2021-07"),
        };
        let words = (
            hex::encode("test"),
            hex::encode("94500-6"),
            hex::encode("not-detected"),
        );
        let test_bytes = format!("04 {} 07 {} 0c {} 4d 07e5 07 00", words.0, words.1, words.2);
        assert_eq!(hex_of(&test), expect(test_bytes));
        let recovery = |began_on| Fact::Recovery {
            began_on,
            occurred_on: date("2021"),
        };
        let word = hex::encode("recovery");
        let bytes = format!("08 {word} 2d 0000 00 00 59 07e5 00 00");
        assert_eq!(hex_of(&recovery(None)), expect(bytes));
        let bytes = format!("08 {word} 44 07e4 0c 1f 59 07e5 00 00");
        assert_eq!(hex_of(&recovery(Some(date("2020-12-31")))), expect(bytes));
    }

    /// Pinned like the one above.
    #[test]
    fn the_encoding_of_local_names_never_changes() {
        let fact = Fact::Recovery {
            began_on: None,
            occurred_on: PartialDate::from_year(2021).unwrap(),
        };
        let name = LocalName {
            scheme: Scheme::Snils,
            value: [0xab; 32],
        };
        let person = LocalSubject::new(vec![name], 1).unwrap();
        let local = hex::encode(Canonical::of_local(&person, None, &fact).as_bytes());
        let pseudonym = format!("04{}0102", hex::encode("hmac"));
        let local_name = format!("05{}0000", hex::encode("voprf"));
        assert_eq!(local, hex_of(&fact).replace(&pseudonym, &local_name));

        // While a city moves, pseudonyms of the suite that it leaves follow the local names.
        let beside = Subject::new(vec![Pseudonym {
            scheme: Scheme::Snils,
            suite: Suite::Hmac,
            epoch: 0x0102,
            value: [0xcd; 32],
        }]);
        let both = Canonical::of_local(&person, beside.as_ref(), &fact);
        let scheme = format!("05{}", hex::encode("snils"));
        let one = format!("01{scheme}");
        let two = format!("02{scheme}");
        let other = format!("{scheme}{pseudonym}{}", "cd".repeat(32));
        assert_eq!(
            hex::encode(both.as_bytes()),
            local.replacen(&one, &two, 1) + &other
        );
    }

    #[test]
    fn the_longest_body_fits() {
        let pseudonyms = (0..Subject::MAX).map(|epoch| Pseudonym {
            scheme: Scheme::BirthCertificate,
            suite: Suite::HmacStreebog,
            epoch: u16::try_from(epoch / Subject::MAX_OF_A_SCHEME).unwrap() + 1,
            value: [0; 32],
        });
        let subject = Subject::new(pseudonyms.collect()).unwrap();
        let fact = Fact::Vaccination {
            vaccine: Vaccine::EpiVacCorona,
            dose_number: Some(9),
            series_doses: Some(9),
            occurred_on: PartialDate::from_year(2021).unwrap(),
        };
        assert!(Canonical::of(&subject, &fact).len <= MAX_BYTES);
    }
}
