//! A proposed feed: its query, its words, the values of its codes, and what is to be checked.

use std::collections::BTreeMap;

use connector_kit::Feed;

use super::changes::{self, Changes};
use super::diseases::OTHER_DISEASE;
use super::facts::Draft;
use super::look::{CountedValue, Look, MAX_VALUES, may_be_shown};
use super::names::Name;
use super::status;
use crate::config::StatusWord;
use crate::driver::Failure;

/// Proposal for one kind of fact.
#[derive(Debug)]
pub struct ProposedFeed {
    /// The kind of fact.
    pub feed: Feed,
    /// Table that it was found in.
    pub table: String,
    /// Further tables that could hold it.
    pub also: Vec<String>,
    /// The SELECT with the documented aliases.
    pub query: String,
    /// Meanings of the status's words.
    pub status_words: BTreeMap<String, StatusWord>,
    /// Words of the status that nobody has told the meaning of.
    pub unknown_status: Vec<CountedValue>,
    /// Way in which changes are noticed.
    pub changes: Changes,
    /// Guesses, and what was not found.
    pub notes: Vec<String>,
    /// Distinct values of the columns with codes.
    pub values: Vec<FoundValues>,
    /// Why the database refuses the query; `None` where it takes it.
    pub fault: Option<String>,
    /// Why the query could not be tried: the database was not able to answer.
    pub untried: Option<String>,
}

/// Distinct values of a column with codes.
#[derive(Debug)]
pub struct FoundValues {
    /// Documented name of the column.
    pub column: &'static str,
    /// Values that may be shown, the most frequent first.
    pub values: Vec<CountedValue>,
    /// Number of values that may not: of one row, long, or like a person's number.
    pub hidden: usize,
    /// True where there are more values than are looked at.
    pub is_cut: bool,
}

/// Columns whose values a map may have to translate.
const CODES: [&str; 9] = [
    "vaccine_code",
    "test_code",
    "result_code",
    "diagnosis_code",
    "dose_number",
    "person_passport_foreign_country",
    "person_national_id_country",
    "person_passport_foreign_list_country",
    "person_national_id_list_country",
];

impl ProposedFeed {
    /// Says that it was found where the search path does not lead.
    pub(super) fn note_other_schema(&mut self) {
        let note = format!(
            "nothing was found in the schemas of the search path: {} is in another one; check that \
             it is no copy",
            self.table
        );
        self.notes.insert(0, note);
    }
}

/// Finishes a draft: decides how changes are noticed, tries the query, looks at its codes.
pub(super) async fn finish(
    look: &Look<'_>,
    mut draft: Draft<'_>,
    table: String,
    also: Vec<String>,
) -> ProposedFeed {
    let changes = changes::decide(&mut draft);
    let query = draft.select.text();
    let failure = refusal(look, &query).await;
    let is_untried = failure.as_ref().is_some_and(Failure::may_pass);
    let words = failure.map(|failure| failure.words(None).0);
    let untried = words.clone().filter(|_| is_untried);
    let fault = words.filter(|_| !is_untried);
    let mut values = Vec::new();
    let mut status_values = Vec::new();
    let mut no_status = None;
    if fault.is_none() && untried.is_none() {
        let from = format!("(\n{query}\n) AS s");
        for (name, _) in &draft.select.columns {
            if *name == "status" && draft.status_has_words {
                status_values = look.values("s.status", &from).await;
                let text = look.driver().syntax().text("s.status");
                let is_none = format!("CASE WHEN s.status IS NULL OR {text} = '' THEN 'none' END");
                let none = look.values(&is_none, &from).await;
                no_status = none.first().map(|(_, rows)| (String::new(), *rows));
            } else if CODES.contains(name) {
                values.push(found_values(
                    name,
                    look.values(&format!("s.{name}"), &from).await,
                ));
            }
        }
    }
    let status = draft
        .select
        .columns
        .iter()
        .find(|(name, _)| *name == "status");
    let status = status.map_or("", |(_, expression)| expression);
    let (mut status_words, mut unknown_status) = match status {
        "" => Default::default(),
        expression => status::status_words(expression, &status_values),
    };
    if draft.feed == Feed::Recoveries && Name::new(status).joined.contains("clinicalstatus") {
        unknown_status.retain(|(word, _)| match status::of_course(word) {
            Some(means) => {
                status_words.insert(word.to_lowercase(), means);
                false
            }
            None => true,
        });
    }
    let is_told = |(word, _): &CountedValue| status_words.contains_key(word);
    unknown_status.extend(no_status.filter(|none| !is_told(none)));
    if draft.has_day_of_change {
        status_words.retain(|_, means| *means != StatusWord::Final);
        let told = |word: &String| status_words.contains_key(&word.to_lowercase());
        let is_left = |(word, _): &&CountedValue| {
            !told(word) && unknown_status.iter().all(|(known, _)| known != word)
        };
        let left: Vec<CountedValue> = status_values.iter().filter(is_left).cloned().collect();
        unknown_status.extend(left.into_iter().filter(may_be_shown));
    }
    if draft.has_other_disease {
        draft.notes.push(format!(
            "facts of another disease are kept apart by the words \"{OTHER_DISEASE}\", mapped below"
        ));
    }
    ProposedFeed {
        feed: draft.feed,
        table,
        also,
        query,
        status_words,
        unknown_status,
        changes,
        notes: draft.notes,
        values,
        fault,
        untried,
    }
}

/// What the database says against a query.
async fn refusal(look: &Look<'_>, query: &str) -> Option<Failure> {
    let describe = async {
        let mut lent = look.sessions.lend().await?;
        let described = lent.describe(query).await?;
        lent.give_back().await?;
        Ok::<_, Failure>(described)
    };
    describe.await.err()
}

fn found_values(column: &'static str, mut values: Vec<CountedValue>) -> FoundValues {
    let is_cut = values.len() > MAX_VALUES;
    values.truncate(MAX_VALUES);
    let all = values.len();
    values.retain(may_be_shown);
    FoundValues {
        column,
        hidden: all - values.len(),
        values,
        is_cut,
    }
}
