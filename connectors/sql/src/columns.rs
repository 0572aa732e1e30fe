//! The documented column names: what each means, which types it accepts, and the nearest one to a
//! misspelt name.

use connector_kit::{Feed, IdentifierKind};

use crate::value::Kind;

/// Purpose of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    RecordId,
    ChangedAt,
    Identifier(IdentifierKind),
    Country,
    Status,
    Code,
    System,
    Number,
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

/// Columns of every feed.
const COMMON: [Column; 11] = [
    required("record_id", Role::RecordId),
    required("changed_at", Role::ChangedAt),
    optional("person_snils", Role::Identifier(IdentifierKind::Snils)),
    optional("person_oms", Role::Identifier(IdentifierKind::Oms)),
    optional(
        "person_passport",
        Role::Identifier(IdentifierKind::PassportRu),
    ),
    optional(
        "person_passport_foreign",
        Role::Identifier(IdentifierKind::PassportForeign),
    ),
    optional("person_passport_foreign_country", Role::Country),
    optional("person_ehic", Role::Identifier(IdentifierKind::Ehic)),
    optional(
        "person_residence_permit",
        Role::Identifier(IdentifierKind::ResidencePermit),
    ),
    optional(
        "person_birth_certificate",
        Role::Identifier(IdentifierKind::BirthCertificate),
    ),
    optional("status", Role::Status),
];

const VACCINATIONS: [Column; 5] = [
    required("vaccine_code", Role::Code),
    optional("vaccine_system", Role::System),
    optional("dose_number", Role::Number),
    optional("series_doses", Role::Number),
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
    COMMON.iter().chain(own).copied()
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
            Self::Country | Self::System => {
                matches!(kind, Text | FixedText | Bytes | Dynamic | Other)
            }
            Self::Status | Self::Code => {
                !matches!(kind, Date | Timestamp | TimestampTz | Float | Year)
            }
            Self::Number => {
                matches!(
                    kind,
                    Integer | Unsigned | Decimal | Float | Text | FixedText | Bytes | Dynamic
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
            Self::Country | Self::System => "text",
            Self::Status | Self::Code => "text, or a whole number",
            Self::Number => "a whole number",
            Self::Date => "a date, a timestamp, or text such as 2021-07-01 or 01.07.2021",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
