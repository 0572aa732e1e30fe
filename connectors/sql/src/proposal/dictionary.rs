//! Results whose text holds the number of an entry in a list, where a column beside says so
//! (OpenELIS: `result_type` is D, and `value` the id of a row of `dictionary`).

use super::candidates::Ground;
use super::columns::best_column;
use super::facts::{Draft, Place};
use super::look::Look;
use super::names::Words;
use super::references::Reference;
use super::select::literal;
use super::words;
use crate::catalog::Shape;

/// Columns that say what a value is.
const KIND: Words = Words {
    whole: "resulttype tstrslttype valuetype testresulttype answertype",
    words: "",
    parts: "resulttype valuetype",
    never: "id date",
};
/// What stands there for an entry, for several ones, and for one with a remark.
const OF_ENTRIES: [&str; 6] = ["D", "M", "C", "Q", "dictionary", "coded"];
/// Lists of entries.
const DICTIONARY: Words = Words {
    whole: "dictionary dictionaries slovar slovari",
    words: "dictionary",
    parts: "",
    never: "category",
};

impl Draft<'_> {
    /// The text of the entry that a result names by its number, and other results as they stand.
    pub(super) async fn of_dictionary(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
        place: &Place,
    ) -> Option<String> {
        let is_text = |shape| shape == Shape::Text;
        let table = self.select.table_of(&place.alias);
        if place.column.shape != Shape::Text || place.column.json.is_some() {
            return None;
        }
        let (_, kind) = best_column(table, &KIND, is_text)?;
        let mut lists = ground.catalog.tables.iter().enumerate();
        let (list, entries) =
            lists.find(|(_, list)| list.is_readable && DICTIONARY.fits(&list.name))?;
        let key = entries.single_key()?.to_owned();
        let (_, entry) = best_column(entries, &words::LABEL, is_text)?;
        let kinds = self.kinds_of_entries(look, place, &kind.name, list, &key);
        let kinds = kinds.await;
        if kinds.is_empty() {
            return None;
        }
        let by = Reference {
            columns: vec![place.column.name.clone()],
            to: list,
            to_columns: vec![key.clone()],
            is_declared: false,
            is_optional: true,
            is_owner: false,
        };
        let alias = self.select.join(&place.alias, &by);
        let value = self.select.column(&place.alias, &place.column.name);
        let id = self.select.column(&alias, &key);
        let kind = self.select.column(&place.alias, &kind.name);
        let condition = format!(
            "{} = {value} AND {kind} IN ({})",
            self.select.driver.syntax().text(&id),
            kinds.join(", ")
        );
        if let Some(joined) = self.select.tables.iter_mut().find(|one| one.alias == alias) {
            joined.on = Some(condition);
        }
        self.notes.push(format!(
            "where {kind} is {}, {value} is the number of an entry of {}, and its text is read; \
             check",
            kinds.join(" or "),
            entries.shown()
        ));
        let text = self.select.column(&alias, &entry.name);
        Some(format!("COALESCE({text}, {value})"))
    }

    /// Kinds of values whose texts are numbers of entries, as literals.
    async fn kinds_of_entries(
        &self,
        look: &Look<'_>,
        place: &Place,
        kind: &str,
        list: usize,
        key: &str,
    ) -> Vec<String> {
        let select = &self.select;
        let table = select.typed_table(select.place_of(&place.alias));
        let kind = format!("x.{}", select.typed(kind));
        let from = format!(
            "{table} AS x JOIN {} AS e ON {} = x.{}",
            select.typed_table(list),
            select
                .driver
                .syntax()
                .text(&format!("e.{}", select.typed(key))),
            select.typed(&place.column.name)
        );
        let found = look.values(&kind, &from).await.into_iter();
        let of_entries = found.filter(|(kind, _)| OF_ENTRIES.contains(&kind.as_str()));
        of_entries.map(|(kind, _)| literal(&kind)).collect()
    }
}
