//! Tests of stamps.

use super::*;

const ZONE: Tz = Tz::Europe__Moscow;

fn key(kind: Kind, text: &str) -> Key {
    Key {
        kind,
        value: text.as_bytes().to_vec(),
    }
}

fn text(key: Option<Key>) -> String {
    key.map_or("none".into(), |key| String::from_utf8(key.value).unwrap())
}

#[test]
fn looking_back_keeps_the_columns_form_and_its_fractions() {
    let now = "2021-07-01T09:00:00Z".parse().unwrap();
    for (kind, stamp, expected) in [
        (
            Kind::TimestampTz,
            "2021-07-01 00:04:00.123456+00",
            "2021-06-30 23:59:00.123456",
        ),
        (
            Kind::Timestamp,
            "2021-07-01 00:05:00",
            "2021-07-01 00:00:00.000000",
        ),
        (Kind::Date, "2021-07-01", "2021-06-30"),
        (Kind::Integer, "1625173200", "1625172900"),
        (Kind::Text, "2021-07-01 00:05:00.5", "2021-07-01 00:00:00"),
        (
            Kind::Text,
            "2021-07-01T00:05:00+03:00",
            "2021-07-01T00:00:00",
        ),
        (Kind::Text, "2021-07-01", "2021-06-30"),
        (Kind::Timestamp, "infinity", "none"),
        (Kind::Text, "вчера", "none"),
    ] {
        assert_eq!(
            text(earlier(&key(kind, stamp), 300, now, ZONE)),
            expected,
            "{kind:?} {stamp}"
        );
    }
}

#[test]
fn looking_back_goes_before_the_hour_that_comes_twice() {
    for (stamp, now, expected) in [
        // Berlin's clocks go back from 03:00 to 02:00 at 01:00 UTC.
        ("2021-10-31 02:59:00", "2021-10-31T00:59:30Z", "02:54:00"),
        ("2021-10-31 02:59:00", "2021-10-31T01:10:00Z", "02:00:00"),
        ("2021-10-31 02:30:00", "2021-12-01T00:00:00Z", "02:00:00"),
        ("2021-10-31 01:58:00", "2021-12-01T00:00:00Z", "01:53:00"),
        ("2021-10-31 03:01:00", "2021-12-01T00:00:00Z", "02:56:00"),
        ("2021-10-30 12:00:00", "2021-12-01T00:00:00Z", "11:55:00"),
        // An hour that no clock shows.
        ("2021-03-28 02:30:00", "2021-03-28T02:00:00Z", "02:25:00"),
    ] {
        for kind in [Kind::Timestamp, Kind::Text] {
            let now = now.parse().unwrap();
            let found = earlier(&key(kind, stamp), 300, now, Tz::Europe__Berlin);
            let found = text(found);
            assert_eq!(
                found.get(11..19),
                Some(expected),
                "{kind:?} {stamp} at {now}"
            );
        }
    }
}

#[test]
fn stamps_of_any_offset_lie_behind_the_widest_bound() {
    for bound in [
        "2021-07-10T08:00:00",
        "2021-07-10 08:00:00+14:00",
        "2021-07-10",
    ] {
        assert_eq!(text(widest(&key(Kind::Text, bound))), "2021-07-08");
    }
    assert_eq!(text(widest(&key(Kind::Integer, "1625173200"))), "none");
    assert_eq!(text(widest(&key(Kind::Text, "вчера"))), "none");
}

#[test]
fn the_present_is_written_as_the_other_stamps_are() {
    let now = "2021-07-01T22:00:00Z".parse().unwrap();
    for (like, expected) in [
        ("2021-06-01T10:00:00+05:00", "2021-07-02T03:00:00+05:00"),
        ("2021-06-01 10:00:00Z", "2021-07-01 22:00:00Z"),
        ("2021-06-01 10:00:00", "2021-07-02 01:00:00"),
        ("2021-06-01", "2021-07-02"),
    ] {
        assert_eq!(
            text(present(now, Kind::Text, like.as_bytes(), ZONE)),
            expected
        );
    }
}

#[test]
fn stamps_have_one_scale_and_what_is_no_time_is_still_told_apart() {
    let scaled = |kind, text: &str| scale(Cell::of(kind, text.as_bytes())).unwrap();
    for (kind, stamp, expected) in [
        (
            Kind::TimestampTz,
            "2021-07-01 00:00:00.000001+00",
            1_625_097_600_000_001,
        ),
        (
            Kind::TimestampTz,
            "2021-07-01 00:00:00",
            1_625_097_600_000_000,
        ),
        (
            Kind::Timestamp,
            "2021-07-01 00:00:00.5",
            1_625_097_600_500_000,
        ),
        (Kind::Date, "2021-07-01", 1_625_097_600_000_000),
        (Kind::Integer, "-5", -5),
        (Kind::Integer, "9223372036854775807", i64::MAX),
        (
            Kind::Text,
            "2021-07-01T03:00:00+03:00",
            1_625_097_600_000_000,
        ),
        (Kind::Text, "2021-07-01", 1_625_097_600_000_000),
    ] {
        assert_eq!(scaled(kind, stamp), expected, "{kind:?} {stamp}");
    }
    let no_time = [
        "infinity",
        "-infinity",
        "0044-03-15 00:00:00 BC",
        "0000-00-00 00:00:00",
    ];
    let scales: std::collections::HashSet<i64> = no_time
        .iter()
        .map(|stamp| scaled(Kind::Timestamp, stamp))
        .collect();
    assert!(
        scales.len() == 4 && scales.iter().all(|scale| (0..1 << 62).contains(scale)),
        "{scales:?}"
    );
    assert_eq!(
        scale(Cell {
            kind: Kind::Timestamp,
            value: Value::Null
        }),
        None
    );
    let old = key(Kind::Integer, "5");
    let new = key(Kind::Integer, "6");
    assert!(is_before(&old, &new) && !is_before(&old, &old) && !is_before(&new, &old));
    assert!(
        !is_before(&old, &key(Kind::Text, "2021-07-01")),
        "kinds have no order of time"
    );
}

#[test]
fn a_stamp_in_the_future_becomes_the_present_and_a_past_one_stays_byte_for_byte() {
    let now = "2021-07-01T09:00:00Z".parse().unwrap();
    for (kind, stamp, expected) in [
        (
            Kind::TimestampTz,
            "2099-01-01 00:00:00+00",
            "2021-07-01 09:00:00.000000",
        ),
        (
            Kind::TimestampTz,
            "2021-07-01 08:59:59.999999+00",
            "2021-07-01 08:59:59.999999+00",
        ),
        (
            Kind::Timestamp,
            "2021-07-01 12:00:01",
            "2021-07-01 12:00:00.000000",
        ),
        (
            Kind::Timestamp,
            "2021-07-01 11:59:59",
            "2021-07-01 11:59:59",
        ),
        (Kind::Date, "2021-07-02", "2021-07-01"),
        (Kind::Integer, "4070908800", "1625130000"),
        (Kind::Text, "2099-01-01T00:00:00Z", "2021-07-01T09:00:00Z"),
        (
            Kind::Text,
            "2099-01-01 00:00:00+05:00",
            "2021-07-01 14:00:00+05:00",
        ),
        (Kind::Text, "2099-01-01 00:00:00", "2021-07-01 12:00:00"),
        (Kind::Timestamp, "infinity", "none"),
        (Kind::Timestamp, "0000-00-00 00:00:00", "none"),
    ] {
        assert_eq!(
            text(not_after(&key(kind, stamp), now, ZONE)),
            expected,
            "{kind:?} {stamp}"
        );
    }
}
