//! Tests of windows over many zones, against a search minute by minute.

use chrono::{Duration, TimeZone};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn zone(name: &str) -> Tz {
    name.parse().expect("a zone")
}

fn always() -> Coverage {
    covered("1900-01-01T00:00:00Z", "9999-12-31T00:00:00Z")
}

fn interval(start: &str, end: &str) -> Window {
    Window::new(at(start), at(end)).expect("an interval")
}

fn covered(start: &str, end: &str) -> Coverage {
    Coverage::new([interval(start, end)])
}

fn windows(zone_name: &str, now: &str, days_ahead: u8) -> Vec<[String; 2]> {
    let windows = day_windows(zone(zone_name), at(now), days_ahead, &always()).expect("windows");
    let text = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let texts = windows
        .iter()
        .map(|window| [text(window.start()), text(window.end())]);
    texts.collect()
}

#[test]
fn a_window_of_the_city_begins_and_ends_at_its_midnight() {
    let found = windows("Europe/Moscow", "2026-11-29T21:00:00Z", 3);
    assert_eq!(found.len(), 4);
    assert_eq!(found[0], ["2026-11-29T21:00:00Z", "2026-11-30T21:00:00Z"]);
    assert_eq!(found[3], ["2026-12-02T21:00:00Z", "2026-12-03T21:00:00Z"]);
    let second_before = windows("Europe/Moscow", "2026-11-29T20:59:59Z", 0);
    assert_eq!(
        second_before[0],
        ["2026-11-28T21:00:00Z", "2026-11-29T21:00:00Z"]
    );
}

