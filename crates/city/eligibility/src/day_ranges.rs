//! Whole days as ranges: what an answer says, and the arithmetic behind it.

use chrono::NaiveDate;

/// Whole days of the city's zone that are covered without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// First day that is covered.
    pub from: NaiveDate,
    /// First day that is not covered any more; `None` where all days up to the horizon are covered.
    pub until: Option<NaiveDate>,
}

impl Interval {
    /// Last day that is covered; `None` where all days up to the horizon are.
    #[must_use]
    pub fn last(&self) -> Option<NaiveDate> {
        self.until.and_then(|until| until.pred_opt())
    }

    /// True where the day is covered, as far as the horizon reaches.
    #[must_use]
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.from <= day && self.until.is_none_or(|until| day < until)
    }
}

/// Days from `from` up to `until`, which is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayRange {
    pub(crate) from: NaiveDate,
    pub(crate) until: NaiveDate,
}

impl DayRange {
    /// Days that are in both ranges; `None` where there are none.
    pub(crate) fn within(self, other: Self) -> Option<Self> {
        let from = self.from.max(other.from);
        let until = self.until.min(other.until);
        (from < until).then_some(Self { from, until })
    }

    pub(crate) fn contains(self, day: NaiveDate) -> bool {
        self.from <= day && day < self.until
    }

    /// Days of the range that are in none of the holes.
    pub(crate) fn without(self, holes: &[Self]) -> Vec<Self> {
        let mut left = vec![self];
        for hole in holes {
            left = left
                .into_iter()
                .flat_map(|range| range.cut(*hole))
                .collect();
        }
        left
    }

    /// Days before and days after a hole.
    fn cut(self, hole: Self) -> impl Iterator<Item = Self> {
        let before = Self {
            from: self.from,
            until: self.until.min(hole.from),
        };
        let after = Self {
            from: self.from.max(hole.until),
            until: self.until,
        };
        [before, after]
            .into_iter()
            .filter(|part| part.from < part.until)
    }
}

/// Joins ranges that overlap or touch; the result is in the order of the days.
pub(crate) fn joined(mut ranges: Vec<DayRange>) -> Vec<DayRange> {
    ranges.sort_by_key(|range| range.from);
    let mut joined: Vec<DayRange> = Vec::new();
    for range in ranges {
        match joined.last_mut().filter(|last| range.from <= last.until) {
            Some(last) => last.until = last.until.max(range.until),
            None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2021, 7, number).unwrap()
    }

    fn range(from: u32, until: u32) -> DayRange {
        DayRange {
            from: day(from),
            until: day(until),
        }
    }

    #[test]
    fn a_hole_in_the_middle_leaves_both_sides() {
        let left = range(1, 20).without(&[range(5, 8), range(7, 10)]);
        assert_eq!(left, [range(1, 5), range(10, 20)]);
    }

    #[test]
    fn a_hole_that_covers_all_leaves_nothing_and_one_outside_leaves_all() {
        assert_eq!(range(5, 8).without(&[range(5, 8)]), []);
        assert_eq!(range(5, 8).without(&[range(8, 9)]), [range(5, 8)]);
    }

    #[test]
    fn ranges_that_touch_are_joined_and_others_are_not() {
        let ranges = vec![range(10, 12), range(1, 3), range(3, 5), range(6, 7)];
        assert_eq!(joined(ranges), [range(1, 5), range(6, 7), range(10, 12)]);
    }
}
