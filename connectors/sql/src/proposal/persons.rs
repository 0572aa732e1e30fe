//! Finds the persons of a database: their tables, the way from a fact to its person, and the
//! columns and rows that hold identifiers.

use super::columns::{Found, IDENTIFIERS, best_column, best_of, may_identify, score as score_of};
use super::documents;
use super::identifier_rows::{from_rows, identifier_tables};
use super::lists::{self, is_of, list_of};
use super::look::Look;
use super::merges::Survivor;
use super::names::Words;
use super::passports;
use super::references::{Reference, References};
use super::select::Select;
use super::words;
use crate::catalog::{Catalog, Column, Shape, Table};

/// Score from which on a table is one of persons.
const MIN_SCORE: u32 = 60;

/// Documented columns of passports, and of the countries that issued foreign ones.
const PASSPORT: &str = "person_passport";
const FOREIGN_PASSPORT: &str = "person_passport_foreign";
const FOREIGN_COUNTRY: &str = "person_passport_foreign_country";
const FOREIGN_LIST_COUNTRY: &str = "person_passport_foreign_list_country";

/// How surely each table of a catalogue is one of persons.
pub(super) struct Persons {
    scores: Vec<u32>,
    identifiers: Vec<usize>,
}

impl Persons {
    pub(super) fn of(catalog: &Catalog, references: &References) -> Self {
        let tables = || catalog.tables.iter().enumerate();
        let own: Vec<usize> = tables()
            .map(|(_, table)| identifier_columns(table).len())
            .collect();
        let listed =
            |place: usize| usize::from(!identifier_tables(catalog, references, place).is_empty());
        let scores = tables().map(|(place, table)| score(table, own[place]));
        Self {
            scores: scores.collect(),
            identifiers: tables()
                .map(|(place, _)| own[place] + listed(place))
                .collect(),
        }
    }

    pub(super) fn is_person(&self, table: usize) -> bool {
        self.scores[table] >= MIN_SCORE
    }

    /// True for a table that holds identifiers in columns of its own.
    pub(super) fn holds_identifiers(catalog: &Catalog, table: usize) -> bool {
        !identifier_columns(&catalog.tables[table]).is_empty()
    }

    pub(super) fn score_of(&self, table: usize) -> u32 {
        self.scores[table]
    }

    /// Number of kinds of identifiers that are found at a table.
    pub(super) fn identifiers_of(&self, table: usize) -> usize {
        self.identifiers[table]
    }
}

/// Number of steps of a way that lead to a table which only joins two others.
pub(super) fn links(references: &References, fact: usize, way: &[Reference]) -> usize {
    let from = |place: usize| place.checked_sub(1).map_or(fact, |before| way[before].to);
    let steps = way.iter().enumerate();
    let back = steps.filter(|(place, step)| !references.from(from(*place)).contains(step));
    back.count()
}

/// Score of a name that says what persons have, and not that they are persons.
const AT_MOST_OF_PERSONS: u32 = 30;
/// What persons have, come to or take part in.
const OF_PERSONS: Words = Words {
    whole: "",
    words: "vaccine vaccination vaccinations immunization immunizations test tests lab sample \
        samples disease diseases diagnosis diagnoses result results visit visits encounter \
        encounters appointment appointments admission admissions consultation consultations \
        evaluation search flow group program",
    parts: "patientvaccine patienttest patientsample patientconsult patientinvest patientsearch",
    never: "data",
};

fn holds_of_persons(name: &str) -> bool {
    OF_PERSONS.fits(name)
}

fn score(table: &Table, identifiers: usize) -> u32 {
    let mut by_name = words::PERSON_TABLE.score(&super::names::Name::new(&table.name)) / 2;
    // `patient_disease` holds what patients have.
    if holds_of_persons(&table.name) {
        by_name = by_name.min(AT_MOST_OF_PERSONS);
    }
    let personal = table
        .columns
        .iter()
        .filter(|one| score_of(&words::PERSONAL, one) > 0)
        .count();
    let count = |number: usize| u32::try_from(number.min(4)).unwrap_or_default();
    let is_readable = u32::from(table.is_readable && !table.columns.is_empty());
    (by_name + count(personal) * 10 + count(identifiers) * 20) * is_readable
}

/// Columns of a table that hold identifiers: their documented names, and their own.
fn identifier_columns(table: &Table) -> Vec<(&'static str, &Column)> {
    let mut found: Vec<(&str, &Column)> = Vec::new();
    for (name, words) in IDENTIFIERS {
        let columns = table.columns.iter().filter(|column| {
            may_identify(column.shape) && !documents::is_row_number(table, column)
        });
        let best = best_of(words, columns).map(|(_, column)| column);
        let is_known = |column: &&Column| found.iter().any(|(_, known)| known.name == column.name);
        if let Some(column) = best.filter(|column| !is_known(column)) {
            found.push((name, column));
        }
    }
    if found.iter().all(|(name, _)| *name != PASSPORT)
        && let Some(parts) = passports::parts(table)
    {
        found.push((PASSPORT, parts.number));
    }
    found
}

