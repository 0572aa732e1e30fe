//! Reads a batch as anybody may write it: any JSON that follows the schema. All refusals come from
//! here.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr as _;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::constants::{ILLNESS_ICD10, MAX_EVENTS, SYSTEM_PREFIX};
use super::envelope::{Envelope, EventType};
use super::fhir::{
    Condition, Identifier, Immunization, Observation, Patient, ProtocolApplied, WithdrawnCondition,
    WithdrawnImmunization, WithdrawnObservation,
};
use super::hex;
use super::refusal::{BatchError, Refused};
use crate::vaccine::{CVX_SYSTEM, OWN_VACCINE_SYSTEM};
use crate::{
    Body, ContentDigest, Event, Fact, FactKind, OwnerToken, PartialDate, Pseudonym, RecordDigest,
    RefusalReason, Scheme, Subject, Suite, TestCode, TestResult, Vaccine, Version,
};

/// Reads the events of a batch, each whole or refused by itself.
pub(super) fn batch(encoded: &[u8]) -> Result<Vec<Result<Event, Refused>>, BatchError> {
    let events = split(encoded)?.into_iter().enumerate();
    Ok(events.map(|(index, raw)| event(index, raw)).collect())
}

/// Splits a batch into events, still as text.
fn split(encoded: &[u8]) -> Result<Vec<&RawValue>, BatchError> {
    let FirstEvents { events, more } =
        serde_json::from_slice(encoded).map_err(|_| BatchError::NotABatch)?;
    if more {
        return Err(BatchError::TooLarge);
    }
    if events.iter().any(|event| !event.get().starts_with('{')) {
        return Err(BatchError::NotABatch);
    }
    Ok(events)
}

/// Reads one event; a refusal names its record and version where they can be read.
fn event(index: usize, raw: &RawValue) -> Result<Event, Refused> {
    serde_json::from_str::<Envelope<'_, EventType, &RawValue>>(raw.get())
        .map_err(|_| RefusalReason::Malformed)
        .and_then(|envelope| from_envelope(&envelope))
        .map_err(|reason| {
            let EventName { record, version } = EventName::read(raw);
            Refused {
                index,
                record,
                version,
                reason,
            }
        })
}

fn from_envelope(envelope: &Envelope<'_, EventType, &RawValue>) -> Result<Event, RefusalReason> {
    let record = record(&envelope.record).ok_or(RefusalReason::Malformed)?;
    let version = version(&envelope.version).ok_or(RefusalReason::Malformed)?;
    let content = hex::read(envelope.content.as_bytes())
        .map(ContentDigest)
        .ok_or(RefusalReason::Malformed)?;
    let owner = hex::read(envelope.owner.as_bytes())
        .map(OwnerToken)
        .ok_or(RefusalReason::Malformed)?;
    let id = envelope
        .id
        .strip_prefix(envelope.record.as_ref())
        .and_then(|rest| rest.strip_prefix('/'));
    if id != Some(envelope.version.as_ref()) {
        return Err(RefusalReason::Malformed);
    }
    let kind = kind(envelope.data)?;
    let body = match envelope.event_type {
        EventType::Fact => asserted(kind, envelope.data)?,
        EventType::Withdrawal => withdrawn(kind, envelope.data)?,
    };
    Ok(Event {
        record,
        version,
        content,
        owner,
        body,
    })
}

fn asserted(kind: FactKind, data: &RawValue) -> Result<Body, RefusalReason> {
    let (contained, fact) = match kind {
        FactKind::Vaccination => vaccination(read(data)?)?,
        FactKind::Test => test(read(data)?)?,
        FactKind::Recovery => recovery(read(data)?)?,
    };
    let [patient] = contained;
    Ok(Body::Asserted {
        subject: subject(&patient)?,
        fact,
    })
}

/// Persons that a resource contains, and its fact.
type PersonAndFact<'a> = ([Patient<'a>; 1], Fact);

