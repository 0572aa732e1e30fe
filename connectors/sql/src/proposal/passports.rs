//! Passports that stand in two columns, a series and a number, alone or among other documents.

use super::columns::{best_column, best_of, may_identify};
use super::documents;
use super::look::Look;
use super::names::{Name, Words};
use super::select::{Select, literal};
use super::words;
use crate::catalog::{Column, Shape, Table};

/// Digits of the series of a Russian passport.
const SERIES_DIGITS: usize = 4;
/// Digits of its number.
const NUMBER_DIGITS: usize = 6;
/// Code of the Russian passport in the lists of documents that the health insurance uses.
const RUSSIAN_PASSPORT: &str = "14";

/// Columns with the series of a document.
const DOCUMENT_SERIES: Words = Words {
    whole: "sdoc docser docseries docserial documentseries seriyadokumenta seriyadoc serdoc seriya \
        seriadoc docseriya docs",
    words: "",
    parts: "",
    never: "",
};
/// Columns with the number of a document.
const DOCUMENT_NUMBER: Words = Words {
    whole: "ndoc docnum docnumber documentnumber nomerdokumenta nomerdoc numdoc docn docnomer \
        nomer",
    words: "",
    parts: "",
    never: "",
};
/// Columns with the kind of a document.
const DOCUMENT_KIND: Words = Words {
    whole: "cdoc doctype documenttype tipdokumenta viddokumenta tipdoc viddoc koddokumenta \
        doctypeid",
    words: "",
    parts: "",
    never: "",
};

/// Series and number of a person's document in two columns of a table.
#[derive(Clone, Copy)]
pub(super) struct Parts<'t> {
    /// Column with the series; none where the number's column holds both.
    series: Option<&'t Column>,
    pub number: &'t Column,
    /// Column with the kind of the document, where it may be another one than a passport.
    kind: Option<&'t Column>,
}

/// The columns of a person's passport.
pub(super) fn parts(table: &Table) -> Option<Parts<'_>> {
    let column = |words| {
        let columns = table.columns.iter().filter(|column| {
            may_identify(column.shape) && !documents::is_row_number(table, column)
        });
        best_of(words, columns).map(|(_, column)| column)
    };
    if let Some(number) = column(&words::PASSPORT) {
        return Some(Parts {
            series: column(&words::PASSPORT_SERIES),
            number,
            kind: None,
        });
    }
    // Such names stand in tables of other things, too.
    let is_of_persons = words::PERSON_TABLE.score(&Name::new(&table.name)) > 0
        || table
            .columns
            .iter()
            .any(|one| words::PERSONAL.fits(&one.name));
    let series = column(&DOCUMENT_SERIES).filter(|_| is_of_persons)?;
    Some(Parts {
        series: Some(series),
        number: column(&DOCUMENT_NUMBER)?,
        kind: best_column(table, &DOCUMENT_KIND, Shape::is_code).map(|(_, column)| column),
    })
}

/// The expression for a passport, and what is to be said about it.
pub(super) struct Passport {
    pub expression: String,
    pub note: Option<String>,
}

impl Parts<'_> {
    pub(super) const fn has_series(&self) -> bool {
        self.series.is_some()
    }

    /// Makes one number of the parts, for each of several rows of the table: the first one that has
    /// one counts, so that no series comes to another row's number.
    pub(super) async fn joined(
        &self,
        look: &Look<'_>,
        select: &Select<'_>,
        aliases: &[String],
    ) -> Passport {
        let mut note = None;
        let mut kind_is = None;
        if let Some(kind) = self.kind {
            let table = select.place_of(&aliases[0]);
            let typed = format!("x.{}", select.typed(&kind.name));
            let from = format!("{} AS x", select.typed_table(table));
            let values = look.values(&typed, &from).await;
            let is_passport =
                |value: &str| value == RUSSIAN_PASSPORT || words::PASSPORT.fits(value);
            let found = values.iter().find(|(value, _)| is_passport(value));
            kind_is = found.map(|(value, _)| match kind.shape {
                Shape::Whole => value.clone(),
                _ => literal(value),
            });
            if kind_is.is_none() {
                note = Some(format!(
                    "person_passport is taken of every document, whatever {} says; check",
                    kind.name
                ));
            }
        } else if let Some(series) = self.series {
            note = Some(format!(
                "person_passport is made of {} and {}; check",
                series.name, self.number.name
            ));
        }
        let each = aliases.iter().map(|alias| {
            let joined = self.joined_of(select, alias);
            match (&kind_is, self.kind) {
                (Some(value), Some(kind)) => {
                    let kind = select.column(alias, &kind.name);
                    format!("CASE WHEN {kind} = {value} THEN {joined} END")
                }
                _ => joined,
            }
        });
        let each: Vec<String> = each.collect();
        let expression = match each.as_slice() {
            [one] => one.clone(),
            several => format!("COALESCE({})", several.join(", ")),
        };
        Passport { expression, note }
    }

    fn joined_of(&self, select: &Select<'_>, alias: &str) -> String {
        let Some(series) = self.series else {
            return select.column(alias, &self.number.name);
        };
        let digits = |column: &Column, digits| {
            let typed = select.column(alias, &column.name);
            match column.shape {
                Shape::Whole | Shape::Number => select.driver.syntax().padded(&typed, digits),
                _ => typed,
            }
        };
        let series = format!(
            "COALESCE({}, {})",
            digits(series, SERIES_DIGITS),
            literal("")
        );
        select.concatenated(&[series, digits(self.number, NUMBER_DIGITS)])
    }
}
