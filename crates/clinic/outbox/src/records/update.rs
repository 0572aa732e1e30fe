//! New states of records, to be written with the page that brought them.

use contract::{ContentDigest, RecordDigest, Version};
use record_index::RecordState;

/// Time at which a row last changed, on its source's own scale; `None` where the source does not
/// tell.
pub type SourceStamp = Option<i64>;

/// New state of a record, all but its feed, which may not be there before the page's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordUpdate {
    /// Digest of the record.
    pub(crate) record: RecordDigest,
    /// Number of the record; `None` for a record that is new.
    pub(crate) record_no: Option<i64>,
    /// Content of the version, sent or not; `None` for a refused row.
    pub(crate) content: Option<ContentDigest>,
    /// Version given out; of count 0 if none was.
    pub(crate) version: Version,
    /// True if the version is a withdrawal.
    pub(crate) withdrawn: bool,
    /// Stamp of the row.
    pub(crate) stamp: SourceStamp,
}

impl RecordUpdate {
    /// Returns the state to store for a record of the feed.
    pub(crate) const fn state(&self, feed_id: i64) -> RecordState {
        RecordState {
            feed_id: Some(feed_id),
            stamp: self.stamp,
            content: self.content,
            version: self.version,
            withdrawn: self.withdrawn,
        }
    }
}
