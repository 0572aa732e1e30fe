//! Whether a change query names the records that are made of the rows that it tells of. Numbers of
//! another table may be ids of records by chance, so ids alone cannot show it.
//!
//! The feed's own query joins the change query's table: a record of it and the key of the table's
//! row that it is made of are read side by side, and so are an id that the change query names and
//! the key of the row that it names it for.

use std::collections::{HashMap, HashSet};

use connector_kit::CheckReport;

use super::id_origin::{any_unnamed, are_one_kind, by_structure, same_name};
use super::look::{Look, not_looked_at};
use super::named::{MAX_IDS, Named, SAME_ID};
use crate::driver::{Described, Failure};
use crate::layout::{Layout, RECORD_ID};
use crate::named_ids::compared;
use crate::page::{Order, Pager, Start};
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::statement::Joined;
use crate::table::Row;
use crate::value::Key;

/// Most rows of a change query that are read for the sampled records.
const MAX_ROWS: u32 = 10_000;

/// A record, and the key of a row that it is made of.
struct Part {
    /// Id of the record, as it is compared.
    id: String,
    /// Text that the record bears.
    text: String,
    /// The row's key.
    row: Vec<Key>,
}

/// What a sample says of a change query.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// Nothing: there is no row to compare.
    Nothing,
    /// Each record is named with the rows that it is made of.
    All,
    /// Of so many records some are not named.
    Not {
        records: usize,
        unnamed: Vec<String>,
    },
}

/// Says whether the change query names the records that are made of its rows, given the columns of
/// the feed's own query and of the change query as the database describes them.
pub(super) async fn check(
    look: &Look<'_>,
    named: Named<'_>,
    origins: [&[Described]; 2],
    report: &mut CheckReport,
) {
    let looked = match told(look, named).await {
        Ok(Told::Nothing) => by_structure(look, named, origins, report).await,
        Ok(Told::All) => Ok(()),
        Ok(Told::Not { records, unnamed }) => untold(look, named, records, unnamed, report).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = looked {
        let question = format!(
            "whether changes.{} names the records that its rows are part of",
            named.name()
        );
        not_looked_at(report, named.feed.feed, &question, &failure);
    }
}

/// Compares the records that are made of rows of the change query's table with those that it names
/// for these rows.
async fn told(look: &Look<'_>, named: Named<'_>) -> Result<Told, Failure> {
    let Some(stamped) = &named.change.statement.tables.stamped else {
        return Ok(Told::Nothing);
    };
    let keys = row_keys(look, named, stamped).await?;
    let mut found = Told::Nothing;
    // Joined several times, it is enough that the change query fits one of them.
    let joined = named.feed.statement.tables.joined.iter();
    for own in joined.filter(|own| same_name(&own.table, &stamped.table)) {
        match told_of(look, named, own, stamped, &keys).await? {
            Told::Nothing => return Ok(Told::Nothing),
            Told::All => return Ok(Told::All),
            not => found = not,
        }
    }
    Ok(found)
}

/// Columns that tell the rows of the change query's table apart; of a table without a key the
/// column that is named as `record_id`.
async fn row_keys(
    look: &Look<'_>,
    named: Named<'_>,
    stamped: &Joined,
) -> Result<Vec<String>, Failure> {
    let table = look.catalog().await?.named(&stamped.table);
    let key = table.map_or(&[][..], |table| &table.primary_key);
    if !key.is_empty() {
        return Ok(key.iter().map(|name| look.driver().quote(name)).collect());
    }
    let of_id = named.change.statement.tables.of_id.iter();
    let of_id = of_id.filter(|(table, _)| table == stamped);
    Ok(of_id.map(|(_, column)| column.clone()).collect())
}

/// Looks at the rows of one place of the table in the feed's own query.
async fn told_of(
    look: &Look<'_>,
    named: Named<'_>,
    own: &Joined,
    stamped: &Joined,
    keys: &[String],
) -> Result<Told, Failure> {
    let Some(parts) = parts(look, named, own, keys).await? else {
        return Ok(Told::Nothing);
    };
    let Some(names) = names_of(look, named, named.change, stamped, keys, &parts).await? else {
        return Ok(Told::Nothing);
    };
    let mut known: Vec<&Part> = parts
        .iter()
        .filter(|part| names.contains_key(&part.row))
        .collect();
    let records = known.len();
    known.retain(|part| !names[&part.row].contains(&part.id));
    for other in others(named, stamped) {
        let Some(table) = other.statement.tables.stamped.as_ref() else {
            continue;
        };
        if known.is_empty() {
            break;
        }
        let Some(more) = names_of(look, named, other, table, keys, &parts).await? else {
            return Ok(Told::Nothing);
        };
        known.retain(|part| {
            !more
                .get(&part.row)
                .is_some_and(|ids| ids.contains(&part.id))
        });
    }
    Ok(match known.len() {
        _ if records == 0 => Told::Nothing,
        0 => Told::All,
        _ => Told::Not {
            records,
            unnamed: known.iter().map(|part| part.text.clone()).collect(),
        },
    })
}

/// Other change queries that tell of the same stamp.
fn others<'f>(named: Named<'f>, stamped: &Joined) -> impl Iterator<Item = &'f FeedSettings> {
    let stamp = named.change.statement.tables.stamp_column.clone();
    let table = stamped.table.clone();
    named.feed.changes.iter().filter(move |other| {
        let tables = &other.statement.tables;
        let is_same = |one: &Option<String>, other: &Option<String>| {
            one.is_some()
                && one.as_ref().map(|name| name.to_lowercase())
                    == other.as_ref().map(|name| name.to_lowercase())
        };
        other.change != named.change.change
            && is_same(&tables.stamp_column, &stamp)
            && tables
                .stamped
                .as_ref()
                .is_some_and(|one| same_name(&one.table, &table))
    })
}

