//! Lengths of time as an operator writes and reads them, coarse on purpose.

use chrono::{DateTime, TimeDelta, Utc};

/// Largest number in front of a unit, so that no sum overflows.
const MAX_NUMBER: i64 = 100_000;

/// Parses a number and a unit: `90s`, `90min`, `12h`, `3d`, `2w`.
///
/// The crate `humantime` also takes sums and spaces, reads `3m` as minutes and has no limit.
pub(super) fn parse(text: &str) -> Result<TimeDelta, String> {
    let help = || "a number and a unit: 90min, 12h, 3d, 2w".to_owned();
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: i64 = number
        .parse()
        .ok()
        .filter(|number| *number <= MAX_NUMBER)
        .ok_or_else(help)?;
    match unit {
        "s" => Ok(TimeDelta::seconds(number)),
        "min" => Ok(TimeDelta::minutes(number)),
        "h" => Ok(TimeDelta::hours(number)),
        "d" => Ok(TimeDelta::days(number)),
        "w" => Ok(TimeDelta::weeks(number)),
        _ => Err(help()),
    }
}

/// Formats the time since `then`, such as `3 h ago`; `never` without it.
pub(super) fn ago(now: DateTime<Utc>, then: Option<DateTime<Utc>>) -> String {
    then.map_or_else(
        || "never".to_owned(),
        |then| format!("{} ago", text((now - then).num_seconds())),
    )
}

/// Formats the time since `then`, such as `3 h`.
pub(super) fn since(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    text((now - then).num_seconds())
}

/// Formats a length of time in the units of [`since`], rounded up: it takes no longer than that.
pub(super) fn at_most(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    let unit = match seconds {
        0..120 => 1,
        120..7200 => 60,
        7200..172_800 => 3600,
        _ => 86_400,
    };
    text(seconds.saturating_add(unit - 1) / unit * unit)
}

/// Formats seconds in the largest unit of which there are two: `4 s`, `12 min`, `3 h`, `9 d`.
fn text(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_change_their_unit_at_its_edge() {
        let shown = [-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(text);
        assert_eq!(
            shown,
            [
                "0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"
            ]
        );
    }

    #[test]
    fn lengths_are_rounded_up() {
        let shown = [0, 119, 121, 7199, 7201, 172_801].map(|seconds| {
            let length = TimeDelta::seconds(seconds);
            at_most(length)
        });
        assert_eq!(shown, ["0 s", "119 s", "3 min", "2 h", "3 h", "3 d"]);
    }

    #[test]
    fn ages_are_read_and_nonsense_is_refused() {
        assert_eq!(parse("3d"), Ok(TimeDelta::days(3)));
        assert_eq!(parse("90min"), Ok(TimeDelta::minutes(90)));
        for wrong in [
            "3",
            "d",
            "3 d",
            "-3d",
            "3m",
            "100001d",
            "99999999999999999999d",
            "",
        ] {
            assert!(
                parse(wrong).is_err_and(|help| help.contains("3d")),
                "{wrong}"
            );
        }
    }
}
