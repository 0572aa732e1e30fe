//! The position of a feed in a folder, as cursors hold it.

use serde::{Deserialize, Serialize};

/// Position of a run, and what it stores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderPosition {
    /// State of the folder that is being read, or was; `None` once it has changed during the run,
    /// so that everything is read again by the next one.
    pub folder_state: Option<u64>,
    /// Name behind which reading goes on; `None`: all was read.
    pub behind: Option<String>,
    /// Newest stamp of the feed when the run began, in microseconds since 1970.
    pub newest: Option<i64>,
}

/// Position of a list of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderKeysPosition {
    /// Name behind which the list goes on.
    pub keys_behind: String,
}
