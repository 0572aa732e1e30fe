//! Identifiers that stand in rows of a table of their own, one for each kind of document or number.

use super::columns::{Found, IDENTIFIERS, best_column, may_identify};
use super::lists::{self, list_of};
use super::look::{Look, is_code as may_be_named};
use super::names::Words;
use super::references::{Reference, References};
use super::select::{Select, literal};
use super::words;
use crate::catalog::{Catalog, Column, Shape};

/// Tables with one row for each identifier or attribute of a person.
const IDENTIFIER_TABLES: Words = Words {
    whole: "",
    words: "identifier identifiers identity identities document documents dokument dokumenty",
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
    whole: "identifier identitydata number value nomer docnumber documentnumber numero code kod",
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
    let fits = |table: usize| is_one(catalog, table);
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

/// True for a table with a row for each identifier.
pub(super) fn is_one(catalog: &Catalog, table: usize) -> bool {
    let table = &catalog.tables[table];
    table.is_readable
        && IDENTIFIER_TABLES.fits(&table.name)
        && best_column(table, &IDENTIFIER_VALUE, may_identify).is_some()
}

/// True for a type that the kind of an identifier may have.
fn is_type(shape: Shape) -> bool {
    shape.is_code() || shape == Shape::Number
}

/// Finds identifiers that stand in rows of a table of their own. A person may have several of one
/// kind, so each becomes a list.
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
        let Some((_, kind)) = best_column(table, &IDENTIFIER_TYPE, is_type) else {
            continue;
        };
        let kinds = kinds(look, select, references, place, kind).await;
        let mut taken: Vec<String> = Vec::new();
        let mut told = Vec::new();
        for (name, words) in IDENTIFIERS {
            let of_words = kinds.iter().filter(|kind| words.fits(&kind.name));
            let fits: Vec<&Kind> = of_words
                .filter(|kind| !taken.contains(&kind.value))
                .collect();
            taken.extend(fits.iter().map(|kind| kind.value.clone()));
            let name = list_of(name);
            let is_known = found.columns.iter().any(|(known, _)| *known == name);
            if fits.is_empty() || is_known {
                continue;
            }
            let kind = format!("x.{}", select.typed(&kind.name));
            let each: Vec<String> = aliases
                .iter()
                .map(|alias| {
                    let own = format!("x.{}", select.typed(&reference.columns[0]));
                    let person = select.column(alias, &reference.to_columns[0]);
                    let condition = format!("{own} = {person} AND {}", is_one_of(&kind, &fits));
                    lists::all_values(select, place, value, "x", &condition)
                })
                .collect();
            let expression = match each.as_slice() {
                [one] => one.clone(),
                several => format!("COALESCE({})", several.join(", ")),
            };
            let names = fits.iter().map(|kind| kind.shown());
            told.push(format!("{name} {}", names.collect::<Vec<_>>().join(", ")));
            found.columns.push((name, expression));
        }
        if !told.is_empty() {
            // Rows of a person that was merged count as those of the one that survived.
            let each = aliases.iter().rev();
            found
                .tables
                .extend(each.map(|alias| (place, alias.clone(), reference.clone())));
            found.notes.push(format!(
                "identifiers are rows of {}, told apart by {}: {}; all that a person has of a kind \
                 are read. A new kind has to be added",
                table.shown(),
                kind.name,
                told.join("; ")
            ));
        }
    }
}

/// Kind of identifier: what stands in a row, as a literal, and what it is called.
struct Kind {
    value: String,
    name: String,
}

impl Kind {
    fn shown(&self) -> String {
        let is_its_name = self.value == literal(&self.name);
        if is_its_name || !may_be_named(&self.name) {
            self.value.clone()
        } else {
            format!("{} («{}»)", self.value, self.name)
        }
    }
}

/// Condition that a row is of one of these kinds.
fn is_one_of(column: &str, kinds: &[&Kind]) -> String {
    let values: Vec<&str> = kinds.iter().map(|kind| kind.value.as_str()).collect();
    match values.as_slice() {
        [one] => format!("{column} = {one}"),
        several => format!("{column} IN ({})", several.join(", ")),
    }
}

/// Kinds of identifiers: those of the list that the rows refer to, by its keys, which stay when a
/// kind is called otherwise; or the words that stand in the rows themselves.
async fn kinds(
    look: &Look<'_>,
    select: &Select<'_>,
    references: &References,
    place: usize,
    kind: &Column,
) -> Vec<Kind> {
    let listed = references.at(place, &kind.name).and_then(|reference| {
        let list = &select.catalog.tables[reference.to];
        let (_, label) = best_column(list, &words::LABEL, |shape| shape == Shape::Text)?;
        Some((reference, label))
    });
    let Some((reference, label)) = listed else {
        let from = format!("{} AS x", select.typed_table(place));
        let column = format!("x.{}", select.typed(&kind.name));
        let values = look.values(&column, &from).await.into_iter();
        return values
            .map(|(name, _)| Kind {
                value: key_literal(&name, kind.shape),
                name,
            })
            .collect();
    };
    let from = format!("{} AS y", select.typed_table(reference.to));
    let key = format!("y.{}", select.typed(&reference.to_columns[0]));
    let label = format!("y.{}", select.typed(&label.name));
    let entries = look.entries(&key, &label, &from).await.into_iter();
    entries
        .map(|(value, name)| Kind {
            value: key_literal(&value, kind.shape),
            name,
        })
        .collect()
}

/// A key as a literal of the type that its column has.
pub(super) fn key_literal(key: &str, shape: Shape) -> String {
    let is_number = matches!(shape, Shape::Whole | Shape::Number);
    if is_number && !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) {
        key.to_owned()
    } else {
        literal(key)
    }
}
