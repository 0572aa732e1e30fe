//! Sample of a feed: its first rows and its newest, as records, with the words and instants that
//! `check` tells of.

use std::sync::Arc;

use connector_kit::{SAMPLE_RECORDS, SampledInstant, SampledRecord, add_newest};

use crate::config::Encoding;
use crate::date;
use crate::driver::Failure;
use crate::layout::{Layout, RECORD_ID};
use crate::page::{Order, Rows, Start};
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::table::{Row, Table};
use crate::{pull, sweep};

/// Reads the first rows and the newest; those that are among both stand once.
pub(crate) async fn read(
    source: &SqlSource,
    feed: &FeedSettings,
) -> Result<Vec<SampledRecord>, Failure> {
    let (layout, rows) = first_rows(source, feed, SAMPLE_RECORDS).await?;
    let sampler = Sampler::new(source, feed, &layout);
    let mut sample = sampler.records(&rows.rows);
    if rows.next.is_none() {
        return Ok(sample);
    }
    add_newest(&mut sample, newest(source, feed, &layout, &sampler).await?);
    Ok(sample)
}

/// The first rows in the order of their ids, those that cannot be read by their keys alone.
pub(super) async fn first_rows(
    source: &SqlSource,
    feed: &FeedSettings,
    limit: u32,
) -> Result<(Arc<Layout>, Rows), Failure> {
    let mut lent = source.sessions.lend().await?;
    let layout = source.layout(feed, &mut lent).await?;
    let pager = source.pager(feed, &layout, Order::Id);
    let width = layout.names.len();
    let rows = pull::read_rows(feed, &pager, &mut lent, &Start::Beginning, limit, width).await?;
    lent.give_back().await?;
    Ok((layout, rows))
}

/// The newest rows, or those with the last ids where the feed has no stamp. Where one of them
/// cannot be read, they are asked for by their ids, which tells the readable ones apart.
async fn newest(
    source: &SqlSource,
    feed: &FeedSettings,
    layout: &Layout,
    sampler: &Sampler<'_>,
) -> Result<Vec<SampledRecord>, Failure> {
    let order = if layout.has_stamp {
        Order::Stamp
    } else {
        Order::Id
    };
    let pager = source.pager(feed, layout, order);
    let mut lent = source.sessions.lend().await?;
    let rows = pager.page(&Start::Beginning, SAMPLE_RECORDS, true);
    let failure = match lent.fetch(&rows, &layout.kinds).await {
        Ok(rows) => {
            lent.give_back().await?;
            return Ok(sampler.records(&rows));
        }
        Err(failure) => failure,
    };
    drop(lent);
    let mut lent = source.sessions.lend().await?;
    let keys = pager.keys_page(&Start::Beginning, SAMPLE_RECORDS, true);
    let Ok(keys) = lent.fetch(&keys, &layout.kinds[..2]).await else {
        return Err(failure);
    };
    lent.give_back().await?;
    let ids: Vec<String> = keys
        .rows()
        .map(|row| sampler.reader.key(row).record_id)
        .collect();
    let records = sweep::fetch(source, feed, &ids).await;
    let records = records.map_err(|_| failure)?;
    Ok(records.into_iter().map(SampledRecord::from).collect())
}

/// Reader of rows as sampled records.
struct Sampler<'s> {
    reader: Reader<'s>,
    encoding: Encoding,
    /// Number of columns of a row that could be read.
    width: usize,
    /// Dates, with the ordinals of their columns.
    dates: Vec<(&'static str, usize)>,
}

impl<'s> Sampler<'s> {
    fn new(source: &'s SqlSource, feed: &'s FeedSettings, layout: &'s Layout) -> Self {
        let dates = ["occurred_on", "began_on"];
        Self {
            reader: Reader::new(layout, feed, &source.settings),
            encoding: source.settings.encoding,
            width: layout.names.len(),
            dates: dates
                .into_iter()
                .filter_map(|name| Some((name, layout.ordinal(name)?)))
                .collect(),
        }
    }

    fn records(&self, rows: &Table) -> Vec<SampledRecord> {
        rows.rows().map(|row| self.record(row)).collect()
    }

    fn record(&self, row: Row<'_>) -> SampledRecord {
        let record = self.reader.record(row);
        // Of a row that cannot be read there are only the keys.
        if row.width() < self.width || row.cell(RECORD_ID).is_cut() {
            return SampledRecord::from(record);
        }
        let instants = self.dates.iter().filter_map(|(name, ordinal)| {
            let cell = row.cell(*ordinal);
            let instant = date::instant(cell, self.encoding);
            let wall_clock = || Some(date::wall_clock(cell, self.encoding)?.and_utc());
            Some(SampledInstant {
                name,
                at: instant.or_else(wall_clock)?,
                has_zone: instant.is_some(),
            })
        });
        SampledRecord {
            instants: instants.collect(),
            record,
        }
    }
}