/// Finds identifiers in the tables of each way. Those of two ways are never mixed: a row whose ways
/// lead to two persons has none.
pub(super) async fn identifiers(
    look: &Look<'_>,
    select: &mut Select<'_>,
    references: &References,
    ways: &[Vec<String>],
    survivors: &[Survivor],
) -> Found {
    let mut of_ways = Vec::new();
    for way in ways {
        of_ways.push(of_way(look, select, references, way, survivors).await);
    }
    let mut found = one_of(select, ways, of_ways);
    russian_or_foreign(&mut found);
    found
}

/// Finds identifiers in the tables of a way, the last one first.
async fn of_way(
    look: &Look<'_>,
    select: &mut Select<'_>,
    references: &References,
    way: &[String],
    survivors: &[Survivor],
) -> Found {
    let mut found = Found::default();
    for (step, alias) in way.iter().enumerate().rev() {
        if step == 0 && way.len() > 1 {
            continue;
        }
        let place = select.place_of(alias);
        // What the surviving row says comes before what the merged one says.
        let survive = survivors.iter().filter(|one| one.of == *alias);
        let mut persons: Vec<String> = survive.map(|one| one.alias.clone()).collect();
        persons.push(alias.clone());
        let mut own = identifier_columns(select.table_of(alias));
        // With a series before it, a number of a passport is short.
        let has_series = passports::parts(select.table_of(alias));
        let has_series = has_series.is_some_and(|parts| parts.has_series());
        own.retain(|(name, _)| *name != PASSPORT || !has_series);
        let rows = documents::row_numbers(look, select, references, place, &own).await;
        let known: Vec<&str> = found.columns.iter().map(|(name, _)| *name).collect();
        let mut here = Found::default();
        from_columns(look, select, references, &persons, &mut here).await;
        let is_left = |name: &str| {
            let of = name.strip_suffix("_country").unwrap_or(name);
            known.contains(&name) || rows.iter().any(|(row, _)| *row == of)
        };
        here.columns.retain(|(name, _)| !is_left(name));
        documents::of_issuer(&own, &mut here);
        found.columns.extend(here.columns);
        found.notes.extend(here.notes);
        let listed = found.tables.len();
        from_rows(look, select, references, place, &persons, &mut found).await;
        documents::follow(select, references, &persons, &rows, &mut found);
        documents::mention_policies(select, references, place, &mut found);
        // A row of identifiers is one of the surviving row, or one of the row itself.
        let tables: Vec<_> = found.tables[listed..].to_vec();
        for (table, of, by) in tables {
            let others = persons.iter().filter(|alias| **alias != of);
            for alias in others {
                let is_same = |one: &&(usize, String, Reference)| one.0 == table && one.1 == *alias;
                if found.tables.iter().find(is_same).is_none() {
                    found.tables.push((table, alias.clone(), by.clone()));
                }
            }
        }
    }
    found
}

/// What is found by the one way that a row goes.
fn one_of(select: &Select<'_>, ways: &[Vec<String>], mut of_ways: Vec<Found>) -> Found {
    if of_ways.len() == 1 {
        return of_ways.remove(0);
    }
    let keys: Vec<String> = ways.iter().map(|way| end_key(select, way)).collect();
    let is_only = |place: usize| {
        let own = &keys[place];
        let others = keys.iter().enumerate().filter(|(other, _)| *other != place);
        let each = others.map(|(_, key)| format!("COALESCE({key}, {own}) = {own}"));
        each.collect::<Vec<_>>().join(" AND ")
    };
    let mut found = Found::default();
    let mut names: Vec<&'static str> = Vec::new();
    for (name, _) in of_ways.iter().flat_map(|one| &one.columns) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    for name in names {
        let mut cases = String::from("CASE");
        for (place, one) in of_ways.iter().enumerate() {
            let column = one.columns.iter().find(|(known, _)| *known == name);
            if let Some((_, expression)) = column {
                cases += &format!(" WHEN {} THEN {expression}", is_only(place));
            }
        }
        found.columns.push((name, cases + " END"));
    }
    for one in of_ways {
        let notes = one.notes.into_iter();
        let new: Vec<String> = notes.filter(|note| !found.notes.contains(note)).collect();
        found.notes.extend(new);
        found.tables.extend(one.tables);
    }
    found
}

/// The key of the person at the end of a way; empty where the way leads to none.
pub(super) fn end_key(select: &Select<'_>, way: &[String]) -> String {
    let joined = select
        .tables
        .iter()
        .find(|one| Some(&one.alias) == way.last());
    let by = joined.and_then(|joined| Some((joined, joined.by.as_ref()?.1.to_columns.first()?)));
    by.map_or_else(String::new, |(joined, key)| {
        select.column(&joined.alias, key)
    })
}

