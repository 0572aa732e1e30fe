//! The clinic's record as a connector hands it on: raw codes, clinic-local dates, identity in
//! secret types.

use std::fmt;

use chrono::NaiveDate;
use secrecy::SecretString;

/// The kinds of fact a source can feed; each feed of a source has a cursor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feed {
    /// Doses given.
    Vaccinations,
    /// Laboratory tests for the virus itself (PCR, antigen).
    Tests,
    /// Illnesses that ended.
    Recoveries,
}

impl Feed {
    /// Every feed, in the order they are pulled.
    pub const ALL: [Self; 3] = [Self::Vaccinations, Self::Tests, Self::Recoveries];

    /// The name used in configuration, logs, metrics and the outbox.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vaccinations => "vaccinations",
            Self::Tests => "tests",
            Self::Recoveries => "recoveries",
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value as the source has it: absent, usable, or there but unusable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<T> {
    /// NULL, an empty string, or no such element.
    Missing,
    /// A value of the right type.
    Value(T),
    /// Something that cannot be read as the type; what it was is not kept, since it may be
    /// anything.
    Invalid(FieldFault),
}

impl<T> Field<T> {
    /// The value, if there is a usable one.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Invalid(_) => None,
        }
    }
}

/// Reason why a field could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldFault {
    /// Text that is no date, or a date that does not exist (30 February, MySQL's 0000-00-00).
    NotADate,
    /// Text or a decimal that is no whole number in the accepted range.
    NotANumber,
    /// Bytes that are not text in the source's configured encoding.
    BadEncoding,
    /// A status word the source's configuration does not map.
    UnknownWord,
}

/// A calendar date in the clinic's own time zone, as precise as the source knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClinicDate {
    /// Only the year is known.
    Year(i32),
    /// Year and month (1 to 12).
    Month(i32, u32),
    /// The day.
    Day(NaiveDate),
}

/// A code as the source writes it; `system` is absent where the clinic uses a list of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coding {
    /// The code system's URI, if the source names one.
    pub system: Option<String>,
    /// The code, or the clinic's word for the thing.
    pub code: String,
}

impl Coding {
    /// A code from the clinic's own list.
    #[must_use]
    pub fn local(code: impl Into<String>) -> Self {
        Self {
            system: None,
            code: code.into(),
        }
    }
}

/// Number of a dose, or of doses, as the source writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dose {
    /// A whole number.
    Number(u32),
    /// Anything else: `Booster`, `2/2`, `1.5`.
    Word(String),
}

impl From<u32> for Dose {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

/// Numbering that a person's identifier belongs to. The list is closed: a free name could name an
/// institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// Russian personal insurance account number, 11 digits.
    Snils,
    /// Russian compulsory medical insurance policy (ENP), 16 digits.
    Oms,
    /// Russian internal passport, series and number, 10 digits.
    PassportRu,
    /// Number that another country gives a person, or the person's identity card; needs that
    /// country.
    NationalId,
    /// A foreign passport; needs the issuing country.
    PassportForeign,
    /// European health insurance card.
    Ehic,
    /// Residence permit.
    ResidencePermit,
    /// Birth certificate.
    BirthCertificate,
}

/// An identifier of a person, as the source writes it.
pub struct Identifier {
    /// Numbering of the value.
    pub kind: IdentifierKind,
    /// The number, unnormalised.
    pub value: SecretString,
    /// Issuing country, where the source has one: a code, a number or a name, as it is written.
    pub country: Option<String>,
}

/// The person whom the fact is about: nothing but identifiers. Names and birth dates are never
/// read.
#[derive(Default)]
pub struct Person {
    /// All identifiers the source holds, valid or not.
    pub identifiers: Vec<Identifier>,
    /// True where the source had identifier text it could not decode.
    pub unreadable: bool,
}

