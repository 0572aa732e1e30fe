//! A row of the query as the clinic's record.

use std::borrow::Cow;

use chrono_tz::Tz;
use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Coding, Dose, Feed, Field, Identifier, IdentifierKind,
    Person, RecordKey, RecordStatus,
};
use secrecy::SecretString;

use crate::config::{Encoding, StatusWord};
use crate::date;
use crate::layout::{CHANGED_AT, Layout, RECORD_ID};
use crate::list;
use crate::settings::{FeedSettings, SqlSettings};
use crate::stamp;
use crate::table::Row;
use crate::text::{self, Text};
use crate::value::{Cell, Kind, digest};

/// Characters that are shown of an id that is too long.
const SHOWN_ID_CHARS: usize = 64;
/// Text between them and the digest of the whole id.
const CUT_MARK: &str = "… ";

/// The beginning of the row's own id, where `record_id` is one that was too long.
pub(crate) fn beginning_of_cut(record_id: &str) -> Option<&str> {
    let (shown, digest) = record_id.rsplit_once(CUT_MARK)?;
    (digest.len() == 16 && shown.chars().count() == SHOWN_ID_CHARS).then_some(shown)
}

/// Reads rows of one feed.
pub(crate) struct Reader<'s> {
    layout: &'s Layout,
    feed: &'s FeedSettings,
    zone: Tz,
    encoding: Encoding,
    status: Option<usize>,
    fact: FactColumns,
}

/// Ordinals of a fact's columns.
struct FactColumns {
    code: Coded,
    result: Coded,
    dose_number: Option<usize>,
    series_doses: Option<usize>,
    began_on: Option<usize>,
    occurred_on: Option<usize>,
}

/// Ordinals of a code and of its system.
struct Coded {
    code: Option<usize>,
    system: Option<usize>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(layout: &'s Layout, feed: &'s FeedSettings, settings: &SqlSettings) -> Self {
        let coded = |code: &str, system: &str| Coded {
            code: layout.ordinal(code),
            system: layout.ordinal(system),
        };
        let fact = FactColumns {
            code: match feed.feed {
                Feed::Vaccinations => coded("vaccine_code", "vaccine_system"),
                Feed::Tests => coded("test_code", "test_system"),
                Feed::Recoveries => coded("diagnosis_code", "diagnosis_system"),
            },
            result: coded("result_code", "result_system"),
            dose_number: layout.ordinal("dose_number"),
            series_doses: layout.ordinal("series_doses"),
            began_on: layout.ordinal("began_on"),
            occurred_on: layout.ordinal("occurred_on"),
        };
        Self {
            layout,
            feed,
            zone: settings.zone,
            encoding: settings.encoding,
            status: layout.ordinal("status"),
            fact,
        }
    }

    /// The row as a record. One that is cut to its keys, or whose id is too long to be told from
    /// others, is handed over empty, as unreadable: it is refused where people look, and does not
    /// hold up the rows after it.
    pub(crate) fn record(&self, row: Row<'_>) -> ClinicRecord {
        let RecordKey { record_id, stamp } = self.key(row);
        let row = Some(row)
            .filter(|row| row.width() == self.layout.names.len() && !row.cell(RECORD_ID).is_cut());
        let (status, person) = match row {
            Some(row) => (self.status(row), self.person(row)),
            None => (RecordStatus::Unreadable, Person::default()),
        };
        ClinicRecord {
            record_id,
            status,
            unmapped_status: row
                .filter(|_| status == RecordStatus::Unknown)
                .and_then(|row| self.text(row.cell(self.status?))),
            person,
            fact: self.fact(row),
            stamp,
        }
    }

    /// The row's id, and when it changed, of its two keys alone.
    pub(crate) fn key(&self, row: Row<'_>) -> RecordKey {
        let id = row.cell(RECORD_ID);
        let mut record_id = self.id_text(id);
        if id.is_cut() {
            let shown: String = record_id.chars().take(SHOWN_ID_CHARS).collect();
            record_id = format!(
                "{shown}{CUT_MARK}{:016x}",
                digest(&id.bytes().unwrap_or_default())
            );
        }
        RecordKey {
            record_id,
            stamp: stamp::scale(row.cell(CHANGED_AT)),
        }
    }

