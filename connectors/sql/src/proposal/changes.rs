//! How changes of a query's records are noticed: by one stamp, by several, or by their content.

use super::columns::best_column;
use super::facts::Draft;
use super::references::Reference;
use super::{systems, words};
use crate::catalog::{Shape, Table};
use crate::settings::{MAX_CHANGE_NAME, MAX_CHANGE_QUERIES};
use crate::statement::Syntax;

/// Way in which changes are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// One indexed stamp, in the query's `changed_at`.
    OneStamp,
    /// A short query for each joined table, by its name.
    SeveralStamps(Vec<(String, String)>),
    /// Nothing but the content shows them.
    Content,
}

/// Stamps of a table.
struct Stamps {
    /// Column that moves with every change, if there is one.
    changed: Option<String>,
    /// True where a row that never changed may have none.
    may_be_empty: bool,
    created: Option<String>,
    deleted: Option<String>,
}

impl Stamps {
    fn of(table: &Table, syntax: Syntax) -> Self {
        let is_moment = |shape: Shape| {
            shape.is_time()
                || (syntax.keeps_stamps_as_text() && matches!(shape, Shape::Text | Shape::Whole))
        };
        let name = |words| best_column(table, words, is_moment).map(|(_, column)| column);
        let changed = name(&words::CHANGED);
        Self {
            may_be_empty: changed.is_some_and(|column| column.is_nullable),
            changed: changed.map(|column| column.name.clone()),
            created: name(&words::CREATED).map(|column| column.name.clone()),
            deleted: name(&words::DELETED_AT).map(|column| column.name.clone()),
        }
    }

    /// Columns that together move with every change.
    fn columns(&self) -> Vec<&str> {
        let Some(changed) = &self.changed else {
            // Rows that are replaced and not changed have two moments.
            let both = self.created.as_deref().zip(self.deleted.as_deref());
            return both.map_or_else(Vec::new, |(created, deleted)| vec![created, deleted]);
        };
        let others = [&self.created, &self.deleted];
        let others = others.into_iter().flatten().filter(|_| self.may_be_empty);
        let mut all = vec![changed.as_str()];
        all.extend(others.map(String::as_str).filter(|other| other != changed));
        all
    }

    /// The same columns of a joined table, the most telling one first.
    fn ranked(&self) -> impl Iterator<Item = Stamp<'_>> {
        let columns = self.columns().into_iter().enumerate();
        columns.map(|(place, column)| Stamp {
            column,
            rank: place + 1,
        })
    }
}

/// Stamp of a table that a change query is made of.
#[derive(Clone, Copy)]
struct Stamp<'s> {
    column: &'s str,
    /// 0 for the fact's own table, then the greater the less it tells.
    rank: usize,
}

/// Change query in the making.
struct ChangeQuery {
    name: String,
    text: String,
    /// The stamp, with its table, for a person to read.
    stamp: String,
    rank: usize,
}

/// Decides how changes are noticed, adds `changed_at` where one stamp does, and says what is not
/// noticed.
pub(super) fn decide(draft: &mut Draft<'_>) -> Changes {
    let select = &draft.select;
    let syntax = select.driver.syntax();
    let main = select.main().to_owned();
    let own = Stamps::of(select.table_of(&main), syntax);
    if own.columns().is_empty() {
        let shown = select.table_of(&main).shown();
        draft.notes.push(format!(
            "{shown} has no column that moves with every change, so the content is compared; if \
             one does, select it AS changed_at and leave change_detection out"
        ));
        return Changes::Content;
    }
    if own.changed.is_none() {
        let shown = select.table_of(&main).shown();
        draft.notes.push(format!(
            "{shown} has stamps of creation and deletion only: its rows are taken to be replaced, \
             not changed; if they are changed, write change_detection = \"content\""
        ));
    }
    let mut queries = Vec::new();
    for column in own.columns() {
        push_query(&mut queries, draft, &main, Stamp { column, rank: 0 });
    }
    let without = push_joined(&mut queries, draft, &main);
    let is_swept_whole = queries.len() > 1;
    for table in without {
        draft.notes.push(if is_swept_whole {
            format!(
                "{table} has no stamp: a change there alone (a corrected identifier) is found by \
                 the next sweep, which compares whole rows"
            )
        } else {
            format!(
                "{table} has no stamp: a change there alone (a corrected identifier) is not \
                 noticed; sweep_contents = true lets sweeps find it"
            )
        });
    }
    index_notes(draft, &main, &own);
    zone_note(draft, &main, &own);
    leave_to_sweeps(&mut queries, draft);
    if is_swept_whole {
        let queries = queries.into_iter();
        return Changes::SeveralStamps(queries.map(|query| (query.name, query.text)).collect());
    }
    one_stamp(draft, &main, &own);
    Changes::OneStamp
}

