//! The documented column names: what each means, which types it accepts, and the nearest one to a
//! misspelt name.

use std::sync::LazyLock;

use connector_kit::{Feed, IdentifierKind};

use crate::value::Kind;

/// Purpose of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    RecordId,
    ChangedAt,
    Identifier(IdentifierKind),
    /// Identifiers in one value.
    List(IdentifierKind),
    /// Issuing country of what is in the column before.
    Country,
    Status,
    Code,
    System,
    Dose,
    Date,
}

/// A documented column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub name: &'static str,
    pub role: Role,
    pub required: bool,
}

const fn required(name: &'static str, role: Role) -> Column {
    Column {
        name,
        role,
        required: true,
    }
}

const fn optional(name: &'static str, role: Role) -> Column {
    Column {
        name,
        role,
        required: false,
    }
}

/// Identifiers of a person: the column's name, the numbering, and whether it has a column for the
/// issuing country.
const IDENTIFIERS: [(&str, IdentifierKind, bool); 8] = [
    ("person_snils", IdentifierKind::Snils, false),
    ("person_oms", IdentifierKind::Oms, false),
    ("person_passport", IdentifierKind::PassportRu, false),
    (
        "person_passport_foreign",
        IdentifierKind::PassportForeign,
        true,
    ),
    ("person_national_id", IdentifierKind::NationalId, true),
    ("person_ehic", IdentifierKind::Ehic, false),
    (
        "person_residence_permit",
        IdentifierKind::ResidencePermit,
        true,
    ),
    (
        "person_birth_certificate",
        IdentifierKind::BirthCertificate,
        true,
    ),
];

/// Numbers of further columns of one numbering, such as `person_passport_2`.
const FURTHER: std::ops::RangeInclusive<u8> = 2..=9;

/// End of the name of a column with any number of identifiers.
const LIST: &str = "_list";

/// End of the name of a column with the issuing country of the column before it.
pub(crate) const COUNTRY: &str = "_country";

/// Names of the columns for persons, with their parts.
static PERSON: LazyLock<Vec<(String, Role)>> = LazyLock::new(|| {
    let mut columns = Vec::new();
    let firsts = IDENTIFIERS.map(|(name, kind, _)| (name.to_owned(), Role::Identifier(kind)));
    let further = IDENTIFIERS.into_iter().flat_map(|(name, kind, _)| {
        FURTHER.map(move |number| (format!("{name}_{number}"), Role::Identifier(kind)))
    });
    let lists = IDENTIFIERS.map(|(name, kind, _)| (format!("{name}{LIST}"), Role::List(kind)));
    for (name, role) in firsts.into_iter().chain(further).chain(lists) {
        let (Role::Identifier(kind) | Role::List(kind)) = role else {
            continue;
        };
        let has_country = IDENTIFIERS
            .iter()
            .any(|(_, other, has_country)| *other == kind && *has_country);
        let country = has_country.then(|| (format!("{name}{COUNTRY}"), Role::Country));
        columns.push((name, role));
        columns.extend(country);
    }
    columns
});

/// Keys of every feed.
const KEYS: [Column; 2] = [
    required("record_id", Role::RecordId),
    required("changed_at", Role::ChangedAt),
];

const STATUS: [Column; 1] = [optional("status", Role::Status)];

const VACCINATIONS: [Column; 5] = [
    required("vaccine_code", Role::Code),
    optional("vaccine_system", Role::System),
    optional("dose_number", Role::Dose),
    optional("series_doses", Role::Dose),
    required("occurred_on", Role::Date),
];

const TESTS: [Column; 5] = [
    required("test_code", Role::Code),
    optional("test_system", Role::System),
    required("result_code", Role::Code),
    optional("result_system", Role::System),
    required("occurred_on", Role::Date),
];

const RECOVERIES: [Column; 4] = [
    required("diagnosis_code", Role::Code),
    optional("diagnosis_system", Role::System),
    optional("began_on", Role::Date),
    required("occurred_on", Role::Date),
];

