//! State that is kept of a record.

use contract::{ContentDigest, RecordDigest, Version};

/// Time at which a row last changed, on its source's own scale; `None` where the source does not
/// tell.
pub type SourceStamp = Option<i64>;

/// State of a record that the outbox knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Number of the record, which it keeps.
    pub(crate) record_no: i64,
    /// Feed of the record; `None` for one that was not read since feeds are remembered.
    pub(crate) feed_id: Option<i64>,
    pub(crate) stamp: SourceStamp,
    /// Content last sent; `None` where it was forgotten so that the record is sent again, or where
    /// there never was one.
    pub(crate) content: Option<ContentDigest>,
    /// Last version given out; of count 0 if there was none.
    pub(crate) version: Version,
    pub(crate) withdrawn: bool,
}

impl Known {
    /// Returns whether a version of the record was ever given out.
    pub(crate) const fn was_sent(&self) -> bool {
        self.version.count > 0
    }
}

/// New state of a record, to be written with the page that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordUpdate {
    pub(crate) record: RecordDigest,
    /// Number of the record; `None` for a record that is new.
    pub(crate) record_no: Option<i64>,
    pub(crate) content: Option<ContentDigest>,
    pub(crate) version: Version,
    pub(crate) withdrawn: bool,
    pub(crate) stamp: SourceStamp,
}

impl RecordUpdate {
    /// State to keep under the number.
    pub(crate) const fn known_as(&self, record_no: i64, feed_id: Option<i64>) -> Known {
        Known {
            record_no,
            feed_id,
            stamp: self.stamp,
            content: self.content,
            version: self.version,
            withdrawn: self.withdrawn,
        }
    }
}
