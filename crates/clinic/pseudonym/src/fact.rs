//! The medical part of a record: codes onto the contract's lists, doses and dates within bounds.

use chrono::NaiveDate;
use connector_kit::{ClinicDate, ClinicFact, Coding, Field};
use contract::{Fact, FactKind, PartialDate};

use crate::codes::{CodeTable, Unresolved};
use crate::dates;
use crate::doses::Doses;
use crate::policy::Policy;
use crate::rejection::RejectionReason;

/// What a record states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Converted {
    /// The fact as it leaves, and the number of its doses' numbers that are left out.
    Fact(Fact, u8),
    /// Something else than COVID-19.
    OutOfScope,
    /// A test without a result (yet).
    NoResult,
}

/// The fact as it leaves, if it is one.
pub(crate) fn convert(
    policy: &Policy,
    fact: &ClinicFact,
    today: NaiveDate,
) -> Result<Converted, RejectionReason> {
    match fact {
        ClinicFact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        } => {
            let most = policy.precision(FactKind::Vaccination);
            let Some(vaccine) =
                in_scope(&policy.vaccines, vaccine, RejectionReason::VaccineUnknown)?
            else {
                return Ok(Converted::OutOfScope);
            };
            let occurred_on =
                dates::required(occurred_on, FactKind::Vaccination, today)?.generalised_to(most);
            let doses = Doses::read(&policy.doses, dose_number, series_doses);
            let fact = Fact::Vaccination {
                vaccine,
                dose_number: doses.number,
                series_doses: doses.series,
                occurred_on,
            };
            Ok(Converted::Fact(fact, doses.unread()))
        }
        ClinicFact::Test {
            test,
            result,
            occurred_on,
        } => {
            let most = policy.precision(FactKind::Test);
            let test = in_scope(&policy.tests, test, RejectionReason::TestUnknown);
            if test == Ok(None) {
                return Ok(Converted::OutOfScope);
            }
            // What the test was matters only once it has a result.
            let result = in_scope(&policy.results, result, RejectionReason::ResultUnknown);
            if result == Ok(None) {
                return Ok(Converted::NoResult);
            }
            let test = test?.ok_or(RejectionReason::TestUnknown)?;
            let result = result?.ok_or(RejectionReason::ResultUnknown)?;
            let occurred_on =
                dates::required(occurred_on, FactKind::Test, today)?.generalised_to(most);
            let fact = Fact::Test {
                test,
                result,
                occurred_on,
            };
            Ok(Converted::Fact(fact, 0))
        }
        ClinicFact::Recovery {
            diagnosis,
            began_on,
            occurred_on,
        } => {
            let most = policy.precision(FactKind::Recovery);
            if in_scope(
                &policy.diagnoses,
                diagnosis,
                RejectionReason::DiagnosisUnknown,
            )?
            .is_none()
            {
                return Ok(Converted::OutOfScope);
            }
            let (began, ended) = illness(began_on, occurred_on, today)?;
            let began_on = began.map(|date| date.generalised_to(most));
            let fact = Fact::Recovery {
                began_on,
                occurred_on: ended.generalised_to(most),
            };
            Ok(Converted::Fact(fact, 0))
        }
    }
}

/// Whether the fact's code says that it is about something else, whatever state its other fields
/// are in.
pub(crate) fn is_out_of_scope(policy: &Policy, fact: &ClinicFact) -> bool {
    let out_of_scope = Some(Unresolved::OutOfScope);
    match fact {
        ClinicFact::Vaccination { vaccine, .. } => {
            policy.vaccines.resolve(vaccine).err() == out_of_scope
        }
        ClinicFact::Test { test, .. } => policy.tests.resolve(test).err() == out_of_scope,
        ClinicFact::Recovery { diagnosis, .. } => {
            policy.diagnoses.resolve(diagnosis).err() == out_of_scope
        }
    }
}

/// Meaning of one field's codes in the contract's list; `None` if they are about something else.
pub(crate) fn in_scope<T: Copy + PartialEq>(
    table: &CodeTable<T>,
    codings: &[Coding],
    unknown: RejectionReason,
) -> Result<Option<T>, RejectionReason> {
    match table.resolve(codings) {
        Ok(item) => Ok(Some(item)),
        Err(Unresolved::OutOfScope) => Ok(None),
        Err(Unresolved::Unknown) => Err(unknown),
        Err(Unresolved::Conflict) => Err(RejectionReason::CodeConflict),
    }
}

/// When an illness began, if that is known, and when it ended.
fn illness(
    began_on: &Field<ClinicDate>,
    occurred_on: &Field<ClinicDate>,
    today: NaiveDate,
) -> Result<(Option<PartialDate>, PartialDate), RejectionReason> {
    let ended = dates::required(occurred_on, FactKind::Recovery, today)?;
    let began = dates::optional(began_on, FactKind::Recovery, today)?;
    match began {
        Some(began) if dates::ends_before_beginning(began, ended) => {
            Err(RejectionReason::DateImpossible)
        }
        _ => Ok((began, ended)),
    }
}