/// Adds the queries for the stamps of joined tables, and of those with a row for each identifier.
/// Returns the tables without one.
fn push_joined(queries: &mut Vec<ChangeQuery>, draft: &Draft<'_>, main: &str) -> Vec<String> {
    let syntax = draft.select.driver.syntax();
    let mut on_way: Vec<String> = Vec::new();
    for alias in draft.ways.iter().flatten() {
        if *alias != *main && !on_way.contains(alias) {
            on_way.push(alias.clone());
        }
    }
    on_way.extend(draft.survivors.iter().map(|one| one.alias.clone()));
    let mut without = Vec::new();
    for alias in &on_way {
        let stamps = Stamps::of(draft.select.table_of(alias), syntax);
        if stamps.columns().is_empty() {
            without.push(draft.select.table_of(alias).shown());
        }
        for stamp in stamps.ranked() {
            push_query(queries, draft, alias, stamp);
        }
    }
    for identifiers in &draft.identifier_tables {
        let table = &draft.select.catalog.tables[identifiers.0];
        let stamps = Stamps::of(table, syntax);
        if stamps.columns().is_empty() {
            without.push(table.shown());
        }
        for stamp in stamps.ranked() {
            push_row_query(queries, draft, identifiers, stamp);
        }
    }
    without.dedup();
    without
}

/// Leaves out the change queries that a feed may not have any more, those of creation and deletion
/// in joined tables first.
fn leave_to_sweeps(queries: &mut Vec<ChangeQuery>, draft: &mut Draft<'_>) {
    if queries.len() <= MAX_CHANGE_QUERIES {
        return;
    }
    queries.sort_by_key(|query| query.rank);
    let left: Vec<String> = queries
        .split_off(MAX_CHANGE_QUERIES)
        .into_iter()
        .map(|query| query.stamp)
        .collect();
    draft.notes.push(format!(
        "{} have no change query, since a feed has at most {MAX_CHANGE_QUERIES}: what they alone \
         tell of is found by the next sweep, which compares whole rows (sweep.schedule)",
        left.join(", ")
    ));
}

fn one_stamp(draft: &mut Draft<'_>, main: &str, own: &Stamps) {
    let column = own.changed.as_deref().unwrap_or_default();
    let stamp = draft.select.column(main, column);
    draft.select.columns.insert(1, ("changed_at", stamp));
}

fn index_notes(draft: &mut Draft<'_>, main: &str, own: &Stamps) {
    let table = draft.select.table_of(main);
    for column in own.columns() {
        if !table.is_view && !table.has_index_on(column) {
            draft.notes.push(format!(
                "no index begins with {}.{column}: every run reads the whole table; let its \
                 administrator make one (`clinic-gateway check` gives the statement)",
                table.shown()
            ));
        }
    }
}

/// Says that stamps of a known system are in UTC, and may stay so.
fn zone_note(draft: &mut Draft<'_>, main: &str, own: &Stamps) {
    let table = draft.select.table_of(main);
    let in_no_zone = own
        .columns()
        .into_iter()
        .filter_map(|name| table.column(name));
    let mut in_no_zone =
        in_no_zone.filter(|column| column.shape == Shape::Moment && !column.is_instant);
    if let (Some(system), Some(column)) = (systems::in_utc(draft.select.catalog), in_no_zone.next())
    {
        draft.notes.push(format!(
            "{}.{} and other stamps stand as they are, so that their indexes serve: {system} keeps \
             them in UTC without a zone, and only their order matters",
            table.shown(),
            column.name
        ));
    }
}

