//! Doses that reports stand for: two clinics may report one dose, with dates some days apart.
//!
//! Reports of one vaccine are one dose if they are linked by steps of at most
//! `same_dose_within_days` days, so that of the days D, D+3 and D+6 all three are one dose where
//! the rules say 3: the report in the middle may be of either. The dose was given on one of the
//! days from the earliest to the latest of its reports. A wait counts from the latest, a validity
//! from the earliest: a day is covered only if it is whichever report is right.

use chrono::{Days, NaiveDate};
use contract::Vaccine;

use crate::span::DateSpan;

/// A dose, as a clinic reported it or as several reports stand for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dose {
    pub(crate) vaccine: Vaccine,
    pub(crate) number: Option<u8>,
    pub(crate) given: DateSpan,
}

/// Groups of reports, by their places in `spans`, that may be of one dose each: those of different
/// groups are surely more than `within` days apart, link by link.
pub(crate) fn linked(spans: &[DateSpan], within: u32) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|place| spans[*place].earliest);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut reach: Option<NaiveDate> = None;
    for place in order {
        let span = spans[place];
        let is_linked = reach.is_some_and(|reach| span.earliest <= days_after(reach, within));
        match groups.last_mut().filter(|_| is_linked) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
        reach = reach.max(Some(span.latest));
    }
    groups
}

/// Doses that reports stand for. A report whose date is coarse may be of one dose or another; it is
/// a dose by itself, which may have been given on any day that a link of reports may reach from it.
///
/// The number of a dose is the smallest that a report of it may state. Where it is open which
/// reports are of one dose, a report without a number is a dose without one.
pub(crate) fn merged(reports: &[Dose], within: u32) -> Vec<Dose> {
    let mut doses = Vec::new();
    let mut vaccines: Vec<_> = reports.iter().map(|report| report.vaccine).collect();
    vaccines.sort_unstable();
    vaccines.dedup();
    for vaccine in vaccines {
        let of_vaccine = reports.iter().filter(|report| report.vaccine == vaccine);
        let mut of_vaccine: Vec<Dose> = of_vaccine.copied().collect();
        of_vaccine.sort_unstable_by_key(|report| {
            (report.given.earliest, report.given.latest, report.number)
        });
        let spans: Vec<DateSpan> = of_vaccine.iter().map(|report| report.given).collect();
        for group in linked(&spans, within) {
            let group: Vec<Dose> = group.iter().map(|at| of_vaccine[*at]).collect();
            doses.extend(of_group(&group, within));
        }
    }
    doses
}

/// Doses of a group of linked reports of one vaccine, sorted by their days.
fn of_group(reports: &[Dose], within: u32) -> Vec<Dose> {
    let number = reports.iter().filter_map(|report| report.number).min();
    let is_exact = |report: &Dose| report.given.earliest == report.given.latest;
    if reports.iter().all(is_exact) {
        let first = reports.first().map(|report| report.given.earliest);
        let last = reports.last().map(|report| report.given.latest);
        let whole = first.zip(last).zip(reports.first());
        return whole
            .map(|((earliest, latest), report)| Dose {
                vaccine: report.vaccine,
                number,
                given: DateSpan { earliest, latest },
            })
            .into_iter()
            .collect();
    }
    let mut spans: Vec<DateSpan> = reports.iter().map(|report| report.given).collect();
    spans.dedup();
    let mut doses: Vec<Dose> = Vec::new();
    for report in reports {
        let Some(place) = spans.iter().position(|span| *span == report.given) else {
            continue;
        };
        doses.push(Dose {
            vaccine: report.vaccine,
            number: report.number.and(number),
            given: DateSpan {
                earliest: earliest_reach(&spans, place, within),
                latest: latest_reach(&spans, place, within),
            },
        });
    }
    doses.dedup();
    doses
}

/// Earliest day of the dose of one report under any choice of the days that the others mean.
///
/// Of the reports that may link on, the one with the latest beginning is taken first: the dose
/// reaches before its beginning the soonest, and then it is of no use any more.
fn earliest_reach(spans: &[DateSpan], place: usize, within: u32) -> NaiveDate {
    let mut reach = spans[place].earliest;
    let mut left: Vec<DateSpan> = others(spans, place);
    loop {
        let link = days_before(reach, within);
        let usable = |span: &DateSpan| span.earliest < reach && span.latest >= link;
        let next = (0..left.len())
            .filter(|at| usable(&left[*at]))
            .max_by_key(|at| left[*at].earliest);
        let Some(next) = next else {
            return reach;
        };
        reach = left.swap_remove(next).earliest.max(link);
    }
}

