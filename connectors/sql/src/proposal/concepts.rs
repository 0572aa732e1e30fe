//! Entries of a list and the names that they have: in a column of the list, in what it refers to, or
//! in a table of names in several languages.

use super::candidates::Ground;
use super::columns::{best_column, best_of};
use super::facts::Draft;
use super::identifier_rows::key_literal;
use super::lists;
use super::look::Look;
use super::names::{Name, Words};
use super::questions::Label;
use super::references::Reference;
use super::select::literal;
use super::words;
use crate::catalog::{Column, Shape, Table};

/// Score from which on a label is a name, and no code or description.
const NAME: u32 = 188;
/// Most tables between an entry of a list and its name.
const MAX_STEPS: usize = 3;
/// Columns of a list by which its entries have the name of something else: a product its template's.
const NAMED_BY: [&str; 9] = [
    "name",
    "template",
    "templateid",
    "producttmplid",
    "producttemplate",
    "product",
    "productid",
    "medicament",
    "drug",
];
/// Columns with the language of a name.
const LOCALE: Words = Words {
    whole: "locale lang language languagecode langcode culture yazyk langue localecode",
    words: "",
    parts: "",
    never: "",
};
/// Languages that are told apart.
const MAX_LOCALES: usize = 12;

/// Table with a row for each name of an entry.
struct NamesTable<'c> {
    place: usize,
    /// Its column that refers to the entry.
    by: String,
    name: &'c Column,
    locale: Option<&'c Column>,
}

fn is_text(shape: Shape) -> bool {
    shape == Shape::Text
}

/// The way from an entry of a list to what it has its name of.
fn names_behind(ground: &Ground<'_>, list: usize, left: usize) -> Option<Vec<Reference>> {
    let named_by = |one: &&Reference| {
        let is_name = |name: &String| NAMED_BY.contains(&Name::new(name).joined.as_str());
        one.columns.iter().all(is_name) && !ground.persons.is_person(one.to)
    };
    let mut steps = ground.references.from(list).iter().filter(named_by);
    let step = steps.next().filter(|_| left > 0)?;
    let label = best_column(&ground.catalog.tables[step.to], &words::LABEL, is_text);
    if label.is_some_and(|(score, _)| score >= NAME) {
        return Some(vec![step.clone()]);
    }
    let further = names_behind(ground, step.to, left - 1)?;
    Some([vec![step.clone()], further].concat())
}

/// The table of the names of a list's entries.
fn names_table<'c>(ground: &Ground<'c>, list: usize) -> Option<NamesTable<'c>> {
    let list_name = Name::new(&ground.catalog.tables[list].name).joined;
    let ends = [
        "name",
        "names",
        "label",
        "labels",
        "translation",
        "translations",
    ];
    let each = ground.references.to(list).filter_map(|(place, by)| {
        let table = &ground.catalog.tables[place];
        let name = Name::new(&table.name).joined;
        let is_named = name.starts_with(&list_name) && ends.iter().any(|end| name.ends_with(end));
        let (_, label) = best_column(table, &words::LABEL, is_text)?;
        is_named.then(|| NamesTable {
            place,
            by: by.columns[0].clone(),
            name: label,
            locale: best_column(table, &LOCALE, Shape::is_code).map(|(_, column)| column),
        })
    });
    // One in several languages is the better one.
    let mut each: Vec<NamesTable<'c>> = each.collect();
    each.sort_by_key(|one| one.locale.is_none());
    each.into_iter().next()
}

