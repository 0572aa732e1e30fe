//! Finds the table of each kind of fact, and writes its SELECT.

use connector_kit::Feed;

use super::candidates::{Ground, SURE, is_code, is_date, is_value, kind};
use super::columns::best_of;
use super::look::Look;
use super::merges::{self, Survivor};
use super::names::{Name, Words};
use super::persons;
use super::references::Reference;
use super::select::{Select, literal};
use super::{systems, words};
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
    /// Tables with a row for each identifier.
    pub identifier_tables: Vec<(usize, String, Reference)>,
    /// Word that the query makes of what is about another disease.
    pub has_other_disease: bool,
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
        .ways(ground.catalog, ground.references, table);
    if ways.is_empty() {
        return Err("it refers to no table of persons".into());
    }
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
    let survivors = merges::join_all(&mut select, &ways, &aliases);
    let mut draft = Draft {
        feed,
        select,
        status_has_words: false,
        notes: Vec::new(),
        ways: aliases,
        survivors,
        identifier_tables: Vec::new(),
        has_other_disease: false,
    };
    draft.note_ways(ground, &ways);
    draft.add_id()?;
    draft.add_persons(look, ground).await;
    draft.add_fact(look, ground).await?;
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
        if let Some(survivor) = self.survivors.first() {
            let shown = self.select.table_of(&survivor.of).shown();
            self.notes.push(format!(
                "a row of {shown} that was merged into another one gives its facts to that one, \
                 and no deletion of the merged row takes them back; check. Chains of merges are \
                 followed by one step"
            ));
        }
    }

    /// Looks for a column in the fact's own table first, then in those on the way to the person.
    pub(super) fn find(&self, words: &Words, fits: fn(Shape) -> bool) -> Option<Place> {
        let places = self.places(words, fits).into_iter().rev();
        places.max_by_key(|place| place.score)
    }

    /// The best column of each table on the way to the person, which is left out. Columns that lead
    /// to the next table do not count.
    fn places(&self, words: &Words, fits: fn(Shape) -> bool) -> Vec<Place> {
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
            let columns = self.select.table_of(alias).columns.iter();
            let columns = columns.filter(|one| fits(one.shape) && !leads_on(alias, one));
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

    fn add_id(&mut self) -> Result<(), String> {
        let table = self.main_table();
        let main = self.select.main();
        let key = table.primary_key.as_slice();
        let unique = || {
            table
                .columns
                .iter()
                .find(|column| Name::new(&column.name).joined == "id")
        };
        let expression = match key {
            [column] => self.select.column(main, column),
            [] => match unique() {
                Some(column) => self.select.column(main, &column.name),
                None => return Err("it has no primary key, and no column id".into()),
            },
            several => {
                let separator = literal("-");
                let columns = several.iter().map(|column| self.as_text(main, column));
                let mut parts: Vec<String> = Vec::new();
                for column in columns {
                    if !parts.is_empty() {
                        parts.push(separator.clone());
                    }
                    parts.push(column);
                }
                self.notes.push(format!(
                    "record_id is made of the {} columns of the primary key; no index serves it, \
                     so a sweep sorts",
                    several.len()
                ));
                self.select.concatenated(&parts)
            }
        };
        self.select.columns.push(("record_id", expression));
        Ok(())
    }

    pub(super) fn as_text(&self, alias: &str, column: &str) -> String {
        let column = self.select.column(alias, column);
        self.select.driver.syntax().as_text(&column)
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
        self.identifier_tables = found.tables;
    }

    async fn add_fact(&mut self, look: &Look<'_>, ground: &Ground<'_>) -> Result<(), String> {
        let words = kind(self.feed);
        let mut not_yet = Vec::new();
        let code = match self.find(words.code, is_code) {
            Some(place) => {
                let code = self.code(ground, &place, words.code_name);
                self.only_with(&place, &code);
                self.only_covid(look, ground, &place).await;
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
        self.select.columns.push((words.code_name, code));
        match self.feed {
            Feed::Vaccinations => self.add_doses(),
            Feed::Tests => {
                let result = self
                    .find(&words::RESULT, is_value)
                    .ok_or("it has no column with a result")?;
                let place = result;
                let result = self.answer(ground, &place);
                self.only_with(&place, &result);
                not_yet.push(format!("{result} IS NULL"));
                self.select.columns.push(("result_code", result));
            }
            Feed::Recoveries => {
                if let Some(began) = self.find(&words::BEGAN, is_date) {
                    let expression = self.moment("began_on", &began);
                    self.select.columns.push(("began_on", expression));
                }
            }
        }
        let day = self
            .day(words.date)
            .ok_or("it has no column with the day")?;
        if self.feed == Feed::Recoveries {
            not_yet.push(format!("{day} IS NULL"));
        }
        self.select.columns.push(("occurred_on", day));
        not_yet.extend(self.drafts(look).await);
        self.add_status(&not_yet);
        Ok(())
    }

    /// The day of the fact; of a test that of the sample, if it is known.
    fn day(&mut self, words: &Words) -> Option<String> {
        let mut places = match self.feed {
            Feed::Tests => self.places(&words::SAMPLED, is_date),
            _ => Vec::new(),
        };
        places.extend(self.find(words, is_date));
        let shape = places.first()?.column.shape;
        self.guess("occurred_on", &places[0]);
        let mut columns: Vec<String> = Vec::new();
        for place in places.iter().filter(|place| place.column.shape == shape) {
            columns.push(self.moment("occurred_on", place));
            if !place.column.is_nullable {
                break;
            }
        }
        columns.dedup();
        match columns.as_slice() {
            [one] => Some(one.clone()),
            several => Some(format!("COALESCE({})", several.join(", "))),
        }
    }

    /// A column with a day or a moment. Where the system keeps moments in UTC without saying so,
    /// the day would be another one near midnight.
    fn moment(&mut self, name: &str, place: &Place) -> String {
        let column = self.select.column(&place.alias, &place.column.name);
        let Place { column: kept, .. } = place;
        let is_moment = kept.shape == Shape::Moment && !kept.is_instant;
        let Some(system) = systems::in_utc(self.select.catalog).filter(|_| is_moment) else {
            return column;
        };
        self.notes.push(format!(
            "{name} is made of {column}, which {system} keeps in UTC without a zone; check with a \
             fact of the night"
        ));
        self.select.driver.syntax().of_utc(&column)
    }

    /// The column with a code, or what stands for it in the list that it refers to.
    pub(super) fn code(&mut self, ground: &Ground<'_>, place: &Place, name: &str) -> String {
        let table = self.select.place_of(&place.alias);
        let listed = ground.references.at(table, &place.column.name).cloned();
        let listed = listed.filter(|reference| !ground.persons.is_person(reference.to));
        let label = listed.and_then(|reference| self.label(ground, &place.alias, &reference));
        if let Some(label) = label {
            return label.expression;
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

    fn add_doses(&mut self) {
        let may_count = |shape| matches!(shape, Shape::Text | Shape::Whole | Shape::Number);
        for (name, words) in [
            ("dose_number", &words::DOSE),
            ("series_doses", &words::SERIES),
        ] {
            if let Some(place) = self.find(words, may_count) {
                let taken = self.select.column(&place.alias, &place.column.name);
                if self.select.columns.iter().any(|(_, known)| *known == taken) {
                    continue;
                }
                self.guess(name, &place);
                self.select.columns.push((name, taken));
            }
        }
    }

    /// Names what is about another disease, where the rows say what they are about.
    async fn of_disease(&mut self, look: &Look<'_>, code: String) -> String {
        if self.feed == Feed::Recoveries {
            return code;
        }
        let is_text = |shape| shape == Shape::Text;
        let Some(place) = self.find(&words::DISEASE, is_text) else {
            return code;
        };
        let disease = self.select.column(&place.alias, &place.column.name);
        let table = self.select.place_of(&place.alias);
        let from = format!("{} AS x", self.select.typed_table(table));
        let values = look
            .values(
                &format!("x.{}", self.select.typed(&place.column.name)),
                &from,
            )
            .await;
        let covid: Vec<String> = values
            .iter()
            .filter(|(value, _)| mentions_covid(value))
            .map(|(value, _)| literal(value))
            .collect();
        if covid.is_empty() {
            return code;
        }
        self.has_other_disease = true;
        format!(
            "CASE WHEN {disease} NOT IN ({}) THEN {} ELSE {code} END",
            covid.join(", "),
            literal(OTHER_DISEASE)
        )
    }
}

/// Word that the query makes of a fact about another disease.
pub const OTHER_DISEASE: &str = "another disease";

/// True for a word about COVID-19.
pub(super) fn mentions_covid(value: &str) -> bool {
    let joined = Name::new(value).joined;
    let words = [
        "covid", "corona", "korona", "sarscov", "ncov", "kovid", "u071",
    ];
    words.iter().any(|word| joined.contains(word))
}
