//! Dates of facts: within reason, not in the future, and no more exact than policy lets them leave.

use chrono::{Days, NaiveDate};
use connector_kit::{ClinicDate, Field};
use contract::{FactKind, PartialDate};

use crate::rejection::RejectionReason;

/// The day before which there was no such fact: the first cases are of December 2019, the first
/// trials of the vaccines on the contract's list of June 2020.
const fn earliest_day(kind: FactKind) -> NaiveDate {
    let (year, month) = match kind {
        FactKind::Vaccination => (2020, 6),
        FactKind::Test | FactKind::Recovery => (2019, 12),
    };
    NaiveDate::from_ymd_opt(year, month, 1).expect("both months have a first day")
}

/// A date that must be there. `today` is the clinic's local date; one day more is let through, for
/// clinics whose clock or zone is a little off.
pub(crate) fn required(
    field: &Field<ClinicDate>,
    kind: FactKind,
    today: NaiveDate,
) -> Result<PartialDate, RejectionReason> {
    optional(field, kind, today)?.ok_or(RejectionReason::DateMissing)
}

/// A date that may be absent, but must be possible if it is there.
pub(crate) fn optional(
    field: &Field<ClinicDate>,
    kind: FactKind,
    today: NaiveDate,
) -> Result<Option<PartialDate>, RejectionReason> {
    match field {
        Field::Missing => Ok(None),
        Field::Invalid(_) => Err(RejectionReason::DateInvalid),
        Field::Value(date) => possible(*date, kind, today).map(Some),
    }
}

fn possible(
    date: ClinicDate,
    kind: FactKind,
    today: NaiveDate,
) -> Result<PartialDate, RejectionReason> {
    let (first, last) = span(date).ok_or(RejectionReason::DateInvalid)?;
    let tomorrow = today
        .checked_add_days(Days::new(1))
        .unwrap_or(NaiveDate::MAX);
    if last < earliest_day(kind) {
        return Err(RejectionReason::DateImpossible);
    }
    if first > tomorrow {
        return Err(RejectionReason::DateFuture);
    }
    let partial = match date {
        ClinicDate::Year(year) => PartialDate::from_year(year),
        ClinicDate::Month(year, month) => PartialDate::from_month(year, month),
        ClinicDate::Day(day) => PartialDate::from_day(day),
    };
    partial.ok_or(RejectionReason::DateInvalid)
}

/// Whether an illness with these dates certainly ends before it begins.
pub(crate) fn ends_before_beginning(began: PartialDate, ended: PartialDate) -> bool {
    let common = began.precision().min(ended.precision());
    began.generalised_to(common).earliest() > ended.generalised_to(common).earliest()
}

/// The first and last day a date may mean; `None` where there is no such date.
fn span(date: ClinicDate) -> Option<(NaiveDate, NaiveDate)> {
    match date {
        ClinicDate::Year(year) => Some((
            NaiveDate::from_ymd_opt(year, 1, 1)?,
            NaiveDate::from_ymd_opt(year, 12, 31)?,
        )),
        ClinicDate::Month(year, month) => {
            let first = NaiveDate::from_ymd_opt(year, month, 1)?;
            Some((
                first,
                first
                    .checked_add_months(chrono::Months::new(1))?
                    .pred_opt()?,
            ))
        }
        ClinicDate::Day(day) => Some((day, day)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> ClinicDate {
        ClinicDate::Day(text.parse().unwrap())
    }

    fn check(date: ClinicDate, kind: FactKind) -> Result<String, RejectionReason> {
        let today = "2021-07-15".parse().unwrap();
        required(&Field::Value(date), kind, today).map(|date| date.to_string())
    }

    #[test]
    fn the_future_begins_after_tomorrow() {
        for kind in FactKind::ALL {
            assert_eq!(check(day("2021-07-16"), kind).unwrap(), "2021-07-16");
            assert_eq!(
                check(day("2021-07-17"), kind),
                Err(RejectionReason::DateFuture)
            );
            assert_eq!(check(ClinicDate::Month(2021, 7), kind).unwrap(), "2021-07");
            assert_eq!(
                check(ClinicDate::Month(2021, 8), kind),
                Err(RejectionReason::DateFuture)
            );
            assert_eq!(check(ClinicDate::Year(2021), kind).unwrap(), "2021");
            assert_eq!(
                check(ClinicDate::Year(2022), kind),
                Err(RejectionReason::DateFuture)
            );
            assert_eq!(
                check(ClinicDate::Year(10_000), kind),
                Err(RejectionReason::DateFuture)
            );
        }
    }

    #[test]
    fn each_kind_has_its_first_day() {
        let impossible = Err(RejectionReason::DateImpossible);
        assert_eq!(
            check(day("2020-06-01"), FactKind::Vaccination).unwrap(),
            "2020-06-01"
        );
        assert_eq!(check(day("2020-05-31"), FactKind::Vaccination), impossible);
        assert_eq!(
            check(ClinicDate::Month(2020, 6), FactKind::Vaccination).unwrap(),
            "2020-06"
        );
        assert_eq!(
            check(ClinicDate::Month(2020, 5), FactKind::Vaccination),
            impossible
        );
        for kind in [FactKind::Test, FactKind::Recovery] {
            assert_eq!(check(day("2019-12-01"), kind).unwrap(), "2019-12-01");
            assert_eq!(check(day("2019-11-30"), kind), impossible);
            assert_eq!(check(ClinicDate::Year(2019), kind).unwrap(), "2019");
            assert_eq!(check(ClinicDate::Year(2018), kind), impossible);
            assert_eq!(check(day("1900-01-01"), kind), impossible);
        }
    }

    #[test]
    fn months_that_do_not_exist_are_invalid() {
        for month in [0, 13] {
            assert_eq!(
                check(ClinicDate::Month(2021, month), FactKind::Test),
                Err(RejectionReason::DateInvalid)
            );
        }
        assert_eq!(
            check(ClinicDate::Year(i32::MAX), FactKind::Test),
            Err(RejectionReason::DateInvalid)
        );
    }

    #[test]
    fn an_illness_is_compared_at_the_coarser_precision() {
        let date = |text: &str| text.parse::<PartialDate>().unwrap();
        assert!(ends_before_beginning(
            date("2021-06-02"),
            date("2021-06-01")
        ));
        assert!(!ends_before_beginning(
            date("2021-06-02"),
            date("2021-06-02")
        ));
        assert!(!ends_before_beginning(date("2021-06-30"), date("2021-06")));
        assert!(ends_before_beginning(date("2021-07"), date("2021-06-30")));
        assert!(!ends_before_beginning(date("2021"), date("2021-01-01")));
    }
}
