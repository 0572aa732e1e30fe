//! Mapping of an Immunization, Observation or Condition to a clinic record; whatever is malformed
//! stays visible as such.

mod condition;

use chrono_tz::Tz;
use connector_kit::{ClinicDate, ClinicFact, Coding, Dose, Feed, Field, FieldFault, RecordStatus};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::RecoveredOn;
use crate::date::{clinic_date, not_a_date};
use crate::model::{CodeableConcept, Immunization, Observation, ProtocolApplied, Reference};

/// A resource's content, before its person is looked up.
pub(crate) struct MappedResource {
    pub status: RecordStatus,
    pub fact: ClinicFact,
    pub subject: Reference,
    pub contained: Vec<Box<RawValue>>,
}

/// The elements of a resource by which searches find it.
#[derive(Deserialize)]
struct CodedResource {
    #[serde(default, rename = "vaccineCode")]
    vaccine_code: Value,
    #[serde(default)]
    code: Value,
}

/// Settings by which resources are mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MappingRules {
    pub zone: Tz,
    pub recovered_on: RecoveredOn,
}

#[cfg(test)]
impl MappingRules {
    /// The rules of a configuration that says nothing but the zone.
    pub(crate) fn plain(zone: Tz) -> Self {
        Self {
            zone,
            recovered_on: RecoveredOn::default(),
        }
    }
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
pub(crate) fn map(feed: Feed, json: &str, rules: MappingRules) -> MappedResource {
    let zone = rules.zone;
    // serde would take a JSON list for a struct's fields in order.
    if !json.trim_start().starts_with('{') {
        return malformed(feed);
    }
    let mapped = match feed {
        Feed::Vaccinations => {
            serde_json::from_str(json).map(|resource| vaccination(resource, zone))
        }
        Feed::Tests => serde_json::from_str(json).map(|resource| test(resource, zone)),
        Feed::Recoveries => {
            serde_json::from_str(json).map(|resource| condition::recovery(resource, rules))
        }
    };
    mapped.unwrap_or_else(|_| malformed(feed))
}

fn malformed(feed: Feed) -> MappedResource {
    MappedResource {
        status: RecordStatus::Unknown,
        fact: unread(feed),
        subject: Reference::default(),
        contained: Vec::new(),
    }
}

/// The content of a resource that cannot be read, or is not there to be read.
pub(crate) const fn unread(feed: Feed) -> ClinicFact {
    match feed {
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
    // Beside a number, such as a Ct value, it is all that there is; beside a word it has to agree.
    for concept in interpretations(&resource.interpretation) {
        result.extend(codings(concept));
    }
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

/// The interpretations of an Observation: a list, or one alone, as older versions of FHIR have it.
fn interpretations(value: &Value) -> Vec<CodeableConcept> {
    let one_by_one = match value {
        Value::Array(concepts) => concepts.as_slice(),
        concept => std::slice::from_ref(concept),
    };
    let read = |concept: &Value| CodeableConcept::deserialize(concept).ok();
    one_by_one.iter().filter_map(read).collect()
}

/// The codes of a resource by which searches of its feed find it, whatever the rest of it is like;
/// `None` for what is no JSON object.
pub(crate) fn codings_of(feed: Feed, json: &str) -> Option<Vec<Coding>> {
    // serde would take a JSON list for a struct's fields in order.
    let is_object = json.trim_start().starts_with('{');
    let resource: CodedResource = serde_json::from_str(json).ok().filter(|_| is_object)?;
    let element = match feed {
        Feed::Vaccinations => resource.vaccine_code,
        Feed::Tests | Feed::Recoveries => resource.code,
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let listed = element["coding"].as_array().into_iter().flatten();
    let coded = listed.filter_map(|coding| {
        Some(Coding {
            system: text(&coding["system"]),
            code: text(&coding["code"])?,
        })
    });
    Some(coded.collect())
}

/// True for an Observation with a number for its result and nothing that says what it means.
pub(crate) fn is_bare_number(json: &str) -> bool {
    let resource: Value = serde_json::from_str(json).unwrap_or_default();
    let numbers = ["valueQuantity", "valueInteger", "valueRange", "valueRatio"];
    let words = ["valueCodeableConcept", "valueString", "interpretation"];
    numbers.iter().any(|name| !resource[name].is_null())
        && words.iter().all(|name| resource[name].is_null())
}

/// The status word of a resource whose status is `Unknown`; `None` where it has none, or where the
/// resource is of the wrong shape. Of a Condition's two words the one that is not understood.
pub(crate) fn unmapped_status(feed: Feed, json: &str) -> Option<String> {
    let resource: Value = serde_json::from_str(json).ok()?;
    if feed != Feed::Recoveries {
        return resource.get("status")?.as_str().map(str::to_owned);
    }
    if !resource.is_object() {
        return None;
    }
    condition::unmapped_status(&serde_json::from_str(json).ok()?)
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
