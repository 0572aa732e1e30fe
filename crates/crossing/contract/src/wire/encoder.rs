//! Events into JSON: the pieces that are always the same, and the values between them.
//!
//! Written by hand for speed; the tests compare it byte by byte with what serde makes of the types
//! in `envelope` and `fhir`.

use super::{hex, pieces};
use crate::{Body, Event, Fact, FactKind, PartialDate, Pseudonym, RecordDigest, Subject};

/// Size of a typical event, in bytes: a first estimate of the buffer that a batch needs.
pub(super) const TYPICAL_EVENT_BYTES: usize = 1200;

/// Most decimal digits of a `u64`.
const MAX_DIGITS: usize = 20;

/// Appends one event.
pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
    let Event {
        record,
        version,
        content,
        owner,
        body,
    } = event;
    text(pieces::HEAD, out);
    let id = out.len();
    hex::append(&record.0, out);
    out.push(b'/');
    number(version.to_u64(), out);
    let slash = id + RecordDigest::HEX_CHARS;
    let id_end = out.len();
    text(
        if matches!(body, Body::Asserted { .. }) {
            pieces::FACT
        } else {
            pieces::WITHDRAWAL
        },
        out,
    );
    out.extend_from_within(id..slash);
    text(pieces::VERSION, out);
    out.extend_from_within(slash + 1..id_end);
    text(pieces::CONTENT, out);
    hex::append(&content.0, out);
    text(pieces::OWNER, out);
    hex::append(&owner.0, out);
    text(pieces::DATA, out);
    match body {
        Body::Asserted { subject, fact } => resource(subject, fact, out),
        Body::Withdrawn { kind } => text(withdrawn(*kind), out),
    }
    text(pieces::END, out);
}

/// Resource in a withdrawal of this kind: always the same text.
pub(super) const fn withdrawn(kind: FactKind) -> &'static str {
    match kind {
        FactKind::Vaccination => pieces::WITHDRAWN_IMMUNIZATION,
        FactKind::Test => pieces::WITHDRAWN_OBSERVATION,
        FactKind::Recovery => pieces::WITHDRAWN_CONDITION,
    }
}

fn resource(subject: &Subject, fact: &Fact, out: &mut Vec<u8>) {
    match *fact {
        Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        } => {
            text(pieces::IMMUNIZATION, out);
            pseudonyms(subject, out);
            match vaccine.cvx() {
                Some(code) => {
                    text(pieces::CVX, out);
                    text(code, out);
                }
                None => {
                    text(pieces::OWN_VACCINE, out);
                    text(vaccine.as_str(), out);
                }
            }
            text(pieces::ATC, out);
            text(vaccine.atc(), out);
            text(pieces::OCCURRENCE, out);
            date(occurred_on, out);
            protocol(dose_number, series_doses, out);
        }
        Fact::Test {
            test,
            result,
            occurred_on,
        } => {
            text(pieces::OBSERVATION, out);
            pseudonyms(subject, out);
            text(pieces::LOINC, out);
            text(test.loinc(), out);
            text(pieces::EFFECTIVE, out);
            date(occurred_on, out);
            text(pieces::SNOMED, out);
            text(result.snomed(), out);
            text(pieces::OBSERVATION_END, out);
        }
        Fact::Recovery {
            began_on,
            occurred_on,
        } => {
            text(pieces::CONDITION, out);
            pseudonyms(subject, out);
            text(pieces::ILLNESS, out);
            if let Some(began_on) = began_on {
                text(pieces::ONSET, out);
                date(began_on, out);
                text(pieces::ONSET_END, out);
            }
            text(pieces::ABATEMENT, out);
            date(occurred_on, out);
            text(pieces::RESOURCE_END, out);
        }
    }
}

fn pseudonyms(subject: &Subject, out: &mut Vec<u8>) {
    for (
        index,
        Pseudonym {
            scheme,
            suite,
            epoch,
            value,
        },
    ) in subject.pseudonyms().iter().enumerate()
    {
        if index > 0 {
            text(pieces::NEXT, out);
        }
        text(pieces::PSEUDONYM, out);
        text(suite.as_str(), out);
        text(pieces::SEPARATOR, out);
        text(scheme.as_str(), out);
        text(pieces::SEPARATOR, out);
        number(u64::from(*epoch), out);
        text(pieces::VALUE, out);
        hex::append(value, out);
        text(pieces::PSEUDONYM_END, out);
    }
}

/// FHIR wants a dose number wherever a protocol is given, so a course without one says `unknown`.
fn protocol(dose: Option<u8>, series: Option<u8>, out: &mut Vec<u8>) {
    let (before, first, second) = match (dose, series) {
        (None, None) => return text(pieces::RESOURCE_END, out),
        (None, Some(series)) => (pieces::UNKNOWN_DOSE, series, None),
        (Some(dose), series) => (pieces::DOSE, dose, series),
    };
    text(before, out);
    number(u64::from(first), out);
    if let Some(series) = second {
        text(pieces::SERIES, out);
        number(u64::from(series), out);
    }
    text(pieces::PROTOCOL_END, out);
}

fn date(date: PartialDate, out: &mut Vec<u8>) {
    let (year, month, day) = date.parts();
    let [century, years] = [year / 100, year % 100]
        .map(|part| two_digits(u8::try_from(part).expect("a year has four digits")));
    out.extend_from_slice(&[century[0], century[1], years[0], years[1]]);
    for part in [month, day].into_iter().flatten() {
        let [tens, units] = two_digits(part);
        out.extend_from_slice(&[b'-', tens, units]);
    }
}

const fn two_digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

fn number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; MAX_DIGITS];
    let mut start = MAX_DIGITS;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).expect("a digit is small");
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[start..]);
        }
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}
