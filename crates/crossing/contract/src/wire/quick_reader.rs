//! Reads a batch exactly as the encoder of this crate writes it, without a JSON parser.
//!
//! A batch that differs by one byte, or holds what the contract does not allow, is left to the
//! strict reader: this one never refuses, it only gives up. A batch that it accepts, the strict
//! reader accepts with the same result. It takes an eleventh of the strict reader's instructions
//! (see README.md).

use super::constants::MAX_EVENTS;
use super::refusal::Refused;
use super::{encoder, hex, pieces, strict_reader};
use crate::{
    Body, ContentDigest, Event, Fact, FactKind, OWNER_TOKEN_BYTES, OwnerToken, PartialDate,
    Pseudonym, RecordDigest, Scheme, Subject, Suite, TestCode, TestResult, Vaccine,
};

/// Size of a small event, in bytes, to estimate the number of events in a batch.
const SMALL_EVENT_BYTES: usize = 600;

/// Reads the events of a batch; `None` where the strict reader has to look.
pub(super) fn batch(encoded: &[u8]) -> Option<Vec<Result<Event, Refused>>> {
    let mut text = Unread(std::str::from_utf8(encoded).ok()?);
    let mut events = Vec::with_capacity((encoded.len() / SMALL_EVENT_BYTES + 1).min(MAX_EVENTS));
    text.skip("[")?;
    loop {
        if events.len() == MAX_EVENTS {
            return None;
        }
        events.push(Ok(text.event()?));
        if !text.skip_if_next(pieces::NEXT) {
            text.skip("]")?;
            return text.0.is_empty().then_some(events);
        }
    }
}

/// Rest of a batch that is not read yet.
struct Unread<'a>(&'a str);

impl<'a> Unread<'a> {
    /// Skips this text if it comes next, and returns whether it did.
    fn skip_if_next(&mut self, text: &str) -> bool {
        self.skip(text).is_some()
    }

    fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Reads up to this character, which stays unread.
    fn until(&mut self, end: u8) -> Option<&'a str> {
        let at = self.0.bytes().position(|byte| byte == end)?;
        let (taken, rest) = self.0.split_at_checked(at)?;
        self.0 = rest;
        Some(taken)
    }

    fn hex<const N: usize, const CHARS: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_at_checked(CHARS)?;
        self.0 = rest;
        hex::read(taken.as_bytes())
    }

    fn event(&mut self) -> Option<Event> {
        self.skip(pieces::HEAD)?;
        let named = self.0;
        let record = RecordDigest(self.hex::<32, 64>()?);
        self.skip("/")?;
        let number = self.until(b'"')?;
        let version = strict_reader::version(number)?;
        let is_fact = self.skip_if_next(pieces::FACT);
        if !is_fact {
            self.skip(pieces::WITHDRAWAL)?;
        }
        self.skip(&named[..RecordDigest::HEX_CHARS])?;
        self.skip(pieces::VERSION)?;
        self.skip(number)?;
        self.skip(pieces::CONTENT)?;
        let content = ContentDigest(self.hex::<16, 32>()?);
        self.skip(pieces::OWNER)?;
        let owner = OwnerToken(self.hex::<OWNER_TOKEN_BYTES, { 2 * OWNER_TOKEN_BYTES }>()?);
        self.skip(pieces::DATA)?;
        let body = if is_fact {
            self.asserted()?
        } else {
            self.withdrawn()?
        };
        self.skip(pieces::END)?;
        Some(Event {
            record,
            version,
            content,
            owner,
            body,
        })
    }

    fn withdrawn(&mut self) -> Option<Body> {
        let kind = FactKind::ALL
            .into_iter()
            .find(|kind| self.skip_if_next(encoder::withdrawn(*kind)))?;
        Some(Body::Withdrawn { kind })
    }

    fn asserted(&mut self) -> Option<Body> {
        let (subject, fact) = if self.skip_if_next(pieces::IMMUNIZATION) {
            (self.subject()?, self.vaccination()?)
        } else if self.skip_if_next(pieces::OBSERVATION) {
            (self.subject()?, self.test()?)
        } else {
            self.skip(pieces::CONDITION)?;
            (self.subject()?, self.recovery()?)
        };
        Some(Body::Asserted { subject, fact })
    }

    fn vaccination(&mut self) -> Option<Fact> {
        let vaccine = self.vaccine()?;
        self.skip(pieces::ATC)?;
        self.skip(vaccine.atc())?;
        self.skip(pieces::OCCURRENCE)?;
        let occurred_on = self.date()?;
        let mut dose_number = None;
        let mut series_doses = None;
        if self.skip_if_next(pieces::RESOURCE_END) {
            return Some(Fact::Vaccination {
                vaccine,
                dose_number,
                series_doses,
                occurred_on,
            });
        }
        if self.skip_if_next(pieces::UNKNOWN_DOSE) {
            series_doses = Some(self.dose()?);
        } else {
            self.skip(pieces::DOSE)?;
            dose_number = Some(self.dose()?);
            if self.skip_if_next(pieces::SERIES) {
                series_doses = Some(self.dose()?);
            }
        }
        self.skip(pieces::PROTOCOL_END)?;
        Some(Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        })
    }

    /// Reads the code of a vaccine: in CVX, or in the contract's own list where CVX has none.
    fn vaccine(&mut self) -> Option<Vaccine> {
        if self.skip_if_next(pieces::CVX) {
            let code = self.until(b'"')?;
            return Vaccine::ALL
                .into_iter()
                .find(|vaccine| vaccine.cvx() == Some(code));
        }
        self.skip(pieces::OWN_VACCINE)?;
        let code = self.until(b'"')?;
        Vaccine::ALL
            .into_iter()
            .find(|vaccine| vaccine.cvx().is_none() && vaccine.as_str() == code)
    }

    fn test(&mut self) -> Option<Fact> {
        self.skip(pieces::LOINC)?;
        let test = self.one_of(TestCode::ALL, TestCode::loinc)?;
        self.skip(pieces::EFFECTIVE)?;
        let occurred_on = self.date()?;
        self.skip(pieces::SNOMED)?;
        let result = self.one_of(TestResult::ALL, TestResult::snomed)?;
        self.skip(pieces::OBSERVATION_END)?;
        Some(Fact::Test {
            test,
            result,
            occurred_on,
        })
    }

    fn recovery(&mut self) -> Option<Fact> {
        self.skip(pieces::ILLNESS)?;
        let mut began_on = None;
        if self.skip_if_next(pieces::ONSET) {
            began_on = Some(self.date()?);
            self.skip(pieces::ONSET_END)?;
        }
        self.skip(pieces::ABATEMENT)?;
        let occurred_on = self.date()?;
        self.skip(pieces::RESOURCE_END)?;
        Some(Fact::Recovery {
            began_on,
            occurred_on,
        })
    }

    fn subject(&mut self) -> Option<Subject> {
        let mut pseudonyms = Vec::new();
        loop {
            if pseudonyms.len() == Subject::MAX {
                return None;
            }
            pseudonyms.push(self.pseudonym()?);
            if !self.skip_if_next(pieces::NEXT) {
                return Subject::new(pseudonyms);
            }
        }
    }

    fn pseudonym(&mut self) -> Option<Pseudonym> {
        self.skip(pieces::PSEUDONYM)?;
        let suite = self.one_of_words(Suite::ALL, Suite::as_str)?;
        let scheme = self.one_of_words(Scheme::ALL, Scheme::as_str)?;
        let epoch = strict_reader::number(self.until(b'"')?)?;
        self.skip(pieces::VALUE)?;
        let value = self.hex::<32, 64>()?;
        self.skip(pieces::PSEUDONYM_END)?;
        Some(Pseudonym {
            scheme,
            suite,
            epoch,
            value,
        })
    }

    /// Reads a code of a closed list, up to the quotation mark.
    fn one_of<T: Copy, const N: usize>(
        &mut self,
        all: [T; N],
        code: fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.until(b'"')?;
        all.into_iter().find(|item| code(*item) == text)
    }

    /// Reads a word of a closed list, and the separator after it.
    fn one_of_words<T: Copy, const N: usize>(
        &mut self,
        all: [T; N],
        word: fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.until(b':')?;
        self.skip(pieces::SEPARATOR)?;
        all.into_iter().find(|item| word(*item) == text)
    }

    fn date(&mut self) -> Option<PartialDate> {
        self.until(b'"')?.parse().ok()
    }

    /// Reads a number from 1 to 9.
    fn dose(&mut self) -> Option<u8> {
        let (digit, rest) = self.0.split_at_checked(1)?;
        self.0 = rest;
        digit.parse().ok().filter(|dose| *dose >= 1)
    }
}
