//! A second encoder, through serde and the wire types: the hand-written one must give the same
//! bytes.

use std::borrow::Cow;

use serde::Serialize;

use crate::wire::constants::SYSTEM_PREFIX;
use crate::wire::envelope::{Envelope, FactType, FhirJson, Source, SpecVersion, WithdrawalType};
use crate::wire::fhir::{
    Coding, Concept, Condition, Identifier, Immunization, Observation, Patient, PatientId,
    PatientName, ProtocolApplied, UnknownDose, WithdrawnCondition, WithdrawnImmunization,
    WithdrawnObservation,
};
use crate::{Body, Event, Fact, FactKind, PartialDate, Pseudonym, RecordDigest, Subject};

/// Attributes of the envelope.
struct Attributes {
    /// `<record>/<version>`.
    id: String,
    content: String,
    owner: String,
}

/// The event's JSON.
pub(super) fn event(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    append(event, &mut out);
    out
}

fn append(event: &Event, out: &mut Vec<u8>) {
    let attributes = Attributes {
        id: format!("{}/{}", event.record.to_hex(), event.version.to_u64()),
        content: event.content.to_hex(),
        owner: hex::encode(event.owner.0),
    };
    match &event.body {
        Body::Asserted { subject, fact } => asserted(&attributes, subject, fact, out),
        Body::Withdrawn {
            kind: FactKind::Vaccination,
        } => {
            write(
                &attributes,
                WithdrawalType,
                &WithdrawnImmunization::default(),
                out,
            );
        }
        Body::Withdrawn {
            kind: FactKind::Test,
        } => {
            write(
                &attributes,
                WithdrawalType,
                &WithdrawnObservation::default(),
                out,
            );
        }
        Body::Withdrawn {
            kind: FactKind::Recovery,
        } => {
            write(
                &attributes,
                WithdrawalType,
                &WithdrawnCondition::default(),
                out,
            );
        }
    }
}

fn asserted(attributes: &Attributes, subject: &Subject, fact: &Fact, out: &mut Vec<u8>) {
    let contained = [patient(subject)];
    match *fact {
        Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        } => {
            let (system, code) = vaccine.coding();
            let product = Coding {
                system: Cow::Borrowed(system),
                code: Cow::Borrowed(code),
            };
            let coding = (product, coding(vaccine.atc()));
            let resource = Immunization {
                resource_type: Default::default(),
                contained,
                status: Default::default(),
                vaccine_code: Concept { coding },
                patient: Default::default(),
                occurrence_date_time: date(occurred_on),
                protocol_applied: protocol(dose_number, series_doses),
            };
            write(attributes, FactType, &resource, out);
        }
        Fact::Test {
            test,
            result,
            occurred_on,
        } => {
            let resource = Observation {
                resource_type: Default::default(),
                contained,
                status: Default::default(),
                code: Concept {
                    coding: [coding(test.loinc())],
                },
                subject: Default::default(),
                effective_date_time: date(occurred_on),
                value_codeable_concept: Concept {
                    coding: [coding(result.snomed())],
                },
            };
            write(attributes, FactType, &resource, out);
        }
        Fact::Recovery {
            began_on,
            occurred_on,
        } => {
            let resource = Condition {
                resource_type: Default::default(),
                contained,
                clinical_status: Default::default(),
                verification_status: Default::default(),
                code: Concept {
                    coding: [coding(crate::wire::constants::ILLNESS_ICD10)],
                },
                subject: Default::default(),
                onset_date_time: began_on.map(date),
                abatement_date_time: date(occurred_on),
            };
            write(attributes, FactType, &resource, out);
        }
    }
}

fn write<T: Serialize, D: Serialize>(
    attributes: &Attributes,
    event_type: T,
    data: &D,
    out: &mut Vec<u8>,
) {
    let id = attributes.id.as_str();
    let record = &id[..RecordDigest::HEX_CHARS];
    let version = &id[RecordDigest::HEX_CHARS + 1..];
    let envelope = Envelope {
        specversion: SpecVersion,
        id: Cow::Borrowed(id),
        source: Source,
        event_type,
        datacontenttype: FhirJson,
        record: Cow::Borrowed(record),
        version: Cow::Borrowed(version),
        content: Cow::Borrowed(&attributes.content),
        owner: Cow::Borrowed(&attributes.owner),
        data,
    };
    serde_json::to_writer(out, &envelope)
        .expect("plain structs of texts and numbers always serialise");
}

fn patient(subject: &Subject) -> Patient<'static> {
    let identifier = subject.pseudonyms().iter().map(identifier).collect();
    Patient {
        resource_type: PatientName,
        id: PatientId,
        identifier,
    }
}

fn identifier(pseudonym: &Pseudonym) -> Identifier<'static> {
    let Pseudonym {
        scheme,
        suite,
        epoch,
        value,
    } = pseudonym;
    Identifier {
        system: Cow::Owned(format!(
            "{SYSTEM_PREFIX}{}:{}:{epoch}",
            suite.as_str(),
            scheme.as_str()
        )),
        value: Cow::Owned(hex::encode(value)),
    }
}

/// FHIR wants a dose number wherever a protocol is given, so a course without one says `unknown`.
fn protocol(dose: Option<u8>, series: Option<u8>) -> Option<[ProtocolApplied; 1]> {
    (dose.is_some() || series.is_some()).then(|| {
        [ProtocolApplied {
            dose_number_positive_int: dose,
            dose_number_string: dose.is_none().then_some(UnknownDose),
            series_doses_positive_int: series,
        }]
    })
}

fn coding<S: Default>(code: &'static str) -> Coding<S, Cow<'static, str>> {
    Coding {
        system: S::default(),
        code: Cow::Borrowed(code),
    }
}

fn date(date: PartialDate) -> Cow<'static, str> {
    Cow::Owned(date.to_string())
}
