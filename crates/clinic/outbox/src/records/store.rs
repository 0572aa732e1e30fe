//! What is remembered of records: looked up and written as sets, whatever the size of a page.

use std::collections::HashSet;

use contract::Version;
use sqlx::sqlite::SqliteConnection;

use crate::file::OutboxError;
use crate::records::block::{Block, DAMAGED, block_of};
use crate::records::blocks::{self, change};
use crate::records::index::{ByDigest, Index, Numbered};
use crate::records::keys::key_of;
use crate::records::known::{Known, RecordUpdate, SourceStamp};

/// Remembers the rows: numbers those that are new, and rewrites those that are known. `upto` is
/// what the look-up said that told them apart. Says what was numbered, which is true once the
/// transaction is committed.
///
/// # Errors
/// [`OutboxError::Overtaken`] if another page has numbered one of the new records since, and the
/// disk's failures.
pub(crate) async fn store(
    connection: &mut SqliteConnection,
    rows: &[RecordUpdate],
    feed_id: Option<i64>,
    upto: i64,
    index: &Index,
) -> Result<Numbered, OutboxError> {
    let (known, new): (Vec<&RecordUpdate>, Vec<&RecordUpdate>) =
        rows.iter().partition(|row| row.record_no.is_some());
    let last = blocks::last_block(&mut *connection).await?;
    let after = last.as_ref().map_or(0, Block::last);
    refuse_twins(connection, &new, (upto, after), index).await?;
    append(connection, last, &new, feed_id).await?;
    let known = known
        .into_iter()
        .filter_map(|row| Some((row.record_no?, row)));
    change(connection, known, |record, known, row| {
        if *record != row.record {
            return Err(DAMAGED);
        }
        *known = row.known_as(known.record_no, feed_id);
        Ok(())
    })
    .await?;
    Ok(Numbered {
        after,
        keys: new.iter().map(|row| key_of(&row.record)).collect(),
    })
}

/// Numbers the rows on from the last record.
async fn append(
    connection: &mut SqliteConnection,
    last: Option<Block>,
    rows: &[&RecordUpdate],
    feed_id: Option<i64>,
) -> Result<(), OutboxError> {
    let mut block = last.unwrap_or_else(|| Block::empty(0));
    let mut record_no = block.last().max(0);
    let mut full = Vec::new();
    for row in rows {
        record_no += 1;
        if block_of(record_no) != block.block {
            full.push(std::mem::replace(
                &mut block,
                Block::empty(block_of(record_no)),
            ));
        }
        block.put(&row.record, &row.known_as(record_no, feed_id))?;
    }
    full.push(block);
    if rows.is_empty() {
        Ok(())
    } else {
        blocks::write(connection, &full).await
    }
}

/// No index holds records apart, so this does: what was committed after the look-up is not among
/// the new rows.
async fn refuse_twins(
    connection: &mut SqliteConnection,
    new: &[&RecordUpdate],
    since: (i64, i64),
    index: &Index,
) -> Result<(), OutboxError> {
    let mut named = HashSet::with_capacity_and_hasher(new.len(), ByDigest::default());
    let apart = new.iter().all(|row| named.insert(&row.record));
    if !apart
        || index
            .has_newer(connection, new.iter().map(|row| key_of(&row.record)), since)
            .await?
    {
        return Err(OutboxError::Overtaken);
    }
    Ok(())
}

/// Notes where unchanged records stand at their source.
pub(crate) async fn store_moved(
    connection: &mut SqliteConnection,
    moved: &[(i64, SourceStamp)],
    feed_id: i64,
) -> Result<(), OutboxError> {
    change(connection, moved.iter().copied(), |_, known, stamp| {
        (known.feed_id, known.stamp) = (Some(feed_id), stamp);
        Ok(())
    })
    .await
}

/// Adopts the registry's newer versions and forgets content and stamp of what differs.
pub(crate) async fn adopt(
    connection: &mut SqliteConnection,
    held: impl IntoIterator<Item = (i64, Option<Version>)>,
) -> Result<(), OutboxError> {
    change(connection, held, |_, known, held| {
        (known.content, known.stamp) = (None, None);
        known.version = held.map_or(known.version, |held| held.max(known.version));
        Ok(())
    })
    .await
}

/// Forgets the stamps of records, so that they are read again, or what they say, so that they are
/// sent again then.
pub(crate) async fn forget(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
    forget: fn(&mut Known),
) -> Result<(), OutboxError> {
    change(
        connection,
        record_nos.iter().map(|number| (*number, ())),
        |_, known, ()| {
            forget(known);
            Ok(())
        },
    )
    .await
}
