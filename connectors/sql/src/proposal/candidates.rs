//! Finds the tables that could hold a kind of fact.

use connector_kit::Feed;

use super::columns::best_column;
use super::names::{Name, Words};
use super::persons::Persons;
use super::references::References;
use super::words;
use crate::catalog::{Catalog, Shape};

/// Score from which on a column's name says by itself what it is.
pub(super) const SURE: u32 = 150;

/// Names that a kind of fact has in databases.
pub(super) struct Kind {
    pub table: &'static Words,
    pub code: &'static Words,
    pub date: &'static Words,
    pub code_name: &'static str,
}

pub(super) const fn kind(feed: Feed) -> Kind {
    match feed {
        Feed::Vaccinations => Kind {
            table: &words::VACCINATION_TABLE,
            code: &words::VACCINE,
            date: &words::GIVEN,
            code_name: "vaccine_code",
        },
        Feed::Tests => Kind {
            table: &words::TEST_TABLE,
            code: &words::TEST_CODE,
            date: &words::TESTED,
            code_name: "test_code",
        },
        Feed::Recoveries => Kind {
            table: &words::RECOVERY_TABLE,
            code: &words::DIAGNOSIS,
            date: &words::RECOVERED,
            code_name: "diagnosis_code",
        },
    }
}

/// Table that could hold a kind of fact, and how surely.
pub(super) struct Candidate {
    pub table: usize,
    pub score: u32,
}

/// Ground of all looks for facts.
pub(super) struct Ground<'c> {
    pub catalog: &'c Catalog,
    pub references: &'c References,
    pub persons: &'c Persons,
}

impl Ground<'_> {
    /// Tables whose names say that they hold a kind of fact, the surest first; also those that lack
    /// something.
    pub(super) fn likely(&self, feed: Feed) -> Vec<Candidate> {
        let words = kind(feed);
        let tables = self.catalog.tables.iter().enumerate();
        let mut found: Vec<Candidate> = tables
            .filter(|(_, table)| table.is_readable)
            .filter_map(|(place, table)| {
                let by_name = words.table.score(&Name::new(&table.name));
                let code = best_column(table, words.code, is_code).map_or(0, |(score, _)| score);
                let date = best_column(table, words.date, is_date).map_or(0, |(score, _)| score);
                let date = match feed {
                    Feed::Tests => best_column(table, &words::SAMPLED, is_date)
                        .map_or(date, |(score, _)| score.max(date)),
                    _ => date,
                };
                let result = match feed {
                    Feed::Tests => {
                        best_column(table, &words::RESULT, is_value).map_or(0, |(s, _)| s)
                    }
                    _ => 0,
                };
                let has_values = table.columns.iter().any(|column| column.json.is_some());
                let asks = || best_column(table, &words::QUESTION, is_code).is_some();
                if by_name == 0 && feed == Feed::Vaccinations && code == 0 && asks() {
                    let answers = best_column(table, &words::RESULT, is_value).is_some();
                    return (answers && date > 0).then_some(Candidate {
                        table: place,
                        score: 1,
                    });
                }
                let is_likely = by_name > 0
                    || (feed == Feed::Vaccinations && code >= SURE && date > 0)
                    || (has_values && code.max(result) > 0);
                // A table with rows counts more than an empty one of the same name.
                let filled = if table.rows == Some(0) { 0 } else { 15 };
                let own = if table.is_view { 0 } else { 5 };
                let score = by_name * 2 + code + date / 2 + result + filled + own;
                (is_likely && code + date + result > 0).then_some(Candidate {
                    table: place,
                    score,
                })
            })
            .collect();
        found.sort_by_key(|candidate| std::cmp::Reverse(candidate.score));
        found
    }
}

/// Parts of the names of tables that may have to do with a kind of fact.
const fn near(feed: Feed) -> &'static str {
    match feed {
        Feed::Vaccinations => "vaccin vakcin immun privivk injection dose medicament preparat",
        Feed::Tests => {
            "lab test sample specimen investigation exam analys analiz result issledovan \
             prelevement"
        }
        Feed::Recoveries => {
            "disease diagnos diagnoz illness zabolev admission consultation discharge hospitali \
             epikriz episode opd condition maladie sejour vypisk"
        }
    }
}

impl Ground<'_> {
    /// Tables whose names have to do with a kind of fact, those that refer to persons first; for a
    /// person to look at, where none of the likely ones can be used.
    pub(super) fn near(&self, feed: Feed) -> Vec<usize> {
        let tables = self.catalog.tables.iter().enumerate();
        let mut found: Vec<usize> = tables
            .filter(|(_, table)| table.is_readable)
            .filter(|(_, table)| {
                let name = Name::new(&table.name).joined;
                near(feed)
                    .split_whitespace()
                    .any(|part| name.contains(part))
            })
            .map(|(place, _)| place)
            .collect();
        let is_of_person = |place: &usize| {
            self.persons
                .ways(self.catalog, self.references, *place)
                .is_ok()
        };
        found.sort_by_key(|place| !is_of_person(place));
        found
    }
}

pub(super) const fn is_code(shape: Shape) -> bool {
    matches!(shape, Shape::Text | Shape::Whole | Shape::Number)
}

pub(super) const fn is_value(shape: Shape) -> bool {
    matches!(
        shape,
        Shape::Text | Shape::Whole | Shape::Number | Shape::Flag
    )
}

/// True for a type of days. A whole number is none: it may be one of a row.
pub(super) const fn is_date(shape: Shape) -> bool {
    shape.is_time() || matches!(shape, Shape::Text)
}
