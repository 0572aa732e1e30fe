//! The end of lateness: the moment from which no row can come behind a stamp any more, so that the
//! overlap need not be read again.
//!
//! A row comes at most `overlap_seconds` after the moment it was stamped with. Once a run has begun
//! later than that it has seen every row up to the stamp: the stamp is closed. When a stamp was
//! given it says itself, but for the zone, which a clinic may have mistaken. A stamp of the last
//! hours, and a number, which has no clock at all, were given before a run first found them.

use std::time::Duration;

use az::SaturatingAs;
use chrono::{DateTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::settings::SqlSettings;
use crate::stamp::{self, Moment};
use crate::value::{Key, Kind};

/// Greatest distance of a clock in a wrong time zone, in seconds.
pub(crate) const WIDEST_ZONE: i64 = 14 * 3600;
const DAY: i64 = 86_400;

/// The newest stamp that was known before a run, where it was not closed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenStamp {
    pub at: Key,
    /// Second since 1970 by which the run that found it first had read its rows: it may have been
    /// given while that run was reading.
    pub seen: i64,
}

/// A run's beginning, and what was known then.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunStart {
    /// Second since 1970 up to which the source has everything (see [`crate::present`]); `None`
    /// where it does not know, or nobody asked, since nothing was open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<i64>,
    /// Second since 1970, by the same clock as `begun`, at which the connector's own clock stood at
    /// zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<OpenStamp>,
    /// Stamp up to which everything was read and nothing can come any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Key>,
}

/// State of a stamp at which a run has ended.
pub(crate) enum Lateness {
    /// No row can come any more.
    Closed,
    /// Rows may still come; a run found the stamp first at this second, if that is known.
    Open(Option<i64>),
}

impl RunStart {
    /// The second by which everything was given that was read up to now; `None` where nobody asked
    /// for the time. `elapsed` is what the connector's own clock shows now.
    pub(crate) fn seen(&self, elapsed: Duration) -> Option<i64> {
        let elapsed = elapsed.as_secs().saturating_as::<i64>();
        // The next whole second: both parts are cut to seconds.
        Some(self.zero?.saturating_add(elapsed).saturating_add(1))
    }

    /// Judges the stamp at which the run has ended, or has come to; `seen` is the second by which
    /// its rows were read.
    pub(crate) fn lateness(&self, at: &Key, seen: Option<i64>, settings: &SqlSettings) -> Lateness {
        self.lateness_within(at, seen, settings.overlap_seconds, settings.zone)
    }

    fn lateness_within(
        &self,
        at: &Key,
        seen: Option<i64>,
        overlap_seconds: u32,
        zone: Tz,
    ) -> Lateness {
        let known = self.before.as_ref().filter(|before| before.at == *at);
        let Some(begun) = self.begun else {
            return Lateness::Open(known.map(|known| known.seen));
        };
        let overlap = i64::from(overlap_seconds);
        let moment = stamp::read(at);
        if moment
            .as_ref()
            .is_some_and(|moment| begun > given_by(moment, at) + overlap)
        {
            return Lateness::Closed;
        }
        // Not its beginning: a stamp may be given while the run reads.
        let Some(seen) = known.map(|known| known.seen).or(seen) else {
            return Lateness::Open(None);
        };
        let grain = moment.as_ref().map_or(1, grain);
        let repeated = match moment {
            Some(Moment::Local(_)) => repeated_hour(zone, begun),
            _ => 0,
        };
        if begun > seen + grain + overlap + repeated {
            Lateness::Closed
        } else {
            Lateness::Open(Some(seen))
        }
    }
}

/// The second by which a stamp was certainly given; the end of time where it does not say.
fn given_by(moment: &Moment, at: &Key) -> i64 {
    // Seconds since 1970, or just a number.
    if at.kind == Kind::Integer {
        return i64::MAX / 2;
    }
    moment.as_utc().timestamp() + WIDEST_ZONE + grain(moment)
}

/// Seconds for which one stamp may have been given out, as its zeros show: one of a whole minute
/// may be cut to minutes.
fn grain(moment: &Moment) -> i64 {
    let time = moment.clock().time();
    match (time.hour(), time.minute(), time.second()) {
        (0, 0, 0) => DAY,
        (_, 0, 0) => 3600,
        (_, _, 0) => 60,
        _ => 1,
    }
}