/// Adds the query for a stamp of a joined table: the records that belong to its rows.
fn push_query(queries: &mut Vec<ChangeQuery>, draft: &Draft<'_>, alias: &str, stamp: Stamp<'_>) {
    let select = &draft.select;
    let id = &select.columns[0].1;
    let chain = chain(draft, alias);
    let first = chain.first().map_or(alias, |(other, _, _)| other.as_str());
    let mut from = format!("{} AS {first}", select.typed_table(select.place_of(first)));
    for (own, parent, reference) in &chain {
        from += &format!(
            " JOIN {} AS {parent} ON {}",
            select.typed_table(select.place_of(parent)),
            select.condition(parent, reference, own)
        );
    }
    let at = select.column(alias, stamp.column);
    push(
        queries,
        select.table_of(alias),
        stamp,
        format!("SELECT {id} AS record_id, {at} AS changed_at FROM {from}"),
    );
}

/// Steps from a joined table back to the first one: alias, the alias that it is joined to, and the
/// reference.
fn chain(draft: &Draft<'_>, alias: &str) -> Vec<(String, String, Reference)> {
    let mut steps = Vec::new();
    let mut at = alias.to_owned();
    while let Some(joined) = draft.select.tables.iter().find(|joined| joined.alias == at) {
        let Some((from, by)) = &joined.by else { break };
        steps.push((at.clone(), from.clone(), by.clone()));
        at.clone_from(from);
    }
    steps
}

/// Adds the query for a stamp of a table with a row for each identifier.
fn push_row_query(
    queries: &mut Vec<ChangeQuery>,
    draft: &Draft<'_>,
    identifiers: &(usize, String, Reference),
    stamp: Stamp<'_>,
) {
    let (place, person, reference) = identifiers;
    let place = *place;
    let select = &draft.select;
    let id = &select.columns[0].1;
    let mut from = format!(
        "{} AS x JOIN {} AS {person} ON {} = x.{}",
        select.typed_table(place),
        select.typed_table(select.place_of(person)),
        select.column(person, &reference.to_columns[0]),
        select.typed(&reference.columns[0])
    );
    let chain = chain(draft, person);
    for (own, parent, reference) in &chain {
        from += &format!(
            " JOIN {} AS {parent} ON {}",
            select.typed_table(select.place_of(parent)),
            select.condition(parent, reference, own)
        );
    }
    let table = &select.catalog.tables[place];
    push(
        queries,
        table,
        stamp,
        format!(
            "SELECT {id} AS record_id, x.{} AS changed_at FROM {from}",
            select.typed(stamp.column)
        ),
    );
}

/// Names a query after its table, and after its column where the table has several.
fn push(queries: &mut Vec<ChangeQuery>, table: &Table, stamp: Stamp<'_>, text: String) {
    let plain = |name: &str| -> String {
        let latin = super::names::Name::new(name).words.join("_");
        latin
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || *char == '_')
            .collect()
    };
    let short = |name: String, most: usize| name.chars().take(most).collect::<String>();
    let mut base = short(plain(&table.name), MAX_CHANGE_NAME);
    if base.is_empty() {
        base = "changed".to_owned();
    }
    let is_free = |name: &String| queries.iter().all(|known| known.name != *name);
    let with_column = format!("{base}_{}", plain(stamp.column));
    let names = [base.clone(), short(with_column, MAX_CHANGE_NAME)];
    // Room for a number of two digits.
    let stem = short(base.clone(), MAX_CHANGE_NAME - 3);
    let numbered = (2..).map(|number| format!("{stem}_{number}"));
    let name = names.into_iter().chain(numbered).find(is_free);
    queries.push(ChangeQuery {
        name: name.unwrap_or(base),
        text,
        stamp: format!("{}.{}", table.shown(), stamp.column),
        rank: stamp.rank,
    });
}