    fn fact(&self, row: Option<Row<'_>>) -> ClinicFact {
        match self.feed.feed {
            Feed::Vaccinations => ClinicFact::Vaccination {
                vaccine: self.codings(row, &self.fact.code),
                dose_number: self.dose(row, self.fact.dose_number),
                series_doses: self.dose(row, self.fact.series_doses),
                occurred_on: self.date(row, self.fact.occurred_on),
            },
            Feed::Tests => ClinicFact::Test {
                test: self.codings(row, &self.fact.code),
                result: self.codings(row, &self.fact.result),
                occurred_on: self.date(row, self.fact.occurred_on),
            },
            Feed::Recoveries => ClinicFact::Recovery {
                diagnosis: self.codings(row, &self.fact.code),
                began_on: self.date(row, self.fact.began_on),
                occurred_on: self.date(row, self.fact.occurred_on),
            },
        }
    }

    /// The text of an id: as it is, outer blanks included; `42.00` as `42`; bytes (and text that cannot be
    /// decoded) in hexadecimal.
    pub(crate) fn id_text(&self, cell: Cell<'_>) -> String {
        let hexadecimal = || hex::encode(cell.bytes().unwrap_or_default());
        match (cell.kind, text::untrimmed(cell, self.encoding)) {
            (Kind::Bytes, _) | (_, None) => hexadecimal(),
            (Kind::Decimal | Kind::Float, Some(number)) => {
                date::whole(&number, cell.kind).unwrap_or_else(|| number.into_owned())
            }
            (_, Some(text)) => text.into_owned(),
        }
    }

    fn status(&self, row: Row<'_>) -> RecordStatus {
        let Some(ordinal) = self.status else {
            return RecordStatus::Final;
        };
        let word = match text::read(row.cell(ordinal), self.encoding) {
            Text::Missing => Cow::Borrowed(""),
            Text::Value(word) => word,
            Text::Unreadable(_) => return RecordStatus::Unknown,
        };
        // Listed words are in small letters, as most are in the rows.
        let words = &self.feed.config.status_words;
        match words
            .get(word.as_ref())
            .or_else(|| words.get(&word.to_lowercase()))
        {
            Some(StatusWord::Final) => RecordStatus::Final,
            Some(StatusWord::Cancelled) => RecordStatus::Cancelled,
            Some(StatusWord::NotAFact) => RecordStatus::NotAFact,
            None => RecordStatus::Unknown,
        }
    }

    fn person(&self, row: Row<'_>) -> Person {
        let mut person = Person::default();
        for column in &self.layout.identifiers {
            let cell = row.cell(column.ordinal);
            let text = match text::read(cell, self.encoding) {
                Text::Missing => continue,
                Text::Unreadable(_) => {
                    person.unreadable = true;
                    continue;
                }
                Text::Value(text) => text,
            };
            let country = column
                .country
                .and_then(|country| self.text(row.cell(country)));
            if column.is_list {
                push_listed(&text, country.as_deref(), column.kind, &mut person);
                continue;
            }
            let Some(value) = identifier(text, cell.kind, column.kind) else {
                continue;
            };
            if person.identifiers.is_empty() {
                person
                    .identifiers
                    .reserve_exact(self.layout.identifiers.len());
            }
            person.identifiers.push(Identifier {
                kind: column.kind,
                value: SecretString::from(value),
                country,
            });
        }
        person
    }

    /// The code; undecodable bytes leave U+FFFD in it, which no list of codes knows.
    fn codings(&self, row: Option<Row<'_>>, columns: &Coded) -> Vec<Coding> {
        let text = |ordinal: Option<usize>| self.text(row?.cell(ordinal?));
        text(columns.code)
            .map(|code| Coding {
                system: text(columns.system),
                code,
            })
            .into_iter()
            .collect()
    }

    fn text(&self, cell: Cell<'_>) -> Option<String> {
        match text::read(cell, self.encoding) {
            Text::Missing => None,
            Text::Value(text) | Text::Unreadable(text) => Some(text.into_owned()),
        }
    }

    fn dose(&self, row: Option<Row<'_>>, ordinal: Option<usize>) -> Field<Dose> {
        let cell = row.zip(ordinal).map(|(row, ordinal)| row.cell(ordinal));
        cell.map_or(Field::Missing, |cell| date::dose(cell, self.encoding))
    }

    fn date(&self, row: Option<Row<'_>>, ordinal: Option<usize>) -> Field<ClinicDate> {
        let cell = row.zip(ordinal).map(|(row, ordinal)| row.cell(ordinal));
        cell.map_or(Field::Missing, |cell| {
            self.feed.formats.date(cell, self.zone, self.encoding)
        })
    }
}

