//! Persons that were merged into others: the facts of a merged row are those of the row that
//! survives, however long the chain is, and what takes the merged row back takes no fact back.

use super::columns::best_column;
use super::names::{Name, Words};
use super::references::{Reference, References};
use super::select::{Select, Through, literal};
use super::{status, words};
use crate::catalog::{Shape, Table};

/// Columns that name the row that a person's row was merged into.
const MERGED_INTO: Words = Words {
    whole: "mergedinto mergedto mergedintoid mergedtoid mergedinid duplicateof duplicateofid \
        survivorid survivingid survivor masterpatientid masterid replacedby replacedbyid \
        obedinenas obedinensid dubl fusionneavec fusionneavecid",
    words: "",
    parts: "mergedinto mergedto mergedwith mergeinto duplicateof survivor survivingp masterpatient \
        masterperson replacedby obedinen fusionneavec",
    never: "date data time at by user reason prichina motif is count",
};
/// Tables of their own that say which person's row was merged into which.
const MERGES: Words = Words {
    whole: "",
    words: "merged merges merge fusions fusion",
    parts: "merge obedinen fusionne",
    never: "template queue candidate suggest request potential possible duplicat dubli",
};
/// Columns of such a table that name the row that is left.
const WINNER: Words = Words {
    whole: "winner winnerpersonid winnerid target targetid intoid newid newpatientid",
    words: "winner",
    parts: "",
    never: "date",
};
/// Columns of such a table that name the row that was merged.
const MERGED: Words = Words {
    whole: "loserpersonid loser loserid mergedfrom mergedfromid fromid source sourceid oldid \
        oldpatientid duplicate duplicateid mergedid",
    words: "loser",
    parts: "mergedfrom",
    never: "date",
};

/// Row that a person's row may have been merged into.
pub(super) struct Survivor {
    /// Alias of the person's table.
    pub of: String,
    /// Alias of the same table with the surviving rows.
    pub alias: String,
    /// Condition of a row that was merged into none.
    pub is_none: String,
    /// The table of its own that keeps the merges, and the column of the merged row there.
    pub kept_in: Option<(usize, Reference)>,
}

/// Where merges are kept: rows that name the merged one and the one that it was merged into.
struct Merges {
    table: usize,
    /// Column of the table of persons by which the rows are named.
    key: String,
    from: String,
    into: String,
    /// Condition on the row `x` that it states a merge.
    holds: String,
    shape: Shape,
}

/// Joins the rows that rows of persons were merged into, at the end of each way; `aliases` has the
/// tables of each.
pub(super) fn join_all(
    select: &mut Select<'_>,
    references: &References,
    ways: &[Vec<Reference>],
    aliases: &[Vec<String>],
) -> Vec<Survivor> {
    let mut survivors: Vec<Survivor> = Vec::new();
    for (way, along) in ways.iter().zip(aliases) {
        let key = way.last().and_then(|step| step.to_columns.first());
        let (Some(key), Some(person)) = (key, along.last()) else {
            continue;
        };
        if survivors.iter().all(|known| known.of != *person) {
            survivors.extend(join(select, references, person, key));
        }
    }
    survivors
}

/// Joins the row that a person's row was merged into, where the table of persons names it, or a
/// table beside it; `key` is the column by which facts refer to persons.
fn join(
    select: &mut Select<'_>,
    references: &References,
    person: &str,
    key: &str,
) -> Option<Survivor> {
    let place = select.place_of(person);
    let merges =
        own_column(select, place, key).or_else(|| own_table(select, references, place, key))?;
    let itself = Reference {
        columns: vec![merges.key.clone()],
        to: place,
        to_columns: vec![merges.key.clone()],
        is_declared: false,
        is_optional: true,
        is_owner: false,
    };
    let through = select.free_name("m");
    let is_none = format!("{through}.into_row IS NULL");
    let alias = select.join_through(
        person,
        &itself,
        Through {
            alias: through,
            sql: merges.sql(select),
        },
    );
    let kept_in = (merges.table != place).then(|| {
        let by = Reference {
            columns: vec![merges.from.clone()],
            ..itself
        };
        (merges.table, by)
    });
    Some(Survivor {
        of: person.to_owned(),
        alias,
        is_none,
        kept_in,
    })
}

/// True for types whose values may be equal.
fn are_comparable(one: Shape, other: Shape) -> bool {
    let is_number = |shape| matches!(shape, Shape::Whole | Shape::Number);
    one == other || (is_number(one) && is_number(other))
}

const fn may_refer(shape: Shape) -> bool {
    matches!(
        shape,
        Shape::Whole | Shape::Number | Shape::Text | Shape::Uuid
    )
}

