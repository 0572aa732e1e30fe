//! Sample of a feed for `check`: its first records by their ids, and the newest by their stamps.

use chrono::{DateTime, Utc};
use connector_kit::{Feed, SAMPLE_RECORDS, SampledRecord, SourceError, add_newest};

use super::content;
use super::index::{Entry, Index};
use super::line_place::LinePlace;
use super::reader::FolderReader;
use super::records::RecordReader;
use crate::check::sample::instants_of;

/// Reads the sample; records that are among both stand once.
pub(super) fn read(
    reader: &mut FolderReader,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<Vec<SampledRecord>, SourceError> {
    let index = reader.index(now)?;
    reader.verify_there(&index, feed)?;
    let most = SAMPLE_RECORDS as usize;
    let first: Vec<Entry<'_>> = index.table(feed).behind(None).take(most).collect();
    let mut newest: Vec<Entry<'_>> = index.table(feed).behind(None).collect();
    newest.sort_by_key(|entry| std::cmp::Reverse(entry.stamp));
    newest.truncate(most);
    let records = reader.reader(&index, now);
    let mut sample = taken(&index, records, feed, &first)?;
    add_newest(&mut sample, taken(&index, records, feed, &newest)?);
    Ok(sample)
}

fn taken(
    index: &Index,
    reader: RecordReader<'_>,
    feed: Feed,
    entries: &[Entry<'_>],
) -> Result<Vec<SampledRecord>, SourceError> {
    let records = reader.records(feed, entries)?;
    let places: Vec<LinePlace> = entries.iter().map(|entry| entry.place).collect();
    let mut instants: Vec<Vec<_>> = entries.iter().map(|_| Vec::new()).collect();
    content::read(index, &places, |number, text| {
        instants[number] = instants_of(feed, text);
        Ok(())
    })?;
    Ok(records
        .into_iter()
        .zip(instants)
        .map(|(record, instants)| SampledRecord { record, instants })
        .collect())
}
