//! Numbers of gone records that an operator was shown, and permits to withdraw.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Numbers of the records that an operator was shown as gone from a source, or as those of a source
/// that is not configured any more, by feed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShownMissing(BTreeMap<String, u64>);

impl FromIterator<(String, u64)> for ShownMissing {
    fn from_iter<I: IntoIterator<Item = (String, u64)>>(feeds: I) -> Self {
        Self(feeds.into_iter().collect())
    }
}
