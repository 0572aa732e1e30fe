//! Coverage: the time in which a person is eligible, without the reasons for it.

use chrono::{DateTime, Utc};

use super::Window;

/// Interval that ends before it begins, or when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an interval of eligibility ends after it begins")]
pub struct EmptyInterval;

/// Time that eligibility covers: intervals from a start, up to but without an end, in order, which
/// do not touch each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage(Vec<Window>);

impl Coverage {
    /// Coverage by intervals in any order, which may overlap: each from a time, up to but without
    /// the other.
    ///
    /// # Errors
    /// An interval that does not end after it begins.
    pub fn new(
        intervals: impl IntoIterator<Item = [DateTime<Utc>; 2]>,
    ) -> Result<Self, EmptyInterval> {
        let mut sorted = Vec::new();
        for [start, end] in intervals {
            if start >= end {
                return Err(EmptyInterval);
            }
            sorted.push(Window { start, end });
        }
        sorted.sort_unstable();
        let mut joined: Vec<Window> = Vec::with_capacity(sorted.len());
        for interval in sorted {
            match joined.last_mut() {
                Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
                _ => joined.push(interval),
            }
        }
        Ok(Self(joined))
    }

    /// True where every second of the window is covered.
    #[must_use]
    pub fn covers(&self, window: Window) -> bool {
        let after = self
            .0
            .partition_point(|interval| interval.start <= window.start);
        let before = after.checked_sub(1).and_then(|index| self.0.get(index));
        before.is_some_and(|interval| window.end <= interval.end)
    }
}
