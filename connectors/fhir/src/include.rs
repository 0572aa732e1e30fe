//! Decision whether a server includes patients (`_include`) fast enough, or whether they are read in
//! batches.

use std::time::Duration;

/// Records that a page must have to be judged by.
pub(crate) const MIN_RECORDS: usize = 10;
/// Time for a page with its patients that is never too long.
pub(crate) const QUICK: Duration = Duration::from_millis(200);
/// Number of times by which including patients may be slower than reading them in batches.
const SLOWER: u32 = 3;

/// How patients come, where `include` is "auto". Decided anew at every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeChoice {
    /// Included: a page with its patients took no more than this.
    Quick(Duration),
    /// Included: that is not much slower than batches.
    Included(IncludeTiming),
    /// Read in batches: that is several times faster.
    Batches(IncludeTiming),
    /// Read in batches: a search with `_include` failed, and one without was answered.
    Failed,
    /// Read in batches: the server includes none.
    Ignored,
}

/// Times that the same page took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IncludeTiming {
    /// With its patients included.
    pub included: Duration,
    /// Without, and with its patients read in batches behind it.
    pub batched: Duration,
}

impl IncludeTiming {
    /// True if patients had better be read in batches.
    pub(crate) fn is_slow(self) -> bool {
        self.included >= QUICK && self.included > self.batched.saturating_mul(SLOWER)
    }
}

impl IncludeChoice {
    /// True if searches ask the server to include patients.
    pub(crate) const fn asks(self) -> bool {
        !matches!(self, Self::Batches(_) | Self::Failed)
    }

    /// The choice in words.
    pub(crate) fn words(self) -> String {
        let seconds = |time: Duration| format!("{:.3} s", time.as_secs_f64());
        match self {
            Self::Quick(time) => format!(
                "patients come along with their records (_include), in {} a page",
                seconds(time)
            ),
            Self::Included(timing) => format!(
                "patients come along with their records (_include), in {} a page against {} with \
                 reads in batches",
                seconds(timing.included),
                seconds(timing.batched)
            ),
            Self::Batches(timing) => format!(
                "patients are read in batches: {} a page against {} with _include",
                seconds(timing.batched),
                seconds(timing.included)
            ),
            Self::Failed => "patients are read in batches: a search with _include failed, and one \
                             without was answered"
                .to_owned(),
            Self::Ignored => "patients are read in batches: the server ignores _include".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_several_times_slower_is_slow() {
        let is_slow = |included, batched| {
            IncludeTiming {
                included: Duration::from_millis(included),
                batched: Duration::from_millis(batched),
            }
            .is_slow()
        };
        assert!(is_slow(2950, 25), "as it was seen");
        assert!(is_slow(301, 100) && !is_slow(300, 100));
        assert!(is_slow(200, 1) && !is_slow(199, 1), "quick whatever it is");
        assert!(!is_slow(5000, 4000) && !is_slow(5000, 9000));
    }
}
