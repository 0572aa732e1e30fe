//! Tests of reading rules: every mistake has a position and says what to write.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::*;

const PERIOD: &str = "[[period]]\nfrom = \"2021-06-28\"\naccepted_vaccines = [\"sputnik-v\"]\n\
                      same_dose_within_days = 3\n";

const SERIES: &str = "[[period.series]]\nfirst = [\"sputnik-v\"]\nwaiting_days = 14\n\
                      valid = { months = 6 }\n";

fn whole(periods: &str) -> String {
    format!("version = 7\nzone = \"Europe/Moscow\"\n{periods}")
}

fn mistake(text: &str) -> String {
    match Rules::parse(text, Path::new("rules.toml")) {
        Ok(_) => panic!("no mistake was found in\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_mistake(periods: &str, parts: &[&str]) {
    let told = mistake(&whole(periods));
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in\n{told}");
    }
}

/// The series with one line replaced.
fn series_with(old: &str, new: &str) -> String {
    assert!(SERIES.contains(old), "{old}");
    format!("{PERIOD}{}", SERIES.replace(old, new))
}

#[test]
fn the_smallest_rules_are_read() {
    let rules = Rules::parse(&whole(PERIOD), Path::new("x")).unwrap();
    assert_eq!(rules.version(), 7);
    assert_eq!(rules.zone(), chrono_tz::Europe::Moscow);
}

#[test]
fn unknown_keys_words_and_zones_are_refused_with_the_nearest() {
    assert_mistake(
        &format!("{PERIOD}same_dose_within = 3\n"),
        &["rules.toml:7:1", "did you mean `same_dose_within_days`?"],
    );
    let positive =
        "[period.positive_test]\nsuspends = [\"tests\"]\ndays = 14\nrecovery_ends = true\n";
    assert_mistake(&format!("{PERIOD}{positive}"), &["did you mean `test`?"]);
    let told = mistake("version = 1\nzone = \"Moscow\"\n");
    assert!(told.contains("rules.toml:2:8"), "{told}");
    assert!(told.contains("\"Europe/Moscow\""), "{told}");
}

#[test]
fn rules_without_a_period_or_with_periods_out_of_order_are_refused() {
    assert_mistake("", &["there is no period", "[[period]]"]);
    assert_mistake(&PERIOD.repeat(2), &["rules.toml:8:8", "a later date"]);
    assert_mistake(
        &PERIOD.replace("-28", "-31"),
        &["`2021-06-31` is not a date"],
    );
}

#[test]
fn vaccines_are_known_accepted_and_listed_once() {
    let unknown = PERIOD.replace("\"sputnik-v\"", "\"sputnik\"");
    assert_mistake(
        &unknown,
        &["rules.toml:5:22", "called `sputnik`", "covivac"],
    );
    let twice = PERIOD.replace("[\"", "[\"sputnik-v\", \"");
    assert_mistake(&twice, &["listed twice"]);
    let stray = series_with("[\"sputnik-v\"]", "[\"covivac\"]");
    assert_mistake(
        &stray,
        &["not accepted in this period", "accepted_vaccines"],
    );
    assert_mistake(
        &series_with("[\"sputnik-v\"]", "[]"),
        &["no vaccine is listed"],
    );
}

#[test]
fn tests_are_known_and_listed_once() {
    let test = |codes: &str| format!("[[period.test]]\ncodes = [{codes}]\ncalendar_days = 3\n");
    let antibodies = format!("{PERIOD}{}", test("\"94563-4\""));
    assert_mistake(
        &antibodies,
        &["no fact can state the test `94563-4`", "94500-6"],
    );
    let mixed = format!("{PERIOD}{}", test("\"94500-6\", \"94558-4\""));
    assert_mistake(
        &mixed,
        &[
            "`94500-6` and `94558-4` look for different things",
            "for each",
        ],
    );
    let apart = format!("{PERIOD}{}{}", test("\"94500-6\""), test("\"94558-4\""));
    Rules::parse(&whole(&apart), Path::new("rules.toml")).unwrap();
    let twice = format!("{PERIOD}{}{}", test("\"94500-6\""), test("\"94500-6\""));
    assert_mistake(&twice, &["listed twice"]);
    assert_mistake(&format!("{PERIOD}{}", test("")), &["no test is listed"]);
    let never = test("\"94500-6\"").replace("= 3", "= 0");
    assert_mistake(&format!("{PERIOD}{never}"), &["from 1 to 36500"]);
}

#[test]
fn a_validity_says_one_thing() {
    for wrong in ["{}", "{ months = 6, days = 180 }", "{ no_end = false }"] {
        let text = series_with("{ months = 6 }", wrong);
        assert_mistake(&text, &["rules.toml:10:9", "write one of { months = 6 }"]);
    }
}

#[test]
fn numbers_are_read_up_to_their_limits_and_not_beyond() {
    let read = |text: String| Rules::parse(&whole(&text), Path::new("x"));
    let months = |months: u32| series_with("months = 6", &format!("months = {months}"));
    assert!(read(months(MAX_MONTHS)).is_ok());
    assert_mistake(
        &months(MAX_MONTHS + 1),
        &["1201 is out of range", "from 1 to 1200"],
    );
    assert_mistake(&months(0), &["0 is out of range"]);
    let days = |days: u32| series_with("months = 6", &format!("days = {days}"));
    assert!(read(days(MAX_DAYS)).is_ok());
    assert_mistake(&days(MAX_DAYS + 1), &["36501 is out of range"]);
    let same = |days: u32| PERIOD.replace("= 3", &format!("= {days}"));
    assert!(read(same(MAX_DAYS)).is_ok());
    assert_mistake(&same(MAX_DAYS + 1), &["36501 is out of range"]);
    assert_mistake(
        &PERIOD.replace("= 3", "= -1"),
        &["rules.toml:6:25", "from 0 to"],
    );
}

#[test]
fn a_rule_that_could_never_cover_is_refused() {
    let waiting = |days: u32| {
        series_with("waiting_days = 14", &format!("waiting_days = {days}"))
            .replace("months = 6", "days = 14")
    };
    assert!(Rules::parse(&whole(&waiting(14)), Path::new("x")).is_ok());
    assert_mistake(&waiting(15), &["before the waiting time is over"]);

    let second = "second = [\"sputnik-v\"]\ninterval_days = { max = 3 }\nwaiting_days = 14";
    let interval = series_with("waiting_days = 14", second);
    assert_mistake(&interval, &["at least 4 days", "same_dose_within_days"]);
    let fits = interval.replace("max = 3", "max = 4");
    assert!(Rules::parse(&whole(&fits), Path::new("x")).is_ok());
}

#[test]
fn an_interval_needs_a_second_dose() {
    let interval = series_with(
        "waiting_days = 14",
        "interval_days = { min = 21 }\nwaiting_days = 1",
    );
    assert_mistake(&interval, &["no second dose"]);
    let proves = series_with(
        "waiting_days = 14",
        "second_dose_proves_first = true\nwaiting_days = 1",
    );
    assert_mistake(&proves, &["no second dose"]);
}

#[test]
fn a_positive_test_suspends_something_and_ends() {
    let positive = |suspends: &str, ends: &str| {
        format!("{PERIOD}[period.positive_test]\nsuspends = [{suspends}]\n{ends}")
    };
    let endless = positive("\"test\"", "recovery_ends = false\n");
    assert_mistake(&endless, &["suspend for ever", "days = NUMBER"]);
    let nothing = positive("", "days = 14\nrecovery_ends = true\n");
    assert_mistake(&nothing, &["suspends nothing"]);
}

#[test]
fn no_text_makes_the_reader_panic() {
    let good = whole(&format!("{PERIOD}{SERIES}"));
    for end in 0..good.len() {
        let _ = Rules::parse(&good[..end], Path::new("x"));
        let broken = format!("{}é\"{}", &good[..end], &good[end..]);
        let _ = Rules::parse(&broken, Path::new("x"));
    }
}

fn starts(zone: &str, day: &str) -> Option<DateTime<Utc>> {
    let text = whole(PERIOD).replace("Europe/Moscow", zone);
    let rules = Rules::parse(&text, Path::new("x")).unwrap();
    rules.day_start(day.parse().unwrap())
}

#[test]
fn a_day_starts_at_its_midnight_in_the_city() {
    let utc = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    assert_eq!(
        starts("Europe/Moscow", "2021-11-02"),
        utc("2021-11-01T21:00:00Z")
    );
    // 25 hours: the clock goes back in the night.
    assert_eq!(
        starts("Europe/Berlin", "2021-10-31"),
        utc("2021-10-30T22:00:00Z")
    );
    assert_eq!(
        starts("Europe/Berlin", "2021-11-01"),
        utc("2021-10-31T23:00:00Z")
    );
    // 00:00 to 00:59 do not exist on this day.
    assert_eq!(
        starts("America/Sao_Paulo", "2018-11-04"),
        utc("2018-11-04T03:00:00Z")
    );
    // 00:00 comes twice on this day; it starts at the first.
    assert_eq!(
        starts("America/Havana", "2021-11-07"),
        utc("2021-11-07T04:00:00Z")
    );
    assert!(starts("America/Havana", &chrono::NaiveDate::MAX.to_string()).is_some());
    assert!(starts("Pacific/Apia", &chrono::NaiveDate::MIN.to_string()).is_some());
    // The whole day was left out when the country crossed the date line.
    assert_eq!(starts("Pacific/Apia", "2011-12-30"), None);
}
