//! The value that a record is refused for, and the person it was seen with.

use chrono::NaiveDate;
use connector_kit::{ClinicFact, ClinicRecord, Coding};
use contract::Subject;
use record_secrets::{ValueDigest, ValuePerson};
use secrecy::ExposeSecret as _;

use super::seen::SeenValue;
use super::value::{UnknownValue, ValueTable};
use crate::apply::Pseudonymiser;
use crate::held::HeldIdentifiers;
use crate::identifier::{IdentifierFault, NormalForm, identifier_text, normalise};
use crate::rejection::RejectionReason;

/// Most codes of a field that contradict each other and are named.
const MAX_CONFLICTING: usize = 3;

impl Pseudonymiser {
    /// The value for which a record is refused today, the clinic's local date; `None` where it is
    /// not refused, or not for a value.
    #[must_use]
    pub fn unknown_value(&self, record: &ClinicRecord, today: NaiveDate) -> Option<SeenValue> {
        let held = &mut HeldIdentifiers::default();
        let reason = self.meaning(record, today, held).err()?;
        self.seen_value(record, reason)
    }

    /// Returns whether the configuration maps the value by now. Of words that the connector maps,
    /// and of codes that contradict each other, it says no.
    #[must_use]
    pub fn is_known(&self, value: &UnknownValue) -> bool {
        let policy = self.policy();
        let coding = [Coding {
            system: value.system.clone(),
            code: value.word.clone(),
        }];
        match value.table {
            ValueTable::Vaccines => policy.vaccines.is_known(&coding),
            ValueTable::Tests => policy.tests.is_known(&coding),
            ValueTable::Results => policy.results.is_known(&coding),
            ValueTable::Diagnoses => policy.diagnoses.is_known(&coding),
            ValueTable::Countries | ValueTable::Status | ValueTable::Conflicts => false,
        }
    }

    /// The value that the reason is about, with its digests.
    pub(crate) fn seen_value(
        &self,
        record: &ClinicRecord,
        reason: RejectionReason,
    ) -> Option<SeenValue> {
        let value = self.value_of(record, reason)?;
        let parts = [
            value.table.as_str(),
            value.system.as_deref().unwrap_or(""),
            &value.grouped(),
        ];
        let digest = self.secrets().values().digest(&parts.map(str::as_bytes));
        Some(SeenValue {
            persons: self.persons(record, &digest),
            value,
            digest,
        })
    }

    fn value_of(&self, record: &ClinicRecord, reason: RejectionReason) -> Option<UnknownValue> {
        use RejectionReason as Reason;
        use ValueTable as Table;
        let policy = self.policy();
        let of = |table, coding: Option<&Coding>| UnknownValue::of_coding(table, coding?);
        match (reason, &record.fact) {
            (Reason::StatusUnknown, _) => {
                UnknownValue::new(Table::Status, None, record.unmapped_status.as_deref()?)
            }
            (Reason::VaccineUnknown, ClinicFact::Vaccination { vaccine, .. }) => {
                of(Table::Vaccines, policy.vaccines.undecided(vaccine))
            }
            (Reason::TestUnknown, ClinicFact::Test { test, .. }) => {
                of(Table::Tests, policy.tests.undecided(test))
            }
            (Reason::ResultUnknown, ClinicFact::Test { result, .. }) => {
                of(Table::Results, policy.results.undecided(result))
            }
            (Reason::DiagnosisUnknown, ClinicFact::Recovery { diagnosis, .. }) => {
                of(Table::Diagnoses, policy.diagnoses.undecided(diagnosis))
            }
            (Reason::CountryUnknown, _) => self.unknown_country(record),
            (Reason::CodeConflict, fact) => {
                let result = match fact {
                    ClinicFact::Test { test, result, .. } if policy.tests.is_known(test) => result,
                    fact => fact.codings(),
                };
                conflict(result)
            }
            _ => None,
        }
    }

    /// The issuing country that is on no list, of the first identifier that lacks a known one.
    fn unknown_country(&self, record: &ClinicRecord) -> Option<UnknownValue> {
        let rules = &self.policy().identifiers;
        let mut normal_form = NormalForm::new();
        let identifiers = record.person.identifiers.iter().take(Subject::MAX);
        let mut unknown = identifiers.filter(|identifier| {
            let fault = normalise(identifier, rules, &mut normal_form).err();
            fault == Some(IdentifierFault::CountryUnknown)
        });
        let country = unknown.next()?.country.as_deref()?;
        UnknownValue::new(ValueTable::Countries, None, country)
    }

    /// Digests of the person's usable identifiers.
    fn persons(&self, record: &ClinicRecord, value: &ValueDigest) -> Vec<ValuePerson> {
        let rules = &self.policy().identifiers;
        let mut normal_form = NormalForm::new();
        let identifiers = record.person.identifiers.iter().take(Subject::MAX);
        let digests = identifiers.filter_map(|identifier| {
            let number = match normalise(identifier, rules, &mut normal_form) {
                Ok(_) => normal_form.as_bytes(),
                // The number is whole; what is wrong with it is its country.
                Err(IdentifierFault::CountryUnknown | IdentifierFault::CountryMissing) => {
                    identifier.value.expose_secret().trim().as_bytes()
                }
                Err(_) => return None,
            };
            let text = identifier_text(identifier.kind, number);
            Some(self.secrets().values().person(value, &text))
        });
        digests.collect()
    }
}

/// Codes that contradict each other, side by side.
fn conflict(codings: &[Coding]) -> Option<UnknownValue> {
    let values = codings
        .iter()
        .filter_map(|coding| UnknownValue::of_coding(ValueTable::Conflicts, coding));
    let keys: Vec<String> = values
        .take(MAX_CONFLICTING)
        .map(|value| value.key())
        .collect();
    UnknownValue::new(ValueTable::Conflicts, None, &keys.join(" beside "))
}
