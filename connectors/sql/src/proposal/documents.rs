//! Columns that are called as identifiers are, and hold numbers of rows: they are followed to the
//! document that they name, or left out. A number of a row is nobody's identifier.

use super::columns::{Found, IDENTIFIERS, best_of, may_identify, score};
use super::look::Look;
use super::names::{Name, Words};
use super::references::References;
use super::select::{Select, literal};
use super::words;
use crate::catalog::{Column, Shape, Table};

/// Least number that may be an identifier: below it are numbers of rows.
const LEAST: u32 = 1_000_000;
/// Most rows that are looked at.
const MAX_ROWS: u32 = 50_000;
/// Words at the end of the name of a column that refers to a row.
const KEY_WORDS: [&str; 4] = ["id", "fk", "ref", "uid"];
/// Identifiers that are numbers at all; of the others, a number is one of a row.
const NUMBERS: [&str; 4] = [
    "person_snils",
    "person_oms",
    "person_passport",
    "person_national_id",
];

/// Columns with the number of a document.
const DOCUMENT_NUMBER: Words = Words {
    whole: "number documentnumber docnumber certificatenumber policynumber nomer numero code no \
        num serialnumber",
    words: "number nomer numero",
    parts: "",
    never: "date",
};

const fn is_numeric(shape: Shape) -> bool {
    matches!(shape, Shape::Whole | Shape::Number)
}

/// True for a column that refers to a row, as its table declares or its name and type say.
pub(super) fn is_row_number(table: &Table, column: &Column) -> bool {
    let mut keys = table.foreign_keys.iter();
    if keys.any(|key| key.columns == [column.name.as_str()]) {
        return true;
    }
    let name = Name::new(&column.plain);
    let ends_as_key = name.words.len() > 1
        && name
            .words
            .last()
            .is_some_and(|last| KEY_WORDS.contains(&last.as_str()));
    // `national_id` is a number of a person.
    let is_number_of_person = words::NATIONAL_ID.score(&name) > 150;
    is_numeric(column.shape) && ends_as_key && !is_number_of_person
}

/// The columns of identifiers of a table that are numbers of rows by their references or values.
pub(super) async fn row_numbers<'t>(
    look: &Look<'_>,
    select: &Select<'_>,
    references: &References,
    place: usize,
    columns: &[(&'static str, &'t Column)],
) -> Vec<(&'static str, &'t Column)> {
    let mut found = Vec::new();
    for (name, column) in columns {
        if !is_numeric(column.shape) || column.json.is_some() || column.row.is_some() {
            continue;
        }
        let is_small = are_small(look, select, place, column).await;
        let is_small = is_small.unwrap_or(!NUMBERS.contains(name));
        if is_small || references.at(place, &column.name).is_some() {
            found.push((*name, *column));
        }
    }
    found
}

/// Looks whether all numbers of a column are small, without reading one; `None` where there is none.
async fn are_small(
    look: &Look<'_>,
    select: &Select<'_>,
    place: usize,
    column: &Column,
) -> Option<bool> {
    let own = select.typed(&column.name);
    let from = format!(
        "(SELECT MAX(y.c) AS m FROM (SELECT x.{own} AS c FROM {} AS x WHERE x.{own} IS NOT NULL \
         LIMIT {MAX_ROWS}) AS y) AS z",
        select.typed_table(place)
    );
    let told =
        format!("CASE WHEN z.m < {LEAST} THEN 'small' WHEN z.m IS NOT NULL THEN 'great' END");
    let words = look.values(&told, &from).await;
    words.first().map(|(word, _)| word == "small")
}

