//! Identifiers that stand in rows of a table of their own, one for each kind of document or number.

use super::columns::{Found, IDENTIFIERS, best_column, may_identify};
use super::look::Look;
use super::names::Words;
use super::references::{Reference, References};
use super::select::{Select, literal};
use super::words;
use crate::catalog::{Catalog, Shape, Table};

/// Tables with one row for each identifier or attribute of a person.
const IDENTIFIER_TABLES: Words = Words {
    whole: "",
    words: "identifier identifiers document documents dokument dokumenty",
    parts: "identif document dokument attribute udostover pieceident",
    never: "type tip audit history template file",
};
/// Columns that say which identifier a row holds.
const IDENTIFIER_TYPE: Words = Words {
    whole: "identifiertype type doctype documenttype tip tipdokumenta vid",
    words: "type tip kind attribute vid",
    parts: "identifiertype attributetype attributeid doctype",
    never: "date by",
};
/// Columns that hold the identifier.
const IDENTIFIER_VALUE: Words = Words {
    whole: "identifier number value nomer docnumber documentnumber numero code kod",
    words: "identifier number value nomer numero",
    parts: "docnum nomerdok",
    never: "type date reference coded",
};

/// Tables with a row for each identifier of the persons of this table, with the reference by which
/// they are found; also those of a table that has the same key, such as patients among persons.
pub(super) fn identifier_tables(
    catalog: &Catalog,
    references: &References,
    person: usize,
) -> Vec<(usize, Reference)> {
    let fits = |table: usize| {
        let table = &catalog.tables[table];
        table.is_readable
            && IDENTIFIER_TABLES.fits(&table.name)
            && best_column(table, &IDENTIFIER_VALUE, may_identify).is_some()
    };
    let mut found: Vec<(usize, Reference)> = Vec::new();
    for (table, reference) in references.to(person) {
        if fits(table) {
            found.push((table, reference.clone()));
        }
        if catalog.tables[table].single_key() != Some(&reference.columns[0]) {
            continue;
        }
        for (further, by) in references.to(table).filter(|(further, _)| fits(*further)) {
            let to_columns = reference.to_columns.clone();
            found.push((
                further,
                Reference {
                    to_columns,
                    ..by.clone()
                },
            ));
        }
    }
    found
}

/// Finds identifiers that stand in rows of a table of their own.
pub(super) async fn from_rows(
    look: &Look<'_>,
    select: &mut Select<'_>,
    references: &References,
    person: usize,
    aliases: &[String],
    found: &mut Found,
) {
    let catalog = select.catalog;
    let tables = identifier_tables(catalog, references, person);
    for (place, reference) in tables {
        let table = &catalog.tables[place];
        let Some((_, value)) = best_column(table, &IDENTIFIER_VALUE, may_identify) else {
            continue;
        };
        let Some((_, kind)) = best_column(table, &IDENTIFIER_TYPE, Shape::is_code) else {
            continue;
        };
        let (from, type_expression) = typed_rows(select, references, place, &kind.name);
        let kinds = look.values(&type_expression, &from).await;
        let mut is_used = false;
        for (name, words) in IDENTIFIERS {
            let fits = kinds.iter().find(|(kind, _)| words.fits(kind));
            let is_known = found.columns.iter().any(|(known, _)| *known == name);
            let Some((kind, _)) = fits.filter(|_| !is_known) else {
                continue;
            };
            let each: Vec<String> = aliases
                .iter()
                .map(|alias| {
                    let own = format!("x.{}", select.typed(&reference.columns[0]));
                    let person = select.column(alias, &reference.to_columns[0]);
                    let not_deleted = holds(select, table, "x");
                    format!(
                        "(SELECT MIN(x.{}) FROM {from} WHERE {own} = {person} AND \
                         {type_expression} = {}{not_deleted})",
                        select.typed(&value.name),
                        literal(kind)
                    )
                })
                .collect();
            let expression = match each.as_slice() {
                [one] => one.clone(),
                several => format!("COALESCE({})", several.join(", ")),
            };
            found.columns.push((name, expression));
            is_used = true;
        }
        if is_used {
            found.tables.push((place, aliases[0].clone(), reference));
        }
    }
}

/// A table of identifiers as `x`, joined with the list of its types where it has one, and the
/// expression for the type.
fn typed_rows(
    select: &Select<'_>,
    references: &References,
    place: usize,
    kind: &str,
) -> (String, String) {
    let table = select.typed_table(place);
    let of_list = references.at(place, kind).and_then(|reference| {
        let list = &select.catalog.tables[reference.to];
        let (_, label) = best_column(list, &words::LABEL, |shape| shape == Shape::Text)?;
        let from = format!(
            "{table} AS x JOIN {} AS y ON y.{} = x.{}",
            select.typed_table(reference.to),
            select.typed(&reference.to_columns[0]),
            select.typed(kind)
        );
        Some((from, format!("y.{}", select.typed(&label.name))))
    });
    of_list.unwrap_or_else(|| (format!("{table} AS x"), format!("x.{}", select.typed(kind))))
}

/// Condition that a row was not taken back, where its table has a flag for that.
fn holds(select: &Select<'_>, table: &Table, alias: &str) -> String {
    super::status::deleted_conditions(select, table, alias)
        .first()
        .map_or_else(String::new, |condition| format!(" AND NOT ({condition})"))
}
