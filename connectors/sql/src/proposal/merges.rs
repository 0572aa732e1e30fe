//! Persons that were merged into others: the facts of a merged row are those of the row that
//! survives, and what takes the merged row back takes no fact back.

use super::columns::best_column;
use super::names::Words;
use super::references::Reference;
use super::select::{Select, literal};
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

/// Row that a person's row may have been merged into.
pub(super) struct Survivor {
    /// Alias of the person's table.
    pub of: String,
    /// Alias of the same table with the surviving rows.
    pub alias: String,
    /// Condition of a row that was merged into none.
    pub is_none: String,
}

/// Joins the rows that rows of persons were merged into, at the end of each way; `aliases` has the
/// tables of each.
pub(super) fn join_all(
    select: &mut Select<'_>,
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
            survivors.extend(join(select, person, key));
        }
    }
    survivors
}

/// Joins the row that a person's row was merged into, where the table of persons names it; `key` is
/// the column by which facts refer to persons.
fn join(select: &mut Select<'_>, person: &str, key: &str) -> Option<Survivor> {
    let place = select.place_of(person);
    let reference = reference(select.table_of(person), place, key)?;
    let column = select.column(person, &reference.columns[0]);
    let shape = select.table_of(person).column(&reference.columns[0])?.shape;
    let none = match shape {
        Shape::Whole | Shape::Number => Some("0".to_owned()),
        Shape::Text => Some(literal("")),
        _ => None,
    };
    let is_none = none.map_or_else(
        || format!("{column} IS NULL"),
        |none| format!("COALESCE({column}, {none}) = {none}"),
    );
    let alias = select.join(person, &reference);
    Some(Survivor {
        of: person.to_owned(),
        alias,
        is_none,
    })
}

/// The reference of a table of persons to itself.
fn reference(table: &Table, place: usize, key: &str) -> Option<Reference> {
    let may_refer = |shape| {
        matches!(
            shape,
            Shape::Whole | Shape::Number | Shape::Text | Shape::Uuid
        )
    };
    let (_, column) = best_column(table, &MERGED_INTO, may_refer)?;
    let declared = table
        .foreign_keys
        .iter()
        .find(|known| known.columns == [column.name.as_str()]);
    let to = match declared {
        Some(declared) if declared.table != place => return None,
        Some(declared) => declared.to.first()?.clone(),
        None => key.to_owned(),
    };
    table.column(&to)?;
    Some(Reference {
        columns: vec![column.name.clone()],
        to: place,
        to_columns: vec![to],
        is_declared: declared.is_some(),
        is_optional: true,
    })
}
