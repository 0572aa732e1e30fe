//! Entries of an EU DCC: a vaccination, a recovery, or a test whose result was negative.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use ciborium::Value;

use crate::cbor::{FieldFault, Fields, map};
use crate::hcert::UVCI_PREFIX;
use crate::pass_id::PassId;

/// Number of characters that a test's name or a test centre may have (schema 1.3.0), and a code,
/// which the schema does not bound.
pub const MAX_CODE_CHARS: usize = 80;

/// Code of COVID-19 (EU value set `disease-agent-targeted`).
const COVID_19: &str = "840539006";
/// Code of a negative result, "not detected" (EU value set `test-result`). No certificate is made
/// of a positive one: a recovery is certified instead.
const NOT_DETECTED: &str = "260415000";

const DATE: &str = "%Y-%m-%d";
const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";
const A_DATE: &str = "a date YYYY-MM-DD";

/// Statement of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A vaccination.
    Vaccination(Vaccination),
    /// A recovery.
    Recovery(Recovery),
    /// A test with a negative result.
    Test(Test),
}

/// A vaccination; codes are those of the EU value sets, which the issuer knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vaccination {
    /// Code of the kind of vaccine (`vp`).
    pub prophylaxis: String,
    /// Code of the product (`mp`).
    pub product: String,
    /// Code of the holder of the authorisation, or of the manufacturer (`ma`).
    pub manufacturer: String,
    /// Number of the dose (`dn`), from 1.
    pub dose: u8,
    /// Number of doses of the series (`sd`), from 1. An extra dose is 3/3 after a series of two and
    /// 2/1 after a series of one (Implementing Decision (EU) 2021/2301, annex).
    pub doses: u8,
    /// Day of the dose (`dt`).
    pub date: NaiveDate,
    /// Country of the vaccination (`co`), ISO 3166 alpha-2 where possible.
    pub country: String,
}

/// A recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Day of the first positive test (`fr`).
    pub first_positive: NaiveDate,
    /// First day on which the certificate is meant to hold (`df`).
    pub from: NaiveDate,
    /// Last day on which the certificate is meant to hold (`du`).
    pub until: NaiveDate,
    /// Country of the test (`co`), ISO 3166 alpha-2 where possible.
    pub country: String,
}

/// Kind of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TestKind {
    /// Nucleic acid amplification, as PCR.
    Naat,
    /// Rapid antigen test.
    Rat,
}

impl TestKind {
    /// Code of the kind (EU value set `test-type`, LOINC).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Naat => "LP6464-4",
            Self::Rat => "LP217198-3",
        }
    }
}

/// A test whose result was negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Kind of the test (`tt`).
    pub kind: TestKind,
    /// Name of a nucleic acid test (`nm`), if stated.
    pub name: Option<String>,
    /// Time at which the sample was taken (`sc`), whole seconds.
    pub sampled: DateTime<Utc>,
    /// Place of the test (`tc`), if stated. It can name an institution: a city that hides where
    /// people go leaves it out.
    pub centre: Option<String>,
    /// Country of the test (`co`), ISO 3166 alpha-2 where possible.
    pub country: String,
}

