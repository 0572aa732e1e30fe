//! The policy as an administrator writes it: date precision, code mappings, identifier rules.

use std::collections::BTreeMap;
use std::path::PathBuf;

use contract::{Precision, TestCode, TestResult, Vaccine};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::codes::MAX_DOSES;
use crate::identifier::Limits;

/// The word that maps a code to "nothing to do with COVID-19".
pub(crate) const NOT_COVID: &str = "not-covid";

/// The word that says that a code, a result, a dose or a country is none of our business.
pub(crate) const IGNORE: &str = "ignore";

/// The word that maps a diagnosis to a recovery from COVID-19.
pub(crate) const RECOVERY: &str = "recovery";

/// Rules for what leaves the clinic, and how exact it is. Everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Precision of the dates that leave.
    pub dates: DatesConfig,
    /// Meanings of the clinic's own codes.
    pub codes: CodesConfig,
    /// A CSV file with more of them: columns `table`, `code` and `meaning`. A relative path starts
    /// from the configuration file's folder. A running gateway reads the file again when it
    /// changes.
    // What it maps counts for what feeds are recognised by, not where it is.
    #[serde(skip_serializing)]
    pub codes_file: Option<PathBuf>,
    /// Identifiers that are accepted.
    pub identifiers: IdentifiersConfig,
}

/// Precision of the dates of each kind of fact when they leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatesConfig {
    /// Dates of vaccinations.
    pub vaccinations: DatePrecision,
    /// Dates of tests.
    pub tests: DatePrecision,
    /// Dates of recoveries, and of the illness's beginning.
    pub recoveries: DatePrecision,
}

/// The most exact form a date may have when it leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DatePrecision {
    /// The day.
    #[default]
    Day,
    /// The month: a pass that lasts days from a test cannot be made from it.
    Month,
    /// The year.
    Year,
}

/// The clinic's own codes and words, each with the contract's name for it. A key `SYSTEM|CODE` is a
/// code of that code system; a `*` at the beginning or the end of a key stands for any text (`\*`
/// is the character). `ignore`, or `not-covid`, marks a code as none of our business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CodesConfig {
    /// Vaccines: `"Гам-КОВИД-Вак" = "sputnik-v"`.
    #[schemars(schema_with = "vaccines_schema")]
    pub vaccines: BTreeMap<String, String>,
    /// Tests, by LOINC code: `"ПЦР мазок" = "94500-6"`.
    #[schemars(schema_with = "tests_schema")]
    pub tests: BTreeMap<String, String>,
    /// Results: `"РНК найдена" = "detected"`.
    #[schemars(schema_with = "results_schema")]
    pub results: BTreeMap<String, String>,
    /// Diagnoses: `"ковид подтв." = "recovery"`.
    #[schemars(schema_with = "diagnoses_schema")]
    pub diagnoses: BTreeMap<String, String>,
    /// Words for doses: `"Бустер 1" = 3`, `"вторая и последняя" = "2/2"`; with `"ignore"` the fact
    /// leaves without the number.
    #[serde(
        deserialize_with = "numbers_or_texts",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "doses_schema")]
    pub doses: BTreeMap<String, String>,
    /// Words for issuing countries, by a code of ISO 3166-1 or ICAO: `"Западный Берлин" = "DE"`;
    /// with `"ignore"` the identifier does not count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub countries: BTreeMap<String, String>,
}

/// Rules for identifiers. They decide what is accepted, never how a pseudonym is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentifiersConfig {
    /// Consequence of a wrong check digit in the number of an OMS policy.
    pub oms_check: OmsCheck,
    /// Consequence of a wrong SNILS beside other identifiers.
    #[serde(skip_serializing_if = "OnInvalidIdentifier::is_refuse")]
    pub on_invalid_identifier: OnInvalidIdentifier,
    /// Numbers of persons in other countries; 4 to 20 letters and digits by default.
    #[serde(skip_serializing_if = "LimitsConfig::is_default")]
    pub national_id: LimitsConfig,
    /// Numbers of foreign passports; 4 to 20 letters and digits by default.
    pub passport_foreign: LimitsConfig,
    /// Numbers of European health insurance cards; 20 digits by default.
    pub ehic: LimitsConfig,
    /// Numbers of residence permits; 4 to 20 letters and digits by default.
    pub residence_permit: LimitsConfig,
    /// Series and numbers of birth certificates; 5 to 20 letters and digits by default.
    pub birth_certificate: LimitsConfig,
}

