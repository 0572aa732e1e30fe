//! A second reading of the rules, slow and by days: it knows exact dates only, and tries every
//! choice of days that dates may mean.
//!
//! It takes the numbers of the rules and nothing else from the code that it checks.

use chrono::{Datelike, NaiveDate};
use contract::{Fact, PartialDate, TestResult};

use crate::rules::{Gap, Period, Route, Rules, Validity};
use crate::rules::{RecoveryDate, Series};

/// Every history of exact dates, none after today, that the facts may stand for; `None` where there
/// are more than `most`. Facts that lie after today are in none of them.
pub(super) fn histories(facts: &[Fact], today: NaiveDate, most: usize) -> Option<Vec<Vec<Fact>>> {
    let mut histories = vec![Vec::new()];
    for fact in facts {
        let choices = choices(fact, today);
        if choices.is_empty() {
            continue;
        }
        if histories.len() * choices.len() > most {
            return None;
        }
        let mut longer = Vec::with_capacity(histories.len() * choices.len());
        for history in &histories {
            for choice in &choices {
                let mut history = history.clone();
                history.push(choice.clone());
                longer.push(history);
            }
        }
        histories = longer;
    }
    Some(histories)
}

/// Every fact of exact dates that a fact may stand for.
fn choices(fact: &Fact, today: NaiveDate) -> Vec<Fact> {
    let exact = |day: &NaiveDate| PartialDate::from_day(*day).expect("a year of the contract");
    match fact {
        Fact::Vaccination { occurred_on, .. } | Fact::Test { occurred_on, .. } => {
            days_of(*occurred_on, today)
                .iter()
                .map(|day| with_date(fact, exact(day)))
                .collect()
        }
        Fact::Recovery {
            began_on,
            occurred_on,
        } => {
            let begins = match began_on.map(|began| days_of(began, today)) {
                None => vec![None],
                Some(days) if days.is_empty() => vec![None],
                Some(days) => days.iter().map(|day| Some(exact(day))).collect(),
            };
            let mut choices = Vec::new();
            for day in days_of(*occurred_on, today) {
                for began_on in &begins {
                    choices.push(Fact::Recovery {
                        began_on: *began_on,
                        occurred_on: exact(&day),
                    });
                }
            }
            choices
        }
    }
}

fn with_date(fact: &Fact, date: PartialDate) -> Fact {
    let mut fact = fact.clone();
    match &mut fact {
        Fact::Vaccination { occurred_on, .. }
        | Fact::Test { occurred_on, .. }
        | Fact::Recovery { occurred_on, .. } => *occurred_on = date,
    }
    fact
}

/// Days up to today whose text begins with the date's text.
fn days_of(date: PartialDate, today: NaiveDate) -> Vec<NaiveDate> {
    let written = date.to_string();
    date.earliest()
        .iter_days()
        .take(366)
        .take_while(|day| *day <= today && day.to_string().starts_with(&written))
        .collect()
}

/// Every history of exact dates in which of the reports of each dose only one is left, which is the
/// true one; `None` where there are more than `most`.
pub(super) fn true_reports(period: &Period, facts: &[Fact], most: usize) -> Option<Vec<Vec<Fact>>> {
    let reading = Reading {
        period,
        history: facts,
        day: period.from,
    };
    let is_dose = |fact: &&Fact| matches!(fact, Fact::Vaccination { .. });
    let others: Vec<Fact> = facts
        .iter()
        .filter(|fact| !is_dose(fact))
        .cloned()
        .collect();
    let mut histories = vec![others];
    for jab in reading.jabs() {
        if histories.len() * jab.days.len() > most {
            return None;
        }
        let mut longer = Vec::new();
        for history in &histories {
            for day in &jab.days {
                let mut history = history.clone();
                history.push(jab.given_on(*day));
                longer.push(history);
            }
        }
        histories = longer;
    }
    Some(histories)
}

/// True where a history of exact dates covers a day.
pub(super) fn covers(rules: &Rules, history: &[Fact], day: NaiveDate) -> bool {
    let begun = rules.periods().filter(|(period, _)| period.from <= day);
    let Some((period, _)) = begun.last() else {
        return false;
    };
    let reading = Reading {
        period,
        history,
        day,
    };
    let routes = [
        (Route::Series, reading.has_series()),
        (Route::Booster, reading.has_booster()),
        (Route::RecoveredAndDose, reading.has_recovery_and_dose()),
        (Route::Recovery, reading.has_recovery()),
        (Route::Test, reading.has_test()),
    ];
    let stopped = |route: &Route| {
        let rule = period.positive_test.as_ref();
        reading.is_suspended() && rule.is_some_and(|rule| rule.suspends.contains(route))
    };
    routes.iter().any(|(route, held)| *held && !stopped(route))
}

/// The rules of a period, read for one day.
struct Reading<'a> {
    period: &'a Period,
    history: &'a [Fact],
    day: NaiveDate,
}

