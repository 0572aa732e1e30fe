//! Windows of strips: whole days of the city's zone, the same for everybody.

mod coverage;
mod day;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

pub use coverage::Coverage;

/// Number of days after today that a strip may be issued for.
pub const MAX_DAYS_AHEAD: u8 = 3;

/// Number of days that the window of a paper strip may have.
pub const MAX_PAPER_DAYS: u8 = 7;

/// First and last year of a time that windows are computed for.
pub const YEARS: std::ops::RangeInclusive<i32> = 1970..=9998;

/// Time that a strip or an eligibility holds in: from its start, up to but without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// Window that ends before it begins, or when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a window ends after it begins")]
pub struct EmptyWindow;

impl Window {
    /// Window from its start, up to but without its end.
    ///
    /// # Errors
    /// An end that is not after the start.
    pub fn new(start: DateTime<Utc>, end: DateTime<Utc>) -> Result<Self, EmptyWindow> {
        if start < end {
            Ok(Self { start, end })
        } else {
            Err(EmptyWindow)
        }
    }

    /// First second that is in the window (claim `nbf` of a strip).
    #[must_use]
    pub const fn start(self) -> DateTime<Utc> {
        self.start
    }

    /// First second that is after the window (claim `exp` of a strip).
    #[must_use]
    pub const fn end(self) -> DateTime<Utc> {
        self.end
    }

    /// True where the time lies in the window.
    #[must_use]
    pub fn contains(self, time: DateTime<Utc>) -> bool {
        self.start <= time && time < self.end
    }
}

/// Reason that no windows can be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// More than [`MAX_DAYS_AHEAD`] days ahead were asked for.
    #[error("strips are issued for at most 3 days ahead; ask for fewer days")]
    TooFarAhead,
    /// Time is outside [`YEARS`].
    #[error("the time lies outside the years 1970 to 9998; set the clock")]
    Year,
    /// The zone's data do not say when the day begins.
    #[error("the zone does not say when {0} begins; configure a zone of the tz database")]
    NoMidnight(NaiveDate),
}

/// Windows of the days from today to so many days ahead that eligibility wholly covers, in order.
///
/// A window is a day of the zone: from its first existing moment (00:00, or later where the clock
/// jumps over midnight) to the first moment of the next day, so 23 or 25 hours where the clock
/// changes. A day that the zone jumps over has no window.
///
/// # Errors
/// More than [`MAX_DAYS_AHEAD`] days, a time outside [`YEARS`], or a day without a beginning.
pub fn day_windows(
    zone: Tz,
    now: DateTime<Utc>,
    days_ahead: u8,
    covered: &Coverage,
) -> Result<Vec<Window>, WindowError> {
    if days_ahead > MAX_DAYS_AHEAD {
        return Err(WindowError::TooFarAhead);
    }
    let today = day::today(zone, now)?;
    let mut windows = Vec::with_capacity(usize::from(days_ahead) + 1);
    for ahead in 0..=days_ahead {
        let window = days_from(zone, today, ahead, 1)?;
        windows.extend(window.filter(|window| covered.covers(*window)));
    }
    Ok(windows)
}

/// Window of a paper strip: from the beginning of today over as many whole days, up to
/// [`MAX_PAPER_DAYS`], as eligibility covers; `None` where it does not cover today.
///
/// # Errors
/// A time outside [`YEARS`], or a day without a beginning.
pub fn paper_window(
    zone: Tz,
    now: DateTime<Utc>,
    covered: &Coverage,
) -> Result<Option<Window>, WindowError> {
    let today = day::today(zone, now)?;
    for days in (1..=MAX_PAPER_DAYS).rev() {
        let window = days_from(zone, today, 0, days)?;
        let window = window.filter(|window| covered.covers(*window));
        if window.is_some() {
            return Ok(window);
        }
    }
    Ok(None)
}

/// Window of so many days, the first of which is so many days after today; `None` where the zone
/// jumps over all of them.
fn days_from(
    zone: Tz,
    today: NaiveDate,
    ahead: u8,
    days: u8,
) -> Result<Option<Window>, WindowError> {
    let after = |days: u8| {
        let date = today.checked_add_days(Days::new(u64::from(days)));
        date.ok_or(WindowError::Year)
    };
    let start = day::first_moment(zone, after(ahead)?)?;
    let end = day::first_moment(zone, after(ahead + days)?)?;
    Ok(Window::new(start, end).ok())
}

#[cfg(test)]
mod tests;
