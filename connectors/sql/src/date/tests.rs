//! Dates, instants and numbers out of every kind of value.

use super::*;

/// Reads a cell without configured formats.
fn date(cell: Cell<'_>, zone: Tz, encoding: Encoding) -> Field<ClinicDate> {
    DateFormats::default().date(cell, zone, encoding)
}

fn shown(kind: Kind, text: &str) -> String {
    let cell = Cell::of(kind, text.as_bytes());
    match date(cell, Tz::Europe__Moscow, Encoding::Utf8) {
        Field::Missing => "missing".into(),
        Field::Invalid(fault) => format!("{fault:?}"),
        Field::Value(ClinicDate::Year(y)) => format!("{y}"),
        Field::Value(ClinicDate::Month(y, m)) => format!("{y}-{m}"),
        Field::Value(ClinicDate::Day(day)) => day.to_string(),
    }
}

#[test]
fn every_kind_of_date_has_one_meaning() {
    for (kind, text, expected) in [
        (Kind::Text, "2021-07-01", "2021-07-01"),
        (Kind::Text, "2021-07", "2021-7"),
        (Kind::Text, "2021", "2021"),
        (Kind::Text, "01.07.2021", "2021-07-01"),
        (Kind::Text, " 01.07.2021 23:59 ", "2021-07-01"),
        (Kind::Text, "2021-07-01T23:30:00", "2021-07-01"),
        (Kind::Text, "2021-07-01T23:30:00Z", "2021-07-02"),
        (Kind::Text, "2021-07-01 01:30:00.5+05:00", "2021-06-30"),
        (Kind::Text, "2021-07-01 23:30+00", "2021-07-02"),
        (Kind::Text, "", "missing"),
        (Kind::Text, "2021-02-30", "NotADate"),
        (Kind::Text, "2021-13", "NotADate"),
        (Kind::Text, "1.7.2021", "NotADate"),
        (Kind::Text, "07/01/2021", "NotADate"),
        (Kind::Text, "2021-07-00", "NotADate"),
        (Kind::Text, "0000", "NotADate"),
        (Kind::Text, "2021-07-01 25:00", "NotADate"),
        (Kind::Text, "2021-07-01 вечер", "NotADate"),
        (Kind::Text, "20210701", "NotADate"),
        (Kind::Text, "вчера", "NotADate"),
        (Kind::Date, "2021-07-01", "2021-07-01"),
        (Kind::Date, "infinity", "NotADate"),
        (Kind::Date, "0044-03-15 BC", "NotADate"),
        (Kind::Date, "12021-07-01", "NotADate"),
        (Kind::Date, "0000-00-00", "NotADate"),
        (Kind::Date, "2021-00-00", "2021"),
        (Kind::Date, "2021-07-00", "2021-7"),
        (Kind::Timestamp, "2021-07-01 23:59:59.999999", "2021-07-01"),
        (Kind::Timestamp, "0000-00-00 00:00:00", "NotADate"),
        (Kind::TimestampTz, "2021-07-01 20:59:59+00", "2021-07-01"),
        (Kind::TimestampTz, "2021-07-01 21:00:00+00", "2021-07-02"),
        (Kind::TimestampTz, "2021-07-01 21:00:00", "2021-07-02"),
        (Kind::TimestampTz, "0000-00-00 00:00:00", "NotADate"),
        (Kind::Year, "2021", "2021"),
        (Kind::Year, "0000", "NotADate"),
        (Kind::Integer, "2021", "2021"),
        (Kind::Integer, "1625173200", "2021-07-02"),
        (Kind::Integer, "1625173199", "2021-07-01"),
        (Kind::Integer, "1625173200000", "2021-07-02"),
        (Kind::Integer, "1625173199999", "2021-07-01"),
        (Kind::Integer, "1625173199999999", "2021-07-01"),
        (Kind::Integer, "1625173200000000000", "NotADate"),
        (Kind::Integer, "99999999999", "5138-11-16"),
        (Kind::Integer, "100000000000", "1973-03-03"),
        (Kind::Integer, "100000000000000", "1973-03-03"),
        (Kind::Integer, "9223372036854775807", "NotADate"),
        (Kind::Integer, "-9223372036854775808", "NotADate"),
        (Kind::Float, "2021.5", "NotADate"),
        (Kind::Boolean, "true", "NotADate"),
    ] {
        assert_eq!(shown(kind, text), expected, "{kind:?} {text}");
    }
}

