//! The status of a fact: what takes it back in the tables on the way to its person, what it still
//! lacks, and its own words.

use connector_kit::Feed;

use super::candidates::is_code;
use super::columns::best_column;
use super::facts::{Draft, Place};
use super::look::Look;
use super::names::{Name, Words};
use super::{status, words};
use crate::catalog::Shape;

/// Columns that say whether an illness is more than suspected.
const VERIFICATION: Words = Words {
    whole: "verificationstatus verification certainty conditionverification",
    words: "",
    parts: "verificationstatus",
    never: "",
};

impl Draft<'_> {
    pub(super) fn add_status(&mut self, not_yet: &[String], is_persons_row: bool) {
        // Of several ways to a person a row goes one: the tables of the others say nothing.
        let mut aliases: Vec<&String> = Vec::new();
        for alias in self.ways.iter().flatten() {
            if !aliases.contains(&alias) {
                aliases.push(alias);
            }
        }
        let conditions = |alias: &str| {
            let table = self.select.table_of(alias);
            // An illness that is not active any more is over, and not taken back.
            if self.feed == Feed::Recoveries && alias == self.select.main() {
                return status::taken_back_by_all(&self.select, table, alias);
            }
            status::deleted_conditions(&self.select, table, alias)
        };
        let mut deleted: Vec<String> = Vec::new();
        for alias in aliases {
            match self.survivors.iter().find(|one| one.of == *alias) {
                None => deleted.extend(conditions(alias)),
                Some(survivor) => {
                    let own = conditions(alias).into_iter();
                    deleted.extend(own.map(|one| format!("{one} AND {}", survivor.is_none)));
                    deleted.extend(conditions(&survivor.alias));
                }
            }
        }
        let by_outcome = (self.feed == Feed::Recoveries)
            .then(|| self.find(&words::OUTCOME, is_code))
            .flatten();
        let own = by_outcome.or_else(|| self.find(&words::STATUS, is_code));
        let own = own.filter(|place| place.score >= 100 && !self.is_used(place));
        // A status in the row of a person is the person's, such as that of an illness.
        let own = own.filter(|_| !is_persons_row);
        let own = own.map(|place| self.as_text(&place.alias, &place.column.name));
        let not_given = self.not_given();
        let no_facts = [&not_given, not_yet].concat();
        let status = status::expression(&deleted, &no_facts, own);
        self.status_has_words = status.has_words;
        if let Some(expression) = status.expression {
            self.select.columns.push(("status", expression));
        }
    }

    /// Conditions of a vaccination that was noted and not given.
    fn not_given(&mut self) -> Vec<String> {
        if self.feed != Feed::Vaccinations {
            return Vec::new();
        }
        let columns = self.main_table().columns.iter();
        let found: Vec<String> = columns
            .filter(|column| status::is_flag(column.shape))
            .filter(|column| words::NOT_GIVEN.score(&Name::new(&column.name)) > 0)
            .map(|column| {
                let flag = self.select.column(self.select.main(), &column.name);
                status::set_anyhow(&self.select, &flag, column.shape)
            })
            .collect();
        let vaccinated = self.main_table().columns.iter();
        let vaccinated = vaccinated.filter(|column| status::is_flag(column.shape));
        let vaccinated = vaccinated
            .filter(|column| words::VACCINATED.score(&Name::new(&column.name)) > 0)
            .map(|column| {
                let flag = self.select.column(self.select.main(), &column.name);
                status::unset(&self.select, &flag, column.shape)
            });
        let found = [found, vaccinated.collect()].concat();
        let taken = found
            .iter()
            .map(|condition| format!("where {condition}, nothing was given: no fact"));
        self.notes.extend(taken);
        found
    }

    /// Condition of a document that is a draft, in systems that submit and cancel documents. Of
    /// kinds that are never submitted all rows bear the same number.
    pub(super) async fn drafts(&mut self, look: &Look<'_>) -> Option<String> {
        let (_, column) = best_column(self.main_table(), &words::DOCUMENT_STATUS, is_number)?;
        let table = self.select.tables[0].table;
        let typed = self.select.typed(&column.name);
        let from = format!("{} AS x", self.select.typed_table(table));
        let values = look.values(&format!("x.{typed}"), &from).await;
        let is_submitted = values
            .iter()
            .any(|(value, _)| ["1", "2"].contains(&value.as_str()));
        let column = self.select.column(self.select.main(), &column.name);
        if is_submitted || values.is_empty() {
            return Some(format!("{column} = 0"));
        }
        self.notes.push(format!(
            "no row was ever submitted ({column} is 0 everywhere), so drafts are taken for facts; \
             if they are none, add WHEN {column} = 0 THEN 'not yet' to the status"
        ));
        None
    }

    /// Condition of an illness that is suspected or ruled out, where a column beside says so.
    pub(super) fn unconfirmed(&self) -> Option<String> {
        if self.feed != Feed::Recoveries {
            return None;
        }
        let table = self.main_table();
        let is_text = |shape| shape == Shape::Text;
        let (_, column) = best_column(table, &VERIFICATION, is_text)?;
        let column = self.as_text(self.select.main(), &column.name);
        Some(format!(
            "upper({column}) IN ('PROVISIONAL', 'UNCONFIRMED', 'DIFFERENTIAL', 'REFUTED', \
             'ENTERED-IN-ERROR', 'ENTERED_IN_ERROR')"
        ))
    }

    fn is_used(&self, place: &Place) -> bool {
        let column = self.select.column(&place.alias, &place.column.name);
        self.select
            .columns
            .iter()
            .any(|(_, known)| *known == column)
    }
}

const fn is_number(shape: Shape) -> bool {
    matches!(shape, Shape::Whole | Shape::Number)
}
