//! Complaints about other passes, played with ours: clocks, zones, rolls of keys, rogue scanners.
//! docs/passes-scenarios.md lists all of them, with the test that plays each.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use ciborium::Value;
use pass::PassId;
use pass::container::from_text;
use pass::holder::HolderAttributes;
use pass::keys::SigningKey;
use pass::strip::issue_strip;
use pass::window::{Coverage, Window, day_windows, paper_window};

use crate::city::{City, MIDNIGHT, at, stamp};
use crate::run::pass;

const HOUR: i64 = 3600;

/// Verdict of `pass verify` on a text at a time by the machine's clock.
fn verdict(city: &City, seconds: i64, text: &str) -> String {
    let files = ["root.jwk", "trust.cose", "revocations.cose"].map(|name| city.path(name));
    let [root, trust, revocations] = &files;
    let said = pass(
        &[
            "verify",
            "--root",
            root,
            "--trust",
            trust,
            "--revocations",
            revocations,
            "--at",
            &stamp(seconds),
            "--json",
        ],
        text.as_bytes(),
    );
    let json = said.json();
    let one = &json["passes"][0];
    let word = |name: &str| one[name].as_str().map(str::to_owned);
    word("reason").or(word("verdict")).unwrap()
}

fn signed(city: &City, window: Window) -> String {
    let holder = HolderAttributes::default();
    issue_strip(&city.key, "RU-MOW", window, PassId::random(), holder)
}

fn day(start: i64) -> Window {
    Window::new(at(start), at(start) + TimeDelta::days(1)).unwrap()
}

#[test]
fn a_clock_put_back_never_revives_yesterdays_pass() {
    let city = City::new();
    // Data of today, eight in the morning.
    city.publish(2, MIDNIGHT + 8 * HOUR, &[]);
    let yesterdays = signed(&city, day(MIDNIGHT - 24 * HOUR));
    for hours in -96..=96 {
        let said = verdict(&city, MIDNIGHT + hours * HOUR, &yesterdays);
        assert!(
            !["valid", "stale"].contains(&said.as_str()),
            "{hours} h: {said}"
        );
    }
    let back = MIDNIGHT - HOUR;
    assert_eq!(verdict(&city, back, &yesterdays), "clock-wrong");
}

#[test]
fn a_clock_put_ahead_opens_nothing_beyond_72_hours_and_nothing_green_beyond_24() {
    let city = City::new();
    let week = Window::new(at(MIDNIGHT), at(MIDNIGHT) + TimeDelta::days(7)).unwrap();
    let paper = signed(&city, week);
    for hours in 0..=100 {
        let expected = match hours {
            0..=24 => "valid",
            25..=72 => "stale",
            _ => "cannot-tell",
        };
        let said = verdict(&city, MIDNIGHT + hours * HOUR, &paper);
        assert_eq!(said, expected, "{hours} h");
    }
}

#[test]
fn a_pass_turns_at_the_citys_midnight_in_every_zone_and_on_days_when_the_clock_changes() {
    let city = City::new();
    // Noon in UTC of days with a change of the clock, or far from UTC.
    for (zone, noon) in [
        ("Europe/Moscow", "2026-11-29T12:00:00Z"),
        ("Europe/Berlin", "2026-10-25T12:00:00Z"),
        ("Europe/Berlin", "2026-03-29T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-05T02:00:00Z"),
        ("America/Havana", "2025-11-02T12:00:00Z"),
        ("Asia/Beirut", "2022-03-27T12:00:00Z"),
        ("Pacific/Kiritimati", "2026-11-29T00:00:00Z"),
        ("Pacific/Pago_Pago", "2026-11-29T23:00:00Z"),
        ("Asia/Kathmandu", "2026-11-29T12:00:00Z"),
    ] {
        let zone: Tz = zone.parse().unwrap();
        let noon: DateTime<Utc> = noon.parse().unwrap();
        let windows = day_windows(zone, noon, 0, &always(noon)).unwrap();
        let [window] = windows[..] else {
            panic!("{zone}: {windows:?}");
        };
        let trusted = city.trusting(noon);
        let text = signed(&city, window);
        let first = window.start().timestamp();
        let end = window.end().timestamp();
        let local = |moment: DateTime<Utc>| moment.with_timezone(&zone).format("%H:%M").to_string();
        let begins_at = local(window.start());
        assert!(
            ["00:00", "01:00"].contains(&begins_at.as_str()),
            "{zone} {begins_at}"
        );
        assert_eq!(local(window.end()), "00:00", "{zone}");
        for (seconds, expected) in [
            (first - 1, "not-yet"),
            (first, "valid"),
            (end - 1, "valid"),
            (end, "expired"),
        ] {
            trusted(at(seconds));
            assert_eq!(verdict(&city, seconds, &text), expected, "{zone} {seconds}");
        }
    }
}

