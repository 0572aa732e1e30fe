//! The status of a row: flags that take it back, moments of its deletion, and its own words for a
//! status. A row that was taken back stays in the query, so that its withdrawal is noticed.

use std::collections::BTreeMap;

use super::columns::best_column;
use super::look::{CountedValue, may_be_shown};
use super::names::Name;
use super::select::{Select, literal};
use super::words;
use crate::catalog::{Catalog, Column, Shape, Table};
use crate::config::StatusWord;

/// Word that the query makes of a row that was taken back.
pub(super) const DELETED: &str = "deleted";
/// Word of a row that holds, where it has no status of its own.
pub(super) const FINAL: &str = "final";
/// Word of an illness that has no end yet, and of a test without a result.
pub(super) const NOT_YET: &str = "not yet";

/// Words for facts that hold.
const FINAL_WORDS: &str = "final done complete completed confirmed valid validated given \
    administered verified \
     finalized performed signed acquired corrected amended recovered resolved cured \
     discharged vypolnena vypolneno vypolnen provedena provedeno zavershen zavershena \
     zaversheno gotov gotovo utverzhden podtverzhden deystvuet aktivna vyzdorovlenie \
     vyzdorovel vyzdorovela effectue effectuee fait faite valide validee termine terminee \
     administre administree realise realisee gueri guerie guerison";
/// Words for facts that are taken back.
const CANCELLED_WORDS: &str = "cancelled canceled deleted enteredinerror error void voided \
    invalid removed retracted \
     otmenena otmeneno otmenen udalena udaleno udalen annulirovana annulirovano annulirovan \
     oshibka oshibochno annule annulee supprime supprimee errone erronee";
/// Words for what is not a fact, or not yet.
const NOT_A_FACT_WORDS: &str = "planned scheduled schedule pending preliminary registered \
    inprogress notdone refused requested \
     ordered upcoming missed draft received collected ongoing notrecovered deceased nooutcome \
     fatal died routed new open sent declined postponed notyet inprocess rejected \
     zaplanirovana zaplanirovano planiruetsya naznachena naznacheno naznachen otkaz vrabote \
     ozhidaet vprocesse vpolnenii chernovik umer boleet prevu prevue planifie planifiee \
     refuse refusee enattente encours programme programmee decede decedee brouillon";

/// Conditions under which a row of a table is taken back, or not active.
pub(super) fn deleted_conditions(select: &Select<'_>, table: &Table, alias: &str) -> Vec<String> {
    let mut conditions = taken_back(select, table, alias);
    // Beside another flag it says something else, unless all tables of the system have it.
    let counts = conditions.is_empty() || are_all_flagged(select.catalog);
    let active = best_column(table, &words::ACTIVE, is_flag).filter(|_| counts);
    if let Some((_, column)) = active {
        let flag = select.column(alias, &column.name);
        conditions.push(unset(select, &flag, column.shape));
    }
    conditions
}

/// Conditions under which an illness is taken back: that it is not active any more says that it is
/// over, unless its table has the flag that all tables of the system have.
pub(super) fn taken_back_by_all(select: &Select<'_>, table: &Table, alias: &str) -> Vec<String> {
    let active = best_column(table, &words::ACTIVE, is_flag);
    let is_same = |(_, column): (u32, &Column)| Name::new(&column.plain).joined == "active";
    if are_all_flagged(select.catalog) && active.is_some_and(is_same) {
        return deleted_conditions(select, table, alias);
    }
    taken_back(select, table, alias)
}

/// True for a system whose tables have a flag of rows that are active, most of them.
fn are_all_flagged(catalog: &Catalog) -> bool {
    const MIN_TABLES: usize = 4;
    let tables = || catalog.tables.iter().filter(|table| !table.is_view);
    let flagged = tables().filter(|table| best_column(table, &words::ACTIVE, is_flag).is_some());
    let flagged = flagged.count();
    flagged >= MIN_TABLES && flagged * 2 > tables().count()
}

/// Conditions under which a row of a table is taken back.
fn taken_back(select: &Select<'_>, table: &Table, alias: &str) -> Vec<String> {
    let mut conditions = Vec::new();
    if let Some((_, column)) = best_column(table, &words::DELETED, is_flag) {
        conditions.push(set(
            select,
            &select.column(alias, &column.name),
            column.shape,
        ));
    }
    let is_moment = |shape: Shape| {
        shape.is_time() || (select.driver.syntax().keeps_stamps_as_text() && shape == Shape::Text)
    };
    let deleted_at = best_column(table, &words::DELETED_AT, is_moment);
    let deleted_at = deleted_at.filter(|(_, column)| column.is_nullable && conditions.is_empty());
    if let Some((_, column)) = deleted_at {
        conditions.push(format!(
            "{} IS NOT NULL",
            select.column(alias, &column.name)
        ));
    }
    let is_number = |shape| matches!(shape, Shape::Whole | Shape::Number);
    if let Some((_, column)) = best_column(table, &words::DOCUMENT_STATUS, is_number) {
        conditions.push(format!("{} = 2", select.column(alias, &column.name)));
    }
    conditions
}

