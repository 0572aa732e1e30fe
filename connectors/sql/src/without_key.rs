//! Rows without a stamp or an id: no page holds them, so their number is logged now and then.

use chrono::{DateTime, Utc};
use connector_kit::Feed;

use crate::driver::Failure;
use crate::hourly::Hourly;
use crate::page::Order;
use crate::settings::FeedSettings;
use crate::source::SqlSource;

/// Most rows without a key that are counted.
const MAX_COUNTED_ROWS: u32 = 1000;

/// Times at which the rows without a key were last counted: without an index a count reads the
/// whole table.
#[derive(Default)]
pub(crate) struct RowsWithoutKey(Hourly<Feed>);

impl RowsWithoutKey {
    /// Logs, at most once an hour, how many rows have no place in the order of stamps, in the
    /// feed's own query or in each of its change queries: only a sweep finds them, or what changes
    /// in them. The page does not depend on it.
    pub(crate) async fn log(&self, source: &SqlSource, feed: &FeedSettings, now: DateTime<Utc>) {
        if !self.0.is_due(feed.feed, now) {
            return;
        }
        if feed.has_stamp() {
            log_count(source, feed).await;
        }
        for change in &feed.changes {
            log_count(source, change).await;
        }
    }
}

async fn log_count(source: &SqlSource, query: &FeedSettings) {
    let feed = query.feed.as_str();
    let change = query.change.as_deref();
    let rows = match count(source, query).await {
        Ok(0) => return,
        Ok(rows) => rows,
        Err(failure) => {
            tracing::info!(
                event = "rows-without-key-not-counted",
                feed,
                change,
                reason = failure.words(None).0,
                "whether rows lack changed_at or record_id is not known"
            );
            return;
        }
    };
    let at_least = rows >= u64::from(MAX_COUNTED_ROWS);
    if change.is_some() {
        tracing::warn!(
            event = "rows-without-key",
            feed,
            change,
            rows,
            at_least,
            "rows of a change query without a usable changed_at tell of no change; what changes in \
             them is found by the next sweep; see `check`"
        );
    } else {
        tracing::warn!(
            event = "rows-without-key",
            feed,
            rows,
            at_least,
            "rows without a usable changed_at may be left to the key sweep, those without \
             record_id are never read; see `check`"
        );
    }
}

async fn count(source: &SqlSource, query: &FeedSettings) -> Result<u64, Failure> {
    let mut lent = source.sessions.lend().await?;
    let layout = match source.known_layout(query) {
        Some(layout) => layout,
        None => source.layout(query, &mut lent).await?,
    };
    let pager = source.pager(query, &layout, Order::Stamp);
    let sql = if query.change.is_some() {
        pager.without_stamp(MAX_COUNTED_ROWS)
    } else {
        pager.without_key(MAX_COUNTED_ROWS)
    };
    let count = lent.texts(&sql).await?;
    lent.give_back().await?;
    Ok(count
        .first()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0))
}