/// A dose with the days that were reported of it, in their order; one of them is the true one.
#[derive(Clone)]
struct Jab {
    name: &'static str,
    number: Option<u8>,
    days: Vec<NaiveDate>,
}

impl Jab {
    /// The dose as one report of a day.
    fn given_on(&self, day: NaiveDate) -> Fact {
        let named = contract::Vaccine::ALL;
        Fact::Vaccination {
            vaccine: named
                .into_iter()
                .find(|one| one.as_str() == self.name)
                .expect("a vaccine"),
            dose_number: self.number,
            series_doses: None,
            occurred_on: PartialDate::from_day(day).expect("a year of the contract"),
        }
    }

    fn has_number_above_one(&self) -> bool {
        self.number.is_some_and(|number| number > 1)
    }
}

impl Reading<'_> {
    /// Doses: each report is put to a dose that it is close to, until nothing changes any more.
    fn jabs(&self) -> Vec<Jab> {
        let mut jabs: Vec<Jab> = Vec::new();
        for fact in self.history {
            if let Fact::Vaccination {
                vaccine,
                dose_number,
                occurred_on,
                ..
            } = fact
            {
                jabs.push(Jab {
                    name: vaccine.as_str(),
                    number: *dose_number,
                    days: vec![occurred_on.earliest()],
                });
            }
        }
        while let Some((left, right)) = self.close_pair(&jabs) {
            let other = jabs.remove(right);
            let jab = &mut jabs[left];
            jab.number = match (jab.number, other.number) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            jab.days.extend(other.days);
        }
        jabs
    }

    /// Two entries that are one dose, the first before the second.
    fn close_pair(&self, jabs: &[Jab]) -> Option<(usize, usize)> {
        let most = i64::from(self.period.same_dose_within_days);
        let is_close = |one: &Jab, other: &Jab| {
            let mut pairs = one
                .days
                .iter()
                .flat_map(|one| other.days.iter().map(move |other| (one, other)));
            one.name == other.name
                && pairs.any(|(one, other)| days_between(*one, *other).abs() <= most)
        };
        (0..jabs.len())
            .flat_map(|left| (left + 1..jabs.len()).map(move |right| (left, right)))
            .find(|(left, right)| is_close(&jabs[*left], &jabs[*right]))
    }

    fn well_days(&self) -> Vec<NaiveDate> {
        let mut days = Vec::new();
        for fact in self.history {
            if let Fact::Recovery { occurred_on, .. } = fact {
                days.push(occurred_on.earliest());
            }
        }
        days
    }

    /// True where something that counts from one of the days, whichever it is, has waited and has
    /// not ended.
    fn holds(&self, starts: &[NaiveDate], waiting: u32, validity: Validity) -> bool {
        starts.iter().all(|start| {
            days_between(*start, self.day) >= i64::from(waiting)
                && is_fresh(*start, self.day, validity)
        })
    }

    fn ends_of_series(&self, series: &Series) -> Vec<Vec<NaiveDate>> {
        let jabs = self.jabs();
        let named = |jab: &Jab, list: &[contract::Vaccine]| {
            list.iter().any(|vaccine| vaccine.as_str() == jab.name)
        };
        let mut ends = Vec::new();
        for last in &jabs {
            let complete = match &series.second {
                None => named(last, &series.first),
                Some(second) => {
                    let earlier = jabs.iter().any(|jab| {
                        named(jab, &series.first)
                            && all_gaps_allow(second.gap, &jab.days, &last.days)
                    });
                    let stated = second.proves_first && last.has_number_above_one();
                    named(last, &second.vaccines) && (earlier || stated)
                }
            };
            if complete {
                ends.push(last.days.clone());
            }
        }
        ends
    }

    fn has_series(&self) -> bool {
        self.period.series.iter().any(|series| {
            let ends = self.ends_of_series(series);
            ends.iter()
                .any(|end| self.holds(end, series.waiting_days, series.validity))
        })
    }

    fn ends_with_recovery(&self) -> Vec<Vec<NaiveDate>> {
        let Some(rule) = &self.period.recovered_and_dose else {
            return Vec::new();
        };
        let mut ends = Vec::new();
        for jab in self.jabs() {
            if !rule.vaccines.iter().any(|one| one.as_str() == jab.name) {
                continue;
            }
            for well in self.well_days() {
                let counts = |day: &NaiveDate| {
                    let in_order = well <= *day || rule.dose_may_come_first;
                    in_order && gap_allows(rule.gap, well.min(*day), well.max(*day))
                };
                if jab.days.iter().all(counts) && self.is_one_way(&jab, well) {
                    ends.push(jab.days.iter().map(|day| well.max(*day)).collect());
                }
            }
        }
        ends
    }

    /// True where it does not depend on the dose's day how a recovery and a dose count together:
    /// the rules ask for days between them in either order, and the order is not known.
    fn is_one_way(&self, jab: &Jab, well: NaiveDate) -> bool {
        let rule = self.period.recovered_and_dose.as_ref();
        let min = rule.map_or(0, |rule| rule.gap.min);
        let after = |day: &NaiveDate| well <= *day;
        let before = |day: &NaiveDate| *day <= well;
        min == 0 || jab.days.iter().all(after) || jab.days.iter().all(before)
    }

    fn has_recovery_and_dose(&self) -> bool {
        let Some(rule) = &self.period.recovered_and_dose else {
            return false;
        };
        let ends = self.ends_with_recovery();
        ends.iter()
            .any(|end| self.holds(end, rule.waiting_days, rule.validity))
    }

    fn has_booster(&self) -> bool {
        let mut ends = self.ends_with_recovery();
        for series in &self.period.series {
            ends.extend(self.ends_of_series(series));
        }
        for booster in &self.period.boosters {
            for jab in self.jabs() {
                let listed = booster.vaccines.iter().any(|one| one.as_str() == jab.name);
                let gap = Gap {
                    min: booster.min_days_after,
                    max: None,
                };
                let late = ends.iter().any(|end| all_gaps_allow(gap, end, &jab.days));
                if listed && late && self.holds(&jab.days, booster.waiting_days, booster.validity) {
                    return true;
                }
            }
        }
        false
    }

    fn has_recovery(&self) -> bool {
        let Some(rule) = &self.period.recovery else {
            return false;
        };
        self.history.iter().any(|fact| {
            let Fact::Recovery {
                began_on,
                occurred_on,
            } = fact
            else {
                return false;
            };
            let start = match rule.counts_from {
                RecoveryDate::DeclaredWell => Some(*occurred_on),
                RecoveryDate::IllnessBegan => *began_on,
            };
            start.is_some_and(|start| {
                self.holds(&[start.earliest()], rule.waiting_days, rule.validity)
            })
        })
    }

    fn has_test(&self) -> bool {
        self.history.iter().any(|fact| {
            let Fact::Test {
                test,
                result: TestResult::NotDetected,
                occurred_on,
            } = fact
            else {
                return false;
            };
            let age = days_between(occurred_on.earliest(), self.day);
            self.period.tests.iter().any(|group| {
                let listed = group.codes.iter().any(|code| code.loinc() == test.loinc());
                listed && (0..i64::from(group.calendar_days)).contains(&age)
            })
        })
    }

    /// Follows every positive test day by day until it is over or the day has come.
    fn is_suspended(&self) -> bool {
        let Some(rule) = &self.period.positive_test else {
            return false;
        };
        let well_days = self.well_days();
        for fact in self.history {
            let Fact::Test {
                test,
                result: TestResult::Detected,
                occurred_on,
            } = fact
            else {
                continue;
            };
            // By the codes themselves: 94558-4 and 96119-3 are the antigen's.
            let antigen = ["94558-4", "96119-3"];
            let listed = self.period.tests.iter().flat_map(|group| &group.codes);
            let mut listed = listed.map(|code| code.loinc());
            if antigen.contains(&test.loinc())
                && !rule.antigen
                && !listed.any(|code| antigen.contains(&code))
            {
                continue;
            }
            let taken = occurred_on.earliest();
            if taken > self.day {
                continue;
            }
            let mut over = false;
            for walked in taken.iter_days().take_while(|day| *day <= self.day) {
                let is_well = walked > taken && well_days.contains(&walked);
                let age = days_between(taken, walked);
                over |= rule.recovery_ends && is_well;
                over |= rule.days.is_some_and(|days| age >= i64::from(days));
            }
            if !over {
                return true;
            }
        }
        false
    }
}

fn days_between(from: NaiveDate, to: NaiveDate) -> i64 {
    i64::from(to.num_days_from_ce()) - i64::from(from.num_days_from_ce())
}

fn gap_allows(gap: Gap, from: NaiveDate, to: NaiveDate) -> bool {
    let days = days_between(from, to);
    i64::from(gap.min) <= days && gap.max.is_none_or(|max| days <= i64::from(max))
}

/// True where the gap allows every choice of a day of the first and a day of the second.
fn all_gaps_allow(gap: Gap, from: &[NaiveDate], to: &[NaiveDate]) -> bool {
    from.iter()
        .all(|from| to.iter().all(|to| gap_allows(gap, *from, *to)))
}

/// Compares months by their numbers on the calendar, and adds nothing to a date.
fn is_fresh(start: NaiveDate, day: NaiveDate, validity: Validity) -> bool {
    match validity {
        Validity::NoEnd => true,
        Validity::Days(days) => days_between(start, day) <= i64::from(days),
        Validity::Months(months) => {
            let month = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
            let turned = month(day) - month(start);
            let months = i64::from(months);
            turned < months || (turned == months && day.day() <= start.day())
        }
    }
}
