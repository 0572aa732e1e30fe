//! Results of tests in lines below a head, results beside numbers, and diagnoses by their codes.

use connector_kit::Feed;

use super::candidates::{Ground, SURE, is_value};
use super::columns::best_column;
use super::facts::{Draft, Place};
use super::look::Look;
use super::names::Words;
use super::select::literal;
use super::words;
use crate::catalog::{Column, Shape};

/// Text of a result beside its number.
const RESULT_TEXT: Words = Words {
    whole: "resulttext valuetext answertext resultvaluetext valuestring texteresultat",
    words: "",
    parts: "resulttext valuetext",
    never: "date",
};
/// Names of the lines of a result.
const LINE: Words = Words {
    whole: "name naimenovanie nazvanie libelle nom analyte",
    words: "",
    parts: "",
    never: "",
};

impl Draft<'_> {
    /// The column with the word of a result: of one that is a number, the text beside it. A number
    /// alone is none, unless it names an entry of a list.
    pub(super) fn result(&self, ground: &Ground<'_>) -> Option<Place> {
        if self.feed != Feed::Tests {
            return None;
        }
        let place = self.find(&words::RESULT, is_value)?;
        let table = self.select.place_of(&place.alias);
        let is_listed = ground.references.at(table, &place.column.name).is_some();
        if place.column.shape != Shape::Number || is_listed {
            return Some(place);
        }
        let table = self.select.table_of(&place.alias);
        let text = best_column(table, &RESULT_TEXT, |shape| shape == Shape::Text);
        text.map(|(_, column)| Place {
            column: column.clone(),
            ..place
        })
    }

    /// The kind of a test that stands at the head of several lines, with what a line is of.
    pub(super) fn of_line(&mut self, place: &Place, code: String) -> String {
        let main = self.select.main().to_owned();
        if self.feed != Feed::Tests || place.alias == main {
            return code;
        }
        let is_text = |shape| shape == Shape::Text;
        let Some((_, line)) = best_column(self.main_table(), &LINE, is_text) else {
            return code;
        };
        let line = self.select.column(&main, &line.name);
        self.notes.push(format!(
            "test_code is {code} of the whole test, with {line} behind it where that is another \
             name: a test may have lines for several viruses"
        ));
        let both = self
            .select
            .concatenated(&[code.clone(), literal(": "), line.clone()]);
        format!("CASE WHEN {line} <> {code} THEN {both} ELSE {code} END")
    }

    /// The code of a diagnosis out of a list of illnesses that has codes of the ICD.
    pub(super) async fn icd(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
        place: &Place,
    ) -> Option<String> {
        if self.feed != Feed::Recoveries {
            return None;
        }
        let table = self.select.place_of(&place.alias);
        let reference = ground.references.at(table, &place.column.name)?.clone();
        let list = &ground.catalog.tables[reference.to];
        let code = best_column(list, &words::DIAGNOSIS, |shape| shape == Shape::Text);
        let (_, code) = code.filter(|(score, _)| *score >= SURE)?;
        let column = format!("x.{}", self.select.typed(&code.name));
        let from = format!("{} AS x", self.select.typed_table(reference.to));
        let values = look.values(&column, &from).await;
        let are_codes = values.iter().filter(|(value, _)| is_of_icd(value)).count();
        if are_codes * 2 <= values.len() {
            return None;
        }
        let alias = self.select.join(&place.alias, &reference);
        Some(self.select.column(&alias, &code.name))
    }

    /// Says of a code that is a number of a row in a list without names that it is one.
    pub(super) fn note_number(&mut self, name: &str, table: &str, list: &str, column: &Column) {
        self.notes.push(format!(
            "{name} is {table}.{}, a number of {list}, where no name was found: its values have \
             to be mapped by their numbers",
            column.name
        ));
    }
}

/// True for a code such as `U07.1`.
fn is_of_icd(value: &str) -> bool {
    let mut chars = value.chars();
    let begins = chars.next().is_some_and(|one| one.is_ascii_uppercase());
    let number: Vec<char> = chars.by_ref().take(2).collect();
    let is_number = number.len() == 2 && number.iter().all(char::is_ascii_digit);
    begins && is_number && chars.next().is_none_or(|one| one == '.')
}
