//! Finds the persons of a database: their tables, the way from a fact to its person, and the
//! columns and rows that hold identifiers.

use super::columns::{Found, IDENTIFIERS, best_column, may_identify};
use super::identifier_rows::{from_rows, identifier_tables};
use super::look::Look;
use super::merges::Survivor;
use super::passports;
use super::references::{Reference, References, is_of_staff, names_patient};
use super::select::Select;
use super::words;
use crate::catalog::{Catalog, Column, Shape, Table};

/// Most references between a fact and its person.
const MAX_STEPS: usize = 4;
/// Most ways from a fact to a person that are joined.
const MAX_WAYS: usize = 4;
/// Score from which on a table is one of persons.
const MIN_SCORE: u32 = 60;

/// Documented column of a Russian passport.
const PASSPORT: &str = "person_passport";

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
    fn holds_identifiers(catalog: &Catalog, table: usize) -> bool {
        !identifier_columns(&catalog.tables[table]).is_empty()
    }

    /// All ways from a table to persons, with the tables at their ends.
    fn all_ways(
        &self,
        catalog: &Catalog,
        references: &References,
        fact: usize,
    ) -> Vec<(usize, Vec<Reference>)> {
        let mut ends: Vec<(usize, Vec<Reference>)> = Vec::new();
        let mut begun: Vec<Vec<Reference>> = vec![Vec::new()];
        // One step more than counts: a table that only joins two others is none.
        for _ in 0..=MAX_STEPS {
            let mut longer = Vec::new();
            for way in &begun {
                let at = way.last().map_or(fact, |last| last.to);
                let been = |table| table == fact || way.iter().any(|step| step.to == table);
                let mut next = references.from(at).to_vec();
                if links(references, fact, way) == 0 {
                    next.extend(references.links(catalog, at));
                }
                let next = next.into_iter();
                for step in next.filter(|step| step.is_of_subject() && !been(step.to)) {
                    let to = step.to;
                    let mut way = way.clone();
                    way.push(step);
                    if way.len() - links(references, fact, &way) > MAX_STEPS {
                        continue;
                    }
                    if self.is_person(to) {
                        ends.push((to, way.clone()));
                    }
                    if !is_of_staff(&catalog.tables[to]) {
                        longer.push(way);
                    }
                }
            }
            longer.truncate(500);
            begun = longer;
        }
        ends
    }

    /// The shortest ways from a table to its person; one without a step where the row itself has
    /// the identifiers.
    pub(super) fn ways(
        &self,
        catalog: &Catalog,
        references: &References,
        fact: usize,
    ) -> Vec<Vec<Reference>> {
        if Self::holds_identifiers(catalog, fact) {
            return vec![Vec::new()];
        }
        let ends = self.all_ways(catalog, references, fact);
        let of_patient = |way: &[Reference]| {
            let columns = way.first().map_or(&[][..], |first| &first.columns);
            columns.iter().any(|column| names_patient(column))
        };
        let rank = |end: &(usize, Vec<Reference>)| {
            let (table, way) = end;
            let known = self.identifiers[*table] > 0;
            let is_declared = way.iter().all(|step| step.is_declared);
            (
                known,
                of_patient(way),
                links(references, fact, way) == 0,
                MAX_STEPS + 1 - way.len(),
                is_declared,
                self.scores[*table],
            )
        };
        let Some(best) = ends.iter().max_by_key(|end| rank(end)).cloned() else {
            return Vec::new();
        };
        let same = ends.into_iter().filter(|(table, way)| {
            *table == best.0 && way.len() == best.1.len() && of_patient(way) == of_patient(&best.1)
        });
        let mut ways: Vec<Vec<Reference>> = vec![best.1.clone()];
        // Another way counts only where a row goes the one or the other: by another table. Two
        // references to the table of persons itself name two persons.
        for (_, way) in same {
            let between = |way: &[Reference]| -> Vec<usize> {
                let steps = way.iter().take(way.len().saturating_sub(1));
                steps.map(|step| step.to).collect()
            };
            let is_new = ways.iter().all(|known| between(known) != between(&way));
            if is_new && ways.len() < MAX_WAYS {
                ways.push(way);
            }
        }
        ways
    }

    /// Columns of a table that lead to persons, too, beside those of the ways that were chosen.
    pub(super) fn other_references(
        &self,
        references: &References,
        fact: usize,
        ways: &[Vec<Reference>],
    ) -> Vec<String> {
        let chosen = |one: &Reference| ways.iter().any(|way| way.first() == Some(one));
        let to_persons = references.from(fact).iter();
        let others = to_persons.filter(|one| self.is_person(one.to) && !chosen(one));
        others.flat_map(|one| one.columns.clone()).collect()
    }
}

