//! Abilities that a server turned out to lack. It is not asked for them again until the gateway
//! starts anew.

use std::sync::atomic::{AtomicBool, Ordering};

use connector_kit::Feed;

/// Limits of one server, as far as they are known.
#[derive(Default)]
pub(crate) struct ServerLimits {
    /// The server refuses `_include`: patients are read in batches.
    pub include_refused: Limit,
    /// The server refuses `_elements`, or `_id` in `_sort`: keys are asked for without.
    pub keys_are_plain: Limit,
    /// The server cannot search for several ids at once: one search an id.
    pub ids_one_by_one: Limit,
    feeds: [FeedLimits; 3],
    /// The server cannot search for several patients at once: each is read by its address.
    pub patients_one_by_one: Limit,
    /// The server cannot search for the links of patients.
    pub links_unsearchable: Limit,
    /// The server cannot search for ids: every record is read by its address.
    pub ids_by_address: Limit,
}

/// Limits of one feed of a server.
#[derive(Default)]
pub(crate) struct FeedLimits {
    /// Some resources have no stamp: the feed is read whole on every run.
    pub unstamped: Limit,
    /// The resources were counted, or cannot be.
    pub stamps_counted: Limit,
}

impl ServerLimits {
    pub(crate) const fn of(&self, feed: Feed) -> &FeedLimits {
        match feed {
            Feed::Vaccinations => &self.feeds[0],
            Feed::Tests => &self.feeds[1],
            Feed::Recoveries => &self.feeds[2],
        }
    }
}

/// A limit; once known it stays known.
#[derive(Default)]
pub(crate) struct Limit(AtomicBool);

impl Limit {
    pub(crate) fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn learn(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
