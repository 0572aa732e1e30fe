//! Columns that fit words, and what is found of a person's identifiers by them.

use super::names::{Name, Words};
use super::references::Reference;
use super::words;
use crate::catalog::{Column, Shape, Table};

/// Documented columns of identifiers, and the names that they have elsewhere; the narrower ones
/// first.
pub(super) const IDENTIFIERS: [(&str, &Words); 8] = [
    ("person_snils", &words::SNILS),
    ("person_oms", &words::OMS),
    ("person_passport_foreign", &words::FOREIGN_PASSPORT),
    ("person_passport", &words::PASSPORT),
    ("person_ehic", &words::EHIC),
    ("person_residence_permit", &words::RESIDENCE_PERMIT),
    ("person_birth_certificate", &words::BIRTH_CERTIFICATE),
    ("person_national_id", &words::NATIONAL_ID),
];

/// Column of a table that fits words best, among those of a fitting type.
pub(super) fn best_column<'t>(
    table: &'t Table,
    words: &Words,
    fits: impl Fn(Shape) -> bool,
) -> Option<(u32, &'t Column)> {
    best_of(
        words,
        table.columns.iter().filter(|column| fits(column.shape)),
    )
}

/// The column that fits words best.
pub(super) fn best_of<'t>(
    words: &Words,
    columns: impl DoubleEndedIterator<Item = &'t Column>,
) -> Option<(u32, &'t Column)> {
    let scored = columns.map(|column| (score(words, column), column));
    // The first of several equal ones.
    scored
        .filter(|(score, _)| *score > 0)
        .rev()
        .max_by_key(|(score, _)| *score)
}

/// How surely a column is meant, by its name with what all columns of its table begin with, or
/// without.
pub(super) fn score(words: &Words, column: &Column) -> u32 {
    let by_name = words.score(&Name::new(&column.name));
    if column.plain == column.name {
        return by_name;
    }
    by_name.max(words.score(&Name::new(&column.plain)))
}

pub(super) const fn may_identify(shape: Shape) -> bool {
    matches!(shape, Shape::Text | Shape::Whole | Shape::Number)
}

/// Identifiers of the person of a row, and what is to be said about them.
#[derive(Default)]
pub(super) struct Found {
    pub columns: Vec<(&'static str, String)>,
    pub notes: Vec<String>,
    /// Tables with a row for each identifier: their place, and the alias of the person's table and
    /// the reference by which they are found.
    pub tables: Vec<(usize, String, Reference)>,
}
