//! Refused corrections as callers see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// State of the older version of a record whose row cannot be sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OlderVersion {
    /// Stands at the registry until the end of the feed's run, and is judged then.
    Waiting,
    /// Stands at the registry until an operator permits its withdrawal.
    Held,
    /// Stands at the registry, because the configuration wants it so.
    Kept,
    /// Withdrawn.
    Withdrawn,
    /// Unknown here: a state that was lost may have sent one, and its withdrawal waits for an
    /// operator.
    Possible,
    /// Stands at the registry, since no version is left to withdraw it with.
    Parked,
}

impl OlderVersion {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Held,
        Self::Kept,
        Self::Withdrawn,
        Self::Possible,
        Self::Parked,
    ];

    /// Word used in files, `--json` and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Kept => "kept",
            Self::Withdrawn => "withdrawn",
            Self::Possible => "possible",
            Self::Parked => "parked",
        }
    }

    /// State of a column's word; `None` for a note that was not checked yet.
    pub(crate) fn from_column(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Refused corrections of one feed, by the state of the older versions. All but `held` count those,
/// too, that only a state that was lost can have sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RefusedCorrections {
    /// Older versions that are judged at the end of the feed's next run.
    pub waiting: u64,
    /// Older versions that the safety catch holds at the registry.
    pub held: u64,
    /// Records that the feed had when the safety catch began to hold some; fewer, if it has fewer
    /// by now.
    pub held_of: Option<u64>,
    /// Older versions that the configuration keeps at the registry.
    pub kept: u64,
    /// Older versions that were withdrawn, and whose rows are not mended yet.
    pub withdrawn: u64,
    /// Rows of which only a state that was lost can have sent an older version, and whose
    /// withdrawal the safety catch holds.
    pub possible: u64,
    /// Older versions that no version is left for to withdraw; each has a dead letter.
    pub parked: u64,
    /// Highest number of a note among `held` and `possible`; 0 where there is none.
    #[serde(skip)]
    pub held_upto: i64,
}

impl RefusedCorrections {
    /// Number in this state.
    #[must_use]
    pub const fn count(&self, state: OlderVersion) -> u64 {
        match state {
            OlderVersion::Waiting => self.waiting,
            OlderVersion::Held => self.held,
            OlderVersion::Kept => self.kept,
            OlderVersion::Withdrawn => self.withdrawn,
            OlderVersion::Possible => self.possible,
            OlderVersion::Parked => self.parked,
        }
    }
}

/// Refused corrections of a source that were held at one time, all of them: the highest number of
/// their notes, by feed. Those held later have higher ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeldCorrections(BTreeMap<String, i64>);

impl HeldCorrections {
    pub(crate) fn new(upto: impl Iterator<Item = (String, i64)>) -> Self {
        Self(upto.filter(|(_, upto)| *upto > 0).collect())
    }

    /// Returns whether nothing was held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Notes of one feed, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FeedCounts {
    /// Notes from before notes were taken, to be checked.
    pub(crate) unchecked: u64,
    /// Older versions that stand without an operator's permission.
    pub(crate) standing: u64,
    /// Older versions among `standing` that are held.
    pub(crate) held: u64,
    /// Older versions that an operator permits to withdraw, and that stand still.
    pub(crate) permitted: u64,
    /// Older versions withdrawn unasked since the beginning of the window, which moves on only
    /// while none is held.
    pub(crate) recent: u64,
    /// Highest number of a note.
    pub(crate) last_id: i64,
    /// Records of the feed when the safety catch began to hold some.
    pub(crate) held_of: Option<u64>,
}
