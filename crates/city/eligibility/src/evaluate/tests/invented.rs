//! Invented rules and persons for the laws.

use std::path::Path;

use chrono::{Days, NaiveDate};
use contract::{Fact, PartialDate, Precision, TestCode, TestResult, Vaccine};
use proptest::prelude::*;

use crate::rules::Rules;

/// First day on which invented facts happen.
fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2021, 5, 1).unwrap()
}

fn after_first_day(days: u64) -> NaiveDate {
    first_day() + Days::new(days)
}

/// Days after the first on which facts happen: few, so that they coincide and lie at the edges of
/// months and of the rules' intervals.
const FACT_DAYS: [u64; 20] = [
    0, 1, 4, 14, 21, 30, 31, 34, 44, 51, 60, 61, 65, 75, 82, 91, 92, 106, 122, 130,
];

/// A day on which somebody asks.
pub(crate) fn today() -> impl Strategy<Value = NaiveDate> {
    (25_u64..180).prop_map(after_first_day)
}

fn valid() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u32..8).prop_map(|months| format!("valid = {{ months = {months} }}\n")),
        (15_u32..200).prop_map(|days| format!("valid = {{ days = {days} }}\n")),
        Just("valid = { no_end = true }\n".to_owned()),
    ]
}

/// A waiting time and a validity that is not shorter.
fn waiting_and_valid() -> impl Strategy<Value = String> {
    let waiting = prop::sample::select(vec![0, 3, 14]);
    (waiting, valid()).prop_map(|(days, valid)| format!("waiting_days = {days}\n{valid}"))
}

fn interval() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (0_u32..30).prop_map(|min| format!("interval_days = {{ min = {min} }}\n")),
        (0_u32..30, 30_u32..90)
            .prop_map(|(min, max)| format!("interval_days = {{ min = {min}, max = {max} }}\n")),
    ]
}

fn series() -> impl Strategy<Value = String> {
    let one = waiting_and_valid()
        .prop_map(|rest| format!("[[period.series]]\nfirst = [\"sputnik-light\"]\n{rest}"));
    let two =
        (interval(), any::<bool>(), waiting_and_valid()).prop_map(|(interval, proves, rest)| {
            format!(
                "[[period.series]]\nfirst = [\"sputnik-v\", \"sputnik-light\"]\n\
                 second = [\"sputnik-v\"]\nsecond_dose_proves_first = {proves}\n{interval}{rest}"
            )
        });
    let covivac = (interval(), waiting_and_valid()).prop_map(|(interval, rest)| {
        format!(
            "[[period.series]]\nfirst = [\"covivac\"]\nsecond = [\"covivac\"]\n{interval}{rest}"
        )
    });
    (prop::option::of(one), two, prop::option::of(covivac))
        .prop_map(|(one, two, covivac)| [one, Some(two), covivac].into_iter().flatten().collect())
}

fn others() -> impl Strategy<Value = String> {
    let booster = (1_u32..60, waiting_and_valid())
        .prop_map(|(min, rest)| format!("[[period.booster]]\nmin_days_after = {min}\n{rest}"));
    let with_dose =
        (interval(), any::<bool>(), waiting_and_valid()).prop_map(|(interval, first, rest)| {
            format!("[period.recovered_and_dose]\ndose_may_come_first = {first}\n{interval}{rest}")
        });
    let dates = prop::sample::select(vec!["declared-well", "illness-began"]);
    let recovery = (dates, waiting_and_valid())
        .prop_map(|(from, rest)| format!("[period.recovery]\ncounts_from = \"{from}\"\n{rest}"));
    let test = (1_u32..40).prop_map(|days| {
        format!("[[period.test]]\ncodes = [\"94500-6\", \"94316-7\"]\ncalendar_days = {days}\n")
    });
    let often = 0.7;
    (
        prop::option::weighted(often, booster),
        prop::option::weighted(often, with_dose),
        prop::option::weighted(often, recovery),
        prop::option::weighted(often, test),
        prop::option::weighted(often, positive()),
    )
        .prop_map(|(booster, with_dose, recovery, test, positive)| {
            [booster, with_dose, recovery, test, positive]
                .into_iter()
                .flatten()
                .collect()
        })
}

