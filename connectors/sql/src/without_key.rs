//! Rows without a stamp or an id: no page holds them, so their number is logged now and then.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::Feed;
use parking_lot::Mutex;

use crate::driver::Failure;
use crate::layout::Layout;
use crate::page::Order;
use crate::settings::FeedSettings;
use crate::source::SqlSource;

/// Most rows without a key that are counted.
const MAX_COUNTED_ROWS: u32 = 1000;
/// Time between two counts of a feed: without an index a count reads the whole table.
const COUNT_EVERY: TimeDelta = TimeDelta::hours(1);

/// Times at which the rows without a key were last counted.
#[derive(Default)]
pub(crate) struct RowsWithoutKey {
    counted: Mutex<HashMap<Feed, DateTime<Utc>>>,
}

impl RowsWithoutKey {
    /// Logs, at most once an hour, how many rows have no place in the order, so that only a key
    /// sweep finds them. The page does not depend on it.
    pub(crate) async fn log(
        &self,
        source: &SqlSource,
        feed: &FeedSettings,
        layout: &Layout,
        now: DateTime<Utc>,
    ) {
        if !self.is_due(feed.feed, now) {
            return;
        }
        let feed_name = feed.feed.as_str();
        match count(source, feed, layout).await {
            Ok(0) => {}
            Ok(rows) => tracing::warn!(
                event = "rows-without-key",
                feed = feed_name,
                rows,
                at_least = rows >= u64::from(MAX_COUNTED_ROWS),
                "rows without a usable changed_at may be left to the key sweep, those without \
                 record_id are never read; see `check`"
            ),
            Err(failure) => tracing::info!(
                event = "rows-without-key-not-counted",
                feed = feed_name,
                reason = failure.words(None).0,
                "whether rows lack changed_at or record_id is not known"
            ),
        }
    }

    /// Returns whether a feed's last count is an hour old or more, and notes that it is made now.
    fn is_due(&self, feed: Feed, now: DateTime<Utc>) -> bool {
        let mut counted = self.counted.lock();
        let recent = counted
            .get(&feed)
            .is_some_and(|at| (*at..*at + COUNT_EVERY).contains(&now));
        if !recent {
            counted.insert(feed, now);
        }
        !recent
    }
}

async fn count(source: &SqlSource, feed: &FeedSettings, layout: &Layout) -> Result<u64, Failure> {
    let mut lent = source.sessions.lend().await?;
    let pager = source.pager(feed, layout, Order::Stamp);
    let count = lent.texts(&pager.without_key(MAX_COUNTED_ROWS)).await?;
    lent.give_back().await?;
    Ok(count
        .first()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0))
}
