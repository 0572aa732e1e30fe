//! Preview of a record as it would leave, field by field, without showing who it is about.

use chrono::NaiveDate;
use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Dose, Field, Identifier, IdentifierKind,
};
use contract::{FactKind, PartialDate, Pseudonym, Suite, TestCode, TestResult, Vaccine};
use serde::Serialize;

use crate::apply::{Pseudonymiser, RecordMeaning, fact_kind};
use crate::codes::CodeTable;
use crate::doses::Doses;
use crate::held::HeldIdentifiers;
use crate::identifier::{IdentifierFault, NormalForm, Soundness, normalise, scheme};
use crate::rejection::RejectionReason;
use crate::release::VaccinationField;
use crate::{dates, fact};

/// Number of bytes of a pseudonym or digest that are shown.
const SHOWN_BYTES: usize = 4;

/// Record as it would leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Kind of fact: `vaccination`, `test` or `recovery`.
    pub kind: &'static str,
    /// Result that the record would have.
    pub verdict: PreviewVerdict,
    /// Each field, in the source's order.
    pub fields: Vec<FieldPreview>,
}

/// Result that a record would have if it were read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreviewVerdict {
    /// The fact leaves.
    Leaves,
    /// The record is taken back.
    Withdraws {
        /// True where that matters only if it had been sent before.
        only_if_sent: bool,
    },
    /// Record about something else than COVID-19.
    OutOfScope,
    /// Record that would stay at the clinic.
    Refused(RejectionReason),
}

/// Field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldPreview {
    /// Name of the field, as in a source's query.
    pub field: &'static str,
    /// Treatment of the field on its way out.
    pub treatment: Treatment,
    /// Outgoing form of the field, if it leaves; pseudonyms are shortened.
    pub outgoing: Option<String>,
    /// Reason to refuse the field, if there is one.
    pub reason: Option<RejectionReason>,
}

/// Treatment of a field on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// Leaves as it is.
    Kept,
    /// Leaves as a code of the contract's list.
    Coded,
    /// Leaves less exact than it is.
    Generalised,
    /// Leaves as a keyed digest only.
    Pseudonymised,
    /// Stays at the clinic.
    Dropped,
}

impl Treatment {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Coded => "coded",
            Self::Generalised => "generalised",
            Self::Pseudonymised => "pseudonymised",
            Self::Dropped => "dropped",
        }
    }
}

impl FieldPreview {
    fn new(field: &'static str, treatment: Treatment, outgoing: String) -> Self {
        Self {
            field,
            treatment,
            outgoing: Some(outgoing),
            reason: None,
        }
    }

    fn dropped(field: &'static str, reason: Option<RejectionReason>) -> Self {
        Self {
            field,
            treatment: Treatment::Dropped,
            outgoing: None,
            reason,
        }
    }
}

impl Pseudonymiser {
    /// Shows what would leave of this record today, the clinic's local date.
    #[must_use]
    pub fn preview(&self, record: &ClinicRecord, today: NaiveDate) -> Preview {
        let verdict = match self.meaning(record, today, &mut HeldIdentifiers::default()) {
            Ok(RecordMeaning::Asserted(..)) => PreviewVerdict::Leaves,
            Ok(RecordMeaning::Withdrawn { only_if_sent }) => {
                PreviewVerdict::Withdraws { only_if_sent }
            }
            Ok(RecordMeaning::OutOfScope) => PreviewVerdict::OutOfScope,
            Err(reason) => PreviewVerdict::Refused(reason),
        };
        let digest = self.digest_of(record);
        let mut fields = vec![FieldPreview::new(
            "record_id",
            Treatment::Pseudonymised,
            shortened(&digest.0),
        )];
        for identifier in &record.person.identifiers {
            self.push_identifier(identifier, &mut fields);
        }
        self.push_fact(&record.fact, today, &mut fields);
        if matches!(
            verdict,
            PreviewVerdict::Withdraws { .. } | PreviewVerdict::OutOfScope
        ) {
            // Nothing of a withdrawn record is repeated but its digest and kind.
            for field in fields.iter_mut().skip(1) {
                *field = FieldPreview::dropped(field.field, None);
            }
        }
        Preview {
            kind: fact_kind(record.fact.feed()).as_str(),
            verdict,
            fields,
        }
    }

    fn push_identifier(&self, identifier: &Identifier, fields: &mut Vec<FieldPreview>) {
        let name = identifier_field(identifier.kind);
        let mut normal_form = NormalForm::new();
        match normalise(identifier, &self.policy().identifiers, &mut normal_form) {
            Ok(soundness) => {
                let doubt = RejectionReason::IdentifierCheckDigit;
                let reason = (soundness == Soundness::WrongCheckDigit).then_some(doubt);
                fields.extend(
                    self.keys()
                        .of_every_suite(scheme(identifier.kind), &normal_form)
                        .map(|pseudonym| {
                            let outgoing = Some(pseudonym_words(&pseudonym));
                            FieldPreview {
                                field: name,
                                treatment: Treatment::Pseudonymised,
                                outgoing,
                                reason,
                            }
                        }),
                );
            }
            Err(IdentifierFault::Empty) => {}
            Err(fault) if fault.is_missing() => fields.push(FieldPreview::dropped(name, None)),
            Err(fault) => fields.push(FieldPreview::dropped(name, Some(fault.reason()))),
        }
    }

