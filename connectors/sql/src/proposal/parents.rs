//! Rows that are part of a document and name it by the kind of their parent and its name (Frappe:
//! `parenttype` is `Lab Test`, and `parent` the name of a row of `tabLab Test`).

use super::look::Look;
use crate::catalog::{Catalog, ForeignKey, Table};

/// Beginning of the names of tables of documents.
const PREFIX: &str = "tab";
/// Most such tables that are looked at.
const MAX_TABLES: usize = 200;

/// Adds the references of parts to their documents, where all of a table are parts of one kind.
pub(super) async fn add_references(look: &Look<'_>, catalog: &mut Catalog) {
    let is_part = |table: &Table| {
        let has = |name: &str| table.column(name).is_some();
        table.is_readable && table.name.starts_with(PREFIX) && has("parent") && has("parenttype")
    };
    let tables = catalog.tables.iter().enumerate();
    let parts = tables.filter(|(_, table)| is_part(table) && table.rows != Some(0));
    let parts: Vec<usize> = parts.map(|(place, _)| place).take(MAX_TABLES).collect();
    for place in parts {
        let table = &catalog.tables[place];
        let driver = look.driver();
        let from = format!(
            "(SELECT DISTINCT p.parenttype FROM {}.{} AS p) AS x",
            driver.quote(&table.schema),
            driver.quote(&table.name)
        );
        let kinds = look.values("x.parenttype", &from).await;
        let [(kind, _)] = kinds.as_slice() else {
            continue;
        };
        let name = format!("{PREFIX}{kind}");
        let mut others = catalog.tables.iter().enumerate();
        let found = others.find(|(_, other)| other.name == name && other.schema == table.schema);
        let key = found.and_then(|(owner, other)| Some((owner, other.single_key()?.to_owned())));
        if let Some((owner, key)) = key {
            catalog.tables[place].foreign_keys.push(ForeignKey {
                columns: vec!["parent".to_owned()],
                table: owner,
                to: vec![key],
                is_owner: true,
            });
        }
    }
}