/// Adds the identifiers of a list. Their country is one for all, or a list of as many.
fn push_listed(text: &str, country: Option<&str>, kind: IdentifierKind, person: &mut Person) {
    let Some(values) = list::elements(text) else {
        person.unreadable = true;
        return;
    };
    let countries = country.and_then(list::elements).unwrap_or_default();
    let country_of = |place: usize| {
        let listed = match countries.as_slice() {
            [one] => one.as_ref(),
            all if all.len() == values.len() => all[place].as_ref(),
            _ => None,
        };
        listed.map(|country| country.text.clone().into_owned())
    };
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            continue;
        };
        let written_as = if value.is_number {
            Kind::Integer
        } else {
            Kind::Text
        };
        let Some(number) = identifier(Cow::Borrowed(&*value.text), written_as, kind) else {
            continue;
        };
        person.identifiers.push(Identifier {
            kind,
            value: SecretString::from(number),
            country: country_of(place),
        });
    }
}

/// A number column has lost the leading zeros of its identifiers: they are put back. Zero is
/// nobody.
fn identifier(text: Cow<'_, str>, kind: Kind, numbering: IdentifierKind) -> Option<String> {
    if !matches!(
        kind,
        Kind::Integer | Kind::Unsigned | Kind::Decimal | Kind::Float
    ) {
        return Some(text.into_owned());
    }
    let width = match numbering {
        IdentifierKind::Snils => 11,
        IdentifierKind::Oms => 16,
        IdentifierKind::PassportRu => 10,
        _ => 0,
    };
    match date::whole(&text, kind) {
        Some(digits) if digits == "0" => None,
        Some(digits) => Some(format!("{digits:0>width$}")),
        None => Some(text.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_list_has_one_country_or_as_many() {
        let read = |text: &str, country: Option<&str>| {
            let mut person = Person::default();
            push_listed(text, country, IdentifierKind::NationalId, &mut person);
            let shown = |one: &Identifier| {
                let country = one.country.as_deref().unwrap_or("-");
                format!("{country}:{}", one.value.expose_secret())
            };
            let identifiers: Vec<String> = person.identifiers.iter().map(shown).collect();
            (identifiers.join(" "), person.unreadable)
        };
        for (text, country, expected) in [
            ("1234;5678", Some("CZ"), "CZ:1234 CZ:5678"),
            ("1234;;5678", Some("CZ;;SK"), "CZ:1234 SK:5678"),
            ("1234;5678", Some("CZ;SK;PL"), "-:1234 -:5678"),
            ("{1234,5678}", Some("{CZ,SK}"), "CZ:1234 SK:5678"),
            ("[\"1234\"]", None, "-:1234"),
        ] {
            assert_eq!(read(text, country), (expected.to_owned(), false), "{text}");
        }
        assert_eq!(read("[\"1234", None), (String::new(), true));
        let mut person = Person::default();
        push_listed("[12344595, 0]", None, IdentifierKind::Snils, &mut person);
        let values = person
            .identifiers
            .iter()
            .map(|one| one.value.expose_secret());
        assert_eq!(values.collect::<Vec<_>>(), ["00012344595"]);
    }

    #[test]
    fn identifiers_kept_as_numbers_get_their_zeros_back() {
        for (text, kind, numbering, expected) in [
            (
                "12344595",
                Kind::Integer,
                IdentifierKind::Snils,
                Some("00012344595"),
            ),
            (
                "11223344595.00",
                Kind::Decimal,
                IdentifierKind::Snils,
                Some("11223344595"),
            ),
            (
                "11223344595.0",
                Kind::Float,
                IdentifierKind::Snils,
                Some("11223344595"),
            ),
            (
                "9007199254740993.0",
                Kind::Float,
                IdentifierKind::Oms,
                Some("9007199254740993.0"),
            ),
            (
                "77",
                Kind::Unsigned,
                IdentifierKind::Oms,
                Some("0000000000000077"),
            ),
            (
                "401234567",
                Kind::Integer,
                IdentifierKind::PassportRu,
                Some("0401234567"),
            ),
            ("77", Kind::Integer, IdentifierKind::Ehic, Some("77")),
            ("0", Kind::Integer, IdentifierKind::Snils, None),
            ("-5", Kind::Integer, IdentifierKind::Snils, Some("-5")),
            (
                "12344595",
                Kind::Text,
                IdentifierKind::Snils,
                Some("12344595"),
            ),
        ] {
            assert_eq!(
                identifier(text.into(), kind, numbering).as_deref(),
                expected
            );
        }
    }
}
