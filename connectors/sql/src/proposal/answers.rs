//! Tables that hold questions with their answers, one a row: which questions are ours.

use connector_kit::Feed;

use super::candidates::{Ground, is_code, is_value};
use super::columns::best_column;
use super::concepts::Wanted;
use super::diseases::mentions_covid;
use super::facts::{Draft, Place};
use super::look::{Look, MAX_ENTRIES};
use super::names::Words;
use super::questions::{Label, Question};
use super::words;
use crate::catalog::Shape;

/// Number of entries from which on a list holds more than one kind of test.
const MANY_ENTRIES: usize = 12;
/// Most entries that a condition names.
const MAX_NAMED: usize = 200;

/// Text of an answer, or of a diagnosis, beside its coded form.
pub(super) const ANSWER_TEXT: Words = Words {
    whole: "valuetext answertext resulttext valueastext reponsetexte conditionnoncoded \
        diagnosisnoncoded noncoded",
    words: "",
    parts: "valuetext noncoded",
    never: "",
};
/// Questions about a vaccination that ask for something else than the vaccine.
const ABOUT_IT: Words = Words {
    whole: "",
    words: "number no sequence dose doses doza dozy nomer lot batch seriya manufacturer date day \
        time data den site route place mesto",
    parts: "sequence manufact proizvod expir history otkaz refus",
    never: "",
};
/// Parts of names by which a long list is searched: of what is about the virus, and of vaccines.
const OF_COVID: [&str; 7] = ["covid", "corona", "sars", "ncov", "u07", "ковид", "корона"];
const OF_VACCINES: [&str; 5] = ["vaccin", "immuni", "вакцин", "привив", "препарат"];