impl Draft<'_> {
    /// Name of an entry of a list, out of the list or out of the table of its names; `column` is
    /// the documented one that it is for.
    pub(super) async fn label(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
        alias: &str,
        reference: &Reference,
        column: &str,
    ) -> Option<Label> {
        let names = names_table(ground, reference.to);
        let filled = self.filled_label(look, reference.to).await;
        if let Some(names) = names.as_ref().filter(|names| names.locale.is_some()) {
            let label = self.label_of_names(look, alias, reference, names, column);
            let mut label = label.await;
            // An entry without a name in any language has the list's own.
            if let Some((_, own)) = filled.filter(|(score, _)| *score >= NAME) {
                let joined = self.select.join(alias, reference);
                let own = self.select.column(&joined, &own);
                label.expression = format!("COALESCE({}, {own})", label.expression);
            }
            return Some(label);
        }
        let list = &ground.catalog.tables[reference.to];
        if filled.as_ref().is_none_or(|(score, _)| *score < NAME)
            && let Some(steps) = names_behind(ground, reference.to, MAX_STEPS)
        {
            return self.label_behind(ground, alias, reference, &steps);
        }
        let own = match (&filled, &names) {
            (Some((_, own)), _) => own.as_str(),
            (None, Some(names)) => {
                return Some(
                    self.label_of_names(look, alias, reference, names, column)
                        .await,
                );
            }
            // All of them are empty; one may be filled later.
            (None, None) => &best_column(list, &words::LABEL, is_text)?.1.name,
        };
        let joined = self.select.join(alias, reference);
        Some(Label {
            expression: self.select.column(&joined, own),
            from: format!("{} AS y", self.select.typed_table(reference.to)),
            key: format!("y.{}", self.select.typed(&reference.to_columns[0])),
            name: format!("y.{}", self.select.typed(own)),
        })
    }

    /// The column of a list that names its entries best and is not empty, and how surely.
    async fn filled_label(&self, look: &Look<'_>, place: usize) -> Option<(u32, String)> {
        let list = &self.select.catalog.tables[place];
        let from = format!("{} AS y", self.select.typed_table(place));
        let mut empty: Vec<&str> = Vec::new();
        loop {
            let columns = list.columns.iter();
            let left = columns
                .filter(|one| one.shape == Shape::Text && !empty.contains(&one.name.as_str()));
            let (score, found) = best_of(&words::LABEL, left)?;
            let typed = format!("y.{}", self.select.typed(&found.name));
            if !look.is_empty(&typed, &from).await {
                return Some((score, found.name.clone()));
            }
            empty.push(&found.name);
        }
    }

    /// The name of what an entry has its name of.
    fn label_behind(
        &mut self,
        ground: &Ground<'_>,
        alias: &str,
        reference: &Reference,
        steps: &[Reference],
    ) -> Option<Label> {
        let mut at = self.select.join(alias, reference);
        let mut from = format!("{} AS y", self.select.typed_table(reference.to));
        let mut end = reference.to;
        let mut behind = "y".to_owned();
        for (number, step) in steps.iter().enumerate() {
            at = self.select.join(&at, step);
            let next = format!("y{}", number + 2);
            from += &format!(
                " JOIN {} AS {next} ON {next}.{} = {behind}.{}",
                self.select.typed_table(step.to),
                self.select.typed(&step.to_columns[0]),
                self.select.typed(&step.columns[0])
            );
            behind = next;
            end = step.to;
        }
        let (_, label) = best_column(&ground.catalog.tables[end], &words::LABEL, is_text)?;
        Some(Label {
            expression: self.select.column(&at, &label.name),
            from,
            key: format!("y.{}", self.select.typed(&reference.to_columns[0])),
            name: format!("{behind}.{}", self.select.typed(&label.name)),
        })
    }

    /// One of the names that an entry has in a table of names: the full one, in the language whose
    /// names are known best.
    async fn label_of_names(
        &self,
        look: &Look<'_>,
        alias: &str,
        reference: &Reference,
        names: &NamesTable<'_>,
        column: &str,
    ) -> Label {
        let table = &self.select.catalog.tables[names.place];
        let typed = |name: &str| self.select.typed(name);
        let from = self.select.typed_table(names.place);
        let n = self.select.free_name("n");
        let holds = lists::holds(&self.select, table, &n);
        let own = self.select.column(alias, &reference.columns[0]);
        let key = format!("{n}.{}", typed(&names.by));
        let name = format!("{n}.{}", typed(&names.name.name));
        let mut order: Vec<String> = Vec::new();
        if table.column("concept_name_type").is_some() {
            order.push(format!(
                "CASE WHEN {n}.concept_name_type = 'FULLY_SPECIFIED' THEN 0 ELSE 1 END"
            ));
        }
        if let Some(locale) = names.locale {
            let column_of_locale = format!("{n}.{}", typed(&locale.name));
            let places = self.locales(look, alias, reference, names, column).await;
            let cases: Vec<String> = places
                .iter()
                .enumerate()
                .map(|(place, locale)| format!(" WHEN {} THEN {place}", literal(locale)))
                .collect();
            if !cases.is_empty() {
                let last = cases.len();
                order.push(format!(
                    "CASE {column_of_locale}{} ELSE {last} END",
                    cases.concat()
                ));
            }
            order.push(column_of_locale);
        }
        order.push(match table.single_key() {
            Some(key) => format!("{n}.{}", typed(key)),
            None => name.clone(),
        });
        Label {
            expression: format!(
                "(SELECT {name} FROM {from} AS {n} WHERE {key} = {own}{holds} ORDER BY {} LIMIT 1)",
                order.join(", ")
            ),
            from: format!("(SELECT * FROM {from} AS {n} WHERE 1 = 1{holds}) AS {n}"),
            key,
            name,
        }
    }

    /// Languages of names, first the one in which most of those are known that the rows refer to,
    /// then the one with most of them.
    async fn locales(
        &self,
        look: &Look<'_>,
        alias: &str,
        reference: &Reference,
        names: &NamesTable<'_>,
        column: &str,
    ) -> Vec<String> {
        let Some(locale) = names.locale else {
            return Vec::new();
        };
        let filter = self
            .select
            .filter
            .as_ref()
            .filter(|_| alias == self.select.main());
        let filter = filter.map_or_else(String::new, |filter| format!(" WHERE {filter}"));
        let typed = |name: &str| self.select.typed(name);
        let from = format!(
            "{} AS n JOIN (SELECT DISTINCT {} AS k FROM {} AS {alias}{filter}) AS u ON n.{} = u.k",
            self.select.typed_table(names.place),
            self.select.column(alias, &reference.columns[0]),
            self.select.typed_table(self.select.place_of(alias)),
            typed(&names.by)
        );
        let locale = format!("n.{}", typed(&locale.name));
        let name = format!("n.{}", typed(&names.name.name));
        let used = look.entries(&locale, &name, &from).await;
        let mut counted: Vec<(String, usize, usize)> = Vec::new();
        for (locale, name) in used.iter().filter(|(locale, _)| !locale.contains('\\')) {
            let is_known = usize::from(look.knows(column, name));
            match counted.iter_mut().find(|(other, ..)| other == locale) {
                Some((_, known, all)) => {
                    *known += is_known;
                    *all += 1;
                }
                None => counted.push((locale.clone(), is_known, 1)),
            }
        }
        counted.sort_by_key(|(_, known, all)| (std::cmp::Reverse(*known), std::cmp::Reverse(*all)));
        counted.truncate(MAX_LOCALES);
        counted.into_iter().map(|(locale, ..)| locale).collect()
    }
}

