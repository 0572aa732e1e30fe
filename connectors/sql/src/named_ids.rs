//! Ids that rows of a change query name, as values of the `record_id` of the feed's own query.

use std::collections::HashSet;

use connector_kit::{ClinicRecord, MAX_FETCH_IDS};

use crate::by_id::with_ids;
use crate::driver::{Failure, LentSession};
use crate::ids::keys_of;
use crate::layout::{Layout, RECORD_ID};
use crate::page::{Order, Pager};
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::table::{Row, Table};
use crate::value::{Cell, Key, Kind, Value};

/// Id that a change query names.
struct NamedId {
    /// Text that a record with this id bears.
    text: String,
    /// Values that the record's `record_id` may have in the database.
    keys: Vec<Key>,
}

/// Records that were found by named ids.
pub(crate) struct Found {
    pub records: Vec<ClinicRecord>,
    /// Number of ids that were looked for.
    pub ids: usize,
    /// Number of those that no record bears.
    pub without_row: usize,
    /// True where an id stands twice.
    pub repeats: bool,
}

/// Reads the records of a feed that rows of a change query name, each id once. An id that was too
/// long to be handed over whole is left to the sweep.
pub(crate) async fn find(
    source: &SqlSource,
    feed: &FeedSettings,
    layout: &Layout,
    lent: &mut LentSession<'_>,
    rows: &Table,
) -> Result<Found, Failure> {
    let reader = Reader::new(layout, feed, &source.settings);
    let kind = layout.kinds[RECORD_ID];
    let raw = lent.has_raw_text();
    let mut known = HashSet::new();
    let named = rows.rows().filter_map(|row| named(row, kind));
    let ids = named.map(|key| {
        let text = reader.id_text(Cell {
            kind: key.kind,
            value: Value::Bytes(&key.value),
        });
        // Where each value has a type of its own, the same id may be stored in several ways.
        let keys = match kind {
            Kind::Dynamic => keys_of(&text, kind, source.settings.encoding, raw),
            _ => vec![key],
        };
        NamedId { text, keys }
    });
    let ids: Vec<NamedId> = ids.filter(|id| known.insert(id.text.clone())).collect();
    let pager: Pager<'_> = source.pager(feed, layout, Order::Id);
    let mut records: Vec<ClinicRecord> = Vec::with_capacity(ids.len());
    let mut read: HashSet<String> = HashSet::new();
    let mut repeats = false;
    for part in ids.chunks(MAX_FETCH_IDS) {
        let keys = part.iter().flat_map(|id| id.keys.iter().cloned());
        let rows = with_ids(feed, &pager, lent, keys.collect()).await?;
        // What a collation does not tell apart comes with both; the first time it came whole.
        let of_part = rows.rows().map(|row| reader.record(row));
        let of_part = of_part.filter(|record| !read.contains(&record.record_id));
        let of_part: Vec<ClinicRecord> = of_part.collect();
        for record in &of_part {
            repeats |= !read.insert(record.record_id.clone());
        }
        records.extend(of_part);
    }
    let borne: HashSet<String> = read.iter().map(|id| compared(id)).collect();
    let without_row = ids.iter().filter(|id| !borne.contains(&compared(&id.text)));
    Ok(Found {
        without_row: without_row.count(),
        ids: ids.len(),
        records,
        repeats,
    })
}

/// The id of a change query's row as a value of the feed's own `record_id`.
fn named(row: Row<'_>, kind: Kind) -> Option<Key> {
    let id = row.cell(RECORD_ID);
    let key = id.key().filter(|_| !id.is_cut())?;
    match (kind, key.kind) {
        (Kind::Dynamic, _) => Some(key),
        // No whole number is written with a fraction, and 7.00 is one.
        (Kind::Integer | Kind::Unsigned, Kind::Decimal) => {
            let number = String::from_utf8(key.value).ok()?;
            let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
            let is_whole = fraction.bytes().all(|digit| digit == b'0');
            is_whole.then(|| Key {
                kind,
                value: whole.into(),
            })
        }
        _ => Some(Key {
            kind,
            value: key.value,
        }),
    }
}

/// An id without what most collations do not tell apart: a reference may be written otherwise than
/// the id that it refers to.
pub(crate) fn compared(id: &str) -> String {
    id.trim_end().to_lowercase()
}

/// Fails where the ids of a change query cannot be those of the feed's own query.
pub(crate) fn ensure_fit(
    change: &FeedSettings,
    keys: &Layout,
    layout: &Layout,
) -> Result<(), Failure> {
    let is_number = |kind| matches!(kind, Kind::Integer | Kind::Unsigned | Kind::Decimal);
    let is_text = |kind| matches!(kind, Kind::Text | Kind::FixedText);
    let named = keys.kinds[RECORD_ID];
    let own = layout.kinds[RECORD_ID];
    if named == own || (is_number(named) && is_number(own)) || (is_text(named) && is_text(own)) {
        return Ok(());
    }
    Err(Failure::misconfigured(
        format!(
            "{}: its record_id is of another type than that of the feed's own query",
            change.place()
        ),
        "select the same column as in `query`, with the same conversion if there is one",
    ))
}
