//! Finds the table of each kind of fact, and writes its SELECT.

use connector_kit::Feed;

use super::candidates::{Ground, SURE, is_code, is_value, kind};
use super::columns::best_of;
use super::look::Look;
use super::merges::{self, Survivor};
use super::names::{Name, Words};
use super::persons;
use super::questions::{Beside, Question};
use super::references::Reference;
use super::select::{Select, literal};
use super::{ways, words};
use crate::catalog::{Column, Shape, Table};

/// What a column loses for each table between it and the fact.
const STEP: u32 = 25;

/// A query in the making, and what is to be said about it.
pub(super) struct Draft<'c> {
    pub feed: Feed,
    pub select: Select<'c>,
    pub status_has_words: bool,
    pub notes: Vec<String>,
    /// Aliases of the tables on the ways to the person.
    pub ways: Vec<Vec<String>>,
    /// Rows that rows of persons were merged into.
    pub survivors: Vec<Survivor>,
    /// Tables with a row for each identifier or value of a row, or with merges of persons: with the
    /// alias that they refer to, and by what.
    pub row_tables: Vec<(usize, String, Reference)>,
    /// Question that the rows answer, where some of a list are read.
    pub question: Option<Question>,
    /// Rows beside that tell more of the same fact.
    pub beside: Option<Beside>,
    /// Columns without a value, by the place of their table.
    pub empty: Vec<(usize, String)>,
    /// Word that the query makes of what is about another disease.
    pub has_other_disease: bool,
    /// True where the day of a recovery is only that of the last change of its entry.
    pub has_day_of_change: bool,
}

/// Column somewhere on the way from a fact to its person.
pub(super) struct Place {
    pub alias: String,
    pub column: Column,
    pub score: u32,
}

/// Writes the SELECT over a table, or says why it cannot be one.
pub(super) async fn draft<'c>(
    look: &'c Look<'_>,
    ground: &Ground<'c>,
    feed: Feed,
    table: usize,
) -> Result<Draft<'c>, String> {
    let ways = ground
        .persons
        .ways(ground.catalog, ground.references, table)?;
    let mut select = Select::new(ground.catalog, look.driver(), table);
    let main = select.main().to_owned();
    let mut aliases: Vec<Vec<String>> = Vec::new();
    for way in &ways {
        let mut along = vec![main.clone()];
        for step in way {
            let from = along.last().cloned().unwrap_or_default();
            along.push(select.join(&from, step));
        }
        aliases.push(along);
    }
    ways::no_two_persons(look, &select, &aliases).await?;
    let survivors = merges::join_all(&mut select, ground.references, &ways, &aliases);
    let mut draft = Draft {
        feed,
        select,
        status_has_words: false,
        notes: Vec::new(),
        ways: aliases,
        survivors,
        row_tables: Vec::new(),
        question: None,
        beside: None,
        empty: Vec::new(),
        has_other_disease: false,
        has_day_of_change: false,
    };
    draft.note_ways(ground, &ways);
    draft.add_persons(look, ground).await;
    draft.add_fact(look, ground).await?;
    draft.add_id(look).await?;
    Ok(draft)
}