impl Draft<'_> {
    async fn label_at(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
        place: &Place,
        column: &str,
    ) -> Option<Label> {
        let table = self.select.place_of(&place.alias);
        let reference = ground.references.at(table, &place.column.name)?.clone();
        self.label(look, ground, &place.alias, &reference, column)
            .await
    }

    /// Entries of a list with all of their names; of a long one those whose names have one of these
    /// parts.
    async fn entries(
        &self,
        look: &Look<'_>,
        label: &Label,
        parts: &[&str],
    ) -> Vec<(String, String)> {
        let all = look.entries(&label.key, &label.name, &label.from).await;
        if all.len() < MAX_ENTRIES {
            return all;
        }
        let from = format!("{} WHERE {}", label.from, has_part(&label.name, parts));
        look.entries(&label.key, &label.name, &from).await
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
        let label = self.label_at(look, ground, question, "test_code").await;
        let Some(label) = label else {
            return;
        };
        let entries = self.entries(look, &label, &OF_COVID).await;
        let mut keys: Vec<&String> = entries.iter().map(|(key, _)| key).collect();
        keys.dedup();
        if keys.len() < MANY_ENTRIES {
            return;
        }
        let shape = question.column.shape;
        let wanted = Wanted::of(&entries, shape, mentions_covid, |_| false);
        self.keep_only(question, label, wanted, &OF_COVID);
    }

    /// Reads only rows of these entries, where there are some.
    fn keep_only(
        &mut self,
        question: &Place,
        label: Label,
        mut wanted: Wanted,
        parts: &[&str],
    ) -> bool {
        if wanted.entries.is_empty() {
            return false;
        }
        let all = wanted.entries.len();
        wanted.entries.truncate(MAX_NAMED);
        let column = self.select.column(&question.alias, &question.column.name);
        self.select.filter = Some(wanted.condition(&column));
        if all > MAX_NAMED {
            self.notes.push(format!(
                "only the first {MAX_NAMED} of {all} entries of the list are read; add those that \
                 the clinic uses"
            ));
        }
        self.notes.push(format!(
            "only rows are read whose {} is {}. An entry that is called otherwise stays the same; \
             one that is new is NOT READ until its number is added here. This finds it: SELECT \
             DISTINCT {}, {} FROM {} WHERE {}",
            question.column.name,
            wanted.shown(),
            label.key,
            label.name,
            label.from,
            has_part(&label.name, parts)
        ));
        if question.alias == self.select.main() {
            self.question = Some(Question {
                column: question.column.name.clone(),
                label,
            });
        }
        true
    }

    /// The answer in a row: the name of a coded one, or its text.
    pub(super) async fn answer(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
        place: &Place,
        name: &str,
    ) -> String {
        if let Some(entry) = self.of_dictionary(look, ground, place).await {
            return entry;
        }
        let coded = self.code(look, ground, place, name).await;
        self.or_text(place, coded)
    }

    /// A coded answer, or the text beside it.
    pub(super) fn or_text(&self, place: &Place, coded: String) -> String {
        let table = self.select.table_of(&place.alias);
        let text = best_column(table, &ANSWER_TEXT, |shape| shape == Shape::Text);
        let own = self.select.column(&place.alias, &place.column.name);
        match text.filter(|(_, text)| text.name != place.column.name) {
            Some((_, text)) if coded != own => {
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
        let label = self
            .label_at(look, ground, &question, "vaccine_code")
            .await?;
        let entries = self.entries(look, &label, &OF_VACCINES).await;
        let shape = question.column.shape;
        let asks = |name: &str| words::VACCINE.fits(name) || words::VACCINATION_TABLE.fits(name);
        let mut wanted = Wanted::of(&entries, shape, asks, |name| ABOUT_IT.fits(name));
        let used = self.used(look, &question, &wanted).await;
        if !used.is_empty() {
            wanted.entries.retain(|(key, _)| used.contains(key));
        }
        if !self.keep_only(&question, label, wanted, &OF_VACCINES) {
            return None;
        }
        Some(self.answer(look, ground, &answer, "vaccine_code").await)
    }

    /// Those of the entries that some row is about: most vaccines of a list are answers, and no
    /// questions.
    async fn used(&self, look: &Look<'_>, question: &Place, wanted: &Wanted) -> Vec<String> {
        if wanted.entries.is_empty() {
            return Vec::new();
        }
        let column = self.select.column(&question.alias, &question.column.name);
        let table = self.select.place_of(&question.alias);
        let from = format!(
            "{} AS {} WHERE {}",
            self.select.typed_table(table),
            question.alias,
            wanted.condition(&column)
        );
        let used = look.entries(&column, &column, &from).await.into_iter();
        let shape = question.column.shape;
        used.map(|(key, _)| super::identifier_rows::key_literal(&key, shape))
            .collect()
    }
}

/// Condition that a name has one of these parts, in small letters or not; SQLite makes only Latin
/// ones small.
fn has_part(name: &str, parts: &[&str]) -> String {
    let mut each: Vec<String> = Vec::new();
    for part in parts {
        each.push(format!("lower({name}) LIKE '%{part}%'"));
        let mut letters = part.chars();
        if let Some(first) = letters.next().filter(|first| !first.is_ascii()) {
            let rest: String = letters.collect();
            for form in [
                format!("{}{rest}", first.to_uppercase()),
                part.to_uppercase(),
            ] {
                each.push(format!("{name} LIKE '%{form}%'"));
            }
        }
    }
    format!("({})", each.join(" OR "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_about_a_vaccination_is_told_from_the_vaccine() {
        for other in [
            "Immunization sequence number",
            "Доза вакцины",
            "Vaccine lot number",
            "Vaccine manufacturer",
            "Immunization history",
            "Vaccination date",
            "Дата вакцинации",
        ] {
            assert!(ABOUT_IT.fits(other), "{other}");
        }
        for vaccine in [
            "Immunizations",
            "Vaccine, non-coded",
            "Вакцина",
            "Vaccinations",
        ] {
            assert!(!ABOUT_IT.fits(vaccine), "{vaccine}");
        }
    }

    #[test]
    fn a_long_list_is_searched_in_either_case() {
        let condition = has_part("n.name", &["covid", "ковид"]);
        assert_eq!(
            condition,
            "(lower(n.name) LIKE '%covid%' OR lower(n.name) LIKE '%ковид%' OR n.name LIKE \
             '%Ковид%' OR n.name LIKE '%КОВИД%')"
        );
    }
}