#[test]
fn days_on_which_the_clock_changes_have_23_and_25_hours() {
    let spring = windows("Europe/Berlin", "2026-03-29T12:00:00Z", 0);
    assert_eq!(spring, [["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]]);
    let autumn = windows("Europe/Berlin", "2026-10-25T12:00:00Z", 0);
    assert_eq!(autumn, [["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]]);
}

#[test]
fn a_day_without_midnight_begins_at_its_first_moment() {
    let brazil = windows("America/Sao_Paulo", "2018-11-04T12:00:00Z", 0);
    assert_eq!(brazil, [["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"]]);
    let eve = windows("America/Sao_Paulo", "2018-11-03T12:00:00Z", 0);
    assert_eq!(eve, [["2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z"]]);
    let lebanon = windows("Asia/Beirut", "2022-03-27T12:00:00Z", 0);
    assert_eq!(lebanon, [["2022-03-26T22:00:00Z", "2022-03-27T21:00:00Z"]]);
}

#[test]
fn a_day_whose_midnight_comes_twice_begins_at_the_first() {
    let cuba = windows("America/Havana", "2025-11-02T12:00:00Z", 0);
    assert_eq!(cuba, [["2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"]]);
    // Newfoundland went back from 00:01 to 23:01 of the day before.
    let expected = [["2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"]];
    for now in [
        "2010-11-07T02:30:00Z",
        "2010-11-07T03:00:00Z",
        "2010-11-07T12:00:00Z",
    ] {
        assert_eq!(windows("America/St_Johns", now, 0), expected, "{now}");
    }
}

#[test]
fn a_day_that_the_zone_jumps_over_has_no_window() {
    let samoa = windows("Pacific/Apia", "2011-12-30T00:00:00Z", 2);
    assert_eq!(samoa[0], ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"]);
    assert_eq!(samoa[1], ["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]);
    assert_eq!(samoa.len(), 2);
}

#[test]
fn more_days_ahead_than_the_limit_are_refused() {
    let now = at("2026-01-01T00:00:00Z");
    let ask = |days| day_windows(Tz::UTC, now, days, &always());
    assert_eq!(ask(MAX_DAYS_AHEAD).expect("windows").len(), 4);
    assert_eq!(ask(MAX_DAYS_AHEAD + 1), Err(WindowError::TooFarAhead));
}

#[test]
fn times_that_no_calendar_holds_are_refused_without_a_panic() {
    for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        for variant in TZ_VARIANTS {
            let found = day_windows(variant, now, 3, &always());
            assert_eq!(found, Err(WindowError::Year));
        }
    }
    for now in ["1970-01-01T00:00:00Z", "9998-12-31T23:59:59Z"] {
        for variant in TZ_VARIANTS {
            assert!(day_windows(variant, at(now), 3, &always()).is_ok());
            assert!(paper_window(variant, at(now), &always()).is_ok());
        }
    }
    for now in ["1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z"] {
        let found = day_windows(Tz::UTC, at(now), 0, &always());
        assert_eq!(found, Err(WindowError::Year), "{now}");
    }
}

#[test]
fn a_window_lacking_a_second_of_eligibility_is_not_issued() {
    let moscow = zone("Europe/Moscow");
    let now = at("2026-06-01T09:00:00Z");
    let whole = covered("2026-05-31T21:00:00Z", "2026-06-03T21:00:00Z");
    let late = covered("2026-05-31T21:00:01Z", "2026-06-03T21:00:00Z");
    let short = covered("2026-05-31T21:00:00Z", "2026-06-03T20:59:59Z");
    let count = |coverage| {
        day_windows(moscow, now, 3, coverage)
            .expect("windows")
            .len()
    };
    assert_eq!(count(&whole), 3);
    assert_eq!(count(&late), 2);
    assert_eq!(count(&short), 2);
    assert_eq!(count(&Coverage::default()), 0);
}

#[test]
fn a_paper_window_is_the_longest_covered_run_from_today() {
    let moscow = zone("Europe/Moscow");
    let now = at("2026-06-01T09:00:00Z");
    let paper = |coverage: &Coverage| paper_window(moscow, now, coverage).expect("an answer");
    let week = paper(&always()).expect("a window");
    assert_eq!(week.start(), at("2026-05-31T21:00:00Z"));
    assert_eq!(week.end(), at("2026-06-07T21:00:00Z"));
    let two_days = paper(&covered("2026-05-01T00:00:00Z", "2026-06-03T20:00:00Z"));
    assert_eq!(two_days.map(Window::end), Some(at("2026-06-02T21:00:00Z")));
    let from_noon = covered("2026-06-01T09:00:00Z", "2026-07-01T00:00:00Z");
    assert_eq!(paper(&from_noon), None);
}

#[test]
fn a_paper_window_over_a_clock_change_ends_at_midnight() {
    let berlin = zone("Europe/Berlin");
    let window = paper_window(berlin, at("2026-03-27T12:00:00Z"), &always());
    let window = window.expect("an answer").expect("a window");
    assert_eq!(window.start(), at("2026-03-26T23:00:00Z"));
    assert_eq!(window.end(), at("2026-04-02T22:00:00Z"));
}

#[test]
fn intervals_that_meet_are_one_and_empty_ones_are_refused() {
    let first = interval("2026-05-01T00:00:00Z", "2026-06-02T09:00:00Z");
    let second = interval("2026-06-02T09:00:00Z", "2026-06-30T00:00:00Z");
    let joined = Coverage::new([second, first]);
    assert_eq!(
        joined,
        covered("2026-05-01T00:00:00Z", "2026-06-30T00:00:00Z")
    );
    let noon = first.end();
    assert_eq!(Window::new(noon, noon), Err(EmptyWindow));
    assert_eq!(Window::new(noon, first.start()), Err(EmptyWindow));
    assert!(Window::new(noon, noon + Duration::seconds(1)).is_ok());
}

#[test]
fn windows_tell_nothing_about_the_facts_behind_them() {
    let now = at("2026-06-01T09:00:00Z");
    // A vaccination that holds for a year, and a recovery with a test that join to the same days.
    let vaccinated = covered("2026-01-13T21:00:00Z", "2027-01-13T21:00:00Z");
    let recovered = Coverage::new([
        interval("2026-06-02T03:11:07Z", "2026-06-09T04:05:06Z"),
        interval("2026-05-30T10:11:12Z", "2026-06-03T21:00:00Z"),
    ]);
    for variant in TZ_VARIANTS {
        let one = day_windows(variant, now, 3, &vaccinated);
        assert_eq!(one, day_windows(variant, now, 3, &recovered));
        assert_eq!(one.map(|windows| windows.len()), Ok(4));
        let paper = paper_window(variant, now, &vaccinated);
        assert_eq!(paper, paper_window(variant, now, &recovered));
    }
}

/// First minute in which the zone's calendar shows the date; `None` where it jumps over it.
fn first_minute(zone: Tz, date: NaiveDate) -> Option<DateTime<Utc>> {
    let around = date.and_time(chrono::NaiveTime::MIN).and_utc();
    let minutes = (-27 * 60..=51 * 60).map(|minutes| around + Duration::minutes(minutes));
    minutes
        .into_iter()
        .find(|time| time.with_timezone(&zone).date_naive() == date)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn windows_begin_in_the_first_minute_of_their_day(
        index in 0..TZ_VARIANTS.len(),
        // From 1975 on, offsets are whole minutes.
        minute in 2_630_000_i64..36_000_000,
    ) {
        let variant = TZ_VARIANTS[index];
        let now = Utc.timestamp_opt(minute * 60, 0).single().expect("a time");
        let found = day_windows(variant, now, MAX_DAYS_AHEAD, &always()).expect("windows");
        prop_assert!(found[0].contains(now));
        for pair in found.windows(2) {
            prop_assert_eq!(pair[0].end(), pair[1].start());
        }
        for window in found {
            let date = (window.end() - Duration::minutes(1)).with_timezone(&variant).date_naive();
            prop_assert_eq!(first_minute(variant, date), Some(window.start()));
            let hours = (window.end() - window.start()).num_hours();
            prop_assert!((20..=28).contains(&hours), "{} hours", hours);
        }
    }

    #[test]
    fn windows_around_a_change_of_the_clock_follow_on_each_other(
        index in 0..TZ_VARIANTS.len(),
        year in 1975..2037_i32,
    ) {
        let variant = TZ_VARIANTS[index];
        let mut now = Utc.with_ymd_and_hms(year, 1, 1, 12, 0, 0).single().expect("a time");
        let mut previous: Option<Window> = None;
        for _ in 0..366 {
            let window = day_windows(variant, now, 0, &always()).expect("windows")[0];
            prop_assert!(window.contains(now));
            if let Some(previous) = previous && previous != window {
                prop_assert_eq!(previous.end(), window.start());
            }
            previous = Some(window);
            now = window.end();
        }
    }

    #[test]
    fn coverage_agrees_with_looking_at_every_second(
        intervals in prop::collection::vec((0..40_i64, 1..15_i64), 0..6),
        start in 0..45_i64,
        length in 1..15_i64,
    ) {
        let second = |number: i64| Utc.timestamp_opt(number, 0).single().expect("a time");
        let ends = |interval: &(i64, i64)| Window {
            start: second(interval.0),
            end: second(interval.0 + interval.1),
        };
        let coverage = Coverage::new(intervals.iter().map(ends));
        let window = Window { start: second(start), end: second(start + length) };
        let is_covered = |time: i64| {
            intervals.iter().any(|interval| interval.0 <= time && time < interval.0 + interval.1)
        };
        let expected = (start..start + length).all(is_covered);
        prop_assert_eq!(coverage.covers(window), expected);
    }
}