fn positive() -> impl Strategy<Value = String> {
    let routes = vec![
        "series",
        "booster",
        "recovered-and-dose",
        "recovery",
        "test",
    ];
    let suspends = prop::sample::subsequence(routes, 1..=5);
    let ends = prop_oneof![
        (1_u32..30, any::<bool>())
            .prop_map(|(days, ends)| format!("days = {days}\nrecovery_ends = {ends}\n")),
        Just("recovery_ends = true\n".to_owned()),
    ];
    let antigen = prop::sample::select(vec!["", "antigen = false\n", "antigen = true\n"]);
    (suspends, ends, antigen).prop_map(|(suspends, ends, antigen)| {
        format!("[period.positive_test]\nsuspends = {suspends:?}\n{ends}{antigen}")
    })
}

/// Rules of one or two periods.
pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let period = || (0_u32..6, series(), others());
    let accepted = "accepted_vaccines = [\"sputnik-v\", \"sputnik-light\", \"covivac\"]\n";
    let second = prop::option::of((20_u64..300, period()));
    (period(), second).prop_map(move |(first, second)| {
        let mut text = "version = 1\nzone = \"Europe/Moscow\"\n".to_owned();
        let mut begins = first_day();
        for (days, (same, series, others)) in std::iter::once((0, first)).chain(second) {
            begins = begins + Days::new(days);
            text.push_str(&format!(
                "[[period]]\nfrom = \"{begins}\"\n{accepted}same_dose_within_days = {same}\n\
                 {series}{others}"
            ));
        }
        Rules::parse(&text, Path::new("invented.toml"))
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    })
}

fn exact_date() -> impl Strategy<Value = PartialDate> {
    prop::sample::select(&FACT_DAYS[..])
        .prop_map(|days| PartialDate::from_day(after_first_day(days)).unwrap())
}

/// A date of any precision, mostly of a day.
fn any_date() -> impl Strategy<Value = PartialDate> {
    let precision = prop_oneof![
        12 => Just(Precision::Day),
        6 => Just(Precision::Month),
        1 => Just(Precision::Year),
    ];
    (exact_date(), precision).prop_map(|(date, precision)| date.generalised_to(precision))
}

fn dose<D>(date: fn() -> D) -> impl Strategy<Value = Fact>
where
    D: Strategy<Value = PartialDate> + 'static,
{
    let vaccines = vec![
        Vaccine::SputnikV,
        Vaccine::SputnikV,
        Vaccine::SputnikLight,
        Vaccine::CoviVac,
        Vaccine::Comirnaty,
    ];
    (
        prop::sample::select(vaccines),
        prop::option::of(1_u8..4),
        date(),
    )
        .prop_map(|(vaccine, dose_number, occurred_on)| Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses: Some(2),
            occurred_on,
        })
}

fn fact<D>(date: fn() -> D) -> impl Strategy<Value = Fact>
where
    D: Strategy<Value = PartialDate> + 'static,
{
    let test = (
        prop::sample::select(TestCode::ALL.to_vec()),
        prop::sample::select(TestResult::ALL.to_vec()),
        date(),
    )
        .prop_map(|(test, result, occurred_on)| Fact::Test {
            test,
            result,
            occurred_on,
        });
    let recovery =
        (prop::option::of(date()), date()).prop_map(|(began_on, occurred_on)| Fact::Recovery {
            began_on,
            occurred_on,
        });
    prop_oneof![5 => dose(date), 3 => test, 2 => recovery]
}

/// A dose whose date is a day.
pub(crate) fn exact_dose() -> impl Strategy<Value = Fact> {
    dose(exact_date)
}

/// Facts whose dates are days.
pub(crate) fn exact_facts() -> impl Strategy<Value = Vec<Fact>> {
    prop::collection::vec(fact(exact_date), 0..8)
}

/// Facts whose dates are days, months or years, few enough to try every choice.
pub(crate) fn coarse_facts() -> impl Strategy<Value = Vec<Fact>> {
    prop::collection::vec(fact(any_date), 1..5)
}