fn vaccination(resource: Immunization<'_>) -> Result<PersonAndFact<'_>, RefusalReason> {
    let (product, atc) = resource.vaccine_code.coding;
    if ![CVX_SYSTEM, OWN_VACCINE_SYSTEM].contains(&product.system.as_ref()) {
        return Err(RefusalReason::Malformed);
    }
    let vaccine = listed(Vaccine::ALL, |vaccine| {
        vaccine.coding() == (product.system.as_ref(), product.code.as_ref())
            && vaccine.atc() == atc.code
    })?;
    let (dose_number, series_doses) = resource.protocol_applied.map_or(Ok((None, None)), doses)?;
    let fact = Fact::Vaccination {
        vaccine,
        dose_number,
        series_doses,
        occurred_on: date(&resource.occurrence_date_time)?,
    };
    Ok((resource.contained, fact))
}

fn test(resource: Observation<'_>) -> Result<PersonAndFact<'_>, RefusalReason> {
    let [code] = resource.code.coding;
    let [value] = resource.value_codeable_concept.coding;
    let fact = Fact::Test {
        test: listed(TestCode::ALL, |test| test.loinc() == code.code)?,
        result: listed(TestResult::ALL, |result| result.snomed() == value.code)?,
        occurred_on: date(&resource.effective_date_time)?,
    };
    Ok((resource.contained, fact))
}

fn recovery(resource: Condition<'_>) -> Result<PersonAndFact<'_>, RefusalReason> {
    let [code] = resource.code.coding;
    if code.code != ILLNESS_ICD10 {
        return Err(RefusalReason::UnknownCode);
    }
    let fact = Fact::Recovery {
        began_on: resource.onset_date_time.as_deref().map(date).transpose()?,
        occurred_on: date(&resource.abatement_date_time)?,
    };
    Ok((resource.contained, fact))
}

fn withdrawn(kind: FactKind, data: &RawValue) -> Result<Body, RefusalReason> {
    match kind {
        FactKind::Vaccination => read::<WithdrawnImmunization>(data).map(drop)?,
        FactKind::Test => read::<WithdrawnObservation>(data).map(drop)?,
        FactKind::Recovery => read::<WithdrawnCondition>(data).map(drop)?,
    }
    Ok(Body::Withdrawn { kind })
}

fn read<'a, T: Deserialize<'a>>(data: &'a RawValue) -> Result<T, RefusalReason> {
    serde_json::from_str(data.get()).map_err(|_| RefusalReason::Malformed)
}

fn kind(data: &RawValue) -> Result<FactKind, RefusalReason> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct AnyResource<'a> {
        #[serde(borrow)]
        resource_type: Cow<'a, str>,
    }
    match read::<AnyResource<'_>>(data)?.resource_type.as_ref() {
        "Immunization" => Ok(FactKind::Vaccination),
        "Observation" => Ok(FactKind::Test),
        "Condition" => Ok(FactKind::Recovery),
        _ => Err(RefusalReason::Malformed),
    }
}

fn subject(patient: &Patient<'_>) -> Result<Subject, RefusalReason> {
    if patient.identifier.len() > Subject::MAX {
        return Err(RefusalReason::BadSubject);
    }
    let pseudonyms = patient
        .identifier
        .iter()
        .map(pseudonym)
        .collect::<Option<_>>();
    pseudonyms
        .and_then(Subject::new)
        .ok_or(RefusalReason::BadSubject)
}

fn pseudonym(identifier: &Identifier<'_>) -> Option<Pseudonym> {
    let mut parts = identifier.system.strip_prefix(SYSTEM_PREFIX)?.split(':');
    let suite = Suite::from_str(parts.next()?).ok()?;
    let scheme = Scheme::from_str(parts.next()?).ok()?;
    let epoch = number(parts.next()?)?;
    let value = hex::read(identifier.value.as_bytes())?;
    parts.next().is_none().then_some(Pseudonym {
        scheme,
        suite,
        epoch,
        value,
    })
}

/// Reads dose and series; the text `unknown` stands for a dose exactly where only the series is
/// known.
fn doses([protocol]: [ProtocolApplied; 1]) -> Result<(Option<u8>, Option<u8>), RefusalReason> {
    let dose = protocol.dose_number_positive_int;
    let series = protocol.series_doses_positive_int;
    let is_consistent = match protocol.dose_number_string {
        Some(_) => dose.is_none() && series.is_some(),
        None => dose.is_some(),
    };
    let in_range = dose
        .into_iter()
        .chain(series)
        .all(|count| (1..=9).contains(&count));
    if is_consistent && in_range {
        Ok((dose, series))
    } else {
        Err(RefusalReason::Malformed)
    }
}

fn listed<T, const N: usize>(
    all: [T; N],
    matches: impl Fn(&T) -> bool,
) -> Result<T, RefusalReason> {
    all.into_iter()
        .find(matches)
        .ok_or(RefusalReason::UnknownCode)
}

fn date(text: impl AsRef<str>) -> Result<PartialDate, RefusalReason> {
    text.as_ref().parse().map_err(|_| RefusalReason::BadDate)
}

fn record(text: &str) -> Option<RecordDigest> {
    hex::read(text.as_bytes()).map(RecordDigest)
}

pub(super) fn version(text: &str) -> Option<Version> {
    number(text).and_then(Version::new)
}

/// Reads a number from 1, in decimal digits without a sign or leading zeros.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// Record and version of a refused event, where they can be read.
#[derive(Default)]
struct EventName {
    record: Option<RecordDigest>,
    version: Option<Version>,
}

impl EventName {
    fn read(raw: &RawValue) -> Self {
        #[derive(Deserialize)]
        struct AnyEvent<'a> {
            #[serde(borrow, default)]
            record: Option<&'a RawValue>,
            #[serde(borrow, default)]
            version: Option<&'a RawValue>,
        }
        let Ok(event) = serde_json::from_str::<AnyEvent<'_>>(raw.get()) else {
            return Self::default();
        };
        let text = |raw: Option<&RawValue>| serde_json::from_str::<String>(raw?.get()).ok();
        Self {
            record: text(event.record).and_then(|text| record(&text)),
            version: text(event.version).and_then(|text| version(&text)),
        }
    }
}

/// Elements of an array up to the contract's limit.
struct FirstEvents<'a> {
    events: Vec<&'a RawValue>,
    /// True if there were more.
    more: bool,
}

impl<'de> Deserialize<'de> for FirstEvents<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = FirstEvents<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<FirstEvents<'de>, A::Error> {
                let mut events = Vec::new();
                let mut more = false;
                while events.len() < MAX_EVENTS {
                    match seq.next_element()? {
                        Some(event) => events.push(event),
                        None => return Ok(FirstEvents { events, more }),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    more = true;
                }
                Ok(FirstEvents { events, more })
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}
