//! How changes of a query's records are noticed: by one stamp, by several, or by their content.

use super::facts::Draft;
use super::references::Reference;
use super::stamps::{LISTS, OF_SURVIVORS, Stamp, Stamps};
use super::systems;
use crate::catalog::{Shape, Table};
use crate::settings::{MAX_CHANGE_NAME, MAX_CHANGE_QUERIES};

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
    draft.note_rows();
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
    push_lists(&mut queries, draft, &main);
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
    put_together(&mut queries);
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
        for mut stamp in stamps.of_parent() {
            stamp.rank += of_survivor(draft, alias);
            push_query(queries, draft, alias, stamp);
        }
    }
    let own = Stamps::of(draft.select.table_of(main), syntax);
    for column in own.columns() {
        push_beside(queries, draft, main, Stamp { column, rank: 0 });
    }
    for identifiers in &draft.row_tables {
        let table = &draft.select.catalog.tables[identifiers.0];
        let stamps = Stamps::of(table, syntax);
        if stamps.columns().is_empty() {
            without.push(table.shown());
        }
        for mut stamp in stamps.of_rows() {
            stamp.rank += of_survivor(draft, &identifiers.1);
            push_row_query(queries, draft, identifiers, stamp);
        }
    }
    without.sort_unstable();
    without.dedup();
    without
}

/// Adds the queries for the stamps of lists that codes and countries are read out of, where there
/// are several queries anyhow; says which of them nothing tells of.
fn push_lists(queries: &mut Vec<ChangeQuery>, draft: &mut Draft<'_>, main: &str) {
    let is_on_way = |alias: &String| {
        alias == main
            || draft.ways.iter().flatten().any(|own| own == alias)
            || draft.survivors.iter().any(|one| one.alias == *alias)
    };
    let joined = draft.select.tables.iter().map(|one| one.alias.clone());
    let lists: Vec<String> = joined.filter(|alias| !is_on_way(alias)).collect();
    let has_several = queries.len() > 1;
    let mut without: Vec<String> = Vec::new();
    for alias in &lists {
        let table = draft.select.table_of(alias);
        let stamps = Stamps::of(table, draft.select.driver.syntax());
        match stamps.changed.as_deref().filter(|_| has_several) {
            Some(column) => push_query(
                queries,
                draft,
                alias,
                Stamp {
                    column,
                    rank: LISTS,
                },
            ),
            None => without.push(table.shown()),
        }
    }
    without.sort_unstable();
    without.dedup();
    if !without.is_empty() {
        let found = if has_several {
            "comes with the next sweep, which compares whole rows"
        } else {
            "is not noticed; sweep_contents = true lets sweeps find it"
        };
        draft.notes.push(format!(
            "{} have no change query: what changes there alone, such as a name, {found}",
            without.join(", ")
        ));
    }
}

/// Puts the change queries of a joined table into one, where there are more than a feed may have.
fn put_together(queries: &mut Vec<ChangeQuery>) {
    if queries.len() <= MAX_CHANGE_QUERIES {
        return;
    }
    let table = |query: &ChangeQuery| {
        let table = query.stamp.rsplit_once('.');
        table.map_or_else(String::new, |(table, _)| table.to_owned())
    };
    let mut together: Vec<ChangeQuery> = Vec::new();
    for query in queries.drain(..) {
        let is_same = |known: &&mut ChangeQuery| {
            known.rank > 0 && query.rank > 0 && table(known) == table(&query)
        };
        match together.iter_mut().find(is_same) {
            Some(known) => {
                known.text += &format!(" UNION ALL {}", query.text);
                known.rank = known.rank.min(query.rank);
            }
            None => together.push(query),
        }
    }
    *queries = together;
}

/// What a query over a row that others were merged into has to its rank.
fn of_survivor(draft: &Draft<'_>, alias: &str) -> usize {
    let is_one = draft.survivors.iter().any(|one| one.alias == alias);
    if is_one { OF_SURVIVORS } else { 0 }
}

/// Leaves out the change queries that a feed may not have any more, those first that tell least.
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
    let mut named = left;
    named.dedup();
    draft.notes.push(format!(
        "no change query is there for {}, since a feed has at most {MAX_CHANGE_QUERIES}: what they alone \
         tell of is found by the next sweep, which compares whole rows (sweep.schedule)",
        named.join(", ")
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
        from += &select.back(own, parent, reference);
    }
    let at = select.column(alias, stamp.column);
    push(
        queries,
        select.table_of(alias),
        stamp,
        &at,
        format!("SELECT {id} AS record_id, {at} AS changed_at FROM {from}"),
        None,
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
        from += &select.back(own, parent, reference);
    }
    let table = &select.catalog.tables[place];
    let at = format!("x.{}", select.typed(stamp.column));
    push(
        queries,
        table,
        stamp,
        &at,
        format!("SELECT {id} AS record_id, {at} AS changed_at FROM {from}"),
        None,
    );
}

/// Adds the query for answers beside the rows: those of a group are entered and taken back one by
/// one.
fn push_beside(queries: &mut Vec<ChangeQuery>, draft: &Draft<'_>, main: &str, stamp: Stamp<'_>) {
    let Some(beside) = &draft.beside else {
        return;
    };
    let select = &draft.select;
    let table = select.typed_table(select.tables[0].table);
    let alias = select.free_name("a");
    let group = &beside.group;
    let filter = select.filter.as_deref().unwrap_or("1 = 1");
    let at = format!("{alias}.{}", select.typed(stamp.column));
    let condition = format!(
        "{alias}.{} IN ({}) AND {filter}",
        beside.question,
        beside.keys.join(", ")
    );
    let text = format!(
        "SELECT {} AS record_id, {at} AS changed_at FROM {table} AS {alias} JOIN {table} AS {main} \
         ON {main}.{group} = {alias}.{group}",
        select.columns[0].1
    );
    let of = select.table_of(main);
    push(queries, of, stamp, &at, text, Some(condition));
}

/// Names a query after its table, and after its column where the table has several.
///
/// A stamp that is empty until something happens is asked for where it is not.
fn push(
    queries: &mut Vec<ChangeQuery>,
    table: &Table,
    stamp: Stamp<'_>,
    at: &str,
    mut text: String,
    condition: Option<String>,
) {
    let column = table.column(stamp.column);
    let may_be_empty = column.is_none_or(|column| column.is_nullable);
    let mut conditions: Vec<String> = condition.into_iter().collect();
    conditions.extend(may_be_empty.then(|| format!("{at} IS NOT NULL")));
    if !conditions.is_empty() {
        text += &format!(" WHERE {}", conditions.join(" AND "));
    }
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