/// The column of a table of persons that names another row of it.
fn own_column(select: &Select<'_>, place: usize, key: &str) -> Option<Merges> {
    let table = &select.catalog.tables[place];
    let (_, column) = best_column(table, &MERGED_INTO, may_refer)?;
    let declared = table
        .foreign_keys
        .iter()
        .find(|known| known.columns == [column.name.as_str()]);
    // It may be another number than that by which facts name a person.
    let key = match declared {
        Some(declared) if declared.table != place => return None,
        Some(declared) => declared.to.first()?.as_str(),
        None => key,
    };
    let shape = table.column(key)?.shape;
    if !are_comparable(shape, column.shape) {
        return None;
    }
    let into = format!("x.{}", select.typed(&column.name));
    let holds = match column.shape {
        Shape::Whole | Shape::Number => format!("{into} <> 0"),
        Shape::Text => format!("{into} <> {}", literal("")),
        _ => format!("{into} IS NOT NULL"),
    };
    Some(Merges {
        table: place,
        key: key.to_owned(),
        from: key.to_owned(),
        into: column.name.clone(),
        holds,
        shape,
    })
}

/// The table beside a table of persons that says which row was merged into which.
fn own_table(
    select: &Select<'_>,
    references: &References,
    place: usize,
    key: &str,
) -> Option<Merges> {
    let persons = &select.catalog.tables[place];
    let tables = select.catalog.tables.iter().enumerate();
    let fitting = tables.filter(|(other, table)| {
        // What a merge that is only asked for is, a status would say.
        let has_status = best_column(table, &words::STATUS, Shape::is_code).is_some();
        let is_one = *other != place && table.is_readable && !table.is_view;
        is_one && !has_status && MERGES.fits(&table.name)
    });
    let found = fitting.filter_map(|(other, table)| {
        let into = |shape| may_refer(shape);
        let (_, into) =
            best_column(table, &MERGED_INTO, into).or_else(|| best_column(table, &WINNER, into))?;
        let refers = |column: &str| {
            let by = references.at(other, column).filter(|one| one.to == place);
            by.and_then(|one| one.to_columns.first())
        };
        let by_name = best_column(table, &MERGED, may_refer).map(|(_, column)| column);
        let from = by_name.or_else(|| {
            let columns = table.columns.iter().filter(|one| one.name != into.name);
            let mut columns = columns.filter(|one| {
                refers(&one.name).is_some()
                    || words::PERSON_REFERENCE.score(&Name::new(&one.name)) > 0
            });
            columns.next()
        })?;
        let named = refers(&from.name).or_else(|| refers(&into.name));
        let key = named.map_or(key, String::as_str);
        let of_persons = named.is_some() || names_key(&from.name, key);
        let shape = persons.column(key)?.shape;
        let fits = are_comparable(shape, from.shape) && are_comparable(shape, into.shape);
        (of_persons && fits).then(|| Merges {
            table: other,
            key: key.to_owned(),
            from: from.name.clone(),
            into: into.name.clone(),
            holds: holds(select, table),
            shape,
        })
    });
    found.into_iter().next()
}

/// True where a column's name says that it holds this key, such as `loser_person_id` for `person_id`.
fn names_key(column: &str, key: &str) -> bool {
    let own = Name::new(column).words;
    let mut key = Name::new(key).words;
    key.retain(|word| word != "id");
    !key.is_empty() && key.iter().all(|word| own.contains(word))
}

/// Condition that a row `x` was not taken back.
fn holds(select: &Select<'_>, table: &Table) -> String {
    status::deleted_conditions(select, table, "x")
        .first()
        .map_or_else(|| "1 = 1".to_owned(), |one| format!("({one}) IS NOT TRUE"))
}

impl Merges {
    /// A query of each merged row with the row that is left at the end of its chain. Pairs that are
    /// known are not followed again, so that a circle ends; none of its rows is left.
    fn sql(&self, select: &Select<'_>) -> String {
        let table = select.typed_table(self.table);
        let from = select.typed(&self.from);
        let into = select.typed(&self.into);
        let holds = format!("{} AND x.{from} <> x.{into}", self.holds);
        let least = select.driver.syntax().least("c.into_row", self.shape);
        format!(
            "(WITH RECURSIVE chain (of_row, into_row) AS (\n\
             \x20   SELECT x.{from}, x.{into} FROM {table} AS x WHERE {holds}\n\
             \x20   UNION SELECT c.of_row, x.{into} FROM chain AS c JOIN {table} AS x ON x.{from} = \
             c.into_row WHERE {holds})\n\
             \x20 SELECT c.of_row, {least} AS into_row FROM chain AS c\n\
             \x20 WHERE NOT EXISTS (SELECT 1 FROM {table} AS x WHERE x.{from} = c.into_row AND \
             {holds})\n\
             \x20 GROUP BY c.of_row)"
        )
    }
}
