//! Delta: the difference between two revocation lists.

use super::list::{Edition, RevocationList};
use super::tags::{TagSet, TooManyTags};

/// Reason that a delta cannot be made or applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// Sequence does not rise.
    #[error("a delta leads to a greater sequence than it begins at")]
    Sequence,
    /// Time of issue is earlier than the one of the list that it begins at.
    #[error("the delta was issued before the list that it begins at; fetch the whole list")]
    Time,
    /// Delta begins at another list.
    #[error("the delta begins at list {base}, but list {held} is held; fetch the whole list")]
    OtherBase {
        /// Sequence that the delta begins at.
        base: u64,
        /// Sequence of the list that is held.
        held: u64,
    },
    /// Delta adds a tag that is held, or removes one that is not held.
    #[error("the delta does not fit the tags of its list; fetch the whole list")]
    OtherTags,
    /// Result has too many tags.
    #[error(transparent)]
    TooMany(#[from] TooManyTags),
}

/// Difference between two revocation lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    base: u64,
    edition: Edition,
    added: TagSet,
    removed: TagSet,
}

impl Delta {
    /// Difference from an older list to a newer one.
    ///
    /// # Errors
    /// A newer list whose sequence or time of issue is not newer.
    pub fn between(older: &RevocationList, newer: &RevocationList) -> Result<Self, DeltaError> {
        let delta = Self::from_parts(
            older.edition().sequence(),
            newer.edition(),
            newer.tags().without(older.tags()),
            older.tags().without(newer.tags()),
        )?;
        delta.check_time(older)?;
        Ok(delta)
    }

    /// Delta as a payload states it.
    pub(super) fn from_parts(
        base: u64,
        edition: Edition,
        added: TagSet,
        removed: TagSet,
    ) -> Result<Self, DeltaError> {
        if base >= edition.sequence() {
            return Err(DeltaError::Sequence);
        }
        Ok(Self {
            base,
            edition,
            added,
            removed,
        })
    }

    /// Sequence of the list that the delta begins at; at least 1.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Sequence and time of issue of the list that the delta leads to.
    #[must_use]
    pub const fn edition(&self) -> Edition {
        self.edition
    }

    /// Tags of passes that ended since.
    #[must_use]
    pub const fn added(&self) -> &TagSet {
        &self.added
    }

    /// Tags of passes that expired since.
    #[must_use]
    pub const fn removed(&self) -> &TagSet {
        &self.removed
    }

    /// List that the delta leads to from the one it begins at.
    ///
    /// # Errors
    /// A list with another sequence or other tags than the delta begins at, a delta that was issued
    /// before that list, or more tags than a list holds.
    pub fn apply(&self, list: &RevocationList) -> Result<RevocationList, DeltaError> {
        let held = list.edition().sequence();
        if self.base != held {
            return Err(DeltaError::OtherBase {
                base: self.base,
                held,
            });
        }
        self.check_time(list)?;
        let kept = list.tags().without(&self.removed);
        let removed = list.tags().len() - kept.len();
        let added_anew = self.added.without(list.tags()).len();
        if removed != self.removed.len() || added_anew != self.added.len() {
            return Err(DeltaError::OtherTags);
        }
        let tags = kept.with(&self.added)?;
        Ok(RevocationList::new(self.edition, tags))
    }

    fn check_time(&self, list: &RevocationList) -> Result<(), DeltaError> {
        if self.edition.issued_at() < list.edition().issued_at() {
            Err(DeltaError::Time)
        } else {
            Ok(())
        }
    }
}
