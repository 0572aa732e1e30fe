//! The ways from a fact to its person: over a table of patients where there is one, and never over
//! those who work at a clinic, or over institutions.

use super::look::Look;
use super::names::{Name, Words};
use super::persons::{Persons, end_key, links};
use super::references::{Reference, References, is_of_staff, names_patient, names_table};
use super::select::Select;
use super::words;
use crate::catalog::{Catalog, Table};

/// Most references between a fact and its person.
const MAX_STEPS: usize = 4;
/// Most ways from a fact to a person that are joined.
const MAX_WAYS: usize = 4;

/// Tables of patients, who are persons by another table.
const PATIENTS: Words = Words {
    whole: "",
    words: "",
    parts: "patient pacient patsient malade",
    never: "",
};

/// Why no way was chosen where there is none.
const NO_WAY: &str = "it refers to no table of persons";

impl Persons {
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
                    let table = &catalog.tables[to];
                    let is_staff = is_of_staff(table);
                    if self.is_person(to) && (!is_staff || words::PERSON_TABLE.fits(&table.name)) {
                        ends.push((to, way.clone()));
                    }
                    if !is_staff {
                        longer.push(way);
                    }
                }
            }
            longer.truncate(500);
            begun = longer;
        }
        ends
    }

    /// The ways from a table to its person, the surest first; one without a step where the row
    /// itself has the identifiers. Several only where a row goes the one or the other.
    ///
    /// # Errors
    /// Where there is none, or where two are equal and nothing says which is the patient's.
    pub(super) fn ways(
        &self,
        catalog: &Catalog,
        references: &References,
        fact: usize,
    ) -> Result<Vec<Vec<Reference>>, String> {
        if Self::holds_identifiers(catalog, fact) {
            return Ok(vec![Vec::new()]);
        }
        let ends = self.all_ways(catalog, references, fact);
        let over_patients = |way: &[Reference]| {
            let is_of_patients = |step: &Reference| {
                self.is_person(step.to) && PATIENTS.fits(&catalog.tables[step.to].name)
            };
            way.iter().any(is_of_patients)
        };
        let rank = |(table, way): &(usize, Vec<Reference>)| {
            (
                self.identifiers_of(*table) > 0,
                of_patient(way),
                over_patients(way),
                links(references, fact, way) == 0,
                MAX_STEPS + 1 - way.len(),
                way.iter().all(|step| step.is_declared),
                self.score_of(*table),
                is_called_person(catalog, way),
            )
        };
        let best = ends.iter().max_by_key(|end| rank(end)).cloned();
        let best = best.ok_or(NO_WAY)?;
        let (best_table, best_way) = &best;
        let same = ends.iter().filter(|(table, way)| {
            table == best_table
                && way.len() == best_way.len()
                && of_patient(way) == of_patient(best_way)
                && over_patients(way) == over_patients(best_way)
        });
        let mut ways: Vec<Vec<Reference>> = vec![best_way.clone()];
        for (_, way) in same {
            let known = ways.iter().find(|known| between(known) == between(way));
            match known {
                // Two references to the table of persons itself name two persons.
                Some(known) if known != way && *way != *best_way => {
                    let is_equal = rank(&(*best_table, way.clone())) == rank(&best);
                    if is_equal && between(best_way) == between(way) {
                        return Err(told(catalog, fact, best_way, way));
                    }
                }
                Some(_) => {}
                None if ways.len() < MAX_WAYS => ways.push(way.clone()),
                None => {}
            }
        }
        if ways.len() > 1 {
            let is_always_there = |way: &&Vec<Reference>| {
                way.iter().all(|step| step.is_declared && !step.is_optional)
            };
            let mut always = ways.iter().filter(is_always_there);
            match [always.next().cloned(), always.next().cloned()] {
                [Some(one), Some(other)] => return Err(told(catalog, fact, &one, &other)),
                // What every row has is no alternative to what some have.
                [Some(one), None] => return Ok(vec![one]),
                _ => {}
            }
        }
        Ok(ways)
    }

    /// Columns of a table that lead to persons, too, beside those of the ways that were chosen.
    pub(super) fn other_references(
        &self,
        references: &References,
        fact: usize,
        ways: &[Vec<Reference>],
    ) -> Vec<String> {
        let is_own_row = ways.iter().all(Vec::is_empty);
        let chosen = |one: &Reference| ways.iter().any(|way| way.first() == Some(one));
        let to_persons = references.from(fact).iter().filter(|_| !is_own_row);
        let others = to_persons.filter(|one| self.is_person(one.to) && !chosen(one));
        others.flat_map(|one| one.columns.clone()).collect()
    }
}

fn of_patient(way: &[Reference]) -> bool {
    let columns = way.first().map_or(&[][..], |first| &first.columns);
    columns.iter().any(|column| names_patient(column))
}

/// Tables between a fact and its person.
fn between(way: &[Reference]) -> Vec<usize> {
    let steps = way.iter().take(way.len().saturating_sub(1));
    steps.map(|step| step.to).collect()
}

/// True for a way whose last column is called as a person's number is, or as the table of persons.
fn is_called_person(catalog: &Catalog, way: &[Reference]) -> bool {
    let is_called = |step: &Reference| {
        let table: &Table = &catalog.tables[step.to];
        step.columns.iter().any(|column| {
            words::PERSON_REFERENCE.score(&Name::new(column)) > 0 || names_table(column, table)
        })
    };
    way.last().is_some_and(is_called)
}

/// What is said of two ways that are equal.
fn told(catalog: &Catalog, fact: usize, one: &[Reference], other: &[Reference]) -> String {
    let shown = |way: &[Reference]| {
        let mut table = fact;
        let steps = way.iter().map(|step| {
            let from = catalog.tables[table].shown();
            table = step.to;
            format!("{from}.{}", step.columns.join(", "))
        });
        steps.collect::<Vec<_>>().join(" and ")
    };
    format!(
        "it leads to a person by {}, and by {}: nothing says which of them is the patient",
        shown(one),
        shown(other)
    )
}

/// Looks whether rows lead to two persons, where there are several ways to one.
pub(super) async fn no_two_persons(
    look: &Look<'_>,
    select: &Select<'_>,
    ways: &[Vec<String>],
) -> Result<(), String> {
    let keys: Vec<String> = ways.iter().map(|way| end_key(select, way)).collect();
    let Some((first, others)) = keys.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Ok(());
    };
    let mut pairs: Vec<String> = Vec::new();
    for (place, other) in others.iter().enumerate() {
        pairs.push(format!("{first} <> {other}"));
        let further = others[place + 1..].iter();
        pairs.extend(further.map(|further| format!("{other} <> {further}")));
    }
    let two = format!("CASE WHEN {} THEN 'two' END", pairs.join(" OR "));
    let from = select.from();
    let from = from.strip_prefix("FROM ").unwrap_or(&from);
    if look.values(&two, from).await.is_empty() {
        return Ok(());
    }
    Err(format!(
        "its rows lead to two persons, whose keys are {}: nothing says which of them is the patient",
        keys.join(" and ")
    ))
}
