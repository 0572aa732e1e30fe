//! Shows what the first rows of a proposed section would become, by the code of `preview`.

use std::path::Path;

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Feed, KeysRequest, PageRequest, SourceError};
use program::Failure;
use program::terminal::print_line;
use pseudonym::{KeyRing, fact_kind};

use crate::cli::classes::Classes;
use crate::cli::preview::{PreviewedFeed, PreviewedRecord, print_feeds};
use crate::cli::unknown::Values;
use crate::config;
use crate::sources::Source;

/// Number of rows that are shown of each feed.
const ROWS: u32 = 10;

/// Builds the source as the written file has it, and shows its first rows; returns how many of each
/// feed there were. Nothing is sent or kept.
pub(super) async fn show(
    file: &Path,
    name: &str,
    ring: &KeyRing,
    now: DateTime<Utc>,
) -> Result<Vec<(Feed, usize)>, Failure> {
    let loaded = config::load_unfinished(file).map_err(Failure::change)?;
    let section = loaded
        .config
        .source
        .get(name)
        .ok_or_else(|| Failure::Change(format!("the file has no [source.{name}]")))?;
    let suites = loaded.config.keys.suites();
    let release = loaded.config.release.facts();
    let source = Source::new(name, section, &loaded.base, ring, suites, &release)
        .map_err(Failure::change)?;
    let today = now.with_timezone(&source.time_zone).date_naive();
    let mut counts = Vec::new();
    for feed in source.connector.feeds() {
        print_line(format!("the first rows of {feed}, as they would leave:"));
        match first_records(&source, feed, now).await {
            Ok(records) if records.is_empty() => print_line(format!("{feed}: there is no row")),
            Ok(records) => {
                let pseudonymiser = source.pseudonymiser();
                let records = records.iter().map(|record| PreviewedRecord {
                    record_id: record.record_id.clone(),
                    preview: pseudonymiser.preview(record, today),
                });
                let records: Vec<_> = records.collect();
                counts.push((feed, records.len()));
                print_feeds(
                    &[PreviewedFeed {
                        feed,
                        records,
                        // The maps that are written name them.
                        values: Values::default(),
                        classes: Classes::default(),
                        smallest_class: release.smallest_class(fact_kind(feed)),
                    }],
                    source.on_refused_correction,
                );
            }
            Err(error) => print_line(format!(
                "{feed}: the rows cannot be shown: {error}; correct the query, then run preview"
            )),
        }
    }
    Ok(counts)
}

/// The first rows of a feed; where no stamp orders them, those of a sweep.
async fn first_records(
    source: &Source,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<Vec<ClinicRecord>, SourceError> {
    let request = PageRequest::first_records(feed, ROWS, now);
    match source.connector.page(request).await {
        Ok(page) if !page.records.is_empty() => Ok(page.records),
        Ok(_) => contents(source, feed, now).await,
        Err(error) => contents(source, feed, now).await.map_err(|_| error),
    }
}

async fn contents(
    source: &Source,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<Vec<ClinicRecord>, SourceError> {
    let request = KeysRequest {
        feed,
        after: None,
        limit: ROWS,
        now,
    };
    let page = source.connector.contents(request).await?;
    Ok(page.records)
}