/// The columns of a feed, in the order they are selected.
pub(crate) fn of(feed: Feed) -> impl Iterator<Item = Column> {
    let own: &[Column] = match feed {
        Feed::Vaccinations => &VACCINATIONS,
        Feed::Tests => &TESTS,
        Feed::Recoveries => &RECOVERIES,
    };
    let person = PERSON.iter().map(|(name, role)| optional(name, *role));
    let keys = KEYS.into_iter().chain(person);
    keys.chain(STATUS).chain(own.iter().copied())
}

/// The documented name that looks most like `name`, if any is near.
pub(crate) fn nearest(feed: Feed, name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    of(feed)
        .map(|column| (strsim::jaro_winkler(column.name, &name), column.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8)
        .map(|(_, name)| name)
}

impl Role {
    /// True for a column by which rows are ordered.
    pub(crate) const fn is_key(self) -> bool {
        matches!(self, Self::RecordId | Self::ChangedAt)
    }

    /// True when a column of this kind can play this part.
    pub(crate) fn accepts(self, kind: Kind) -> bool {
        use Kind::{
            Bytes, Date, Decimal, Dynamic, FixedText, Float, Integer, Other, Text, Timestamp,
            TimestampTz, Unsigned, Uuid, Year,
        };
        match self {
            Self::RecordId => {
                matches!(
                    kind,
                    Integer | Unsigned | Decimal | Text | FixedText | Uuid | Bytes | Dynamic
                )
            }
            Self::ChangedAt => matches!(kind, TimestampTz | Timestamp | Date | Dynamic),
            Self::Identifier(_) => {
                matches!(
                    kind,
                    Text | FixedText | Bytes | Integer | Unsigned | Decimal | Dynamic | Other
                )
            }
            Self::Country => {
                matches!(
                    kind,
                    Text | FixedText | Bytes | Dynamic | Other | Integer | Unsigned
                )
            }
            Self::System | Self::List(_) => {
                matches!(kind, Text | FixedText | Bytes | Dynamic | Other)
            }
            Self::Status | Self::Code => {
                !matches!(kind, Date | Timestamp | TimestampTz | Float | Year)
            }
            Self::Dose => {
                matches!(
                    kind,
                    Integer
                        | Unsigned
                        | Decimal
                        | Float
                        | Text
                        | FixedText
                        | Bytes
                        | Dynamic
                        | Other
                )
            }
            Self::Date => {
                matches!(
                    kind,
                    Date | Timestamp | TimestampTz | Text | FixedText | Bytes | Year | Dynamic
                )
            }
        }
    }

    /// The accepted types in words.
    pub(crate) const fn wanted(self) -> &'static str {
        match self {
            Self::RecordId => "a whole number, decimal, text, uuid or bytes",
            Self::ChangedAt => "a timestamp with or without time zone, or a date",
            Self::Identifier(_) => "text, or a whole number",
            Self::Country => "text, or a whole number",
            Self::List(_) => "an array, a JSON array, or text with a ; between identifiers",
            Self::System => "text",
            Self::Status | Self::Code => "text, or a whole number",
            Self::Dose => "a whole number, or text",
            Self::Date => "a date, a timestamp, or text such as 2021-07-01 or 01.07.2021",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_numbering_has_further_columns_and_a_list() {
        let names: Vec<&str> = of(Feed::Tests).map(|column| column.name).collect();
        for (name, _, has_country) in IDENTIFIERS {
            for end in ["", "_2", "_9", "_list"] {
                let column = format!("{name}{end}");
                assert!(names.contains(&column.as_str()), "{column}");
                let country = format!("{column}_country");
                assert_eq!(names.contains(&country.as_str()), has_country, "{country}");
            }
            for end in ["_1", "_10", "_0"] {
                assert!(
                    !names.contains(&format!("{name}{end}").as_str()),
                    "{name}{end}"
                );
            }
        }
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn a_misspelt_name_finds_the_documented_one() {
        for (name, expected) in [
            ("vacine_code", Some("vaccine_code")),
            ("person_snil", Some("person_snils")),
            ("Changed", Some("changed_at")),
            ("dose", Some("dose_number")),
            ("отделение", None),
            ("room", None),
        ] {
            assert_eq!(nearest(Feed::Vaccinations, name), expected, "{name}");
        }
    }
}
