//! Whole revocation list, and its edition: sequence and time of issue.

use chrono::{DateTime, SubsecRound, Utc};

use super::tags::{Tag, TagSet, TooManyTags};

/// Fault of an edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditionError {
    /// Sequence is 0, which stands for "no list".
    #[error("sequences of revocation lists begin at 1")]
    Sequence,
    /// Time of issue is before 1970, or beyond what a calendar holds.
    #[error("the time of issue lies before 1970 or beyond the calendar; set the clock")]
    Time,
}

/// Edition of a revocation list: which one it is, and when it was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    sequence: u64,
    issued_at: DateTime<Utc>,
}

impl Edition {
    /// Edition with a sequence, and a time of issue of which whole seconds are kept.
    ///
    /// # Errors
    /// Sequence 0, or a time before 1970.
    pub fn new(sequence: u64, issued_at: DateTime<Utc>) -> Result<Self, EditionError> {
        if sequence == 0 {
            return Err(EditionError::Sequence);
        }
        if issued_at < DateTime::UNIX_EPOCH {
            return Err(EditionError::Time);
        }
        Ok(Self {
            sequence,
            issued_at: issued_at.trunc_subsecs(0),
        })
    }

    /// Number that rises from list to list, from 1.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        self.sequence
    }

    /// Time of issue, in whole seconds.
    #[must_use]
    pub const fn issued_at(self) -> DateTime<Utc> {
        self.issued_at
    }
}

/// Pass that ended before its expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedPass {
    /// Tag of the pass.
    pub tag: Tag,
    /// First second in which the pass would not hold any more anyway (claim `exp`).
    pub expiry: DateTime<Utc>,
}

/// Whole list of the passes that ended before their expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    edition: Edition,
    tags: TagSet,
}

impl RevocationList {
    /// List of a set of tags.
    #[must_use]
    pub const fn new(edition: Edition, tags: TagSet) -> Self {
        Self { edition, tags }
    }

    /// List of the ended passes without those that have expired at the time of issue, because they
    /// hold nowhere any more.
    ///
    /// # Errors
    /// More passes than a list holds.
    pub fn of_unexpired(
        edition: Edition,
        ended: impl IntoIterator<Item = EndedPass>,
    ) -> Result<Self, TooManyTags> {
        let unexpired = ended
            .into_iter()
            .filter(|pass| pass.expiry > edition.issued_at);
        let tags = TagSet::new(unexpired.map(|pass| pass.tag).collect())?;
        Ok(Self { edition, tags })
    }

    /// Sequence and time of issue.
    #[must_use]
    pub const fn edition(&self) -> Edition {
        self.edition
    }

    /// Tags of the ended passes.
    #[must_use]
    pub const fn tags(&self) -> &TagSet {
        &self.tags
    }

    /// True where the pass with this id has ended.
    #[must_use]
    pub fn revokes(&self, pass_id: [u8; 8]) -> bool {
        self.tags.contains(Tag::of_pass(pass_id))
    }
}
