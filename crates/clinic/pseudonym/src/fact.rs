//! The medical part of a record: codes onto the contract's lists, doses and dates within bounds.

use chrono::NaiveDate;
use connector_kit::{ClinicDate, ClinicFact, Coding, Field};
use contract::{Fact, FactKind, PartialDate};

use crate::codes::{CodeTable, Unresolved};
use crate::dates;
use crate::policy::Policy;
use crate::rejection::RejectionReason;

/// Doses and courses go from 1 to this.
const MAX_DOSES: u32 = 9;

/// The fact as it leaves; `None` when it is about something else than COVID-19.
pub(crate) fn convert(
    policy: &Policy,
    fact: &ClinicFact,
    today: NaiveDate,
) -> Result<Option<Fact>, RejectionReason> {
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
                return Ok(None);
            };
            let occurred_on =
                dates::required(occurred_on, FactKind::Vaccination, today)?.generalised_to(most);
            let dose_number = doses(dose_number)?;
            let series_doses = doses(series_doses)?;
            Ok(Some(Fact::Vaccination {
                vaccine,
                dose_number,
                series_doses,
                occurred_on,
            }))
        }
        ClinicFact::Test {
            test,
            result,
            occurred_on,
        } => {
            let most = policy.precision(FactKind::Test);
            let Some(test) = in_scope(&policy.tests, test, RejectionReason::TestUnknown)? else {
                return Ok(None);
            };
            let result = in_scope(&policy.results, result, RejectionReason::ResultUnknown)?
                .ok_or(RejectionReason::ResultUnknown)?;
            let occurred_on =
                dates::required(occurred_on, FactKind::Test, today)?.generalised_to(most);
            Ok(Some(Fact::Test {
                test,
                result,
                occurred_on,
            }))
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
                return Ok(None);
            }
            let (began, ended) = illness(began_on, occurred_on, today)?;
            let began_on = began.map(|date| date.generalised_to(most));
            Ok(Some(Fact::Recovery {
                began_on,
                occurred_on: ended.generalised_to(most),
            }))
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

/// A number of doses, if there is one: 1 to 9.
pub(crate) fn doses(field: &Field<u32>) -> Result<Option<u8>, RejectionReason> {
    match field {
        Field::Missing => Ok(None),
        Field::Value(number) => match u8::try_from(*number) {
            Ok(small) if (1..=MAX_DOSES).contains(number) => Ok(Some(small)),
            _ => Err(RejectionReason::DoseInvalid),
        },
        Field::Invalid(_) => Err(RejectionReason::DoseInvalid),
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
