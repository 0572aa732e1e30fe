//! Reading records of a source for their values, in memory; nothing of them is stored or sent.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use connector_kit::{ClinicRecord, Feed, PageRequest, RecordStatus, SourceError};
use program::Failure;

use crate::cli::failure::of_source;
use crate::cli::unknown::{Tally, Values};
use crate::sources::Source;

/// Most pages that are read of a feed, whatever is in them.
const MAX_PAGES: u32 = 10_000;

/// Values of records that were read.
#[derive(Debug, Default)]
pub(super) struct ReadRecords {
    tally: Tally,
    /// Number of records that were read.
    pub(super) rows: u64,
    /// Number of those without a word for their status, by feed.
    pub(super) empty_status: BTreeMap<&'static str, u64>,
}

impl ReadRecords {
    /// The values, as far as they may be shown.
    pub(super) fn values(&self) -> Values {
        self.tally.values()
    }

    fn add(&mut self, source: &Source, record: &ClinicRecord, today: NaiveDate) {
        self.rows += 1;
        let feed = record.fact.feed().as_str();
        match source.pseudonymiser().unknown_value(record, today) {
            Some(seen) => self.tally.add(feed, seen),
            None if record.status == RecordStatus::Unknown => {
                *self.empty_status.entry(feed).or_default() += 1;
            }
            None => {}
        }
    }
}

/// Reads `most` records of each feed, the first ones, and of what is behind them a sample.
pub(super) async fn records(
    source: &Source,
    feed: Option<Feed>,
    most: u32,
    now: DateTime<Utc>,
) -> Result<ReadRecords, Failure> {
    let mut read = ReadRecords::default();
    let feeds = source.connector.feeds();
    for feed in feeds
        .into_iter()
        .filter(|it| feed.is_none_or(|feed| feed == *it))
    {
        let done = read_feed(source, feed, most, now, &mut read).await;
        done.map_err(|error| of_source(&error, format!("source {}: {error}", source.name)))?;
    }
    Ok(read)
}

async fn read_feed(
    source: &Source,
    feed: Feed,
    most: u32,
    now: DateTime<Utc>,
    read: &mut ReadRecords,
) -> Result<(), SourceError> {
    let today = now.with_timezone(&source.time_zone).date_naive();
    let mut ids = HashSet::new();
    let mut after = None;
    let mut left = most;
    for _ in 0..MAX_PAGES {
        let limit = left.min(source.page_records);
        let request = PageRequest {
            after,
            ..PageRequest::first_records(feed, limit, now)
        };
        let page = source.connector.page(request).await?;
        for record in &page.records {
            read.add(source, record, today);
            ids.insert(record.record_id.clone());
        }
        left = left.saturating_sub(u32::try_from(page.records.len()).unwrap_or(u32::MAX));
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
        if left == 0 {
            break;
        }
    }
    for sampled in source.connector.sample(feed, now).await? {
        if !ids.contains(&sampled.record.record_id) {
            read.add(source, &sampled.record, today);
        }
    }
    Ok(())
}
