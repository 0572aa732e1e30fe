//! Columns that two queries select as `record_id`: whether they are of one kind, and what a change
//! query tells where the feed's own query does not join its table.

use std::collections::HashSet;

use connector_kit::CheckReport;

use super::index::Place;
use super::look::Look;
use super::named::{MAX_IDS, Named, SAME_ID};
use crate::driver::{Described, Failure, Origin};
use crate::ids::keys_of;
use crate::layout::RECORD_ID;
use crate::named_ids::compared;
use crate::page::{Order, Pager, Start};
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::statement::Joined;
use crate::value::{Key, Kind};

/// Most rows of a change query that are read for the records that are looked for in it.
const MAX_ROWS: u32 = 10_000;

/// True for two writings of a table's name.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    let parts = |name: &str| -> Vec<String> {
        let plain = |part: &str| part.trim_matches(['"', '`', '[', ']', ' ']).to_lowercase();
        name.split('.').rev().map(plain).collect()
    };
    parts(one)
        .iter()
        .zip(parts(other))
        .all(|(one, other)| *one == other)
}

/// True where both queries select the same column as `record_id`, or columns that declared
/// references join.
pub(super) async fn are_one_kind(look: &Look<'_>, named: Named<'_>) -> Result<bool, Failure> {
    let own = &named.feed.statement.tables.of_id;
    let (Some(own), Some(other)) = (own, &named.change.statement.tables.of_id) else {
        return Ok(false);
    };
    let place = |(table, column): &(Joined, String)| {
        let column = column.trim_matches(['"', '`', '[', ']']).to_owned();
        (table.table.clone(), column)
    };
    let own = place(own);
    let other = place(other);
    let is_same = same_name(&own.0, &other.0) && own.1.eq_ignore_ascii_case(&other.1);
    let catalog = look.catalog().await?;
    Ok(is_same || catalog.are_joined([&own.0, &own.1], [&other.0, &other.1]))
}

/// True where one of these records is named by no row of the change query at all.
pub(super) async fn any_unnamed(
    look: &Look<'_>,
    named: Named<'_>,
    ids: &[String],
) -> Result<bool, Failure> {
    let source = look.source;
    let kind = named.keys.kinds[RECORD_ID];
    let mut lent = source.sessions.lend().await?;
    let raw = lent.has_raw_text();
    let asked = ids
        .iter()
        .flat_map(|id| keys_of(id, kind, source.settings.encoding, raw));
    let asked: Vec<Key> = asked.collect();
    if asked.is_empty() {
        lent.give_back().await?;
        return Ok(true);
    }
    let pager = source.pager(named.change, named.keys, Order::Id);
    let sql = pager.with_ids(&asked, RECORD_ID + 1, MAX_ROWS);
    let rows = lent.fetch(&sql, &named.keys.kinds[..=RECORD_ID]).await?;
    lent.give_back().await?;
    if rows.len() >= MAX_ROWS as usize {
        return Ok(false);
    }
    let reader = Reader::new(named.layout, named.feed, &source.settings);
    let found = rows
        .rows()
        .map(|row| compared(&reader.id_text(row.cell(RECORD_ID))));
    let found: HashSet<String> = found.collect();
    Ok(ids.iter().any(|id| !found.contains(&compared(id))))
}

/// Warns of ids that are the own key of a table that the feed's own query does not join, where
/// nothing that is declared joins it with the id of the record, and records are not named.
pub(super) async fn by_structure(
    look: &Look<'_>,
    named: Named<'_>,
    described: [&[Described]; 2],
    report: &mut CheckReport,
) -> Result<(), Failure> {
    let layouts = [named.layout, named.keys];
    let queries = [named.feed, named.change];
    let mut places = Vec::new();
    for ((described, layout), query) in described.into_iter().zip(layouts).zip(queries) {
        let name = &layout.names[RECORD_ID];
        let column = described.iter().find(|column| column.name == *name);
        let origin = column.and_then(|column| column.origin.as_ref());
        // Of rows that are made of several tables the origin is that of the first one alone.
        let Some(origin) = origin.filter(|_| !query.statement.merges_rows) else {
            return Ok(());
        };
        let place = place(look, query, origin).await?;
        let joined = &query.statement.tables.joined;
        let stands_there =
            |place: &[String; 2]| joined.iter().any(|one| same_name(&one.table, &place[0]));
        match place.filter(stands_there) {
            Some(place) => places.push(place),
            None => return Ok(()),
        }
    }
    let [own, other] = places.as_slice() else {
        return Ok(());
    };
    let catalog = look.catalog().await?;
    let key = |place: &[String; 2]| {
        let table = catalog.named(&place[0])?;
        Some(table.single_key()?.to_lowercase() == place[1].to_lowercase())
    };
    let is_others_key =
        !same_name(&own[0], &other[0]) && key(own).is_some() && key(other) == Some(true);
    if !is_others_key
        || catalog.are_joined([&own[0], &own[1]], [&other[0], &other[1]])
        || !newest_unnamed(look, named).await?
    {
        return Ok(());
    }
    report.warn(
        format!(
            "{}: its record_id is the key of {}, and that of the query is {} of {}, which nothing \
             declared joins; if they are not the same ids, it tells of other records than have changed",
            named.change.place(),
            other[0],
            own[1],
            own[0],
        ),
        SAME_ID,
    );
    Ok(())
}

/// Table and column of an origin, without quotation marks; `None` for a view.
async fn place(
    look: &Look<'_>,
    feed: &FeedSettings,
    origin: &Origin,
) -> Result<Option<[String; 2]>, Failure> {
    let found = Place::find(look, feed, origin).await?;
    let plain = |name: &str| name.trim_matches(['"', '`', '[', ']']).to_owned();
    Ok(found
        .filter(|place| place.kind != "view")
        .map(|place| [place.table, plain(&place.column)]))
}

/// True where one of the records with the last ids is named by no row of the change query.
async fn newest_unnamed(look: &Look<'_>, named: Named<'_>) -> Result<bool, Failure> {
    let source = look.source;
    let mut lent = source.sessions.lend().await?;
    let pager: Pager<'_> = source.pager(named.feed, named.layout, Order::Id);
    let sql = pager.cells_page(&Start::Beginning, MAX_IDS, RECORD_ID + 1, true);
    let kinds: &[Kind] = &named.layout.kinds[..=RECORD_ID];
    let rows = lent.fetch(&sql, kinds).await?;
    lent.give_back().await?;
    let reader = Reader::new(named.layout, named.feed, &source.settings);
    let ids = rows.rows().map(|row| row.cell(RECORD_ID));
    let ids = ids.filter(|id| !id.is_cut()).map(|id| reader.id_text(id));
    any_unnamed(look, named, &ids.collect::<Vec<_>>()).await
}
