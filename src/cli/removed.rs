//! Feeds and sources that the state knows and the configuration does not (any more): what they are
//! told as, and how many of their records still stand at the registry.

use std::collections::BTreeMap;

use outbox::{FeedStatus, OutboxError, OutboxReader, Status};
use program::terminal::counted;
use serde::Serialize;

use crate::config::Config;

/// Feed that is not configured any more.
#[derive(Debug, Serialize)]
pub(super) struct RemovedFeed {
    /// Name of the source.
    pub(super) source: String,
    pub(super) feed: String,
    /// Records of it that are sent and not withdrawn.
    pub(super) records: u64,
    /// True if the whole source is not configured any more.
    pub(super) with_its_source: bool,
}

/// Returns whether this feed of this source is configured.
pub(super) fn is_configured(config: &Config, source: &str, feed: &str) -> bool {
    config.source.get(source).is_some_and(|source| {
        let mut feeds = source.feeds().into_iter();
        feeds.any(|configured| configured.as_str() == feed)
    })
}

/// Lists the feeds that are not configured any more, with the records of each.
pub(super) async fn read(
    status: &Status,
    reader: &OutboxReader,
    config: &Config,
) -> Result<Vec<RemovedFeed>, OutboxError> {
    let mut counts = BTreeMap::new();
    let mut removed = Vec::new();
    for FeedStatus { source, feed, .. } in &status.feeds {
        if is_configured(config, source, feed) {
            continue;
        }
        // What a sweep or the daemon has counted before may be out of date.
        if !counts.contains_key(source) {
            counts.insert(source.clone(), reader.asserted_records(source).await?);
        }
        removed.push(RemovedFeed {
            source: source.clone(),
            feed: feed.clone(),
            records: counts[source].get(feed).copied().unwrap_or(0),
            with_its_source: !config.source.contains_key(source),
        });
    }
    Ok(removed)
}

/// What is to be told of a removed source or feed whose records still stand at the registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// That it is not configured, and what that means for its records.
    pub(super) what: String,
    /// How to withdraw them.
    pub(super) help: String,
}

/// Tells of each removed source, and of each removed feed of a source that is configured, as far as
/// records of it still stand at the registry.
pub(super) fn tell(removed: &[RemovedFeed]) -> Vec<Told> {
    let mut subjects: BTreeMap<(&str, Option<&str>), u64> = BTreeMap::new();
    for feed in removed.iter().filter(|feed| feed.records > 0) {
        let name = (!feed.with_its_source).then_some(feed.feed.as_str());
        *subjects.entry((&feed.source, name)).or_default() += feed.records;
    }
    let told = subjects.into_iter().map(|((source, feed), records)| {
        let subject = match feed {
            Some(feed) => format!("feed {feed} of source {source}"),
            None => format!("source {source}"),
        };
        Told {
            what: format!(
                "{subject} is not configured any more; {} of it {} at the registry as sent last, \
                 neither corrected nor withdrawn",
                counted(records, "record", "records"),
                if records == 1 { "stays" } else { "stay" }
            ),
            help: format!("to withdraw them: clinic-gateway confirm-withdrawals {source}"),
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use connector_kit::Feed;

    use super::*;
    use crate::testing::World;

    #[test]
    fn a_removed_source_is_told_once_and_a_removed_feed_by_its_name() {
        let feed = |source: &str, feed: &str, records, with_its_source| RemovedFeed {
            source: source.into(),
            feed: feed.into(),
            records,
            with_its_source,
        };
        let told = tell(&[
            feed("lab", "tests", 50, false),
            feed("lab", "recoveries", 0, false),
            feed("old", "tests", 2, true),
            feed("old", "vaccinations", 3, true),
        ]);
        let whats: Vec<&str> = told.iter().map(|told| told.what.as_str()).collect();
        assert_eq!(
            whats,
            [
                "feed tests of source lab is not configured any more; 50 records of it stay at \
                 the registry as sent last, neither corrected nor withdrawn",
                "source old is not configured any more; 5 records of it stay at the registry as \
                 sent last, neither corrected nor withdrawn",
            ]
        );
        assert!(told[0].help.ends_with("confirm-withdrawals lab"));
    }

    #[tokio::test]
    async fn a_feed_that_is_not_configured_any_more_is_listed_with_its_records() {
        let world = World::new("", 0..30).await;
        *world.rows.other_feeds.lock() = vec![Feed::Tests];
        world.pull().await;
        // The configuration has vaccinations alone.
        let reader = world.gateway.outbox.reader();
        let status = reader.status().await.expect("read");
        let removed = read(&status, reader, &world.loaded.config).await;
        let removed = removed.expect("read");
        assert_eq!(removed.len(), 1, "{removed:?}");
        assert_eq!(removed[0].feed, "tests");
        assert_eq!(removed[0].records, 30);
        assert!(!removed[0].with_its_source);
        let mut config = world.loaded.config;
        config.source.clear();
        let removed = read(&status, reader, &config).await.expect("read");
        assert_eq!(removed.len(), 2);
        assert!(removed.iter().all(|feed| feed.with_its_source));
    }
}
