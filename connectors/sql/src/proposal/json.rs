//! Values that a system keeps in columns of JSON: each key is looked at like a column.
//!
//! PostgreSQL only. Keys that are numbers of a list's entries go by the names that the list has.

use super::columns::best_column;
use super::look::Look;
use super::names::{Name, Words};
use super::select::literal;
use super::words;
use crate::catalog::{Catalog, Column, JsonValue, Shape, Table};
use crate::driver::Driver;

/// Most columns of JSON that are looked at.
const MAX_DOCUMENTS: usize = 24;
/// Documents of a column that are looked at for their keys.
const MAX_ROWS: usize = 2_000;
/// Most lists that keys are looked up in.
const MAX_LISTS: usize = 12;

/// Lists of what keys stand for.
const LISTS: Words = Words {
    whole: "dataelement trackedentityattribute question questions field fields variable concept",
    words: "element question field variable concept item pole vopros",
    parts: "dataelement question",
    never: "audit history group option category operand value section",
};
/// Columns of lists that hold the keys.
const KEYS: Words = Words {
    whole: "uid key code uuid identifier",
    words: "uid key code",
    parts: "",
    never: "sort order",
};

/// Adds the values of JSON columns to their tables, as further columns.
pub(super) async fn add_columns(look: &Look<'_>, catalog: &mut Catalog) {
    if look.driver().kind() != "postgres" {
        return;
    }
    let mut documents: Vec<(usize, String)> = Vec::new();
    for (place, table) in catalog.tables.iter().enumerate() {
        let is_used = table.is_readable && !table.is_view && table.rows != Some(0);
        let columns = table
            .columns
            .iter()
            .filter(|column| column.shape == Shape::Json);
        let names = columns
            .filter(|_| is_used)
            .map(|column| (place, column.name.clone()));
        documents.extend(names);
    }
    documents.truncate(MAX_DOCUMENTS);
    for (place, document) in documents {
        let columns = values(look, catalog, &catalog.tables[place], &document).await;
        catalog.tables[place].columns.extend(columns);
    }
}

/// Table as it is typed everywhere.
fn typed(driver: &dyn Driver, table: &Table) -> String {
    format!(
        "{}.{}",
        driver.quote(&table.schema),
        driver.quote(&table.name)
    )
}

async fn values(look: &Look<'_>, catalog: &Catalog, table: &Table, document: &str) -> Vec<Column> {
    let driver = look.driver();
    let from = format!(
        "(SELECT jsonb_each.key AS k, jsonb_typeof(jsonb_each.value) AS t FROM (SELECT {}::jsonb \
         AS d \
         FROM {} LIMIT {MAX_ROWS}) AS s, jsonb_each(s.d) WHERE jsonb_typeof(s.d) = 'object') AS x",
        driver.quote(document),
        typed(driver, table)
    );
    let keys = look.values("x.k || E'\\n' || x.t", &from).await;
    let keys: Vec<(String, bool)> = keys
        .iter()
        .filter_map(|(key, _)| key.split_once('\n'))
        .map(|(key, kind)| (key.to_owned(), kind == "object"))
        .collect();
    let named = named(look, catalog, &keys).await;
    let mut columns: Vec<Column> = Vec::new();
    for (key, is_nested) in keys {
        let name = named.iter().find(|(known, _)| *known == key);
        let name = name.map_or_else(|| key.clone(), |(_, name)| name.clone());
        let is_known = |known: &str| known == name;
        if !table
            .columns
            .iter()
            .chain(&columns)
            .any(|column| is_known(&column.name))
        {
            columns.push(Column {
                plain: name.clone(),
                name,
                shape: Shape::Text,
                is_instant: false,
                is_nullable: true,
                json: Some(JsonValue {
                    column: document.to_owned(),
                    key,
                    is_nested,
                }),
                row: None,
            });
        }
    }
    columns
}

/// Names that lists have for keys.
async fn named(
    look: &Look<'_>,
    catalog: &Catalog,
    keys: &[(String, bool)],
) -> Vec<(String, String)> {
    // A key that says something is its own name.
    let opaque = keys
        .iter()
        .filter(|(key, _)| Name::new(key).words.len() < 2 || key.len() == 11);
    let listed: Vec<String> = opaque.map(|(key, _)| literal(key)).collect();
    let mut found = Vec::new();
    if listed.is_empty() {
        return found;
    }
    let lists = catalog
        .tables
        .iter()
        .filter(|table| table.is_readable && !table.is_view && LISTS.fits(&table.name));
    for list in lists.take(MAX_LISTS) {
        let is_text = |shape| shape == Shape::Text;
        let key = best_column(list, &KEYS, is_text);
        let name = best_column(list, &words::LABEL, is_text);
        let (Some((_, key)), Some((_, name))) = (key, name) else {
            continue;
        };
        if key.name == name.name {
            continue;
        }
        let driver = look.driver();
        let key = format!("x.{}", driver.quote(&key.name));
        let expression = format!("{key} || E'\\n' || x.{}", driver.quote(&name.name));
        let from = format!(
            "{} AS x WHERE {key} IN ({})",
            typed(driver, list),
            listed.join(", ")
        );
        let pairs = look.values(&expression, &from).await;
        let pairs = pairs.iter().filter_map(|(pair, _)| pair.split_once('\n'));
        found.extend(pairs.map(|(key, name)| (key.to_owned(), name.to_owned())));
    }
    found
}
