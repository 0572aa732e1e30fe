//! Sweeps: all ids with their stamps, or all rows, in the order of the ids alone; and single rows
//! by their ids.

use std::collections::HashSet;
use std::sync::Arc;

use connector_kit::{
    ClinicRecord, ContentsPage, Cursor, Feed, KeysPage, KeysRequest, RecordKey, SourceError,
    SourceSurprise, verify_fetch_count,
};

use crate::by_id::with_ids;
use crate::cursor::{self, KeysPosition};
use crate::driver::Failure;
use crate::ids::keys_of;
use crate::layout::{Layout, RECORD_ID};
use crate::open_read::Purpose;
use crate::page::{Order, Start};
use crate::row::{Reader, beginning_of_cut};
use crate::settings::FeedSettings;
use crate::source::{SqlSource, source_error};
use crate::table::Table;
use crate::value::{Key, Kind};
use crate::whole::{Whole, WholePage};

/// Most rows looked through for one id that was too long to be handed over whole.
const MAX_LONG_IDS: u32 = 500;

/// Lists a page of keys.
pub(crate) async fn keys(
    source: &SqlSource,
    feed: &FeedSettings,
    request: &KeysRequest,
    limit: u32,
) -> Result<KeysPage, SourceError> {
    let page = read(source, feed, request, limit, Purpose::Keys).await;
    let page = page.map_err(|failure| source_error(feed, &failure))?;
    let reader = Reader::new(&page.layout, feed, &source.settings);
    let keys: Vec<RecordKey> = page.rows.rows().map(|row| reader.key(row)).collect();
    let ids = keys.iter().map(|key| key.record_id.as_str());
    Ok(KeysPage {
        surprise: repeat(ids).then_some(SourceSurprise::IdsRepeat),
        keys,
        next: next(page.next)?,
    })
}

/// Reads a page of whole rows.
pub(crate) async fn contents(
    source: &SqlSource,
    feed: &FeedSettings,
    request: &KeysRequest,
    limit: u32,
) -> Result<ContentsPage, SourceError> {
    let page = read(source, feed, request, limit, Purpose::Contents).await;
    let page = page.map_err(|failure| source_error(feed, &failure))?;
    let reader = Reader::new(&page.layout, feed, &source.settings);
    let records: Vec<ClinicRecord> = page.rows.rows().map(|row| reader.record(row)).collect();
    let ids = records.iter().map(|record| record.record_id.as_str());
    Ok(ContentsPage {
        surprise: repeat(ids).then_some(SourceSurprise::IdsRepeat),
        records,
        next: next(page.next)?,
    })
}

fn next(id: Option<Key>) -> Result<Option<Cursor>, SourceError> {
    let next = id.map(|after| cursor::write(&KeysPosition { after }));
    next.transpose()
}

/// Returns whether an id is there twice. Rows without an id are refused for that.
pub(crate) fn repeat<'a>(ids: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = HashSet::new();
    ids.filter(|id| !id.is_empty()).any(|id| !seen.insert(id))
}

/// Reads the page behind the request's position, from a statement that is open there or a new one.
async fn read(
    source: &SqlSource,
    feed: &FeedSettings,
    request: &KeysRequest,
    limit: u32,
    purpose: Purpose,
) -> Result<WholePage, Failure> {
    let whole = Whole {
        source,
        feed,
        purpose,
        limit,
    };
    let cursor = request.after.as_ref();
    let position = cursor.and_then(cursor::read::<KeysPosition>);
    let after = position.as_ref().map(|position| &position.after);
    if let Some(open) = whole.take(after) {
        return whole.page(open).await;
    }
    let mut lent = source.sessions.lend().await?;
    let layout = source.layout(feed, &mut lent).await?;
    source.ensure_none_gone(feed.feed, &layout)?;
    let after = after_of(feed.feed, request, position, &layout);
    if after.is_none() {
        source.whole.forget_setbacks(feed.feed);
    }
    if whole.takes_single_page() {
        return whole.single_page(lent, layout, after).await;
    }
    let open = whole.open(lent, layout, after).await?;
    whole.page(open).await
}

/// A position among ids of another type says nothing any more: the sweep reads everything anew.
fn after_of(
    feed: Feed,
    request: &KeysRequest,
    position: Option<KeysPosition>,
    layout: &Layout,
) -> Option<Key> {
    request.after.as_ref()?;
    let kind = layout.kinds[RECORD_ID];
    let fits = |position: &KeysPosition| kind == Kind::Dynamic || position.after.kind == kind;
    let position = position.filter(fits);
    if position.is_none() {
        tracing::warn!(
            event = "key-sweep-starts-over",
            feed = feed.as_str(),
            "record_id is of another type than when the sweep began; everything is read anew"
        );
    }
    position.map(|position| position.after)
}

/// Reads the rows with these ids.
pub(crate) async fn fetch(
    source: &SqlSource,
    feed: &FeedSettings,
    ids: &[String],
) -> Result<Vec<ClinicRecord>, SourceError> {
    verify_fetch_count(ids)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = find(source, feed, ids).await;
    let (layout, rows) = found.map_err(|failure| source_error(feed, &failure))?;
    let reader = Reader::new(&layout, feed, &source.settings);
    let wanted: HashSet<&str> = ids.iter().map(String::as_str).collect();
    // The same row may have been found by several keys that its id may stand for.
    let mut found = HashSet::new();
    let mut records: Vec<ClinicRecord> = rows
        .rows()
        .filter(|row| wanted.contains(reader.key(*row).record_id.as_str()))
        .filter(|row| found.insert(*row))
        .map(|row| reader.record(row))
        .collect();
    // Where an id stands twice the newest comes last, as it does in a page.
    records.sort_by_key(|record| record.stamp);
    Ok(records)
}

async fn find(
    source: &SqlSource,
    feed: &FeedSettings,
    ids: &[String],
) -> Result<(Arc<Layout>, Table), Failure> {
    let mut lent = source.sessions.lend().await?;
    let layout = source.layout(feed, &mut lent).await?;
    source.ensure_none_gone(feed.feed, &layout)?;
    let pager = source.pager(feed, &layout, Order::Id);
    let kind = layout.kinds[RECORD_ID];
    let raw = lent.has_raw_text();
    let stands_for = |id: &str| keys_of(id, kind, source.settings.encoding, raw);
    let keys: Vec<Key> = ids.iter().flat_map(|id| stands_for(id)).collect();
    let mut rows = Table::default();
    if !keys.is_empty() {
        rows = with_ids(feed, &pager, &mut lent, keys).await?;
    }
    // Refused whatever they hold, so that their keys will do.
    for beginning in ids
        .iter()
        .filter_map(|id| beginning_of_cut(id))
        .flat_map(stands_for)
    {
        let sql = pager.keys_page(&Start::From(beginning), MAX_LONG_IDS, false);
        let near = lent.fetch(&sql, &layout.kinds[..2]).await?;
        near.rows()
            .filter(|row| row.cell(RECORD_ID).is_cut())
            .for_each(|row| rows.push_row(row));
    }
    lent.give_back().await?;
    Ok((layout, rows))
}
