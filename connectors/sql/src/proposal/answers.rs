//! Lists that codes refer to, and tables that hold questions with their answers, one a row.

use connector_kit::Feed;

use super::candidates::{Ground, is_code, is_value};
use super::columns::best_column;
use super::facts::{Draft, Place, mentions_covid};
use super::look::Look;
use super::names::{Name, Words};
use super::references::Reference;
use super::select::literal;
use super::{status, words};
use crate::catalog::Shape;

/// Number of entries from which on a list holds more than one kind of test.
const MANY_ENTRIES: usize = 12;
/// Most entries that a condition names.
const MAX_NAMED: usize = 40;

/// Text of an answer beside its coded form.
const ANSWER_TEXT: Words = Words {
    whole: "valuetext answertext resulttext valueastext reponsetexte",
    words: "",
    parts: "valuetext",
    never: "",
};

/// What stands for a reference into a list.
pub(super) struct Label {
    /// The entry's name.
    pub expression: String,
    /// Table with the names, and its column of them.
    from: String,
    name: String,
    /// Condition on a row by the names of its entry; `{}` stands for them.
    condition: String,
}

impl Draft<'_> {
    /// Name of an entry of a list, out of the list or out of the table of its names.
    pub(super) fn label(
        &mut self,
        ground: &Ground<'_>,
        alias: &str,
        reference: &Reference,
    ) -> Option<Label> {
        let list = &ground.catalog.tables[reference.to];
        let is_text = |shape| shape == Shape::Text;
        if let Some((_, label)) = best_column(list, &words::LABEL, is_text) {
            let joined = self.select.join(alias, reference);
            let expression = self.select.column(&joined, &label.name);
            return Some(Label {
                from: format!("{} AS x", self.select.typed_table(reference.to)),
                name: format!("x.{}", self.select.typed(&label.name)),
                condition: format!("{expression} IN ({{}})"),
                expression,
            });
        }
        self.label_of_names(ground, alias, reference)
    }

    fn label_of_names(
        &self,
        ground: &Ground<'_>,
        alias: &str,
        reference: &Reference,
    ) -> Option<Label> {
        let list = &ground.catalog.tables[reference.to];
        let is_text = |shape| shape == Shape::Text;
        let (place, by) = ground.references.to(reference.to).find(|(other, _)| {
            let other = &ground.catalog.tables[*other];
            let name = Name::new(&other.name).joined;
            let ends = ["name", "names", "label", "labels", "translation"];
            name.starts_with(&Name::new(&list.name).joined)
                && ends.iter().any(|end| name.ends_with(end))
                && best_column(other, &words::LABEL, is_text).is_some()
        })?;
        let table = &ground.catalog.tables[place];
        let (_, label) = best_column(table, &words::LABEL, is_text)?;
        let typed = |name: &str| self.select.typed(name);
        let names = self.select.typed_table(place);
        let deleted = status::deleted_conditions(&self.select, table, "n");
        let holds = deleted
            .first()
            .map_or_else(String::new, |one| format!(" AND NOT ({one})"));
        let full = table
            .column("concept_name_type")
            .map_or("", |_| " AND n.concept_name_type = 'FULLY_SPECIFIED'");
        let own = self.select.column(alias, &reference.columns[0]);
        let key = typed(&by.columns[0]);
        let label = typed(&label.name);
        Some(Label {
            expression: format!(
                "(SELECT MIN(n.{label}) FROM {names} AS n WHERE n.{key} = {own}{full}{holds})"
            ),
            condition: format!(
                "{own} IN (SELECT n.{key} FROM {names} AS n WHERE n.{label} IN ({{}}))"
            ),
            from: format!("{names} AS x"),
            name: format!("x.{label}"),
        })
    }

    fn label_at(&mut self, ground: &Ground<'_>, place: &Place) -> Option<Label> {
        let table = self.select.place_of(&place.alias);
        let reference = ground.references.at(table, &place.column.name)?.clone();
        self.label(ground, &place.alias, &reference)
    }

    /// Leaves out what a list of many kinds of tests has besides those for the virus.
    pub(super) async fn only_covid(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
        question: &Place,
    ) {
        if self.feed != Feed::Tests {
            return;
        }
        let Some(label) = self.label_at(ground, question) else {
            return;
        };
        let names = look.values(&label.name, &label.from).await;
        if names.len() >= MANY_ENTRIES {
            let wanted = names.into_iter().map(|(name, _)| name);
            self.keep_only(&label, wanted.filter(|name| mentions_covid(name)).collect());
        }
    }

    /// Reads only rows of the named entries, where there are some.
    fn keep_only(&mut self, label: &Label, mut names: Vec<String>) -> bool {
        names.truncate(MAX_NAMED);
        if names.is_empty() {
            return false;
        }
        let listed: Vec<String> = names.iter().map(|name| literal(name)).collect();
        self.select.filter = Some(label.condition.replace("{}", &listed.join(", ")));
        self.notes.push(format!(
            "only rows of {} of the list are read, by their names; check that none is missing",
            match names.len() {
                1 => "one entry".to_owned(),
                number => format!("{number} entries"),
            }
        ));
        true
    }

    /// The answer in a row: the name of a coded one, or its text.
    pub(super) fn answer(&mut self, ground: &Ground<'_>, place: &Place) -> String {
        let coded = self.code(ground, place, "result_code");
        let table = self.select.table_of(&place.alias);
        let text = best_column(table, &ANSWER_TEXT, |shape| shape == Shape::Text);
        match text.filter(|(_, text)| text.name != place.column.name) {
            Some((_, text)) if coded.contains(' ') || coded.contains('(') => {
                let text = self.select.column(&place.alias, &text.name);
                format!("COALESCE({coded}, {text})")
            }
            _ => coded,
        }
    }

    /// The vaccine as the answer to a question about vaccines.
    pub(super) async fn answered_vaccine(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
    ) -> Option<String> {
        if self.feed != Feed::Vaccinations {
            return None;
        }
        let question = self.find(&words::TEST_CODE, is_code)?;
        let answer = self.find(&words::RESULT, is_value)?;
        let label = self.label_at(ground, &question)?;
        let names = look.values(&label.name, &label.from).await;
        let asked = names.into_iter().map(|(name, _)| name);
        let asked = asked.filter(|name| words::VACCINE.fits(name)).collect();
        if !self.keep_only(&label, asked) {
            return None;
        }
        self.notes.push(
            "the vaccine is the answer to a question; its dose and day may be answers beside it, \
             in \
             the same group: add them by sub-queries"
                .into(),
        );
        Some(self.answer(ground, &answer))
    }
}
