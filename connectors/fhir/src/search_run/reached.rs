//! Part of a list that has been read: none, all of it up to a stamp, or what a run has reached.

use serde::{Deserialize, Serialize};

use super::SearchRun;
use crate::stamp_mark::StampMark;

/// Part of one list that has been read.
#[derive(Serialize, Deserialize, Clone, Default)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Reached {
    /// No part for certain.
    #[default]
    Nothing,
    /// To the end, up to a stamp.
    Mark(StampMark),
    /// Within a run that broke off, or is under way: it goes on from the stamp that it has reached.
    Partly(Box<SearchRun>),
}

impl Reached {
    /// The mark of the last complete reading.
    pub(crate) fn mark(&self) -> Option<StampMark> {
        match self {
            Self::Nothing => None,
            Self::Mark(mark) => Some(*mark),
            Self::Partly(run) => run.since,
        }
    }
}

impl From<Option<StampMark>> for Reached {
    fn from(mark: Option<StampMark>) -> Self {
        mark.map_or(Self::Nothing, Self::Mark)
    }
}