fn always(moment: DateTime<Utc>) -> Coverage {
    let days = TimeDelta::days(30);
    Coverage::new([Window::new(moment - days, moment + days).unwrap()])
}

#[test]
fn a_week_on_paper_does_not_end_early_when_the_clock_goes_back() {
    let city = City::new();
    let berlin: Tz = "Europe/Berlin".parse().unwrap();
    let noon: DateTime<Utc> = "2026-10-22T10:00:00Z".parse().unwrap();
    let window = paper_window(berlin, noon, &always(noon)).unwrap().unwrap();
    assert_eq!((window.end() - window.start()).num_hours(), 7 * 24 + 1);
    let trusted = city.trusting(noon);
    let text = signed(&city, window);
    let last = window.end().timestamp() - 1;
    trusted(at(last));
    assert_eq!(verdict(&city, last, &text), "valid");
    assert_eq!(verdict(&city, last + 1, &text), "expired");
}

#[test]
fn verifiers_that_are_offline_during_a_roll_of_keys_accept_the_new_key_from_its_first_second() {
    let city = City::new();
    let next = SigningKey::generate();
    // Published 71 hours before it signs; no verifier has a network since.
    let begins = MIDNIGHT + 71 * HOUR;
    city.publish_with(&next, begins, MIDNIGHT);
    let window = day(begins);
    let holder = HolderAttributes::default();
    let by_new = issue_strip(&next, "RU-MOW", window, PassId::random(), holder);
    let by_old = signed(&city, window);
    assert_eq!(verdict(&city, begins - 1, &by_new), "key-not-valid-now");
    for text in [&by_new, &by_old] {
        assert_eq!(verdict(&city, begins, text), "stale");
    }
}

#[test]
fn a_rogue_scanner_gets_no_more_than_the_window_an_id_of_one_use_and_what_is_disclosed() {
    let city = City::new();
    let texts = [city.strip(PassId::random()), city.strip(PassId::random())];
    let [one, other] = texts.each_ref().map(|text| parts(text));
    assert_eq!(one.0, [1, 4], "protected header: algorithm and key");
    let labels = BTreeSet::from([1, 4, 5, 7, -65537]);
    assert_eq!(one.1.keys().copied().collect::<BTreeSet<i128>>(), labels);
    // Two strips of a person for one day are alike in all but their id.
    for label in labels {
        assert_eq!(one.1[&label] == other.1[&label], label != 7, "{label}");
    }
    let holder = one.1[&-65537].as_map().unwrap();
    assert_eq!(holder.len(), 3, "initials A and Q, and the 17th");
    assert!(texts.iter().all(|text| !text.contains("HTTP")));
}

/// Labels of the protected header, and the claims, of a pass.
fn parts(text: &str) -> (Vec<i128>, std::collections::BTreeMap<i128, Value>) {
    let read = |bytes: &[u8]| ciborium::from_reader::<Value, _>(bytes).unwrap();
    let labelled = |map: Value| {
        let entries = map.into_map().unwrap().into_iter();
        entries.map(|(label, value)| (label.into_integer().unwrap().into(), value))
    };
    let Value::Tag(18, message) = read(&from_text(text).unwrap()) else {
        panic!("a strip has tag 18");
    };
    let parts = message.into_array().unwrap();
    let bytes = |at: usize| read(parts[at].as_bytes().unwrap());
    assert_eq!(parts[1], Value::Map(Vec::new()));
    let header = labelled(bytes(0)).map(|(label, _)| label).collect();
    (header, labelled(bytes(2)).collect())
}

#[test]
fn every_complaint_names_a_test_that_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let table = std::fs::read_to_string(root.join("docs/passes-scenarios.md")).unwrap();
    let mut complaints = 0;
    for row in table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("---"))
        .skip(1)
    {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, _, tests] = cells[..] else {
            panic!("three cells: {row}");
        };
        complaints += 1;
        let mut named = 0;
        // `path` `name`, `name`; of the next file.
        let mut path: Option<PathBuf> = None;
        for part in tests.split('`').skip(1).step_by(2) {
            if part.contains('/') {
                path = Some(root.join(part));
                continue;
            }
            let path = path
                .as_ref()
                .unwrap_or_else(|| panic!("no file before {part}"));
            let text =
                std::fs::read_to_string(path).unwrap_or_else(|_| panic!("{}", path.display()));
            let forms = [
                format!("fn {part}("),
                format!("def {part}("),
                format!("name = \"{part}\""),
            ];
            let is_there = forms.iter().any(|form| text.contains(form.as_str()));
            assert!(is_there, "{}: no test {part}", path.display());
            named += 1;
        }
        assert!(named > 0, "no test: {row}");
    }
    assert!(complaints >= 19, "{complaints} complaints");
}