/// Status of a record at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordStatus {
    /// The fact holds.
    Final,
    /// The fact is taken back: cancelled, entered in error.
    Cancelled,
    /// No fact (yet): planned, refused, preliminary, still ill. Withdrawn if it had been sent
    /// before.
    NotAFact,
    /// A status word nobody has mapped: the record is refused until somebody does.
    Unknown,
    /// None: the source could not hand the record over, but for its id.
    Unreadable,
    /// The fact holds, and the source does not let the account read whom it is about, though it
    /// does for others: nothing is known of that person.
    PersonHidden,
}

/// The medical content, in the source's own codes.
#[derive(Clone)]
pub enum ClinicFact {
    /// A dose given.
    Vaccination {
        /// The vaccine, in any number of code systems.
        vaccine: Vec<Coding>,
        /// Number of the dose in the course, from 1.
        dose_number: Field<Dose>,
        /// Number of doses in the course.
        series_doses: Field<Dose>,
        /// Day on which the dose was given.
        occurred_on: Field<ClinicDate>,
    },
    /// A test for the virus.
    Test {
        /// The kind of test.
        test: Vec<Coding>,
        /// Result of the test.
        result: Vec<Coding>,
        /// Day on which the sample was taken.
        occurred_on: Field<ClinicDate>,
    },
    /// An illness that ended.
    Recovery {
        /// The diagnosis.
        diagnosis: Vec<Coding>,
        /// Day on which the illness began.
        began_on: Field<ClinicDate>,
        /// Day on which the person was declared well.
        occurred_on: Field<ClinicDate>,
    },
}

/// A record of a clinic, on its way to becoming a pseudonymous event or a rejection.
pub struct ClinicRecord {
    /// The clinic's own id of the record; never leaves the clinic.
    pub record_id: String,
    /// Status at the source.
    pub status: RecordStatus,
    /// Word of the status, where the source has one and nobody has mapped it: `status` is
    /// [`RecordStatus::Unknown`] then.
    pub unmapped_status: Option<String>,
    /// Person whom the fact is about.
    pub person: Person,
    /// Medical content.
    pub fact: ClinicFact,
    /// Stamp of the row's last change, on the connector's own scale: two stamps of one feed compare
    /// as the changes do. SQL timestamps and FHIR instants are microseconds since 1970, whole
    /// numbers themselves, other text a hash that only tells equal from unequal. `None` where the
    /// row has none.
    pub stamp: Option<i64>,
}

impl ClinicFact {
    /// The feed this kind of fact belongs to.
    #[must_use]
    pub const fn feed(&self) -> Feed {
        match self {
            Self::Vaccination { .. } => Feed::Vaccinations,
            Self::Test { .. } => Feed::Tests,
            Self::Recovery { .. } => Feed::Recoveries,
        }
    }

    /// The codings of the vaccine, the test or the diagnosis.
    #[must_use]
    pub fn codings(&self) -> &[Coding] {
        match self {
            Self::Vaccination { vaccine, .. } => vaccine,
            Self::Test { test, .. } => test,
            Self::Recovery { diagnosis, .. } => diagnosis,
        }
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({:?}, [redacted])", self.kind)
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Person([redacted], {} identifiers)",
            self.identifiers.len()
        )
    }
}

impl fmt::Debug for ClinicRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ClinicRecord({}, {:?}, [redacted])",
            self.fact.feed(),
            self.status
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_identity_and_no_medical_content() {
        let record = ClinicRecord {
            record_id: "visit-77".into(),
            status: RecordStatus::Unknown,
            unmapped_status: Some("signed by Ivanova".into()),
            person: Person {
                identifiers: vec![Identifier {
                    kind: IdentifierKind::Snils,
                    value: "112-233-445 95".into(),
                    country: Some("RU".into()),
                }],
                unreadable: false,
            },
            fact: ClinicFact::Recovery {
                diagnosis: vec![Coding::local("U07.1")],
                began_on: Field::Missing,
                occurred_on: Field::Missing,
            },
            stamp: Some(1_625_000_000_000_000),
        };
        let shown = format!(
            "{record:?} {:?} {:?}",
            record.person, record.person.identifiers
        );
        for secret in ["112", "visit-77", "U07", "RU", "1625", "Ivanova"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
