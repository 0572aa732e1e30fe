//! Mapping of a Condition: an illness that ended.

use az::SaturatingAs as _;
use chrono::Days;
use connector_kit::{ClinicDate, ClinicFact, Field, RecordStatus};

use super::{MappedResource, MappingRules, codings, date_or_text};
use crate::config::RecoveredOn;
use crate::date::{clinic_date, last_day};
use crate::model::{CodeableConcept, Condition, Period};

pub(super) fn recovery(resource: Condition, rules: MappingRules) -> MappedResource {
    let zone = rules.zone;
    let ended = period_or(
        resource.abatement_date_time,
        resource.abatement_period,
        |period| period.end,
    );
    let told = clinic_date(ended.as_deref(), zone);
    let began = period_or(resource.onset_date_time, resource.onset_period, |period| {
        period.start
    });
    let began_on = date_or_text(began.as_deref(), resource.onset_string.as_deref(), zone);
    let clinical = status_code(&resource.clinical_status);
    let status = condition_status(
        status_code(&resource.verification_status),
        clinical,
        told.value().is_some(),
    );
    let is_over = matches!(clinical, Some("resolved" | "remission" | "inactive"));
    let occurred_on = match told {
        // Also beside free text, an age or a range, which tell no day.
        Field::Missing if is_over && rules.recovered_on != RecoveredOn::Abatement => {
            let changed = clinic_date(resource.meta["lastUpdated"].as_str(), zone);
            instead(rules.recovered_on, &began_on, changed)
        }
        Field::Missing => date_or_text(None, resource.abatement_string.as_deref(), zone),
        told => told,
    };
    MappedResource {
        status,
        fact: ClinicFact::Recovery {
            diagnosis: codings(resource.code),
            began_on,
            occurred_on,
        },
        subject: resource.subject,
        contained: resource.contained,
    }
}

/// The day of recovery where the server tells none. `changed`: the day of the resource's last
/// change.
fn instead(
    rule: RecoveredOn,
    began_on: &Field<ClinicDate>,
    changed: Field<ClinicDate>,
) -> Field<ClinicDate> {
    match rule {
        RecoveredOn::Abatement => Field::Missing,
        RecoveredOn::LastUpdated => changed,
        RecoveredOn::OnsetPlusDays(days) => {
            let Field::Value(ClinicDate::Day(began)) = began_on else {
                return Field::Missing;
            };
            let Some(day) = began.checked_add_days(Days::new(days.saturating_as())) else {
                return Field::Missing;
            };
            // By the day on which the server said so it was over.
            let latest = changed.value().copied().and_then(last_day);
            let day = latest.map_or(day, |latest| day.min(latest.max(*began)));
            Field::Value(ClinicDate::Day(day))
        }
    }
}

/// Of a Condition's two status words the one that is not understood.
pub(super) fn unmapped_status(condition: &Condition) -> Option<String> {
    let verification = status_code(&condition.verification_status);
    let word = match condition_status(verification, None, false) {
        RecordStatus::Unknown => verification,
        _ => status_code(&condition.clinical_status),
    };
    word.map(str::to_owned)
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
