//! Statements of doses: which dose it was, counted by dates, and of how many.

use chrono::NaiveDate;
use contract::{Fact, PartialDate, Precision, Vaccine};

use super::{Basis, Carried, Certifiable, MAX_DOSES, Statement};
use crate::claims::{claims, completed_by_recovery};
use crate::day_ranges::{DayRange, joined};
use crate::evaluate::range_of;
use crate::rules::{Gap, Route};
use crate::span::DateSpan;

/// Ways in which a vaccination may entitle.
const ROUTES: [Route; 3] = [Route::Series, Route::Booster, Route::RecoveredAndDose];

/// Record of a dose of a vaccine that the rules accept.
#[derive(Debug, Clone, Copy)]
struct DoseRecord {
    vaccine: Vaccine,
    number: Option<u8>,
    given: DateSpan,
    is_day: bool,
}

/// Dose, as one or more clinics recorded it.
#[derive(Debug, Clone)]
struct GivenDose {
    first: DoseRecord,
    /// Further records of the same dose.
    others: Vec<DoseRecord>,
}

impl GivenDose {
    fn records(&self) -> impl Iterator<Item = &DoseRecord> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Returns whether all records name a vaccine of the list.
    fn is_of(&self, vaccines: &[Vaccine]) -> bool {
        self.records().all(|one| vaccines.contains(&one.vaccine))
    }

    /// Returns whether so many days lie between the doses, whichever days are meant.
    fn surely_fits(&self, later: &Self, gap: Gap) -> bool {
        self.records().all(|one| later.is_after(one.given, gap))
    }

    /// Returns whether the dose was given so many days after `earlier`, whichever days are meant.
    fn is_after(&self, earlier: DateSpan, gap: Gap) -> bool {
        self.records()
            .all(|one| earlier.surely_fits(one.given, gap))
    }

    /// Vaccine and day that may be stated of the dose, if it was the one of this number: none where
    /// a date is coarse, records name several vaccines, or one of them states a higher number.
    fn statable(&self, number: u8) -> Option<(Vaccine, NaiveDate)> {
        let agrees = |one: &DoseRecord| {
            let is_lower = one.number.is_none_or(|stated| stated <= number);
            one.is_day && is_lower && one.vaccine == self.first.vaccine
        };
        let is_statable = self.records().all(agrees);
        is_statable.then_some((self.first.vaccine, self.first.given.earliest))
    }
}

/// Statements of the doses that are on record.
pub(super) fn carried(basis: &Basis<'_>) -> Vec<Carried> {
    let Some(doses) = distinct_doses(basis) else {
        return Vec::new();
    };
    let unrecorded = u8::from(proves_another(basis, &doses));
    let covered = covered_days(basis);
    let mut carried = Vec::new();
    for (index, dose) in doses.iter().enumerate() {
        let Some(number) = number_of(index, unrecorded) else {
            break;
        };
        let primary = if unrecorded > 0 {
            2
        } else {
            primary_doses(basis, &doses[..=index])
        };
        let Some((vaccine, given_on)) = dose.statable(number) else {
            continue;
        };
        let days = if number < primary {
            let is_suspended = basis.suspends(Route::Series);
            (!is_suspended).then_some((basis.today, None))
        } else {
            covered.map(|days| (days.from, Some(days.until)))
        };
        let Some((from, until)) = days else {
            continue;
        };
        let statement = Statement::Dose {
            vaccine,
            number,
            // Beyond a series of two the total rises with the dose; beyond one of one it does not.
            series: if primary == 1 { 1 } else { number.max(2) },
            given_on,
        };
        let until = until.filter(|until| *until < NaiveDate::MAX);
        carried.push(Carried {
            certifiable: Certifiable {
                statement,
                from,
                until,
            },
            is_newest: index + 1 == doses.len(),
        });
    }
    carried
}

fn number_of(index: usize, unrecorded: u8) -> Option<u8> {
    let counted = u8::try_from(index + 1).ok()?;
    let number = counted.checked_add(unrecorded)?;
    (number <= MAX_DOSES).then_some(number)
}