/// Reads the numbers of the documents that columns of a table refer to; says what is left out.
pub(super) fn follow(
    select: &mut Select<'_>,
    references: &References,
    aliases: &[String],
    rows: &[(&'static str, &Column)],
    found: &mut Found,
) {
    let Some(first) = aliases.first() else { return };
    let place = select.place_of(first);
    let table = select.table_of(first);
    let by_value = |name: &str| rows.iter().find(|(known, _)| *known == name);
    for (name, words) in IDENTIFIERS {
        if found.columns.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let columns = table.columns.iter();
        let declared = columns.filter(|column| is_row_number(table, column));
        let declared = declared.filter(|column| score(words, column) > 0);
        let column = by_value(name).map(|(_, column)| *column);
        let Some(column) = column.or_else(|| declared.into_iter().next()) else {
            continue;
        };
        let shown = format!("{}.{}", table.shown(), column.name);
        let reference = references.at(place, &column.name).cloned();
        let number = reference.as_ref().and_then(|reference| {
            let other = &select.catalog.tables[reference.to];
            let fits = |one: &&Column| {
                may_identify(one.shape)
                    && !is_row_number(other, one)
                    && other.single_key() != Some(one.name.as_str())
            };
            let of_kind = best_of(words, other.columns.iter().filter(fits));
            let any = || best_of(&DOCUMENT_NUMBER, other.columns.iter().filter(fits));
            of_kind.or_else(any).map(|(_, number)| number)
        });
        let (Some(reference), Some(number)) = (reference, number) else {
            found.notes.push(format!(
                "{shown} holds numbers of rows, and no table with the document's own number was \
                 found: {name} is left out"
            ));
            continue;
        };
        let each: Vec<String> = aliases
            .iter()
            .map(|alias| {
                let joined = select.join(alias, &reference);
                select.column(&joined, &number.name)
            })
            .collect();
        let expression = match each.as_slice() {
            [one] => one.clone(),
            several => format!("COALESCE({})", several.join(", ")),
        };
        found.notes.push(format!(
            "{name} is {}.{}, which {shown} refers to; check",
            select.catalog.tables[reference.to].shown(),
            number.name
        ));
        found.columns.push((name, expression));
    }
}

/// Numbers that one country alone gives, whatever the person's citizenship.
const ISSUERS: [(&str, &str); 2] = [("aadhar", "IND"), ("aadhaar", "IND")];

/// Gives a number the country that alone issues such numbers.
pub(super) fn of_issuer(columns: &[(&'static str, &Column)], found: &mut Found) {
    const COUNTRY: &str = "person_national_id_country";
    let number = columns
        .iter()
        .find(|(name, _)| *name == "person_national_id");
    let Some((_, column)) = number else { return };
    let joined = Name::new(&column.plain).joined;
    let issuer = ISSUERS.iter().find(|(part, _)| joined.contains(part));
    let has_number = found
        .columns
        .iter()
        .any(|(name, _)| *name == "person_national_id");
    if let Some((_, country)) = issuer.filter(|_| has_number) {
        found.columns.retain(|(name, _)| *name != COUNTRY);
        found.columns.push((COUNTRY, literal(country)));
    }
}

/// Tables of insurances and policies of persons.
const POLICIES: Words = Words {
    whole: "",
    words: "insurance insurances policy policies polis polisy strahovka assurance assurances",
    parts: "insurance polis",
    never: "type plan audit history company",
};
/// Columns with the number of a policy.
const POLICY_NUMBER: Words = Words {
    whole: "number policynumber policyno policyid nomer numero polis nomerpolisa",
    words: "number nomer numero",
    parts: "",
    never: "date",
};

/// Says where policies may be: which of them are of the compulsory insurance, only a person knows.
pub(super) fn mention_policies(
    select: &Select<'_>,
    references: &References,
    person: usize,
    found: &mut Found,
) {
    let is_known = |(name, _): &(&'static str, String)| name.starts_with("person_oms");
    if found.columns.iter().any(is_known) {
        return;
    }
    for (place, by) in references.to(person) {
        let table = &select.catalog.tables[place];
        if !table.is_readable || !by.is_of_subject() || !POLICIES.fits(&table.name) {
            continue;
        }
        let columns = table.columns.iter().filter(|column| {
            may_identify(column.shape) && table.single_key() != Some(column.name.as_str())
        });
        let Some((_, number)) = best_of(&POLICY_NUMBER, columns) else {
            continue;
        };
        let note = format!(
            "{}.{} may hold policies, of the person in {}: if they are those of the compulsory \
             insurance, add them AS person_oms, or all of a person AS person_oms_list",
            table.shown(),
            number.name,
            by.columns[0]
        );
        if !found.notes.contains(&note) {
            found.notes.push(note);
        }
    }
}