/// The date in a zone, of a cell whose `instant` is told as well.
fn day_in(zone: Tz, kind: Kind, text: &str) -> String {
    let cell = Cell::of(kind, text.as_bytes());
    let Field::Value(ClinicDate::Day(day)) = date(cell, zone, Encoding::Utf8) else {
        panic!("{text} is no day");
    };
    let instant = instant(cell, Encoding::Utf8).expect("an instant");
    assert_eq!(local_day(instant, zone), Some(ClinicDate::Day(day)));
    day.to_string()
}

#[test]
fn an_instant_near_midnight_has_the_day_of_its_zone_on_days_that_clocks_change_too() {
    // Vladivostok, UTC+10. Moscow went from UTC+4 to UTC+3 on 26 October 2014. Berlin's clocks
    // go forward on 28 March 2021 (UTC+1 before) and back on 31 October 2021 (UTC+2 before).
    // Apia had no 30 December 2011.
    for (zone, utc, before, from) in [
        (
            Tz::Asia__Vladivostok,
            "2021-07-01 14:00:00",
            "2021-07-01",
            "2021-07-02",
        ),
        (
            Tz::Europe__Moscow,
            "2014-10-25 20:00:00",
            "2014-10-25",
            "2014-10-26",
        ),
        (
            Tz::Europe__Moscow,
            "2014-10-26 21:00:00",
            "2014-10-26",
            "2014-10-27",
        ),
        (
            Tz::Europe__Berlin,
            "2021-03-27 23:00:00",
            "2021-03-27",
            "2021-03-28",
        ),
        (
            Tz::Europe__Berlin,
            "2021-03-28 22:00:00",
            "2021-03-28",
            "2021-03-29",
        ),
        (
            Tz::Europe__Berlin,
            "2021-10-30 22:00:00",
            "2021-10-30",
            "2021-10-31",
        ),
        (
            Tz::Europe__Berlin,
            "2021-10-31 23:00:00",
            "2021-10-31",
            "2021-11-01",
        ),
        (
            Tz::Pacific__Apia,
            "2011-12-30 10:00:00",
            "2011-12-29",
            "2011-12-31",
        ),
    ] {
        let midnight: DateTime<Utc> = format!("{}Z", utc.replace(' ', "T")).parse().unwrap();
        for (at, expected) in [
            (midnight - chrono::TimeDelta::milliseconds(1), before),
            (midnight, from),
        ] {
            let plain = at.format("%Y-%m-%d %H:%M:%S%.3f");
            for (kind, text) in [
                (Kind::TimestampTz, format!("{plain}+00")),
                (Kind::Text, format!("{plain}Z")),
                (
                    Kind::Text,
                    at.with_timezone(&FixedOffset::west_opt(5 * 3600).unwrap())
                        .to_rfc3339(),
                ),
                (Kind::Integer, at.timestamp_millis().to_string()),
                (Kind::Integer, at.timestamp_micros().to_string()),
                (Kind::Integer, at.timestamp().to_string()),
            ] {
                assert_eq!(
                    day_in(zone, kind, &text),
                    expected,
                    "{} {text}",
                    zone.name()
                );
            }
        }
    }
}

#[test]
fn what_no_zone_decides_is_no_instant() {
    for (kind, text) in [
        (Kind::Date, "2021-07-01"),
        (Kind::Timestamp, "2021-07-01 23:59:59"),
        (Kind::Text, "2021-07-01"),
        (Kind::Text, "2021-07-01 10:00"),
        (Kind::Integer, "2021"),
        (Kind::Text, "2021"),
        (Kind::Text, ""),
    ] {
        let cell = Cell::of(kind, text.as_bytes());
        assert_eq!(instant(cell, Encoding::Utf8), None, "{kind:?} {text}");
        let has_time = wall_clock(cell, Encoding::Utf8).is_some();
        assert_eq!(has_time, text.contains(':'), "{kind:?} {text}");
    }
}

#[test]
fn doses_are_whole_numbers_or_words() {
    for (kind, text, expected) in [
        (Kind::Integer, "2", Some(2)),
        (Kind::Unsigned, "4294967295", Some(u32::MAX)),
        (Kind::Unsigned, "4294967296", None),
        (Kind::Decimal, "2.00", Some(2)),
        (Kind::Decimal, "1.5", None),
        (Kind::Float, "1e1", Some(10)),
        (Kind::Text, " 007 ", Some(7)),
        (Kind::Text, "-1", None),
        (Kind::Text, "V1", None),
        (Kind::Text, ".", None),
    ] {
        let cell = Cell::of(kind, text.as_bytes());
        let expected = expected.map_or_else(|| Dose::Word(text.into()), Dose::Number);
        assert_eq!(
            dose(cell, Encoding::Utf8),
            Field::Value(expected),
            "{kind:?} {text}"
        );
    }
}
