//! Coverage: the time in which a person is eligible, without the reasons for it.

use super::Window;

/// Time that eligibility covers: intervals from a start, up to but without an end, in order, which
/// do not touch each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage(Vec<Window>);

impl Coverage {
    /// Coverage by intervals in any order, which may overlap.
    #[must_use]
    pub fn new(intervals: impl IntoIterator<Item = Window>) -> Self {
        let mut sorted: Vec<Window> = intervals.into_iter().collect();
        sorted.sort_unstable();
        let mut joined: Vec<Window> = Vec::with_capacity(sorted.len());
        for interval in sorted {
            match joined.last_mut() {
                Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
                _ => joined.push(interval),
            }
        }
        Self(joined)
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
