//! Result of one feed's sweep.

use serde::{Deserialize, Serialize};

/// Result of one feed's sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedSweep {
    /// Name of the feed.
    pub feed: String,
    /// True if every row was read whole; false if its id and stamp were.
    #[serde(default)]
    pub contents: bool,
    /// Number of keys or rows that the source has, as the last look over them counted.
    pub keys: u64,
    /// Number of looks over the keys that were begun: a second one confirms what the first missed.
    #[serde(default)]
    pub looks: u64,
    /// Number of times that a row was read again by id, in all looks.
    pub reread: u64,
    /// Number of rows that were new or had changed without a pull's noticing.
    pub missed: u64,
    /// Number of records that no key named, and that the source has when it is asked for them by
    /// their ids.
    #[serde(default)]
    pub unlisted: u64,
    /// Number of rows that no key named, and that the source gave no answer for; they stay as they
    /// are.
    #[serde(default)]
    pub unanswered: u64,
    /// Number of records withdrawn because no key names them any more.
    pub withdrawn: u64,
    /// Number of records that would have been withdrawn, but need an operator's permission first.
    pub held: Option<u64>,
    /// Number of older versions withdrawn at the end of the sweep: the records' rows are there, and
    /// cannot be sent as they are now.
    #[serde(default)]
    pub older_withdrawn: u64,
    /// Number of older versions that stand at the registry at the end of the sweep, and need an
    /// operator's permission to be withdrawn.
    #[serde(default)]
    pub older_held: u64,
    /// True when all was read; false when the program was stopped before, or a pull was due.
    pub finished: bool,
    /// True if this turn of the sweep has ended because a pull of the source was due.
    #[serde(skip)]
    pub gave_way: bool,
}