/// One expression over the same column of several aliases of a table.
fn any_of(select: &Select<'_>, aliases: &[String], column: &str) -> String {
    let each: Vec<String> = aliases
        .iter()
        .map(|alias| select.column(alias, column))
        .collect();
    match each.as_slice() {
        [one] => one.clone(),
        several => format!("COALESCE({})", several.join(", ")),
    }
}

/// The identifiers of a column; where it is one of rows beside, all of them.
fn any_identifier(select: &Select<'_>, aliases: &[String], column: &Column) -> String {
    let Some(row) = &column.row else {
        return any_of(select, aliases, &column.name);
    };
    let each: Vec<String> = aliases
        .iter()
        .map(|alias| lists::of_row(select, alias, row))
        .collect();
    match each.as_slice() {
        [one] => one.clone(),
        several => format!("COALESCE({})", several.join(", ")),
    }
}

async fn from_columns(
    look: &Look<'_>,
    select: &mut Select<'_>,
    references: &References,
    aliases: &[String],
    found: &mut Found,
) {
    let table = select.table_of(&aliases[0]);
    for (name, column) in identifier_columns(table) {
        let name = match column.row {
            Some(_) => list_of(name),
            None => name,
        };
        if found.columns.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let mut expression = any_identifier(select, aliases, column);
        if name == PASSPORT
            && let Some(parts) = passports::parts(table)
        {
            let passport = parts.joined(look, select, aliases).await;
            found.notes.extend(passport.note);
            expression = passport.expression;
        }
        found.columns.push((name, expression));
        let numbers = ["person_passport_foreign", PASSPORT, "person_national_id"];
        let needs_country = numbers.iter().any(|number| is_of(name, number));
        if needs_country {
            country(select, references, aliases, name, found);
        }
    }
}

/// Adds the country that issued a number, as far as the person's citizenship tells it.
fn country(
    select: &mut Select<'_>,
    references: &References,
    aliases: &[String],
    name: &'static str,
    found: &mut Found,
) {
    let table = select.table_of(&aliases[0]);
    let by = |words| best_column(table, words, Shape::is_code);
    let Some((_, column)) = by(&words::PASSPORT_COUNTRY).or_else(|| by(&words::CITIZENSHIP)) else {
        return;
    };
    let place = select.place_of(&aliases[0]);
    let expression = match references.at(place, &column.name).cloned() {
        Some(reference) => {
            let other = &select.catalog.tables[reference.to];
            let Some((_, code)) = best_column(other, &words::COUNTRY_CODE, Shape::is_code) else {
                return;
            };
            let joined: Vec<String> = aliases
                .iter()
                .map(|alias| select.join(alias, &reference))
                .collect();
            any_of(select, &joined, &code.name)
        }
        None if column.shape == Shape::Text => any_of(select, aliases, &column.name),
        None => return,
    };
    let of = match name {
        "person_national_id" => "person_national_id_country",
        "person_national_id_list" => "person_national_id_list_country",
        "person_passport_list" | "person_passport_foreign_list" => FOREIGN_LIST_COUNTRY,
        _ => FOREIGN_COUNTRY,
    };
    if !found.columns.iter().any(|(known, _)| *known == of) {
        found.columns.push((of, expression));
    }
}

/// A passport of a system that knows neither SNILS nor policies, and that has persons' countries,
/// is taken for a foreign one.
fn russian_or_foreign(found: &mut Found) {
    let has = |name| found.columns.iter().any(|(known, _)| is_of(known, name));
    let is_russian = has("person_snils") || has("person_oms");
    let is_country = |name: &str| [FOREIGN_COUNTRY, FOREIGN_LIST_COUNTRY].contains(&name);
    let has_country = found.columns.iter().any(|(known, _)| is_country(known));
    let has_foreign = has(FOREIGN_PASSPORT);
    if has(PASSPORT) && !has_foreign {
        if has_country && !is_russian {
            for (name, _) in &mut found.columns {
                if *name == PASSPORT {
                    *name = FOREIGN_PASSPORT;
                } else if is_of(name, PASSPORT) {
                    *name = list_of(FOREIGN_PASSPORT);
                }
            }
            found.notes.push(
                "passports are taken for foreign ones, of the country of the person's citizenship; \
                 check (person_passport is the Russian internal one)"
                    .into(),
            );
        } else {
            if !is_russian {
                found.notes.push(
                    "passports are taken for Russian internal ones; check. Foreign ones are \
                     person_passport_foreign beside person_passport_foreign_country"
                        .into(),
                );
            }
            found.columns.retain(|(name, _)| !is_country(name));
        }
    }
    for number in [FOREIGN_PASSPORT, "person_national_id"] {
        for number in [number, list_of(number)] {
            let country = format!("{number}_country");
            let has = |name: &str| found.columns.iter().any(|(known, _)| *known == name);
            if has(number) && !has(&country) {
                found.notes.push(format!(
                    "{number} needs {country} beside it, a column or a word such as 'FRA': without \
                     the issuing country the number is nobody's"
                ));
            }
        }
    }
}
