//! What is told of a fact by answers beside it, in the same group: its day, the number of a dose.

use connector_kit::Feed;

use super::answers::ANSWER_TEXT;
use super::candidates::is_code;
use super::columns::best_column;
use super::concepts::{Wanted, shape_of};
use super::facts::Draft;
use super::look::Look;
use super::names::Words;
use super::questions::Beside;
use super::{attributes, lists, words};
use crate::catalog::Shape;

/// Answers that are numbers, and days.
const ANSWER_NUMBER: Words = Words {
    whole: "valuenumeric valuenumber valueasnumber numericvalue",
    words: "",
    parts: "valuenumeric",
    never: "",
};
const ANSWER_DAY: Words = Words {
    whole: "valuedatetime valuedate valueasdatetime valueasdate answerdate datevalue",
    words: "",
    parts: "valuedate",
    never: "",
};
/// What answers that belong together have in common.
const GROUP: Words = Words {
    whole: "obsgroupid groupid obsgroup answergroup answergroupid observationgroupid gruppaid",
    words: "",
    parts: "groupid",
    never: "value",
};
/// Questions about the number of a dose.
const WHICH_DOSE: Words = Words {
    whole: "",
    words: "dose doza dozy sequence rang",
    parts: "dosenum sequencenum nomerdoz",
    never: "date data unit amount volume next total ml required due interval",
};
impl Draft<'_> {
    /// The day that an answer beside the row gives, or else the row's own.
    pub(super) async fn answered_day(&mut self, look: &Look<'_>, day: String) -> String {
        let kinds = match self.feed {
            Feed::Vaccinations => vec![&words::GIVEN],
            Feed::Tests => vec![&words::SAMPLED, &words::TESTED],
            Feed::Recoveries => return day,
        };
        let table = self.main_table();
        let Some((_, column)) = best_column(table, &ANSWER_DAY, Shape::is_time) else {
            return day;
        };
        let alias = self.select.free_name("a");
        let value = format!("{alias}.{}", self.select.typed(&column.name));
        for words in kinds {
            let found = self
                .beside(look, "occurred_on", &alias, &value, words)
                .await;
            if let Some(answer) = found {
                return format!("COALESCE({answer}, {day})");
            }
        }
        day
    }

    /// The number of the dose, as an answer beside the row.
    pub(super) async fn answered_dose(&mut self, look: &Look<'_>) {
        let is_told = self
            .select
            .columns
            .iter()
            .any(|(name, _)| *name == "dose_number");
        if self.feed != Feed::Vaccinations || is_told {
            return;
        }
        let table = self.main_table();
        let text = best_column(table, &ANSWER_TEXT, |shape| shape == Shape::Text);
        let number = best_column(table, &ANSWER_NUMBER, |shape| {
            matches!(shape, Shape::Whole | Shape::Number)
        });
        let alias = self.select.free_name("a");
        let typed = |column: &str| format!("{alias}.{}", self.select.typed(column));
        let mut values: Vec<String> = Vec::new();
        values.extend(text.map(|(_, column)| typed(&column.name)));
        values.extend(number.map(|(_, column)| {
            let number = typed(&column.name);
            self.select.driver.syntax().text(&number)
        }));
        let value = match values.as_slice() {
            [] => return,
            [one] => one.clone(),
            several => format!("COALESCE({})", several.join(", ")),
        };
        let Some(dose) = self
            .beside(look, "dose_number", &alias, &value, &WHICH_DOSE)
            .await
        else {
            return;
        };
        let main = self.select.main();
        let rows = format!(
            "{} AS {main}",
            self.select.typed_table(self.select.tables[0].table)
        );
        let filter = self.select.filter.as_deref().unwrap_or("1 = 1");
        let values = look.values(&dose, &format!("{rows} WHERE {filter}")).await;
        if !attributes::are_amounts(&values) {
            self.select.columns.push(("dose_number", dose));
        }
    }

    /// The least answer to the questions of this kind that stand in the same group as the row.
    async fn beside(
        &mut self,
        look: &Look<'_>,
        name: &str,
        alias: &str,
        value: &str,
        words: &Words,
    ) -> Option<String> {
        let table = self.main_table();
        let (_, group) = best_column(table, &GROUP, is_code)?;
        let question = self.question.as_ref()?;
        let filter = self.select.filter.clone()?;
        let main = self.select.main();
        let from = self.select.typed_table(self.select.tables[0].table);
        let group = self.select.typed(&group.name);
        let column = self.select.typed(&question.column);
        let label = &question.label;
        let within = format!(
            "{} WHERE {} IN (SELECT {alias}.{column} FROM {from} AS {alias} JOIN {from} AS {main} \
             ON {main}.{group} = {alias}.{group} WHERE {filter} AND {value} IS NOT NULL)",
            label.from, label.key
        );
        let entries = look.entries(&label.key, &label.name, &within).await;
        let shape = shape_of(table, &question.column);
        let wanted = Wanted::of(&entries, shape, |name| words.fits(name), |_| false);
        if wanted.entries.is_empty() {
            return None;
        }
        let asked = wanted.condition(&format!("{alias}.{column}"));
        let holds = lists::holds(&self.select, table, alias);
        let answer = format!(
            "(SELECT MIN({value}) FROM {from} AS {alias} WHERE {alias}.{group} = {main}.{group} AND \
             {asked}{holds})"
        );
        self.notes.push(format!(
            "{name} is taken from the answer in the same group, by {group}, to {}; check",
            wanted.shown()
        ));
        let keys = wanted.entries.into_iter().map(|(key, _)| key);
        match &mut self.beside {
            Some(known) => known.keys.extend(keys),
            None => {
                self.beside = Some(Beside {
                    group,
                    question: column,
                    keys: keys.collect(),
                });
            }
        }
        Some(answer)
    }
}
