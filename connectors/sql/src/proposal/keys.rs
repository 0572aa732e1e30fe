//! The id of a record: the primary key, or else what tells the rows of a table or view apart.

use super::candidates::{is_code, is_date, kind};
use super::columns::{IDENTIFIERS, best_column};
use super::facts::Draft;
use super::look::Look;
use super::names::{Name, Words};
use super::references::{Reference, names_patient};
use super::select::literal;
use super::words;
use crate::catalog::{Column, Shape, Table};

/// Most columns that are tried as a key.
const MAX_TRIED: usize = 6;

/// Columns that number something else than the row.
const OF_ANOTHER: Words = Words {
    whole: "pid patient person client",
    words: "patient person client user doctor provider author visit encounter episode sample order \
        group parent type status org location clinic site department created modified changed \
        pacient fizlico vrach demographic subject national health insurance tax passport policy",
    parts: "patient person",
    never: "",
};

/// Columns by which a person is reached or called.
const CONTACT: Words = Words {
    whole: "name login",
    words: "email mail phone telefon tel mobile login",
    parts: "email phone telefon",
    never: "",
};

/// What a look at the values of a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distinct {
    Yes,
    /// There is no row to look at.
    NoRow,
    No,
}

impl Draft<'_> {
    /// Adds `record_id`, which comes first.
    pub(super) async fn add_id(&mut self, look: &Look<'_>) -> Result<(), String> {
        let table = self.main_table();
        let main = self.select.main().to_owned();
        let key = table.primary_key.clone();
        let expression = match key.as_slice() {
            [column] => self.select.column(&main, column),
            [] => self.id_without_key(look).await?,
            several => {
                self.notes.push(format!(
                    "record_id is made of the {} columns of the primary key; no index serves it, \
                     so a sweep sorts",
                    several.len()
                ));
                let parts: Vec<String> = several
                    .iter()
                    .map(|column| self.as_text(&main, column))
                    .collect();
                self.joined(parts)
            }
        };
        self.select.columns.insert(0, ("record_id", expression));
        Ok(())
    }

    pub(super) fn as_text(&self, alias: &str, column: &str) -> String {
        let column = self.select.column(alias, column);
        self.select.driver.syntax().as_text(&column)
    }

    /// Parts with a sign between them.
    fn joined(&self, parts: Vec<String>) -> String {
        let mut all: Vec<String> = Vec::new();
        for part in parts {
            if !all.is_empty() {
                all.push(literal("-"));
            }
            all.push(part);
        }
        self.select.concatenated(&all)
    }

    /// A column that the database or its name shows to be the key, or columns that together tell
    /// the rows apart.
    async fn id_without_key(&mut self, look: &Look<'_>) -> Result<String, String> {
        let table = self.main_table();
        let main = self.select.main().to_owned();
        let unique = unique(table).map(str::to_owned);
        let named: Vec<Column> = named_as_key(table).into_iter().cloned().collect();
        if let Some(column) = unique {
            self.notes.push(format!(
                "there is no primary key; record_id is {column}, which a unique index serves"
            ));
            return Ok(self.select.column(&main, &column));
        }
        for column in named {
            let key = self.select.column(&main, &column.name);
            let found = self.distinct(look, &key).await;
            if found == Distinct::No {
                continue;
            }
            self.notes.push(format!(
                "nothing says that {} is different for every row; {}. Check: with the same one \
                 twice a fact would be taken for another version of the other",
                column.name,
                match found {
                    Distinct::NoRow => "there is no row yet to tell it by",
                    _ => "in the rows that were looked at it is",
                }
            ));
            return Ok(key);
        }
        self.composed(look).await
    }

    /// Joins what a fact is about: the person's number, the code, the day and the dose.
    async fn composed(&mut self, look: &Look<'_>) -> Result<String, String> {
        let table = self.main_table();
        let main = self.select.main().to_owned();
        let kind = kind(self.feed);
        let way = self.select.tables.iter().find_map(|one| one.by.clone());
        let refers = |(from, by): &(String, Reference)| {
            let mut columns = by.columns.iter().filter_map(|name| table.column(name));
            *from == main && !columns.any(is_of_person)
        };
        let Some((_, person)) = way.filter(refers) else {
            return Err(
                "it has no primary key, no column tells its rows apart, and an id made of \
                        a person's identifiers would not be safe: let its query show a number of \
                        the row"
                    .into(),
            );
        };
        let mut names: Vec<&str> = person.columns.iter().map(String::as_str).collect();
        let may_count = |shape| matches!(shape, Shape::Text | Shape::Whole | Shape::Number);
        let code = best_column(table, kind.code, is_code);
        let day = best_column(table, &words::SAMPLED, Shape::is_time);
        let day = day.or_else(|| best_column(table, kind.date, is_date));
        let dose = best_column(table, &words::DOSE, may_count);
        for (_, column) in [code, day, dose].into_iter().flatten() {
            if !names.contains(&column.name.as_str()) {
                names.push(&column.name);
            }
        }
        let parts = names.iter().map(|name| {
            let column = self.select.column(&main, name);
            let text = self.select.driver.syntax().text(&column);
            format!("COALESCE({text}, {})", literal(""))
        });
        let key = self.joined(parts.collect());
        let shown = names.join(", ");
        if code.is_none() || day.is_none() || self.distinct(look, &key).await != Distinct::Yes {
            return Err(format!(
                "it has no primary key, and {shown} together do not tell its rows apart: let its \
                 query show a number of the row"
            ));
        }
        self.notes.push(format!(
            "there is no primary key; record_id is made of {shown}, which tell the rows that were \
             looked at apart. Check: two facts with the same ones would be taken for one, and where \
             one of them is corrected the old record is withdrawn by a sweep and a new one sent. No \
             index serves it, so a sweep sorts"
        ));
        Ok(key)
    }

    /// Looks whether an expression is different for every row of the fact's own table.
    async fn distinct(&self, look: &Look<'_>, key: &str) -> Distinct {
        const MAX_ROWS: u32 = 50_000;
        let own = &self.select.tables[0];
        let from = format!(
            "(SELECT {key} AS k FROM {} AS {} LIMIT {MAX_ROWS}) AS x",
            self.select.typed_table(own.table),
            own.alias
        );
        let told = "CASE WHEN count(*) = 0 THEN 'none' WHEN count(*) = count(DISTINCT x.k) THEN \
                    'yes' ELSE 'no' END";
        let found = look.values(told, &from).await;
        match found.first().map(|(word, _)| word.as_str()) {
            Some("yes") => Distinct::Yes,
            Some("none") => Distinct::NoRow,
            _ => Distinct::No,
        }
    }
}