impl Entry {
    /// True where the entry is complete by itself: all but a vaccination whose series lacks a dose.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Vaccination(given) => given.dose >= given.doses,
            Self::Recovery(_) | Self::Test(_) => true,
        }
    }

    /// Name of the group in the EU DCC that the entry stands in.
    #[must_use]
    pub fn group(&self) -> &'static str {
        match self {
            Self::Vaccination(_) => "v",
            Self::Recovery(_) => "r",
            Self::Test(_) => "t",
        }
    }

    fn place(&self) -> &'static str {
        match self {
            Self::Vaccination(_) => VACCINATION,
            Self::Recovery(_) => RECOVERY,
            Self::Test(_) => TEST,
        }
    }

    /// Checks the forms of the values against schema 1.3.0.
    pub(super) fn check(&self) -> Result<(), FieldFault> {
        let place = self.place();
        let require = |right: bool, field, wanted| {
            let fault = FieldFault::Value {
                place,
                field,
                wanted,
            };
            if right { Ok(()) } else { Err(fault) }
        };
        let a_code = "a text of 1 to 80 characters";
        let country = match self {
            Self::Vaccination(given) => {
                require(is_code(&given.prophylaxis), "vp", a_code)?;
                require(is_code(&given.product), "mp", a_code)?;
                require(is_code(&given.manufacturer), "ma", a_code)?;
                require(given.dose > 0, "dn", "1 or more")?;
                require(given.doses > 0, "sd", "1 or more")?;
                &given.country
            }
            Self::Recovery(recovery) => {
                let rising =
                    recovery.first_positive <= recovery.from && recovery.from <= recovery.until;
                require(rising, "du", "after df, and df after fr")?;
                &recovery.country
            }
            Self::Test(test) => {
                let stated = [(&test.name, "nm"), (&test.centre, "tc")];
                for (text, field) in stated {
                    require(text.as_deref().is_none_or(is_code), field, a_code)?;
                }
                &test.country
            }
        };
        let letters = country.bytes().all(|byte| byte.is_ascii_uppercase());
        let right = letters && (1..=10).contains(&country.len());
        require(right, "co", "1 to 10 Latin capital letters")
    }

    pub(super) fn item(&self, issuer: &str, id: PassId) -> Value {
        let text = |key: &str, value: &str| (Value::from(key), Value::from(value));
        let date = |key: &str, date: NaiveDate| text(key, &date.format(DATE).to_string());
        let mut entries = vec![
            text("tg", COVID_19),
            text("is", issuer),
            text("ci", &uvci(id)),
        ];
        match self {
            Self::Vaccination(given) => entries.extend([
                text("vp", &given.prophylaxis),
                text("mp", &given.product),
                text("ma", &given.manufacturer),
                ("dn".into(), given.dose.into()),
                ("sd".into(), given.doses.into()),
                date("dt", given.date),
                text("co", &given.country),
            ]),
            Self::Recovery(recovery) => entries.extend([
                date("fr", recovery.first_positive),
                date("df", recovery.from),
                date("du", recovery.until),
                text("co", &recovery.country),
            ]),
            Self::Test(test) => {
                entries.extend([
                    text("tt", test.kind.as_str()),
                    text("sc", &test.sampled.format(TIME).to_string()),
                    text("tr", NOT_DETECTED),
                    text("co", &test.country),
                ]);
                entries.extend(test.name.as_ref().map(|name| text("nm", name)));
                entries.extend(test.centre.as_ref().map(|centre| text("tc", centre)));
            }
        }
        map(entries)
    }

    /// Takes the one entry out of the fields of an EU DCC.
    pub(super) fn read(
        certificate: &mut Fields,
        issuer: &str,
        id: PassId,
    ) -> Result<Self, FieldFault> {
        let groups = ["v", "r", "t"].map(|group| certificate.optional(group));
        let [vaccination, recovery, test] = groups;
        let (item, place) = match (vaccination, recovery, test) {
            (Some(item), None, None) => (item, VACCINATION),
            (None, Some(item), None) => (item, RECOVERY),
            (None, None, Some(item)) => (item, TEST),
            _ => return Err(certificate.fault("the content", "one of v, r and t")),
        };
        let item = match item.into_array().map(<[Value; 1]>::try_from) {
            Ok(Ok([item])) => item,
            _ => return Err(certificate.fault(place, "an array of one entry")),
        };
        let mut fields = Fields::new(item, place)?;
        let constants = [("tg", COVID_19), ("is", issuer), ("ci", &uvci(id))];
        for (field, wanted) in constants {
            if fields.text(field, field)? != wanted {
                return Err(fields.fault(field, "what the claims around it say"));
            }
        }
        let entry = match place {
            VACCINATION => Self::Vaccination(vaccination_of(&mut fields)?),
            RECOVERY => Self::Recovery(recovery_of(&mut fields)?),
            _ => Self::Test(test_of(&mut fields)?),
        };
        fields.end()?;
        Ok(entry)
    }
}

const VACCINATION: &str = "the vaccination";
const RECOVERY: &str = "the recovery";
const TEST: &str = "the test";

fn uvci(id: PassId) -> String {
    format!("{UVCI_PREFIX}{}", id.to_hex())
}

fn is_code(text: &str) -> bool {
    (1..=MAX_CODE_CHARS).contains(&text.chars().count())
}

fn vaccination_of(fields: &mut Fields) -> Result<Vaccination, FieldFault> {
    Ok(Vaccination {
        prophylaxis: fields.text("vp", "vp")?,
        product: fields.text("mp", "mp")?,
        manufacturer: fields.text("ma", "ma")?,
        dose: number(fields, "dn")?,
        doses: number(fields, "sd")?,
        date: date(fields, "dt")?,
        country: fields.text("co", "co")?,
    })
}

fn recovery_of(fields: &mut Fields) -> Result<Recovery, FieldFault> {
    Ok(Recovery {
        first_positive: date(fields, "fr")?,
        from: date(fields, "df")?,
        until: date(fields, "du")?,
        country: fields.text("co", "co")?,
    })
}

fn test_of(fields: &mut Fields) -> Result<Test, FieldFault> {
    let code = fields.text("tt", "tt")?;
    let kind = [TestKind::Naat, TestKind::Rat]
        .into_iter()
        .find(|kind| kind.as_str() == code)
        .ok_or_else(|| fields.fault("tt", "the code of a NAAT or of an antigen test"))?;
    if fields.text("tr", "tr")? != NOT_DETECTED {
        return Err(fields.fault("tr", "the code of a negative result"));
    }
    let sampled = fields.text("sc", "sc")?;
    let sampled = NaiveDateTime::parse_from_str(&sampled, TIME)
        .ok()
        .map(|time| time.and_utc())
        .filter(|time| time.format(TIME).to_string() == sampled)
        .ok_or_else(|| fields.fault("sc", "a time YYYY-MM-DDTHH:MM:SSZ"))?;
    Ok(Test {
        kind,
        name: optional_text(fields, "nm")?,
        sampled,
        centre: optional_text(fields, "tc")?,
        country: fields.text("co", "co")?,
    })
}

fn optional_text(fields: &mut Fields, field: &'static str) -> Result<Option<String>, FieldFault> {
    match fields.optional(field) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(fields.fault(field, "a text")),
    }
}

fn number(fields: &mut Fields, field: &'static str) -> Result<u8, FieldFault> {
    let number = fields.uint(field, field)?;
    u8::try_from(number).map_err(|_| fields.fault(field, "below 256"))
}

/// Reads a date in exactly the form in which it is written.
fn date(fields: &mut Fields, field: &'static str) -> Result<NaiveDate, FieldFault> {
    let text = fields.text(field, field)?;
    NaiveDate::parse_from_str(&text, DATE)
        .ok()
        .filter(|date| date.format(DATE).to_string() == text)
        .ok_or_else(|| fields.fault(field, A_DATE))
}
