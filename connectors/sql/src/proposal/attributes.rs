//! Values that a system keeps in rows of a table beside, one row for each key (`demographicExt`,
//! `preventionsExt`): each key is looked at like a column.

use connector_kit::Feed;

use super::columns::best_column;
use super::facts::{Draft, Place};
use super::identifier_rows;
use super::lists;
use super::look::{Look, is_code};
use super::names::{Name, Words};
use super::references::{Reference, References};
use super::select::{Select, literal};
use crate::catalog::{Catalog, Column, RowValue, Shape, Table};

/// Most such tables that are looked at.
const MAX_TABLES: usize = 24;
/// Most keys that are taken of one.
const MAX_KEYS: usize = 60;

/// Endings of the names of such tables.
const ENDS: [&str; 12] = [
    "ext",
    "extra",
    "extras",
    "meta",
    "attribute",
    "attributes",
    "property",
    "properties",
    "values",
    "details",
    "params",
    "fields",
];
/// Columns that hold the key.
const KEY: Words = Words {
    whole: "keyval keyname attributename attribute attrname attr propertyname property paramname \
        parametername fieldname metakey key name kod klyuch imyapolya",
    words: "",
    parts: "",
    never: "",
};
/// Columns that hold the value.
const VALUE: Words = Words {
    whole: "val value attributevalue attrvalue propertyvalue paramvalue fieldvalue metavalue \
        valuetext znachenie valeur",
    words: "",
    parts: "",
    never: "",
};
/// Keys of the product that was given, where the row itself names only what it is against.
const PRODUCT: [&str; 6] = [
    "name",
    "brand",
    "brandname",
    "product",
    "productname",
    "tradename",
];
/// Columns of a vaccination that name what it is against.
const AGAINST: Words = Words {
    whole: "",
    words: "type disease prevention",
    parts: "",
    never: "vaccine",
};

/// Adds the values in rows to the tables that these belong to, as further columns.
pub(super) async fn add_columns(look: &Look<'_>, catalog: &mut Catalog, references: &References) {
    let mut found = Vec::new();
    for (place, table) in catalog.tables.iter().enumerate() {
        found.extend(kept(catalog, references, place, table));
    }
    found.truncate(MAX_TABLES);
    for (owner, row) in found {
        let driver = look.driver();
        let table = &catalog.tables[row.table];
        let name = driver.quote(&table.name);
        let from = if table.schema.is_empty() {
            format!("{name} AS x")
        } else {
            format!("{}.{name} AS x", driver.quote(&table.schema))
        };
        let key = format!("x.{}", driver.quote(&row.key_column));
        let holds = holds(look, catalog, row.table);
        let keys = look.values(&key, &from).await.into_iter();
        let keys = keys
            .map(|(key, _)| key)
            .filter(|key| is_code(key) && !key.contains('\\'));
        for key in keys.take(MAX_KEYS) {
            let name = key.clone();
            let columns = &mut catalog.tables[owner].columns;
            if columns.iter().any(|known| known.name == name) {
                continue;
            }
            columns.push(Column {
                plain: name.clone(),
                name,
                shape: Shape::Text,
                is_instant: false,
                is_nullable: true,
                json: None,
                row: Some(RowValue {
                    key,
                    holds: holds.clone(),
                    ..row.clone()
                }),
            });
        }
    }
}

/// Condition that a row `y` of a table was not taken back.
fn holds(look: &Look<'_>, catalog: &Catalog, place: usize) -> String {
    let select = Select::new(catalog, look.driver(), place);
    lists::holds(&select, &catalog.tables[place], "y")
}

/// The table that a table of keys and values belongs to, and how.
fn kept(
    catalog: &Catalog,
    references: &References,
    place: usize,
    table: &Table,
) -> Option<(usize, RowValue)> {
    let is_text = |shape| shape == Shape::Text;
    let is_used = table.is_readable && table.rows != Some(0);
    if !is_used || identifier_rows::is_one(catalog, place) {
        return None;
    }
    let (_, key) = best_column(table, &KEY, is_text)?;
    let (_, value) = best_column(table, &VALUE, is_text)?;
    let joined = Name::new(&table.name).joined;
    let of = |one: &&Reference| {
        let owner = &catalog.tables[one.to];
        let begins = joined.starts_with(&Name::new(&owner.name).joined);
        let is_one = one.columns.len() == 1 && one.is_of_subject();
        is_one && (begins || ENDS.iter().any(|end| joined.ends_with(end)))
    };
    let by = references.from(place).iter().find(of)?;
    let is_other = by.columns[0] != key.name && by.columns[0] != value.name;
    (key.name != value.name && is_other).then(|| {
        let row = RowValue {
            table: place,
            by: by.columns[0].clone(),
            to: by.to_columns[0].clone(),
            key_column: key.name.clone(),
            key: String::new(),
            holds: String::new(),
            value: value.name.clone(),
        };
        (by.to, row)
    })
}