impl Draft<'_> {
    pub(super) fn main_table(&self) -> &Table {
        self.select.table_of(self.select.main())
    }

    /// Says what the ways to the person leave in doubt.
    fn note_ways(&mut self, ground: &Ground<'_>, ways: &[Vec<Reference>]) {
        let table = self.select.tables[0].table;
        let references = ground.references;
        let others = ground.persons.other_references(references, table, ways);
        if !others.is_empty() {
            let chosen = ways.first().and_then(|way| way.first());
            let chosen = chosen.map_or_else(String::new, |step| step.columns.join(", "));
            self.notes.push(format!(
                "{} may lead to a person, too; the patient is taken by {chosen}: check that it is \
                 not the doctor or the author",
                others.join(", ")
            ));
        }
        let mut linked = ways
            .iter()
            .map(|way| persons::links(references, table, way));
        if linked.any(|links| links > 0) {
            self.notes.push(
                "the person is found over a table that joins two others: a record that it joins \
                 with several persons would stand several times; `clinic-gateway check` shows it"
                    .into(),
            );
        }
        if ways.len() > 1 {
            let tables = self.ways.iter().filter_map(|way| way.get(1));
            let tables = tables.map(|alias| self.select.table_of(alias).shown());
            self.notes.push(format!(
                "the person is found over {}: a row goes the one way or the other, and one that \
                 leads to two persons has no identifier; check that each leads to the patient",
                tables.collect::<Vec<_>>().join(" or ")
            ));
        }
        if let Some(survivor) = self.survivors.first() {
            let shown = self.select.table_of(&survivor.of).shown();
            if let Some((table, by)) = &survivor.kept_in {
                self.notes.push(format!(
                    "merges of persons are read out of {}, where {} is the row that was merged; \
                     check",
                    ground.catalog.tables[*table].shown(),
                    by.columns.join(", ")
                ));
            }
            self.notes.push(format!(
                "a row of {shown} that was merged into another one gives its facts to that one, \
                 and no deletion of the merged row takes them back; check. Chains of merges are \
                 followed to their end, where rows name each other in a circle to none; a merge in \
                 the midst of a chain is noticed by sweeps alone"
            ));
        }
    }

    /// Looks for a column in the fact's own table first, then in those on the way to the person.
    pub(super) fn find(&self, words: &Words, fits: fn(Shape) -> bool) -> Option<Place> {
        let places = self.places(words, fits).into_iter().rev();
        places.max_by_key(|place| place.score)
    }

    /// Looks for a column that is not empty in all rows that are looked at; one that is only where
    /// there is no other.
    async fn find_filled(
        &mut self,
        look: &Look<'_>,
        words: &Words,
        fits: impl Fn(&str, &Column) -> bool,
    ) -> Option<Place> {
        let mut first = None;
        let known = self.empty.len();
        let best = |draft: &Self| {
            let places = draft.places_of(words, &fits).into_iter().rev();
            places.max_by_key(|place| place.score)
        };
        while let Some(place) = best(self) {
            let table = self.select.place_of(&place.alias);
            let from = format!("{} AS {}", self.select.typed_table(table), place.alias);
            let column = self.select.column(&place.alias, &place.column.name);
            if !look.is_empty(&column, &from).await {
                return Some(place);
            }
            self.empty.push((table, place.column.name.clone()));
            first.get_or_insert(place);
        }
        self.empty.truncate(known);
        first
    }

    /// The best column of each table on the way to the person, which is left out. Columns that lead
    /// to the next table do not count.
    pub(super) fn places(&self, words: &Words, fits: fn(Shape) -> bool) -> Vec<Place> {
        self.places_of(words, |_, column| fits(column.shape))
    }

    /// The best column of each table on the way to the person, of those that fit by their alias.
    pub(super) fn places_of(
        &self,
        words: &Words,
        fits: impl Fn(&str, &Column) -> bool,
    ) -> Vec<Place> {
        let way = self.ways.first().map_or(&[][..], Vec::as_slice);
        let end = way.len().saturating_sub(usize::from(way.len() > 1));
        let leads_on = |alias: &String, column: &Column| {
            let mut steps = self
                .select
                .tables
                .iter()
                .filter(|one| way.contains(&one.alias));
            steps.any(|one| {
                let by = one.by.as_ref();
                by.is_some_and(|(from, by)| from == alias && by.columns.contains(&column.name))
            })
        };
        let place = |(steps, alias): (usize, &String)| {
            let table = self.select.table_of(alias);
            let at = self.select.place_of(alias);
            let is_empty = |one: &Column| {
                let mut empty = self.empty.iter();
                empty.any(|(table, name)| *table == at && *name == one.name)
            };
            let is_key = |one: &Column| table.single_key() == Some(one.name.as_str());
            let columns = table.columns.iter();
            let columns = columns.filter(|one| fits(alias, one) && !is_empty(one));
            let columns = columns.filter(|one| !leads_on(alias, one) && !is_key(one));
            let (score, column) = best_of(words, columns)?;
            Some(Place {
                alias: alias.clone(),
                column: column.clone(),
                score: score.saturating_sub(u32::try_from(steps).unwrap_or(9) * STEP),
            })
        };
        way[..end].iter().enumerate().filter_map(place).collect()
    }

    pub(super) fn guess(&mut self, name: &str, place: &Place) {
        if place.score < SURE {
            let table = self.select.table_of(&place.alias).shown();
            self.notes.push(format!(
                "{name} is guessed from the name {table}.{}; check",
                place.column.name
            ));
        }
    }

    async fn add_persons(&mut self, look: &Look<'_>, ground: &Ground<'_>) {
        let ways = self.ways.clone();
        let found = persons::identifiers(
            look,
            &mut self.select,
            ground.references,
            &ways,
            &self.survivors,
        )
        .await;
        if found.columns.is_empty() {
            self.notes.push(
                "no column of an identifier was found: add one, such as p.… AS person_snils".into(),
            );
        }
        self.select.columns.extend(found.columns);
        self.notes.extend(found.notes);
        self.row_tables = found.tables;
    }

    async fn add_fact(&mut self, look: &Look<'_>, ground: &Ground<'_>) -> Result<(), String> {
        let words = kind(self.feed);
        let mut not_yet = Vec::new();
        let result = self.result(ground);
        let may_be_code = |alias: &str, column: &Column| {
            is_code(column.shape) && !is_result(alias, column, result.as_ref())
        };
        let code = match self.find_filled(look, words.code, may_be_code).await {
            Some(place) => {
                self.only_covid(look, ground, &place).await;
                let code = match self.icd(look, ground, &place).await {
                    Some(code) => self.or_text(&place, code),
                    None => self.code(look, ground, &place, words.code_name).await,
                };
                let code = self.of_line(&place, code);
                let code = self.product(&place, code);
                self.only_with(&place, &code);
                code
            }
            None => match self.answered_vaccine(look, ground).await {
                Some(code) => code,
                None => self
                    .literal_test()
                    .ok_or("it has no column with the code or name")?,
            },
        };
        let code = self.of_disease(look, code).await;
        let told = code.clone();
        self.select.columns.push((words.code_name, code));
        match self.feed {
            Feed::Vaccinations => {
                self.add_doses(look).await;
                self.answered_dose(look).await;
            }
            Feed::Tests => {
                let place = result.ok_or("it has no column with the word of a result")?;
                let result = self.answer(look, ground, &place, "result_code").await;
                self.only_with(&place, &result);
                not_yet.push(format!("{result} IS NULL"));
                self.select.columns.push(("result_code", result));
            }
            Feed::Recoveries => {
                if let Some(began) = self.find_day(&words::BEGAN) {
                    let expression = self.moment("began_on", &began);
                    self.select.columns.push(("began_on", expression));
                }
            }
        }
        let day = self.day(words.date).or_else(|| self.day_of_change());
        let day = day.ok_or("it has no column with the day")?;
        let day = self.answered_day(look, day).await;
        let is_persons_row = self.is_persons_row(words.table);
        if is_persons_row {
            not_yet.push(format!("{told} IS NULL AND {day} IS NULL"));
        }
        if self.feed == Feed::Recoveries {
            not_yet.push(format!("{day} IS NULL"));
        }
        self.select.columns.push(("occurred_on", day));
        not_yet.extend(self.drafts(look).await);
        not_yet.extend(self.unconfirmed());
        self.add_status(&not_yet, is_persons_row);
        Ok(())
    }

    /// True where a fact stands in the row of a person: most of them tell of none.
    fn is_persons_row(&self, of_facts: &Words) -> bool {
        let name = Name::new(&self.main_table().name);
        words::PERSON_TABLE.score(&name) > 0 && of_facts.score(&name) == 0
    }

    /// The column with a code, or what stands for it in the list that it refers to.
    pub(super) async fn code(
        &mut self,
        look: &Look<'_>,
        ground: &Ground<'_>,
        place: &Place,
        name: &str,
    ) -> String {
        let table = self.select.place_of(&place.alias);
        let listed = ground.references.at(table, &place.column.name).cloned();
        let listed = listed.filter(|reference| !ground.persons.is_person(reference.to));
        if let Some(reference) = listed {
            let label = self.label(look, ground, &place.alias, &reference, name);
            if let Some(label) = label.await {
                return match self.feed {
                    Feed::Recoveries => self.or_text(place, label.expression),
                    _ => label.expression,
                };
            }
            let shown = self.select.table_of(&place.alias).shown();
            let list = ground.catalog.tables[reference.to].shown();
            self.note_number(name, &shown, &list, &place.column);
        }
        self.guess(name, place);
        self.add_system(&place.column.name, name);
        self.select.column(&place.alias, &place.column.name)
    }

    /// Names the code list where a column's name does.
    fn add_system(&mut self, column: &str, name: &str) {
        let joined = Name::new(column).joined;
        let system = match name {
            "vaccine_code" if joined.contains("cvx") => {
                ("vaccine_system", "http://hl7.org/fhir/sid/cvx")
            }
            "test_code" if joined.contains("loinc") => ("test_system", "http://loinc.org"),
            _ => return,
        };
        self.select.columns.push((system.0, literal(system.1)));
    }

    /// Of rows of many kinds, reads those that have this value.
    fn only_with(&mut self, place: &Place, expression: &str) {
        if place.column.json.is_some() && self.select.filter.is_none() {
            self.select.filter = Some(format!("{expression} IS NOT NULL"));
        }
    }

    /// The kind of a test, where only the name of its table, or of its result, says it.
    fn literal_test(&mut self) -> Option<String> {
        let result = self.find(&words::RESULT, is_value);
        let result = result.map_or_else(String::new, |place| place.column.name);
        let name = Name::new(&format!("{} {result}", self.main_table().name)).joined;
        let is = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let code = match self.feed {
            Feed::Tests if is(&["antigen", "ekspress", "express"]) => "94558-4",
            Feed::Tests if is(&["pcr", "ptcr", "ptsr"]) => "94500-6",
            _ => return None,
        };
        self.notes
            .push(format!("test_code is {code} since a name says so; check"));
        Some(literal(code))
    }
}

/// True for the column of a result, which is no kind of test.
fn is_result(alias: &str, column: &Column, result: Option<&Place>) -> bool {
    result.is_some_and(|one| one.alias == alias && one.column.name == column.name)
}
