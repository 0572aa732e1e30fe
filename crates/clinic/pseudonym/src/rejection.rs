//! Why a record does not leave the clinic: a closed list of reasons, each with help for the
//! operator.

use std::fmt;

use contract::{FactKind, RecordDigest};

use crate::unknown::SeenValue;

/// A record that was refused; stays at the clinic.
#[derive(Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The clinic's own id of the record, cut to [`crate::MAX_RECORD_ID_BYTES`]; never leaves the
    /// clinic.
    pub record_id: String,
    /// The digest under which a corrected version of the record will go out.
    pub record: RecordDigest,
    /// Kind of fact that the record was meant to be.
    pub kind: FactKind,
    /// Why.
    pub reason: RejectionReason,
    /// Value that nobody has mapped, where the record is refused for one; never leaves the clinic.
    pub value: Option<SeenValue>,
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Rejection({}, {:?}, {})",
            self.kind.as_str(),
            self.record,
            self.reason.as_str()
        )
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $help:literal;)+) => {
        /// Reason codes of a [`Rejection`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RejectionReason { $($(#[doc = $doc])+ $name,)+ }

        impl RejectionReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code, as stored with dead letters, counted in metrics and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// One sentence for the operator: what to look at.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)+ }
            }
        }
    };
}

reasons! {
    /// The record's own id is empty or too long.
    RecordIdInvalid = "record-id-invalid", "The record's id is empty or longer than 512 bytes: \
        choose a key column that names one row.";
    /// The source could not hand the record over.
    RecordUnreadable = "record-unreadable", "The source could not hand the record over, but for \
        its id (a value makes the query fail, or the id is too long; the log says which): correct \
        the value at the clinic, or the query.";
    /// The source does not let the account read the person.
    PersonHidden = "person-hidden", "The source does not show whom the record is about, so a \
        version that was sent before stays as it is: give the account the right to read that \
        person, if the clinic permits it; where files of an export lack the Patient, export them \
        again.";
    /// The status word is not mapped.
    StatusUnknown = "status-unknown", "The record's status is a word nobody has mapped: add it to \
        status_words of its feed, an empty one (NULL) as \"\"; a FHIR server's is corrected there.";
    /// No identifier at all.
    IdentifierMissing = "identifier-missing", "The person has no identifier of a known scheme: \
        fill in SNILS, policy or passport at the clinic; from FHIR it is also so where \
        the Patient is gone or the reference leads nowhere.";
    /// Only identifier text that could not be decoded.
    IdentifierUnreadable = "identifier-unreadable", "The person's identifiers could not be \
        decoded: check the source's text encoding.";
    /// An identifier that is not of its scheme's form.
    IdentifierInvalid = "identifier-invalid", "An identifier has the wrong length or characters \
        for its scheme: correct it at the clinic.";
    /// A number that stands for "none" at the clinic.
    IdentifierPlaceholder = "identifier-placeholder", "An identifier is one digit repeated or \
        digits in a row, which many people would share: fill in the real number, or leave it \
        empty at the clinic.";
    /// A wrong check digit.
    IdentifierCheckDigit = "identifier-check-digit", "The check digits of an identifier do not \
        fit its number, so a digit is mistyped: correct it at the clinic.";
    /// Two different SNILS for one person.
    IdentifierConflict = "identifier-conflict", "The record names two different SNILS for one \
        person: correct the person at the clinic.";
    /// More identifiers than an event may carry.
    TooManyIdentifiers = "too-many-identifiers", "The person has more identifiers than one event \
        may carry: remove outdated documents at the clinic or from the query.";
    /// A foreign passport or national number without its issuing country.
    CountryMissing = "country-missing", "A foreign passport or national number counts only with \
        its issuing country: fill it in at the clinic, or add the country column to the query (for \
        FHIR: name the country of its system in identifier_countries).";
    /// An issuing country on no list.
    CountryUnknown = "country-unknown", "The issuing country is no name or code that is known: add \
        it to the country codes of the configuration.";
    /// No vaccine, or one that is not mapped.
    VaccineUnknown = "vaccine-unknown", "The vaccine is missing or its code is not mapped: add it \
        to the vaccine codes of the configuration, as a vaccine or as not-covid.";
    /// No test, or one that is not mapped.
    TestUnknown = "test-unknown", "The test is missing or its code is not mapped: add it to the \
        test codes of the configuration, as a test or as not-covid.";
    /// No result, or one that is not mapped.
    ResultUnknown = "result-unknown", "The result is missing or its word is not mapped: add it to \
        the result codes of the configuration.";
    /// No diagnosis, or one that is not mapped.
    DiagnosisUnknown = "diagnosis-unknown", "The diagnosis is missing or not mapped: add it to \
        the diagnosis codes of the configuration, as recovery or as not-covid.";
    /// Codes that contradict each other.
    CodeConflict = "code-conflict", "Two codes of one field mean different things: correct the \
        record, or the code mappings of the configuration.";
    /// A dose number that cannot be read: the fact leaves without it.
    DoseInvalid = "dose-invalid", "A dose cannot be read as a number from 1 to 9, so the fact \
        leaves without it: add its word to the dose codes of the configuration.";
    /// No date.
    DateMissing = "date-missing", "The date of the fact is missing: fill it in at the clinic.";
    /// A date that cannot be read or does not exist.
    DateInvalid = "date-invalid", "A date cannot be read or does not exist: correct it at the \
        clinic.";
    /// A date before the disease, or an illness that ended before it began.
    DateImpossible = "date-impossible", "A date lies before there was such a fact, or an illness \
        ends before it begins: correct it at the clinic.";
    /// A date after tomorrow.
    DateFuture = "date-future", "The date of the fact lies in the future: correct it, or wait; the \
        first sweep of all keys from that day on reads it again.";
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for RejectionReason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_help_is_one_sentence() {
        let mut codes: Vec<&str> = RejectionReason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .collect();
        assert!(codes.iter().all(|code| {
            code.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        }));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), RejectionReason::ALL.len());
        for reason in RejectionReason::ALL {
            assert!(
                reason.help().ends_with('.')
                    && !reason.help()[..reason.help().len() - 1].contains(". ")
            );
        }
    }

    #[test]
    fn debug_does_not_show_the_record_id() {
        let rejection = Rejection {
            record_id: "visit-77".into(),
            record: RecordDigest([7; 32]),
            kind: FactKind::Test,
            reason: RejectionReason::DateFuture,
            value: None,
        };
        let shown = format!("{rejection:?}");
        assert!(
            shown.contains("date-future") && !shown.contains("visit"),
            "{shown}"
        );
    }
}