/// Seconds for which wall-clock stamps are given twice, where the zone's clocks go back.
fn repeated_hour(zone: Tz, now: i64) -> i64 {
    let offset = |days| {
        let day = DateTime::from_timestamp(now, 0)? + TimeDelta::days(days);
        Some(zone.offset_from_utc_datetime(&day.naive_utc()).fix())
    };
    let changes = (0..12).any(|month| offset(-30 * month) != offset(0));
    if changes { 3600 } else { 0 }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    const OVERLAP: u32 = 300;

    fn key(kind: Kind, text: &str) -> Key {
        Key {
            kind,
            value: text.as_bytes().to_vec(),
        }
    }

    fn second(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp()
    }

    fn run(begun: i64, before: Option<OpenStamp>) -> RunStart {
        RunStart {
            begun: Some(begun),
            zero: Some(begun),
            before,
            closed: None,
        }
    }

    fn is_closed(run: &RunStart, at: &Key) -> bool {
        let lateness = run.lateness_within(at, run.begun, OVERLAP, Tz::Europe__Moscow);
        matches!(lateness, Lateness::Closed)
    }

    #[test]
    fn a_stamp_closes_by_itself_once_it_is_older_than_overlap_grain_and_any_zone() {
        for (kind, at, closes) in [
            (
                Kind::TimestampTz,
                "2021-07-01 10:00:01.5+00",
                Some("2021-07-02T00:05:02Z"),
            ),
            (
                Kind::Timestamp,
                "2021-07-01 10:00:01",
                Some("2021-07-02T00:05:02Z"),
            ),
            (
                Kind::Text,
                "2021-07-01T10:01:00Z",
                Some("2021-07-02T00:07:00Z"),
            ),
            (
                Kind::Timestamp,
                "2021-07-01 10:00:00",
                Some("2021-07-02T01:05:00Z"),
            ),
            (
                Kind::Timestamp,
                "2021-07-01 00:00:00",
                Some("2021-07-02T14:05:00Z"),
            ),
            (Kind::Date, "2021-07-01", Some("2021-07-02T14:05:00Z")),
            (Kind::Integer, "1625133600", None),
            (Kind::Decimal, "1625133600", None),
        ] {
            let at = key(kind, at);
            let Some(closes) = closes.map(second) else {
                assert!(
                    !is_closed(&run(i64::MAX / 4, None), &at),
                    "a number has no clock"
                );
                continue;
            };
            assert!(!is_closed(&run(closes, None), &at), "{kind:?}: at the edge");
            assert!(
                is_closed(&run(closes + 1, None), &at),
                "{kind:?}: behind it"
            );
        }
    }

    #[test]
    fn any_stamp_closes_an_overlap_after_a_run_has_found_it_first() {
        for (kind, at, grain) in [
            (Kind::TimestampTz, "2021-07-01 10:00:01.5+00", 1),
            (Kind::Timestamp, "2021-07-01 10:01:00", 60),
            (Kind::Integer, "7001", 1),
            (Kind::Decimal, "7001", 1),
        ] {
            let at = key(kind, at);
            let seen = second("2021-07-01T10:02:00Z");
            let open = OpenStamp {
                at: at.clone(),
                seen,
            };
            let edge = seen + i64::from(OVERLAP) + grain;
            assert!(!is_closed(&run(edge, Some(open.clone())), &at), "{kind:?}");
            assert!(
                is_closed(&run(edge + 1, Some(open.clone())), &at),
                "{kind:?}"
            );
            // A newer one begins anew.
            let newer = key(kind, "2021-07-01 10:02:01");
            let read = Some(edge + 9);
            let newly = run(edge + 1, Some(open));
            let lateness = newly.lateness_within(&newer, read, OVERLAP, Tz::UTC);
            assert!(
                matches!(lateness, Lateness::Open(first) if first == read),
                "{kind:?}"
            );
            let unknown = newly.lateness_within(&newer, None, OVERLAP, Tz::UTC);
            assert!(matches!(unknown, Lateness::Open(None)), "{kind:?}");
        }
        let at = key(Kind::Integer, "7001");
        assert!(matches!(
            RunStart::default().lateness_within(&at, None, OVERLAP, Tz::UTC),
            Lateness::Open(None)
        ));
    }

    #[test]
    fn nothing_closes_of_a_source_that_stands_still() {
        // A server that has stopped following another one, or a copy of a file: our clock goes on,
        // and what the source has does not.
        let seen = 1_625_133_600;
        for kind in [Kind::TimestampTz, Kind::Integer] {
            let at = key(
                kind,
                if kind == Kind::Integer {
                    "7001"
                } else {
                    "2021-07-01 10:00:01+00"
                },
            );
            let open = || {
                Some(OpenStamp {
                    at: at.clone(),
                    seen,
                })
            };
            for _ in 0..3 {
                let still = run(seen - 20, open());
                let lateness = still.lateness_within(&at, Some(seen + 9999), OVERLAP, Tz::UTC);
                assert!(matches!(lateness, Lateness::Open(Some(first)) if first == seen));
            }
            let unknown = RunStart {
                begun: None,
                ..run(0, open())
            };
            let lateness = unknown.lateness_within(&at, None, OVERLAP, Tz::UTC);
            assert!(matches!(lateness, Lateness::Open(Some(first)) if first == seen));
            assert!(is_closed(&run(seen + 302, open()), &at), "it has followed");
        }
    }

    #[test]
    fn an_hour_that_comes_twice_keeps_wall_clock_stamps_open_for_that_hour() {
        let at = key(Kind::Timestamp, "2021-10-31 02:59:59");
        let seen = second("2021-10-31T01:00:00Z");
        let open = OpenStamp {
            at: at.clone(),
            seen,
        };
        let closed = |begun, zone| {
            let run = run(begun, Some(open.clone()));
            matches!(
                run.lateness_within(&at, None, OVERLAP, zone),
                Lateness::Closed
            )
        };
        assert!(closed(seen + 302, Tz::Europe__Moscow));
        assert!(!closed(seen + 3601, Tz::Europe__Berlin));
        assert!(closed(seen + 3902, Tz::Europe__Berlin));
    }
    #[test]
    fn a_stamp_that_is_given_while_the_run_reads_stays_open_for_the_overlap_after_that() {
        let at = key(Kind::Integer, "7001");
        let begun = 1_625_133_600;
        let first = RunStart {
            zero: Some(begun - 7),
            ..run(begun, None)
        };
        // Its rows took forty seconds.
        let seen = first.seen(Duration::from_millis(47_900)).unwrap();
        assert_eq!(seen, begun + 41);
        let lateness = first.lateness_within(&at, Some(seen), OVERLAP, Tz::UTC);
        assert!(matches!(lateness, Lateness::Open(Some(open)) if open == seen));
        let open = OpenStamp {
            at: at.clone(),
            seen,
        };
        assert!(!is_closed(&run(begun + 302, Some(open.clone())), &at));
        assert!(!is_closed(&run(begun + 342, Some(open.clone())), &at));
        assert!(is_closed(&run(begun + 343, Some(open)), &at));
        assert_eq!(RunStart::default().seen(Duration::ZERO), None);
    }
}
