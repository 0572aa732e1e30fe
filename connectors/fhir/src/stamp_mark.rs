//! Mark up to which a feed, or the list of patients, has been read, and from which the next run
//! begins.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Time beyond the overlap after which no record is expected any more: the clock that stamps
/// records may be behind the one that the server tells.
pub(crate) const CLOCK_SLACK: TimeDelta = TimeDelta::seconds(60);

/// The stamp up to which everything has been read.
///
/// A stamp is closed once it lies further back than the overlap: what is committed late under it
/// would have been seen. What is closed is not read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StampMark {
    pub stamp: DateTime<Utc>,
    /// Moment at which the reading up to the stamp began; `None` where that closes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_at: Option<DateTime<Utc>>,
    /// Moment at which the stamp was first seen, where stamps lie further back than the server's
    /// clock explains: they close only by the time that passes from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    late_since: Option<DateTime<Utc>>,
}

impl StampMark {
    /// A mark that closes nothing: the next run looks back over the whole overlap.
    pub(crate) const fn open(stamp: DateTime<Utc>) -> Self {
        Self {
            stamp,
            read_at: None,
            late_since: None,
        }
    }

    /// The mark of a complete reading that began at `read_at`.
    pub(crate) const fn read(stamp: DateTime<Utc>, read_at: DateTime<Utc>) -> Self {
        Self {
            stamp,
            read_at: Some(read_at),
            late_since: None,
        }
    }

    /// The mark of a complete reading of a source whose stamps come late, after `before`.
    pub(crate) fn read_late(
        stamp: DateTime<Utc>,
        read_at: DateTime<Utc>,
        before: Option<Self>,
        overlap: TimeDelta,
    ) -> Self {
        let seen = before
            .filter(|before| before.stamp == stamp)
            .and_then(|before| before.late_since)
            .unwrap_or(read_at);
        let is_closed = read_at - seen > overlap + CLOCK_SLACK;
        Self {
            stamp,
            read_at: is_closed.then_some(read_at),
            late_since: Some(seen),
        }
    }

    /// True if stamps of this source are known to come late.
    pub(crate) const fn is_late(&self) -> bool {
        self.late_since.is_some()
    }

    /// True if a record with this stamp came although it was closed when it was not there yet.
    pub(crate) fn is_belied_by(&self, stamp: DateTime<Utc>, overlap: TimeDelta) -> bool {
        stamp > self.stamp
            && self
                .closed_until(overlap)
                .is_some_and(|until| stamp <= until)
    }

    /// Moment from which the next run has to read.
    pub(crate) fn begin(&self, overlap: TimeDelta) -> Option<DateTime<Utc>> {
        let back = self.stamp.checked_sub_signed(overlap)?;
        let Some(until) = self.closed_until(overlap) else {
            return Some(back);
        };
        // The next whole second: some servers compare no finer.
        let behind = DateTime::from_timestamp(self.stamp.timestamp() + 1, 0)?;
        Some(back.max(behind.min(until)))
    }

    /// Moment up to which everything is closed.
    fn closed_until(&self, overlap: TimeDelta) -> Option<DateTime<Utc>> {
        let read_at = self.read_at?;
        if self.is_late() {
            return Some(self.stamp + TimeDelta::seconds(1));
        }
        read_at
            .checked_sub_signed(overlap + CLOCK_SLACK)
            .filter(|until| *until > DateTime::<Utc>::MIN_UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_625_000_000 + second, 0).unwrap()
    }

    const OVERLAP: TimeDelta = TimeDelta::seconds(300);

    fn begin(mark: StampMark) -> DateTime<Utc> {
        mark.begin(OVERLAP).unwrap()
    }

    #[test]
    fn the_overlap_is_paid_until_it_has_closed_and_not_any_more_then() {
        assert_eq!(begin(StampMark::open(at(1000))), at(700));
        for (read_at, expected) in [
            (1000, 700),
            (1300, 940),
            (1359, 999),
            (1360, 1000),
            (1361, 1001),
            (90_000, 1001),
        ] {
            let mark = StampMark::read(at(1000), at(read_at));
            assert_eq!(begin(mark), at(expected), "{read_at}");
        }
        let half = at(1000) + TimeDelta::milliseconds(500);
        assert_eq!(begin(StampMark::read(half, at(9000))), at(1001));
    }

    #[test]
    fn stamps_that_come_late_close_by_the_time_that_passes() {
        let mark = StampMark::read(at(1000), at(9000));
        assert!(mark.is_belied_by(at(5000), OVERLAP));
        assert!(!mark.is_belied_by(at(8900), OVERLAP));
        assert!(!mark.is_belied_by(at(1000), OVERLAP));
        let late = StampMark::read_late(at(5000), at(9100), Some(mark), OVERLAP);
        assert_eq!(begin(late), at(4700));
        let again = StampMark::read_late(at(5000), at(9460), Some(late), OVERLAP);
        assert_eq!(begin(again), at(4700));
        let closed = StampMark::read_late(at(5000), at(9461), Some(again), OVERLAP);
        assert_eq!(begin(closed), at(5001));
        let moved = StampMark::read_late(at(5100), at(9999), Some(closed), OVERLAP);
        assert_eq!(begin(moved), at(4800));
    }

    #[test]
    fn the_form_of_stored_marks_stays() {
        let stored = r#"{"stamp":"2021-07-01T10:00:00Z","read_at":"2021-07-01T11:00:00Z"}"#;
        let mark: StampMark = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&mark).unwrap(), stored);
    }
}