/// Doses in their order, each once however many clinics recorded it; `None` where it depends on
/// what a date means which records are of one dose.
fn distinct_doses(basis: &Basis<'_>) -> Option<Vec<GivenDose>> {
    let mut records = records(basis);
    records.sort_unstable_by_key(|one| (one.given.earliest, one.given.latest, one.vaccine));
    let same = basis.period.same_dose_within_days;
    let distinct = Gap {
        min: basis.period.distinct_doses_days(),
        max: None,
    };
    let mut doses = Vec::<GivenDose>::new();
    for record in records {
        let alone = GivenDose {
            first: record,
            others: Vec::new(),
        };
        let Some(last) = doses.last_mut() else {
            doses.push(alone);
            continue;
        };
        let is_same = |one: &DoseRecord| one.given.surely_within(record.given, Some(same));
        // Link by link, as `doses::linked` joins reports.
        if last.records().any(is_same) {
            last.others.push(record);
        } else if last.surely_fits(&alone, distinct) {
            doses.push(alone);
        } else {
            return None;
        }
    }
    Some(doses)
}

fn records(basis: &Basis<'_>) -> Vec<DoseRecord> {
    let record = |fact: &Fact| match fact {
        Fact::Vaccination {
            vaccine,
            dose_number,
            occurred_on,
            ..
        } => dose_record(basis, *vaccine, *dose_number, *occurred_on),
        Fact::Test { .. } | Fact::Recovery { .. } => None,
    };
    basis.facts.iter().filter_map(record).collect()
}

fn dose_record(
    basis: &Basis<'_>,
    vaccine: Vaccine,
    number: Option<u8>,
    occurred_on: PartialDate,
) -> Option<DoseRecord> {
    let is_accepted = basis.period.accepted_vaccines.contains(&vaccine);
    let given = DateSpan::of(occurred_on, basis.today).filter(|_| is_accepted)?;
    Some(DoseRecord {
        vaccine,
        number,
        given,
        is_day: occurred_on.precision() == Precision::Day,
    })
}

/// Returns whether the number of the first dose on record proves, by the rules, one before it.
fn proves_another(basis: &Basis<'_>, doses: &[GivenDose]) -> bool {
    let Some(first) = doses.first() else {
        return false;
    };
    let is_second = first
        .records()
        .all(|one| one.number.is_some_and(|number| number >= 2));
    let mut seconds = basis.period.series.iter().flat_map(|series| &series.second);
    is_second && seconds.any(|second| second.proves_first && first.is_of(&second.vaccines))
}

/// Number of doses of the series that these doses began, 1 or 2. A series of one dose, or of a
/// recovery and one dose, is of two where a second dose completes one of two doses and comes too
/// early for an extra one.
fn primary_doses(basis: &Basis<'_>, doses: &[GivenDose]) -> u8 {
    let Some(first) = doses.first() else {
        return 2;
    };
    let complete = complete_alone(basis, first);
    let Some(second) = doses.get(1) else {
        return if complete.is_some() { 1 } else { 2 };
    };
    let follows = Gap { min: 0, max: None };
    let Some(complete) = complete.filter(|end| second.is_after(*end, follows)) else {
        return 2;
    };
    let is_extra = basis.period.boosters.iter().any(|booster| {
        let gap = Gap {
            min: booster.min_days_after,
            max: None,
        };
        second.is_of(&booster.vaccines) && second.is_after(complete, gap)
    });
    if is_extra || !completes_two(basis, first, second) {
        1
    } else {
        2
    }
}

/// Date of what makes one dose a complete series: the dose, or a recovery after it.
fn complete_alone(basis: &Basis<'_>, dose: &GivenDose) -> Option<DateSpan> {
    let mut series = basis.period.series.iter();
    if series.any(|series| series.second.is_none() && dose.is_of(&series.first)) {
        return Some(dose.first.given);
    }
    let rule = basis.period.recovered_and_dose.as_ref()?;
    let given = dose.first.given;
    let wells = basis.history.recoveries.iter().map(|one| one.well);
    let ends = wells.filter_map(|well| completed_by_recovery(rule, given, well));
    ends.filter(|_| dose.is_of(&rule.vaccines))
        .min_by_key(|end| end.latest)
}

fn completes_two(basis: &Basis<'_>, first: &GivenDose, second: &GivenDose) -> bool {
    basis.period.series.iter().any(|series| {
        let rule = series.second.as_ref();
        let fits = rule.is_some_and(|rule| {
            second.is_of(&rule.vaccines) && first.surely_fits(second, rule.gap)
        });
        fits && first.is_of(&series.first)
    })
}

/// Days, from today on, that the doses cover first.
fn covered_days(basis: &Basis<'_>) -> Option<DayRange> {
    let claims = claims(basis.period, &basis.history).into_iter();
    let counting = claims
        .filter(|claim| ROUTES.contains(&claim.route) && !basis.suspends(claim.route))
        .filter_map(|claim| range_of(&claim).within(basis.days_ahead()));
    joined(counting.collect()).into_iter().next()
}