/// Latest day of the dose of one report under any choice of the days that the others mean.
fn latest_reach(spans: &[DateSpan], place: usize, within: u32) -> NaiveDate {
    let mut reach = spans[place].latest;
    let mut left: Vec<DateSpan> = others(spans, place);
    loop {
        let link = days_after(reach, within);
        let usable = |span: &DateSpan| span.latest > reach && span.earliest <= link;
        let next = (0..left.len())
            .filter(|at| usable(&left[*at]))
            .min_by_key(|at| left[*at].latest);
        let Some(next) = next else {
            return reach;
        };
        reach = left.swap_remove(next).latest.min(link);
    }
}

fn others(spans: &[DateSpan], place: usize) -> Vec<DateSpan> {
    let other = |(at, span): (usize, &DateSpan)| (at != place).then_some(*span);
    spans.iter().enumerate().filter_map(other).collect()
}

fn days_after(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_add_days(Days::new(u64::from(days)))
        .unwrap_or(NaiveDate::MAX)
}

fn days_before(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_sub_days(Days::new(u64::from(days)))
        .unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2021, 7, number).unwrap()
    }

    fn span(earliest: u32, latest: u32) -> DateSpan {
        DateSpan {
            earliest: day(earliest),
            latest: day(latest),
        }
    }

    fn report(vaccine: Vaccine, number: Option<u8>, given: DateSpan) -> Dose {
        Dose {
            vaccine,
            number,
            given,
        }
    }

    fn spans(reports: &[DateSpan], within: u32) -> Vec<DateSpan> {
        let reports: Vec<Dose> = reports
            .iter()
            .map(|given| report(Vaccine::SputnikV, None, *given))
            .collect();
        let doses = merged(&reports, within);
        doses.iter().map(|dose| dose.given).collect()
    }

    #[test]
    fn reports_within_the_days_are_one_dose_and_a_day_more_makes_two() {
        assert_eq!(spans(&[span(4, 4), span(1, 1)], 3), [span(1, 4)]);
        assert_eq!(
            spans(&[span(5, 5), span(1, 1)], 3),
            [span(1, 1), span(5, 5)]
        );
        assert_eq!(spans(&[span(1, 1), span(1, 1)], 0), [span(1, 1)]);
    }

    #[test]
    fn a_chain_of_reports_is_one_dose() {
        assert_eq!(
            spans(&[span(7, 7), span(1, 1), span(4, 4)], 3),
            [span(1, 7)]
        );
        assert_eq!(
            spans(&[span(1, 1), span(4, 4), span(8, 8)], 3),
            [span(1, 4), span(8, 8)]
        );
    }

    #[test]
    fn a_coarse_report_widens_a_day_beside_it_by_a_link_at_most() {
        // A month, and a day in it: the month may mean three days to either side of the day.
        let month = span(1, 31);
        assert_eq!(spans(&[month, span(20, 20)], 3), [month, span(17, 23)]);
        // Two coarse reports may link on twice, but not beyond their own days.
        assert_eq!(
            spans(&[span(1, 18), span(16, 18), span(20, 20)], 3),
            [span(1, 20), span(13, 20), span(14, 20)]
        );
        assert_eq!(spans(&[month, month], 3), [month]);
    }

    #[test]
    fn other_vaccines_are_other_doses_and_the_smallest_number_counts() {
        let doses = merged(
            &[
                report(Vaccine::SputnikV, Some(2), span(2, 2)),
                report(Vaccine::SputnikLight, Some(1), span(1, 1)),
                report(Vaccine::SputnikV, Some(3), span(1, 1)),
                report(Vaccine::SputnikV, None, span(3, 3)),
            ],
            3,
        );
        let shown: Vec<_> = doses
            .iter()
            .map(|dose| (dose.vaccine, dose.number, dose.given))
            .collect();
        assert_eq!(shown.len(), 2);
        assert!(shown.contains(&(Vaccine::SputnikV, Some(2), span(1, 3))));
        assert!(shown.contains(&(Vaccine::SputnikLight, Some(1), span(1, 1))));
    }

    #[test]
    fn a_coarse_report_without_a_number_takes_none_of_a_report_beside_it() {
        let month = span(1, 31);
        let reports = [
            report(Vaccine::SputnikV, Some(2), span(2, 2)),
            report(Vaccine::SputnikV, None, month),
        ];
        let doses = merged(&reports, 3);
        let numbers: Vec<_> = doses.iter().map(|dose| (dose.number, dose.given)).collect();
        assert_eq!(numbers, [(None, month), (Some(2), span(1, 5))]);
    }

    #[test]
    fn groups_are_parted_where_no_link_can_reach() {
        let spans = [span(10, 12), span(1, 6), span(16, 16), span(9, 9)];
        assert_eq!(linked(&spans, 3), [vec![1, 3, 0], vec![2]]);
        assert_eq!(linked(&spans, 4), [vec![1, 3, 0, 2]]);
        assert_eq!(linked(&[], 3), Vec::<Vec<usize>>::new());
    }
}
