//! Mapping of an Immunization, Observation or Condition to a clinic record; whatever is malformed
//! stays visible as such.

use chrono_tz::Tz;
use connector_kit::{ClinicDate, ClinicFact, Coding, Dose, Feed, Field, FieldFault, RecordStatus};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::date::{clinic_date, not_a_date};
use crate::model::{
    CodeableConcept, Condition, Immunization, Observation, Period, ProtocolApplied, Reference,
};

/// A resource's content, before its person is looked up.
pub(crate) struct MappedResource {
    pub status: RecordStatus,
    pub fact: ClinicFact,
    pub subject: Reference,
    pub contained: Vec<Box<RawValue>>,
}

/// The resource type a feed reads.
pub(crate) const fn resource_type(feed: Feed) -> &'static str {
    match feed {
        Feed::Vaccinations => "Immunization",
        Feed::Tests => "Observation",
        Feed::Recoveries => "Condition",
    }
}

/// Maps a resource of the feed's type. One of the wrong shape gets the status `Unknown`, so that it
/// is refused by id.
pub(crate) fn map(feed: Feed, json: &str, zone: Tz) -> MappedResource {
    // serde would take a JSON list for a struct's fields in order.
    if !json.trim_start().starts_with('{') {
        return malformed(feed);
    }
    let mapped = match feed {
        Feed::Vaccinations => {
            serde_json::from_str(json).map(|resource| vaccination(resource, zone))
        }
        Feed::Tests => serde_json::from_str(json).map(|resource| test(resource, zone)),
        Feed::Recoveries => serde_json::from_str(json).map(|resource| recovery(resource, zone)),
    };
    mapped.unwrap_or_else(|_| malformed(feed))
}

fn malformed(feed: Feed) -> MappedResource {
    let fact = match feed {
        Feed::Vaccinations => ClinicFact::Vaccination {
            vaccine: Vec::new(),
            dose_number: Field::Missing,
            series_doses: Field::Missing,
            occurred_on: not_a_date(),
        },
        Feed::Tests => ClinicFact::Test {
            test: Vec::new(),
            result: Vec::new(),
            occurred_on: not_a_date(),
        },
        Feed::Recoveries => ClinicFact::Recovery {
            diagnosis: Vec::new(),
            began_on: Field::Missing,
            occurred_on: not_a_date(),
        },
    };
    MappedResource {
        status: RecordStatus::Unknown,
        fact,
        subject: Reference::default(),
        contained: Vec::new(),
    }
}

fn vaccination(resource: Immunization, zone: Tz) -> MappedResource {
    let status = match resource.status.as_deref() {
        Some("completed") => RecordStatus::Final,
        Some("entered-in-error") => RecordStatus::Cancelled,
        Some("not-done") => RecordStatus::NotAFact,
        _ => RecordStatus::Unknown,
    };
    let protocol = resource
        .protocol_applied
        .into_iter()
        .next()
        .unwrap_or_default();
    let ProtocolApplied {
        dose_number_positive_int,
        dose_number_string,
        series_doses_positive_int,
        series_doses_string,
    } = protocol;
    let fact = ClinicFact::Vaccination {
        vaccine: codings(resource.vaccine_code),
        dose_number: dose(dose_number_positive_int.or(dose_number_string)),
        series_doses: dose(series_doses_positive_int.or(series_doses_string)),
        occurred_on: date_or_text(
            resource.occurrence_date_time.as_deref(),
            resource.occurrence_string.as_deref(),
            zone,
        ),
    };
    MappedResource {
        status,
        fact,
        subject: resource.patient,
        contained: resource.contained,
    }
}

fn test(resource: Observation, zone: Tz) -> MappedResource {
    let status = match resource.status.as_deref() {
        Some("final" | "amended" | "corrected") => RecordStatus::Final,
        Some("cancelled" | "entered-in-error") => RecordStatus::Cancelled,
        Some("registered" | "preliminary" | "unknown") => RecordStatus::NotAFact,
        _ => RecordStatus::Unknown,
    };
    let mut result = resource
        .value_codeable_concept
        .map(codings)
        .unwrap_or_default();
    result.extend(local(resource.value_string.as_deref()));
    let start = resource.effective_period.and_then(|period| period.start);
    let effective = resource
        .effective_date_time
        .or(resource.effective_instant)
        .or(start);
    let fact = ClinicFact::Test {
        test: codings(resource.code),
        result,
        occurred_on: clinic_date(effective.as_deref(), zone),
    };
    MappedResource {
        status,
        fact,
        subject: resource.subject,
        contained: resource.contained,
    }
}

