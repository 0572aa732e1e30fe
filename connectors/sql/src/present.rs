//! The present moment as a run begins, by which stamps close: by the source's clock or ours. Of a
//! source that follows another one it is the moment up to which it has followed.

use std::time::Duration;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use clock::Clock;

use crate::driver::{Driver, Failure, LentSession};
use crate::value::Sql;

/// Word behind a server's time where the server follows another one.
const REPLICA: &str = "replica";

/// The present moment; nothing closes by one that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Present {
    /// Second since 1970 up to which the snapshot that is read has everything.
    pub begun: Option<i64>,
    /// Second since 1970 at which the connector's own clock stood at zero; not later than that of
    /// whoever gave the stamps.
    pub zero: Option<i64>,
}

/// Knowledge that a source has of the time, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A server that is written to itself.
    Leads { now: i64 },
    /// A server that follows another one. `upto`: when the last transaction was committed there
    /// that it has followed, if it knows.
    Follows { now: i64, upto: Option<i64> },
    /// A file, and when it was last written. It may be a copy, which stands still.
    File { written: i64 },
}

impl Told {
    /// Reads the text that [`Driver::clock_sql`] gives.
    fn read(text: &str) -> Option<Self> {
        let second = |text: &str| {
            let second = text.parse::<f64>().ok().filter(|second| second.is_finite());
            second.map(|second| second.floor().saturating_as::<i64>())
        };
        let mut words = text.split_whitespace();
        let now = second(words.next()?)?;
        let upto = match (words.next(), words.next()) {
            (None, _) => return Some(Self::Leads { now }),
            (Some(REPLICA), None) => None,
            (Some(REPLICA), Some(upto)) => Some(second(upto)?),
            _ => return None,
        };
        Some(Self::Follows { now, upto })
    }
}

impl Present {
    /// The moment by the source's clock or ours, whichever is behind. The source told its time
    /// between `entered` and `until` of the connector's own clock, perhaps after the snapshot was
    /// taken.
    fn of(told: Told, now: DateTime<Utc>, entered: Duration, until: Duration) -> Self {
        let seconds = |time: Duration| time.as_secs().saturating_as::<i64>();
        let ours = now.timestamp();
        let waited = seconds(until.saturating_sub(entered)).saturating_add(1);
        let (begun, given) = match told {
            Told::Leads { now } => (now.saturating_sub(waited).min(ours), now.min(ours)),
            Told::Follows { upto: None, .. } => return Self::default(),
            // Its rows were stamped elsewhere, up to now by any of the clocks.
            Told::Follows {
                now,
                upto: Some(upto),
            } => (upto.min(ours), now.max(ours)),
            Told::File { written } => (written.min(ours), ours),
        };
        Self {
            begun: Some(begun),
            zero: Some(given.saturating_sub(seconds(entered))),
        }
    }

    /// The moment of which both are sure.
    fn and(self, other: Self) -> Self {
        let both = self.begun.zip(other.begun).zip(self.zero.zip(other.zero));
        both.map_or_else(Self::default, |(begun, zero)| Self {
            begun: Some(begun.0.min(begun.1)),
            zero: Some(zero.0.max(zero.1)),
        })
    }
}

/// Clocks beside the source's own.
pub(crate) struct Clocks<'a> {
    /// The present moment as the request says.
    pub now: DateTime<Utc>,
    /// The connector's own clock.
    pub watch: &'a dyn Clock,
    /// Reading of the connector's own clock as the page was asked for.
    pub entered: Duration,
    /// Second since 1970 at which the source's file was last written, as it was told before the
    /// file was opened.
    pub written: Option<i64>,
}

impl Clocks<'_> {
    fn present(&self, told: Told) -> Present {
        Present::of(told, self.now, self.entered, self.watch.elapsed())
    }

    /// Asks for the present moment.
    ///
    /// # Errors
    /// The database's failures.
    pub(crate) async fn ask(
        &self,
        driver: &dyn Driver,
        lent: &mut LentSession<'_>,
    ) -> Result<Present, Failure> {
        let Some(sql) = driver.clock_sql() else {
            let now = self.now.timestamp();
            let told = self
                .written
                .map_or(Told::Leads { now }, |written| Told::File { written });
            return Ok(self.present(told));
        };
        let told = tell(lent, sql).await?;
        let present = self.present(told);
        if !matches!(told, Told::Follows { upto: Some(_), .. }) {
            return Ok(present);
        }
        // It may have followed on after the snapshot of this statement was taken: the next one has
        // what was told here. A pooler may have another server take it.
        lent.renew().await?;
        Ok(present.and(self.present(tell(lent, sql).await?)))
    }
}

async fn tell(lent: &mut LentSession<'_>, sql: &'static str) -> Result<Told, Failure> {
    let texts = lent.texts(&Sql::plain(sql)).await?;
    let told = texts.first().and_then(|text| Told::read(text));
    told.ok_or_else(|| Failure::retry("the database does not say its time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTERED: Duration = Duration::from_secs(20);
    const UNTIL: Duration = Duration::from_millis(23_500);

    fn of(told: Told) -> Option<(i64, i64)> {
        let now = DateTime::from_timestamp(1000, 0).unwrap();
        let Present { begun, zero } = Present::of(told, now, ENTERED, UNTIL);
        begun.zip(zero)
    }

    #[test]
    fn the_clock_that_is_behind_counts_and_no_moment_after_the_snapshot() {
        assert_eq!(of(Told::Leads { now: 990 }), Some((986, 970)));
        assert_eq!(of(Told::Leads { now: 1002 }), Some((998, 980)));
        assert_eq!(of(Told::Leads { now: 5000 }), Some((1000, 980)));
    }

    #[test]
    fn a_source_that_stands_still_stands_at_what_it_has_followed_or_was_last_written() {
        let follows = |now, upto| of(Told::Follows { now, upto });
        assert_eq!(follows(1001, None), None, "nothing closes");
        assert_eq!(follows(1001, Some(400)), Some((400, 981)));
        assert_eq!(follows(900, Some(5000)), Some((1000, 980)));
        assert_eq!(of(Told::File { written: 400 }), Some((400, 980)));
        assert_eq!(of(Told::File { written: 5000 }), Some((1000, 980)));
    }

    #[test]
    fn of_two_moments_the_later_beginning_is_not_sure() {
        let moment = |begun, zero| Present {
            begun: Some(begun),
            zero: Some(zero),
        };
        assert_eq!(moment(5, 7).and(moment(4, 9)), moment(4, 9));
        assert_eq!(moment(5, 7).and(Present::default()), Present::default());
    }

    #[test]
    fn a_servers_word_is_read() {
        let follows = |upto| {
            Some(Told::Follows {
                now: 1_625_133_600,
                upto,
            })
        };
        let leads = Some(Told::Leads { now: 1_625_133_600 });
        for (text, told) in [
            ("1625133600", leads),
            ("1625133600.9 ", leads),
            ("1625133600 replica", follows(None)),
            (
                "1625133600 replica 1625130000.5",
                follows(Some(1_625_130_000)),
            ),
            ("1625133600 replica soon", None),
            ("1625133600 other", None),
            ("nan", None),
            ("", None),
        ] {
            assert_eq!(Told::read(text), told, "{text}");
        }
    }
}
