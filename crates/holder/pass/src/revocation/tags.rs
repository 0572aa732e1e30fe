//! Tags: the first 48 bits of pass ids, and sorted sets of them.

use std::fmt;

/// Number of bits of a tag.
pub const TAG_BITS: u32 = 48;

/// Number of tags that one set may hold.
pub const MAX_TAGS: usize = 4_000_000;

/// First 6 bytes of a pass id, as a big-endian integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u64);

impl Tag {
    /// Greatest tag.
    pub const MAX: Self = Self((1 << TAG_BITS) - 1);

    /// Tag of a pass.
    #[must_use]
    pub const fn of_pass(id: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(id) >> (u64::BITS - TAG_BITS))
    }

    /// Tag with this value; `None` for a value of more than 48 bits.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value <= Self::MAX.0 {
            Some(Self(value))
        } else {
            None
        }
    }

    /// Value, below 2 to the power of 48.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tag({:012x})", self.0)
    }
}

/// Set holds more than [`MAX_TAGS`] tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revocation list holds at most 4000000 passes; let passes end earlier or roll the key")]
pub struct TooManyTags;

/// Set of at most [`MAX_TAGS`] tags, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagSet(Vec<Tag>);

impl TagSet {
    /// Set of these tags, in any order; a tag that comes twice is one.
    ///
    /// # Errors
    /// More than [`MAX_TAGS`] different tags.
    pub fn new(mut tags: Vec<Tag>) -> Result<Self, TooManyTags> {
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > MAX_TAGS {
            return Err(TooManyTags);
        }
        Ok(Self(tags))
    }

    /// Set of tags that rise strictly and are not too many; what is otherwise gives `None`.
    pub(super) fn of_rising(tags: Vec<Tag>) -> Option<Self> {
        let rising = tags.is_sorted_by(|before, after| before < after);
        (rising && tags.len() <= MAX_TAGS).then_some(Self(tags))
    }

    /// True where the tag is in the set.
    #[must_use]
    pub fn contains(&self, tag: Tag) -> bool {
        self.0.binary_search(&tag).is_ok()
    }

    /// Tags, rising.
    #[must_use]
    pub fn as_slice(&self) -> &[Tag] {
        &self.0
    }

    /// Number of tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there is no tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tags of this set that the other one does not hold.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut others = other.0.iter().peekable();
        let mut left = Vec::new();
        for tag in &self.0 {
            while others.next_if(|other| *other < tag).is_some() {}
            if others.peek() != Some(&tag) {
                left.push(*tag);
            }
        }
        Self(left)
    }

    /// Tags of either set.
    ///
    /// # Errors
    /// More than [`MAX_TAGS`] tags.
    pub(super) fn with(&self, other: &Self) -> Result<Self, TooManyTags> {
        // Two sorted runs: the stable sort merges them.
        let mut tags = self.0.clone();
        tags.extend_from_slice(&other.0);
        tags.sort();
        tags.dedup();
        if tags.len() > MAX_TAGS {
            return Err(TooManyTags);
        }
        Ok(Self(tags))
    }
}