/// The column of a unique index that is never empty; one of its own rather than another number.
fn unique(table: &Table) -> Option<&str> {
    let of_one = table
        .unique
        .iter()
        .filter_map(|columns| match columns.as_slice() {
            [column] => table.column(column),
            _ => None,
        });
    let mut fitting = of_one.filter(|column| !column.is_nullable && may_be_key(column));
    fitting.next().map(|column| column.name.as_str())
}

fn may_be_key(column: &Column) -> bool {
    let fits = matches!(
        column.shape,
        Shape::Whole | Shape::Number | Shape::Text | Shape::Uuid
    );
    let refers_to_person = names_patient(&column.name)
        || words::PERSON_REFERENCE.score(&Name::new(&column.name)) > 0
        || OF_ANOTHER.fits(&column.name);
    let is_other = refers_to_person || Reference::is_of_others(&column.name);
    fits && !is_other && !is_of_person(column)
}

/// True for an identifier of a person, or what else tells who it is: no id is made of it, since ids
/// are shown where a row is refused.
fn is_of_person(column: &Column) -> bool {
    let names = [&column.name, &column.plain];
    let fits = |words: &Words| names.iter().any(|name| words.fits(name));
    fits(&CONTACT) || fits(&words::PERSONAL) || IDENTIFIERS.iter().any(|(_, words)| fits(words))
}

/// Columns whose names say that they number the rows, the surest first.
fn named_as_key(table: &Table) -> Vec<&Column> {
    let of_table = Name::new(&table.name).words;
    let rank = |column: &Column| {
        let mut name = Name::new(&column.plain);
        if let [word] = name.words.as_slice()
            && let Some(rest) = word.strip_suffix("id").filter(|rest| rest.len() > 2)
        {
            name.words = vec![rest.to_owned(), "id".to_owned()];
        }
        let numbers = [
            "id", "uid", "uuid", "guid", "key", "no", "nomer", "oid", "pk",
        ];
        let is_number = |word: &String| numbers.contains(&word.as_str());
        let rest: Vec<&String> = name.words.iter().filter(|word| !is_number(word)).collect();
        let has_number = rest.len() < name.words.len();
        let of_row = ["record", "row", "result", "fact", "external", "global"];
        let is_of_table = |word: &&&String| {
            of_row.contains(&word.as_str())
                || of_table
                    .iter()
                    .any(|own| own.starts_with(word.as_str()) || word.starts_with(own.as_str()))
        };
        match rest.len() {
            0 if has_number => Some(0),
            _ if has_number && rest.iter().all(|word| is_of_table(&word)) => Some(1),
            _ => None,
        }
    };
    let columns = table.columns.iter().filter(|column| may_be_key(column));
    let mut found: Vec<(u32, &Column)> = columns
        .filter_map(|column| Some((rank(column)?, column)))
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    let found = found.into_iter().map(|(_, column)| column);
    found.take(MAX_TRIED).collect()
}
