//! What the sweeps of a source owe and have done, between their turns.

use std::collections::HashMap;

use connector_kit::Feed;
use outbox::{Sweep, SweepKind};
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use super::feed_sweep::FeedSweep;

/// Sweeps of the feeds of one source.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    feeds: Mutex<HashMap<Feed, FeedLedger>>,
    /// Held by the request that an operator waits for.
    request: tokio::sync::Mutex<()>,
}

/// Sweeps of one feed.
#[derive(Debug, Default)]
struct FeedLedger {
    /// Kind of the sweep that is asked for, if one is.
    asked: Option<SweepKind>,
    /// Number of sweeps that this program has begun or taken up, the one under way included.
    begun: u64,
    /// Counts of the sweep under way.
    under_way: Option<FeedSweep>,
    /// Number and result of the last sweep that ended.
    ended: Option<(u64, FeedSweep)>,
}

impl Ledger {
    /// Asks for a sweep of a feed; one of contents is more than one of keys.
    pub(crate) fn ask(&self, feed: Feed, kind: SweepKind) {
        let mut feeds = self.feeds.lock();
        let asked = &mut feeds.entry(feed).or_default().asked;
        *asked = asked.take().max(Some(kind));
    }

    /// Waits until no other request sweeps the source. The sweeps are then those of the request
    /// that holds this, and nobody else takes a turn of them: two who give way to one another read
    /// a page a turn.
    pub(crate) async fn begin_request(&self) -> MutexGuard<'_, ()> {
        self.request.lock().await
    }

    /// Returns whether an operator waits for the source's sweeps.
    #[cfg(feature = "cli")]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.request.try_lock().is_err()
    }

    /// Returns whether a sweep of the feed is asked for.
    pub(crate) fn is_asked(&self, feed: Feed) -> bool {
        let feeds = self.feeds.lock();
        feeds.get(&feed).is_some_and(|feed| feed.asked.is_some())
    }

    /// Takes the request for a sweep of the feed, if there is one.
    pub(crate) fn take_asked(&self, feed: Feed) -> Option<SweepKind> {
        self.feeds.lock().get_mut(&feed)?.asked.take()
    }

    /// Number of sweeps of the feed that were begun or taken up so far.
    pub(crate) fn begun(&self, feed: Feed) -> u64 {
        self.feeds.lock().get(&feed).map_or(0, |feed| feed.begun)
    }

    /// Forgets everything, as a program that ends does.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.feeds.lock().clear();
    }

    /// Returns the counts with which a turn begins: those of the turns before, or what the state
    /// remembers of them.
    pub(super) fn begin_turn(&self, feed: Feed, begun: &Sweep) -> FeedSweep {
        let mut feeds = self.feeds.lock();
        let of_feed = feeds.entry(feed).or_default();
        if begun.is_new {
            of_feed.under_way = None;
        }
        if of_feed.under_way.is_none() {
            of_feed.begun += 1;
        }
        let fresh = || FeedSweep {
            feed: feed.as_str().to_owned(),
            missed: begun.changed,
            withdrawn: begun.withdrawn,
            ..FeedSweep::default()
        };
        let counts = of_feed.under_way.get_or_insert_with(fresh);
        counts.gave_way = false;
        counts.clone()
    }

    /// Keeps the counts of a turn.
    pub(super) fn end_turn(&self, feed: Feed, sweep: &FeedSweep) {
        let mut feeds = self.feeds.lock();
        let of_feed = feeds.entry(feed).or_default();
        if sweep.finished {
            of_feed.under_way = None;
            of_feed.ended = Some((of_feed.begun, sweep.clone()));
        } else {
            of_feed.under_way = Some(sweep.clone());
        }
    }

    /// Result of a sweep of this kind, or of more, that was begun after so many others and has
    /// ended.
    pub(crate) fn ended_after(&self, feed: Feed, begun: u64, kind: SweepKind) -> Option<FeedSweep> {
        let feeds = self.feeds.lock();
        let (number, sweep) = feeds.get(&feed)?.ended.as_ref()?;
        let is_enough = *number > begun && (sweep.contents || kind == SweepKind::Keys);
        is_enough.then(|| sweep.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_counts_for_who_asked_before_the_sweep_began_and_for_what_was_asked() {
        let ledger = Ledger::default();
        let feed = Feed::Tests;
        assert_eq!(ledger.take_asked(feed), None);
        ledger.ask(feed, SweepKind::Contents);
        ledger.ask(feed, SweepKind::Keys);
        assert!(ledger.is_asked(feed));
        assert_eq!(ledger.take_asked(feed), Some(SweepKind::Contents));
        assert!(!ledger.is_asked(feed));

        let state = |is_new| Sweep {
            kind: SweepKind::Keys,
            is_new,
            pass: 1,
            cursor: None,
            all_read: false,
            seen: 0,
            changed: 3,
            withdrawn: 0,
            begun_at: None,
        };
        let mut sweep = ledger.begin_turn(feed, &state(true));
        sweep.keys = 7;
        ledger.end_turn(feed, &sweep);
        let late = ledger.begun(feed);
        let mut sweep = ledger.begin_turn(feed, &state(false));
        assert_eq!(
            (sweep.keys, sweep.missed, late),
            (7, 3, 1),
            "its turns add up"
        );
        sweep.finished = true;
        ledger.end_turn(feed, &sweep);
        assert_eq!(ledger.ended_after(feed, late, SweepKind::Keys), None);
        assert!(ledger.ended_after(feed, 0, SweepKind::Keys).is_some());
        assert_eq!(ledger.ended_after(feed, 0, SweepKind::Contents), None);
        assert_eq!(ledger.begin_turn(feed, &state(true)).keys, 0);
    }
}