/// The newest records, with the keys of the rows that they are made of; `None` where the query is
/// not plain enough, or has no such row.
async fn parts(
    look: &Look<'_>,
    named: Named<'_>,
    own: &Joined,
    keys: &[String],
) -> Result<Option<Vec<Part>>, Failure> {
    let Some(text) = beside_id(named.feed, own, keys) else {
        return Ok(None);
    };
    let source = look.source;
    let mut lent = source.sessions.lend().await?;
    let described = lent.describe(&text).await?;
    let layout = Layout::of_keys(&described);
    let pager: Pager<'_> = source.pager(named.feed, &layout, Order::Id).over(&text);
    let width = layout.kinds.len();
    let sql = pager.cells_page(&Start::Beginning, MAX_IDS, width, true);
    let rows = lent.fetch(&sql, &layout.kinds).await?;
    lent.give_back().await?;
    let reader = Reader::new(named.layout, named.feed, &source.settings);
    let parts = rows.rows().filter_map(|row| {
        let id = row.cell(RECORD_ID);
        let text = (!id.is_cut()).then(|| reader.id_text(id))?;
        Some(Part {
            id: compared(&text),
            text,
            row: key_of(row, 1..width)?,
        })
    });
    let parts: Vec<Part> = parts.collect();
    Ok((!parts.is_empty()).then_some(parts))
}

/// Ids that a change query names for rows, by the keys of these.
type Names = HashMap<Vec<Key>, HashSet<String>>;

/// The ids that a change query names for the rows of these parts; `None` where the query is not
/// plain enough, or names too many.
async fn names_of(
    look: &Look<'_>,
    named: Named<'_>,
    change: &FeedSettings,
    stamped: &Joined,
    keys: &[String],
    parts: &[Part],
) -> Result<Option<Names>, Failure> {
    let Some(text) = beside_id(change, stamped, keys) else {
        return Ok(None);
    };
    let source = look.source;
    let mut lent = source.sessions.lend().await?;
    let mut described = lent.describe(&text).await?;
    // Rows are asked for by their keys, the first of which takes the place of the id.
    described.swap(0, 1);
    let layout = Layout::of_keys(&described);
    let pager: Pager<'_> = source.pager(change, &layout, Order::Id).over(&text);
    let width = layout.kinds.len();
    let mut asked: Vec<Key> = Vec::new();
    for part in parts {
        if !asked.contains(&part.row[0]) {
            asked.push(part.row[0].clone());
        }
    }
    let sql = pager.with_ids(&asked, width, MAX_ROWS);
    let rows = lent.fetch(&sql, &layout.kinds).await?;
    lent.give_back().await?;
    if rows.len() >= MAX_ROWS as usize {
        return Ok(None);
    }
    let reader = Reader::new(named.layout, named.feed, &source.settings);
    let mut found = Names::new();
    for row in rows.rows() {
        let id = row.cell(1);
        let is_whole = id.bytes().is_some() && !id.is_cut();
        let places = std::iter::once(0).chain(2..width);
        if let Some(key) = key_of(row, places).filter(|_| is_whole) {
            let ids = found.entry(key).or_default();
            ids.insert(compared(&reader.id_text(id)));
        }
    }
    Ok(Some(found))
}

/// The query with its ids, and beside each the key of the table's row.
fn beside_id(feed: &FeedSettings, table: &Joined, keys: &[String]) -> Option<String> {
    let around = feed.statement.around_id.as_ref()?;
    let column =
        |(place, key): (usize, &String)| format!("{}.{key} AS row_key_{place}", table.alias);
    let columns: Vec<String> = keys.iter().enumerate().map(column).collect();
    (!columns.is_empty()).then(|| around.with(&columns))
}

/// The key of a row; `None` where a part of it is not there, as of a LEFT JOIN.
fn key_of(row: Row<'_>, places: impl Iterator<Item = usize>) -> Option<Vec<Key>> {
    places
        .map(|place| row.cell(place).key().filter(|key| !key.is_cut()))
        .collect()
}

/// Says that records are not named for the rows that they are made of.
async fn untold(
    look: &Look<'_>,
    named: Named<'_>,
    records: usize,
    unnamed: Vec<String>,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    let stamped = named.change.statement.tables.stamped.as_ref();
    let table = stamped.map_or("", |stamped| stamped.table.as_str());
    let what = format!(
        "{}: of the newest {records} records that are made of its rows of {table}, {} not named for \
         them, so what changes in {table} alone is not noticed in {}",
        named.change.place(),
        match unnamed.len() {
            1 => "1 is".to_owned(),
            count => format!("{count} are"),
        },
        if unnamed.len() == 1 { "it" } else { "these" },
    );
    // Where few are left out, or its other rows name them all, that may be meant.
    let is_certain = unnamed.len() * 2 > records
        && !are_one_kind(look, named).await?
        && any_unnamed(look, named, &unnamed).await?;
    if is_certain {
        report.error(what, SAME_ID);
    } else {
        report.warn(what, format!("if they are to be noticed, {SAME_ID}"));
    }
    Ok(())
}