fn recovery(resource: Condition, zone: Tz) -> MappedResource {
    let ended = period_or(
        resource.abatement_date_time,
        resource.abatement_period,
        |period| period.end,
    );
    let occurred_on = date_or_text(ended.as_deref(), resource.abatement_string.as_deref(), zone);
    let began = period_or(resource.onset_date_time, resource.onset_period, |period| {
        period.start
    });
    let status = condition_status(
        status_code(&resource.verification_status),
        status_code(&resource.clinical_status),
        occurred_on.value().is_some(),
    );
    let fact = ClinicFact::Recovery {
        diagnosis: codings(resource.code),
        began_on: date_or_text(began.as_deref(), resource.onset_string.as_deref(), zone),
        occurred_on,
    };
    MappedResource {
        status,
        fact,
        subject: resource.subject,
        contained: resource.contained,
    }
}

/// A diagnosis counts once it is not in doubt and the illness is over.
fn condition_status(
    verification: Option<&str>,
    clinical: Option<&str>,
    has_end: bool,
) -> RecordStatus {
    match (verification, clinical) {
        (Some("entered-in-error"), _) => RecordStatus::Cancelled,
        (Some("refuted" | "unconfirmed" | "provisional" | "differential"), _) => {
            RecordStatus::NotAFact
        }
        (Some("confirmed") | None, clinical) => match clinical {
            Some("resolved" | "remission" | "inactive") => RecordStatus::Final,
            Some("active" | "recurrence" | "relapse") => RecordStatus::NotAFact,
            None if has_end => RecordStatus::Final,
            None => RecordStatus::NotAFact,
            Some(_) => RecordStatus::Unknown,
        },
        (Some(_), _) => RecordStatus::Unknown,
    }
}

/// Code of a status that FHIR writes as a CodeableConcept: the first one of HL7's own systems,
/// else the first.
fn status_code(concept: &CodeableConcept) -> Option<&str> {
    let official = |coding: &&crate::model::Coding| {
        coding.system.as_deref().is_some_and(|system| {
            system.starts_with("http://terminology.hl7.org/CodeSystem/condition-")
        })
    };
    concept
        .coding
        .iter()
        .find(official)
        .or(concept.coding.first())?
        .code
        .as_deref()
}

fn period_or(
    date: Option<String>,
    period: Option<Period>,
    end: fn(Period) -> Option<String>,
) -> Option<String> {
    date.or_else(|| period.and_then(end))
}

/// A date, or free text in its place, which is never a date.
fn date_or_text(date: Option<&str>, text: Option<&str>, zone: Tz) -> Field<ClinicDate> {
    match (clinic_date(date, zone), text) {
        (Field::Missing, Some(text)) if !text.trim().is_empty() => not_a_date(),
        (field, _) => field,
    }
}

/// Every coding that has a code, then the text and the codes' displays as words of the clinic's
/// own.
///
/// The words decide nothing against a code, but they show when a code for something else was picked
/// by mistake.
fn codings(concept: CodeableConcept) -> Vec<Coding> {
    let mut words: Vec<Coding> = local(concept.text.as_deref()).into_iter().collect();
    for display in concept
        .coding
        .iter()
        .filter_map(|coding| local(coding.display.as_str()))
    {
        if words.iter().all(|word| word.code != display.code) {
            words.push(display);
        }
    }
    let coded = concept.coding.into_iter().filter_map(|coding| {
        let code = coding.code.filter(|code| !code.trim().is_empty())?;
        Some(Coding {
            system: coding.system.filter(|system| !system.is_empty()),
            code,
        })
    });
    coded.chain(words).collect()
}

fn local(text: Option<&str>) -> Option<Coding> {
    text.map(str::trim)
        .filter(|text| !text.is_empty())
        .map(Coding::local)
}

/// Longest word for a dose, in characters; a longer one is no number of a dose.
const MAX_DOSE_CHARS: usize = 128;

/// A number of doses: a JSON number, or text, which may be a number or a word for one.
fn dose(value: Option<Value>) -> Field<Dose> {
    let dose = match value {
        None | Some(Value::Null) => return Field::Missing,
        Some(Value::String(text)) => match text.trim() {
            "" => return Field::Missing,
            word => word.parse().map(Dose::Number).ok().or_else(|| {
                let is_short = word.chars().nth(MAX_DOSE_CHARS).is_none();
                is_short.then(|| Dose::Word(word.to_owned()))
            }),
        },
        Some(value) => value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .map(Dose::Number),
    };
    dose.map_or(Field::Invalid(FieldFault::NotANumber), Field::Value)
}

#[cfg(test)]
mod tests;