/// True for a type that a flag may have.
pub(super) const fn is_flag(shape: Shape) -> bool {
    matches!(
        shape,
        Shape::Flag | Shape::Whole | Shape::Text | Shape::Number
    )
}

/// Condition that a flag is set.
fn set(select: &Select<'_>, flag: &str, shape: Shape) -> String {
    match shape {
        Shape::Flag if select.driver.syntax().has_booleans() => flag.to_owned(),
        Shape::Flag | Shape::Whole | Shape::Number => format!("{flag} <> 0"),
        _ => format!("{flag} IN ('1', 'Y', 'y', 'T', 't', 'true', 'yes', 'да', 'oui', 'O')"),
    }
}

/// Condition that a flag has any other value than that of no: some number the reasons.
pub(super) fn set_anyhow(select: &Select<'_>, flag: &str, shape: Shape) -> String {
    match shape {
        Shape::Text => format!(
            "{flag} NOT IN ('', '0', 'N', 'n', 'F', 'f', 'false', 'no', 'No', 'нет', 'non')"
        ),
        shape => set(select, flag, shape),
    }
}

/// Condition that a flag is not set; an empty one says nothing.
pub(super) fn unset(select: &Select<'_>, flag: &str, shape: Shape) -> String {
    match shape {
        Shape::Flag if select.driver.syntax().has_booleans() => format!("NOT {flag}"),
        Shape::Flag | Shape::Whole | Shape::Number => format!("{flag} = 0"),
        _ => format!("{flag} IN ('0', 'N', 'n', 'F', 'f', 'false', 'no', 'нет', 'non')"),
    }
}

/// Meaning of a word of a status, if it is a usual one.
pub(super) fn meaning(word: &str) -> Option<StatusWord> {
    let joined = Name::new(word).joined;
    [
        (FINAL_WORDS, StatusWord::Final),
        (CANCELLED_WORDS, StatusWord::Cancelled),
        (NOT_A_FACT_WORDS, StatusWord::NotAFact),
    ]
    .into_iter()
    .find(|(list, _)| list.split_whitespace().any(|word| word == joined))
    .map(|(_, meaning)| meaning)
}

/// Meaning of a word for the course of an illness: one that is active is not over.
pub(super) fn of_course(word: &str) -> Option<StatusWord> {
    match Name::new(word).joined.as_str() {
        "active" | "recurrence" | "relapse" => Some(StatusWord::NotAFact),
        "inactive" | "remission" | "resolved" => Some(StatusWord::Final),
        _ => None,
    }
}

/// The expression for a status.
pub(super) struct Status {
    /// None where nothing but final rows can be told.
    pub expression: Option<String>,
    /// True where the rows have words of their own.
    pub has_words: bool,
}

/// Makes the expression of conditions and a status column.
pub(super) fn expression(deleted: &[String], not_yet: &[String], own: Option<String>) -> Status {
    let has_words = own.is_some();
    if deleted.is_empty() && not_yet.is_empty() {
        return Status {
            expression: own,
            has_words,
        };
    }
    let mut cases = String::from("CASE");
    for condition in deleted {
        cases += &format!(" WHEN {condition} THEN {}", literal(DELETED));
    }
    for condition in not_yet {
        cases += &format!(" WHEN {condition} THEN {}", literal(NOT_YET));
    }
    let rest = own.unwrap_or_else(|| literal(FINAL));
    Status {
        expression: Some(format!("{cases} ELSE {rest} END")),
        has_words,
    }
}

/// Meanings of the words that a query's status has, and those that nobody has told yet, as far as
/// they may be shown. A usual word is nobody's, however rare it is.
pub(super) fn status_words(
    expression: &str,
    values: &[CountedValue],
) -> (BTreeMap<String, StatusWord>, Vec<CountedValue>) {
    let mut known = BTreeMap::new();
    let mut unknown = Vec::new();
    for (word, means) in [
        (DELETED, StatusWord::Cancelled),
        (FINAL, StatusWord::Final),
        (NOT_YET, StatusWord::NotAFact),
    ] {
        if expression.contains(&literal(word)) {
            known.insert(word.to_owned(), means);
        }
    }
    for (value, rows) in values {
        let word = value.to_lowercase();
        if known.contains_key(&word) {
            continue;
        }
        match meaning(value) {
            Some(means) => {
                known.insert(word, means);
            }
            None if may_be_shown(&(word, *rows)) => unknown.push((value.clone(), *rows)),
            None => {}
        }
    }
    (known, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_words_of_three_languages_have_a_meaning() {
        for (word, expected) in [
            ("Completed", Some(StatusWord::Final)),
            ("выполнена", Some(StatusWord::Final)),
            ("Effectuée", Some(StatusWord::Final)),
            ("entered-in-error", Some(StatusWord::Cancelled)),
            ("Отменена", Some(StatusWord::Cancelled)),
            ("annulé", Some(StatusWord::Cancelled)),
            ("in progress", Some(StatusWord::NotAFact)),
            ("запланирована", Some(StatusWord::NotAFact)),
            ("prévue", Some(StatusWord::NotAFact)),
            ("ждёт", None),
        ] {
            assert_eq!(meaning(word), expected, "{word}");
        }
    }
}
