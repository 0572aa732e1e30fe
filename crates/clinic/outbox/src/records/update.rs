//! New states of records, to be written with the page that brought them.

use contract::{ContentDigest, RecordDigest};
use record_index::RecordState;
use record_secrets::Revision;

/// Change stamp of a row: a time on its source's own scale, or a hash that only shows equal or
/// unequal; `None` where the source has none.
pub type SourceStamp = Option<i64>;

/// New state of a record, all but its feed, which may not be there before the page's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordUpdate {
    /// Digest of the record.
    pub(crate) record: RecordDigest,
    /// Number of the record; `None` for a record that is new.
    pub(crate) record_no: Option<i64>,
    /// Content of the revision, sent or not; `None` for a refused row.
    pub(crate) content: Option<ContentDigest>,
    /// Revision given out; of count 0 if none was.
    pub(crate) revision: Revision,
    /// True if the revision is a withdrawal.
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
            revision: self.revision,
            withdrawn: self.withdrawn,
        }
    }
}