/// Consequence of a wrong check digit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OmsCheck {
    /// The policy number is used, and the record counted as doubtful.
    #[default]
    Warn,
    /// The policy number is not used.
    Refuse,
}

/// Consequence of a SNILS that is wrong: its control number shows that a digit is mistyped, so the
/// record may be about somebody else. Other identifiers that cannot be used are left out where one
/// can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInvalidIdentifier {
    /// The record is refused.
    #[default]
    Refuse,
    /// The SNILS is left out where the record has another strong identifier that is right: an OMS
    /// policy with a right check digit, or a Russian passport.
    Drop,
}

impl OnInvalidIdentifier {
    /// Returns whether this is the default, which is left out of what feeds are recognised by.
    fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }
}

/// Limits on a document number without its separators; what is left out keeps the scheme's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Fewest characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub min_length: Option<u8>,
    /// Most characters, up to 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub max_length: Option<u8>,
    /// True where the number has no letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digits_only: Option<bool>,
}

impl LimitsConfig {
    /// Returns whether nothing is configured. Such limits are left out of what feeds are
    /// recognised by, so that a new scheme alone makes none start over.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Limits with each value that is not configured taken from `defaults`.
    pub(crate) fn over(&self, defaults: Limits) -> Limits {
        Limits {
            min_length: self.min_length.map_or(defaults.min_length, usize::from),
            max_length: self.max_length.map_or(defaults.max_length, usize::from),
            digits_only: self.digits_only.unwrap_or(defaults.digits_only),
        }
    }
}

impl From<DatePrecision> for Precision {
    fn from(precision: DatePrecision) -> Self {
        match precision {
            DatePrecision::Day => Self::Day,
            DatePrecision::Month => Self::Month,
            DatePrecision::Year => Self::Year,
        }
    }
}

/// Reads a map whose values are numbers or texts.
fn numbers_or_texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a number such as 2, or a text such as \"2/2\" or \"ignore\""
    )]
    enum Value {
        Number(i64),
        Text(String),
    }
    let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |value| match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text,
    };
    Ok(values
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect())
}

fn map_onto<'a>(names: impl IntoIterator<Item = &'a str>) -> Schema {
    let names: Vec<&str> = names.into_iter().collect();
    json_schema!({ "type": "object", "additionalProperties": { "enum": names } })
}

fn vaccines_schema(_: &mut SchemaGenerator) -> Schema {
    map_onto(
        Vaccine::ALL
            .map(Vaccine::as_str)
            .into_iter()
            .chain([IGNORE, NOT_COVID]),
    )
}

fn tests_schema(_: &mut SchemaGenerator) -> Schema {
    map_onto(
        TestCode::ALL
            .map(TestCode::loinc)
            .into_iter()
            .chain([IGNORE, NOT_COVID]),
    )
}

fn results_schema(_: &mut SchemaGenerator) -> Schema {
    map_onto(
        TestResult::ALL
            .map(TestResult::as_str)
            .into_iter()
            .chain([IGNORE]),
    )
}

fn diagnoses_schema(_: &mut SchemaGenerator) -> Schema {
    map_onto([RECOVERY, IGNORE, NOT_COVID])
}

fn doses_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "oneOf": [
        { "type": "integer", "minimum": 1, "maximum": MAX_DOSES },
        { "type": "string", "pattern": "^([1-9](/[1-9])?|ignore)$" },
    ] } })
}