/// Entries of a list that rows are to be about, by their keys: these stay when an entry is called
/// otherwise.
pub(super) struct Wanted {
    /// Keys as literals, each with the name by which it was found.
    pub entries: Vec<(String, String)>,
}

impl Wanted {
    /// Those of the entries that have a name of this kind, and none of the other.
    pub(super) fn of(
        entries: &[(String, String)],
        shape: Shape,
        is_meant: impl Fn(&str) -> bool,
        is_other: impl Fn(&str) -> bool,
    ) -> Self {
        let others = entries.iter().filter(|(_, name)| is_other(name));
        let others: Vec<&String> = others.map(|(key, _)| key).collect();
        let mut found: Vec<(String, String)> = Vec::new();
        for (key, name) in entries {
            let literal = key_literal(key, shape);
            let is_known = found.iter().any(|(known, _)| *known == literal);
            if is_meant(name) && !others.contains(&key) && !is_known && !key.contains('\\') {
                found.push((literal, name.clone()));
            }
        }
        Self { entries: found }
    }

    /// Condition that a column is the key of one of them.
    pub(super) fn condition(&self, column: &str) -> String {
        let keys: Vec<&str> = self.entries.iter().map(|(key, _)| key.as_str()).collect();
        format!("{column} IN ({})", keys.join(", "))
    }

    /// The keys with their names, for a person to read.
    pub(super) fn shown(&self) -> String {
        let each = self.entries.iter().map(|(key, name)| {
            if super::look::is_code(name) {
                format!("{key} («{name}»)")
            } else {
                key.clone()
            }
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

/// Type of the column of a table by its name.
pub(super) fn shape_of(table: &Table, column: &str) -> Shape {
    table.column(column).map_or(Shape::Text, |one| one.shape)
}