impl Draft<'_> {
    /// The product that was given, which stands in a row beside, before what it is against.
    pub(super) fn product(&mut self, place: &Place, code: String) -> String {
        if self.feed != Feed::Vaccinations || !AGAINST.fits(&place.column.name) {
            return code;
        }
        let table = self.select.table_of(&place.alias);
        let is_product = |column: &&Column| {
            column.row.is_some() && PRODUCT.contains(&Name::new(&column.name).joined.as_str())
        };
        let Some(column) = table.columns.iter().find(is_product) else {
            return code;
        };
        self.notes.push(format!(
            "vaccine_code is the value of {} beside the row, or else {}, which says only what it is \
             against; check",
            column.name, place.column.name
        ));
        let product = self.select.column(&place.alias, &column.name);
        format!("COALESCE(NULLIF({product}, {}), {code})", literal(""))
    }

    /// Notes the tables whose rows hold values that the query reads: a change there is a change.
    pub(super) fn note_rows(&mut self) {
        let mut found: Vec<(usize, String, Reference)> = Vec::new();
        let mut has_least = false;
        for joined in &self.select.tables {
            let columns = self.select.catalog.tables[joined.table].columns.iter();
            for row in columns.filter_map(|column| column.row.as_ref()) {
                let text = self.select.row_value(&joined.alias, row);
                let list = lists::of_row(&self.select, &joined.alias, row);
                let mut read = self.select.columns.iter().map(|(_, one)| one);
                has_least |= read.any(|one| one.contains(&text));
                let mut read = self.select.columns.iter().map(|(_, one)| one);
                let is_read = read.any(|one| one.contains(&text) || one.contains(&list));
                let is_known = found
                    .iter()
                    .any(|(table, alias, _)| *table == row.table && *alias == joined.alias);
                if is_read && !is_known {
                    let by = Reference {
                        columns: vec![row.by.clone()],
                        to: joined.table,
                        to_columns: vec![row.to.clone()],
                        is_declared: false,
                        is_optional: true,
                        is_owner: false,
                    };
                    found.push((row.table, joined.alias.clone(), by));
                }
            }
        }
        if let Some((table, ..)) = found.first() {
            let of_several = if has_least {
                "; of several rows for one key the least value counts, of identifiers each"
            } else {
                ""
            };
            self.notes.push(format!(
                "values are read out of rows of {}, by their keys{of_several}",
                self.select.catalog.tables[*table].shown()
            ));
        }
        let merges = self.survivors.iter().filter_map(|one| {
            let (table, by) = one.kept_in.clone()?;
            Some((table, one.of.clone(), by))
        });
        found.extend(merges);
        self.row_tables.extend(found);
    }
}

/// True for values that are amounts, such as `0.5 ml`, and no numbers of doses.
pub(super) fn are_amounts(values: &[(String, u64)]) -> bool {
    let is_amount = |value: &str| {
        let lower = value.to_lowercase();
        let units = ["ml", "мл", "mcg", "mg", "мг", "µg", "iu", "ме", "cc"];
        lower.chars().any(|char| char.is_ascii_digit())
            && (lower.contains('.') || units.iter().any(|unit| lower.ends_with(unit)))
    };
    values.iter().any(|(value, _)| is_amount(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_no_number_of_a_dose() {
        let amounts = |value: &str| are_amounts(&[("1".to_owned(), 3), (value.to_owned(), 1)]);
        assert!(amounts("0.5 ml") && amounts("0,5 мл") && amounts("30mcg") && amounts("0.3"));
        assert!(!amounts("2") && !amounts("booster") && !amounts("2/2"));
    }
}