    fn push_fact(&self, fact: &ClinicFact, today: NaiveDate, fields: &mut Vec<FieldPreview>) {
        let policy = self.policy();
        match fact {
            ClinicFact::Vaccination {
                vaccine,
                dose_number,
                series_doses,
                occurred_on,
            } => {
                let unknown = RejectionReason::VaccineUnknown;
                fields.push(coded(
                    "vaccine_code",
                    &policy.vaccines,
                    vaccine,
                    unknown,
                    Vaccine::as_str,
                ));
                let doses = Doses::read(&policy.doses, dose_number, series_doses);
                let numbers = [
                    (
                        "dose_number",
                        dose_number,
                        doses.number,
                        doses.number_unread,
                        VaccinationField::DoseNumber,
                    ),
                    (
                        "series_doses",
                        series_doses,
                        doses.series,
                        doses.series_unread,
                        VaccinationField::SeriesDoses,
                    ),
                ];
                for (name, field, number, is_unread, optional) in numbers {
                    let is_allowed = self.release().releases_dose(optional);
                    let shown = dose(name, field, number, is_unread);
                    fields.extend(shown.map(|shown| released(shown, is_allowed)));
                }
                fields.extend(self.date("occurred_on", occurred_on, FactKind::Vaccination, today));
            }
            ClinicFact::Test {
                test,
                result,
                occurred_on,
            } => {
                let unknown = RejectionReason::TestUnknown;
                fields.push(coded(
                    "test_code",
                    &policy.tests,
                    test,
                    unknown,
                    TestCode::loinc,
                ));
                let unknown = RejectionReason::ResultUnknown;
                fields.push(coded(
                    "result_code",
                    &policy.results,
                    result,
                    unknown,
                    TestResult::as_str,
                ));
                fields.extend(self.date("occurred_on", occurred_on, FactKind::Test, today));
            }
            ClinicFact::Recovery {
                diagnosis,
                began_on,
                occurred_on,
            } => {
                let unknown = RejectionReason::DiagnosisUnknown;
                fields.push(coded(
                    "diagnosis_code",
                    &policy.diagnoses,
                    diagnosis,
                    unknown,
                    |()| "U07.1",
                ));
                let is_allowed = self.release().releases_beginning();
                let began = self.date("began_on", began_on, FactKind::Recovery, today);
                fields.extend(began.map(|shown| released(shown, is_allowed)));
                fields.extend(self.date("occurred_on", occurred_on, FactKind::Recovery, today));
            }
        }
    }

    fn date(
        &self,
        name: &'static str,
        field: &Field<ClinicDate>,
        kind: FactKind,
        today: NaiveDate,
    ) -> Option<FieldPreview> {
        let leaves = |date: PartialDate| {
            let outgoing = date.generalised_to(self.precision(kind));
            let treatment = if outgoing == date {
                Treatment::Kept
            } else {
                Treatment::Generalised
            };
            FieldPreview::new(name, treatment, outgoing.to_string())
        };
        match dates::optional(field, kind, today) {
            Ok(date) => date.map(leaves),
            Err(reason) => Some(FieldPreview::dropped(name, Some(reason))),
        }
    }
}

/// The field as it is where the release policy allows it, else one that stays at the clinic; why it
/// cannot be read is told all the same.
fn released(shown: FieldPreview, is_allowed: bool) -> FieldPreview {
    if is_allowed {
        shown
    } else {
        FieldPreview::dropped(shown.field, shown.reason)
    }
}

fn coded<T: Copy + PartialEq>(
    name: &'static str,
    table: &CodeTable<T>,
    codings: &[connector_kit::Coding],
    unknown: RejectionReason,
    word: fn(T) -> &'static str,
) -> FieldPreview {
    match fact::in_scope(table, codings, unknown) {
        Ok(Some(item)) => FieldPreview::new(name, Treatment::Coded, word(item).to_owned()),
        Ok(None) => FieldPreview::dropped(name, None),
        Err(reason) => FieldPreview::dropped(name, Some(reason)),
    }
}

/// A number of doses; `None` where the record states none.
fn dose(
    name: &'static str,
    field: &Field<Dose>,
    number: Option<u8>,
    is_unread: bool,
) -> Option<FieldPreview> {
    match (number, field) {
        (Some(number), Field::Value(Dose::Number(_))) => {
            let outgoing = number.to_string();
            Some(FieldPreview::new(name, Treatment::Kept, outgoing))
        }
        (Some(number), _) => {
            let outgoing = number.to_string();
            Some(FieldPreview::new(name, Treatment::Coded, outgoing))
        }
        (None, Field::Missing) => None,
        (None, _) => {
            let reason = is_unread.then_some(RejectionReason::DoseInvalid);
            Some(FieldPreview::dropped(name, reason))
        }
    }
}

/// A pseudonym in words: suite, epoch and its first bytes. One that key services evaluate is not
/// known before it is sent.
fn pseudonym_words(pseudonym: &Pseudonym) -> String {
    if pseudonym.suite == Suite::Voprf {
        return format!("{}, evaluated when it is sent", pseudonym.suite.as_str());
    }
    format!(
        "{}/{} {}",
        pseudonym.suite.as_str(),
        pseudonym.epoch,
        shortened(&pseudonym.value)
    )
}

fn shortened(digest: &[u8; 32]) -> String {
    let shown: String = digest[..SHOWN_BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    shown + "…"
}

const fn identifier_field(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Snils => "person_snils",
        IdentifierKind::Oms => "person_oms",
        IdentifierKind::PassportRu => "person_passport",
        IdentifierKind::NationalId => "person_national_id",
        IdentifierKind::PassportForeign => "person_passport_foreign",
        IdentifierKind::Ehic => "person_ehic",
        IdentifierKind::ResidencePermit => "person_residence_permit",
        IdentifierKind::BirthCertificate => "person_birth_certificate",
    }
}

#[cfg(test)]
mod tests;
