//! Lists of identifiers: where a person may have several rows with one, each of them is read.

use super::columns::best_column;
use super::names::Words;
use super::select::{Select, literal};
use super::status;
use crate::catalog::{Column, RowValue, Shape, Table};

/// Documented columns of identifiers, and those of lists of them.
const LISTS: [(&str, &str); 8] = [
    ("person_snils", "person_snils_list"),
    ("person_oms", "person_oms_list"),
    ("person_passport_foreign", "person_passport_foreign_list"),
    ("person_passport", "person_passport_list"),
    ("person_ehic", "person_ehic_list"),
    ("person_residence_permit", "person_residence_permit_list"),
    ("person_birth_certificate", "person_birth_certificate_list"),
    ("person_national_id", "person_national_id_list"),
];

/// Flags of the row that counts more than the others of a person.
const PREFERRED: Words = Words {
    whole: "preferred ispreferred isprimary primary main ismain isdefault osnovnoy",
    words: "",
    parts: "",
    never: "",
};

/// Name of the column for a list of identifiers.
pub(super) fn list_of(name: &'static str) -> &'static str {
    let list = LISTS.iter().find(|(one, _)| *one == name);
    list.map_or(name, |(_, list)| list)
}

/// True for the column of an identifier, or of a list of such.
pub(super) fn is_of(name: &str, identifier: &'static str) -> bool {
    name == identifier || name == list_of(identifier)
}

/// The expression for the values of several rows of a table.
fn values(select: &Select<'_>, table: &Table, value: &Column, alias: &str) -> String {
    let flag = best_column(table, &PREFERRED, status::is_flag);
    let key = table.single_key().unwrap_or(&value.name);
    let mut order = format!("{alias}.{}", select.typed(key));
    if let Some((_, flag)) = flag {
        order = format!("{alias}.{} DESC, {order}", select.typed(&flag.name));
    }
    let column = format!("{alias}.{}", select.typed(&value.name));
    let syntax = select.driver.syntax();
    match value.shape {
        // A number has lost its leading zeros, and a JSON array says that it is one.
        Shape::Whole | Shape::Number => syntax.concatenated(&[
            literal("["),
            syntax.texts_of_rows(&column, ",", &order),
            literal("]"),
        ]),
        _ => syntax.texts_of_rows(&column, ";", &order),
    }
}

/// The sub-query for the values of all rows that fulfil a condition and were not taken back.
pub(super) fn all_values(
    select: &Select<'_>,
    place: usize,
    value: &Column,
    alias: &str,
    condition: &str,
) -> String {
    let table = &select.catalog.tables[place];
    let values = values(select, table, value, alias);
    format!(
        "(SELECT {values} FROM {} AS {alias} WHERE {condition}{})",
        select.typed_table(place),
        holds(select, table, alias)
    )
}

/// The sub-query for all rows with an identifier that stand beside a row, one for each key.
pub(super) fn of_row(select: &Select<'_>, alias: &str, row: &RowValue) -> String {
    let table = &select.catalog.tables[row.table];
    let condition = format!(
        "y.{} = {alias}.{} AND y.{} = {}",
        select.typed(&row.by),
        select.typed(&row.to),
        select.typed(&row.key_column),
        literal(&row.key),
    );
    match table.column(&row.value) {
        Some(value) => all_values(select, row.table, value, "y", &condition),
        None => select.row_value(alias, row),
    }
}

/// Condition that a row was not taken back, where its table tells so; an empty flag says nothing.
pub(super) fn holds(select: &Select<'_>, table: &Table, alias: &str) -> String {
    let conditions = status::deleted_conditions(select, table, alias).into_iter();
    conditions
        .map(|condition| format!(" AND ({condition}) IS NOT TRUE"))
        .collect()
}