/// Number of steps of a way that lead to a table which only joins two others.
pub(super) fn links(references: &References, fact: usize, way: &[Reference]) -> usize {
    let from = |place: usize| place.checked_sub(1).map_or(fact, |before| way[before].to);
    let steps = way.iter().enumerate();
    let back = steps.filter(|(place, step)| !references.from(from(*place)).contains(step));
    back.count()
}

fn score(table: &Table, identifiers: usize) -> u32 {
    let by_name = words::PERSON_TABLE.score(&super::names::Name::new(&table.name)) / 2;
    let personal = table
        .columns
        .iter()
        .filter(|one| words::PERSONAL.fits(&one.name))
        .count();
    let count = |number: usize| u32::try_from(number.min(4)).unwrap_or_default();
    let is_readable = u32::from(table.is_readable && !table.columns.is_empty());
    (by_name + count(personal) * 10 + count(identifiers) * 20) * is_readable
}

/// Columns of a table that hold identifiers: their documented names, and their own.
fn identifier_columns(table: &Table) -> Vec<(&'static str, &Column)> {
    let mut found: Vec<(&str, &Column)> = Vec::new();
    for (name, words) in IDENTIFIERS {
        let best = best_column(table, words, may_identify).map(|(_, column)| column);
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

/// Finds identifiers in the tables of each way, the last ones first.
pub(super) async fn identifiers(
    look: &Look<'_>,
    select: &mut Select<'_>,
    references: &References,
    ways: &[Vec<String>],
    survivors: &[Survivor],
) -> Found {
    let mut found = Found::default();
    let longest = ways.iter().map(Vec::len).max().unwrap_or(0);
    for step in (0..longest).rev() {
        let aliases: Vec<String> = ways
            .iter()
            .filter_map(|way| way.get(step).cloned())
            .collect();
        let mut distinct = aliases;
        distinct.sort_unstable();
        distinct.dedup();
        let Some(first) = distinct.first() else {
            continue;
        };
        let place = select.place_of(first);
        if step == 0 && longest > 1 {
            continue;
        }
        // What the surviving row says comes before what the merged one says.
        let survive = survivors.iter().filter(|one| distinct.contains(&one.of));
        let mut persons: Vec<String> = survive.map(|one| one.alias.clone()).collect();
        persons.extend(distinct);
        from_columns(look, select, references, &persons, &mut found).await;
        from_rows(look, select, references, place, &persons, &mut found).await;
    }
    russian_or_foreign(&mut found);
    found
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

async fn from_columns(
    look: &Look<'_>,
    select: &mut Select<'_>,
    references: &References,
    aliases: &[String],
    found: &mut Found,
) {
    let table = select.table_of(&aliases[0]);
    for (name, column) in identifier_columns(table) {
        if found.columns.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let mut expression = any_of(select, aliases, &column.name);
        if name == PASSPORT
            && let Some(parts) = passports::parts(table)
        {
            let passport = parts.joined(look, select, aliases).await;
            found.notes.extend(passport.note);
            expression = passport.expression;
        }
        found.columns.push((name, expression));
        let needs_country = matches!(
            name,
            "person_passport_foreign" | "person_passport" | "person_national_id"
        );
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
    name: &str,
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
        _ => "person_passport_foreign_country",
    };
    if !found.columns.iter().any(|(known, _)| *known == of) {
        found.columns.push((of, expression));
    }
}

/// A passport of a system that knows neither SNILS nor policies, and that has persons' countries,
/// is taken for a foreign one.
fn russian_or_foreign(found: &mut Found) {
    let has = |name: &str| found.columns.iter().any(|(known, _)| *known == name);
    let is_russian = has("person_snils") || has("person_oms");
    let has_country = has("person_passport_foreign_country");
    let has_foreign = has("person_passport_foreign");
    if has("person_passport") && !has_foreign {
        if has_country && !is_russian {
            for (name, _) in &mut found.columns {
                if *name == "person_passport" {
                    *name = "person_passport_foreign";
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
            found
                .columns
                .retain(|(name, _)| *name != "person_passport_foreign_country");
        }
    }
    for number in ["person_passport_foreign", "person_national_id"] {
        let country = format!("{number}_country");
        let has = |name: &str| found.columns.iter().any(|(known, _)| *known == name);
        if has(number) && !has(&country) {
            found.notes.push(format!(
                "{number} needs {country} beside it, a column or a word such as 'FRA': without the \
                 issuing country the number is nobody's"
            ));
        }
    }
}
