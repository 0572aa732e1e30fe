//! Identifiers to normal forms: one file a scheme; what two clinics write differently must come out
//! the same.

mod birth_certificate;
mod country;
mod document;
mod ehic;
mod national_id;
mod normal;
mod oms;
mod passport_foreign;
mod passport_ru;
mod placeholder;
mod residence_permit;
mod snils;
mod spelled;

use connector_kit::{Identifier, IdentifierKind};
use contract::Scheme;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use country::Issuer;
pub(crate) use country::{Countries, CountryMeaning, alpha3};
pub(crate) use document::Limits;
pub(crate) use normal::NormalForm;

use crate::rejection::RejectionReason;

/// Scheme and number of an identifier, of which digests of persons are made that stay at the clinic.
pub(crate) fn identifier_text(kind: IdentifierKind, number: &[u8]) -> Zeroizing<Vec<u8>> {
    let scheme = scheme(kind).as_str().as_bytes();
    Zeroizing::new([scheme, &[0], number].concat())
}

/// Configured rules for identifiers.
pub(crate) struct IdentifierRules {
    /// True: a wrong OMS check digit is a fault, not a warning.
    pub(crate) oms_refuse: bool,
    /// True: a wrong SNILS is left out beside another strong identifier.
    pub(crate) drop_invalid: bool,
    /// Words for issuing countries.
    pub(crate) countries: Countries,
    pub(crate) national_id: Limits,
    pub(crate) passport_foreign: Limits,
    pub(crate) ehic: Limits,
    pub(crate) residence_permit: Limits,
    pub(crate) birth_certificate: Limits,
}

/// A usable identifier, perhaps with a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Soundness {
    Sound,
    /// The check digit does not fit, and the scheme's rule is to warn only.
    WrongCheckDigit,
}

/// Why an identifier cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentifierFault {
    /// Text of separators only, which is no identifier at all.
    Empty,
    /// A word or number by which clinics say that there is none.
    Absent,
    /// Identifier of a country that configuration ignores.
    Ignored,
    Malformed,
    /// A number typed where there is none; it would make one person of many.
    Placeholder,
    CheckDigit,
    CountryMissing,
    CountryUnknown,
}

impl IdentifierFault {
    /// Returns whether there is nothing to mend: the source has no such identifier.
    pub(crate) const fn is_missing(self) -> bool {
        matches!(self, Self::Empty | Self::Absent | Self::Ignored)
    }

    pub(crate) const fn reason(self) -> RejectionReason {
        match self {
            Self::Empty | Self::Absent | Self::Ignored => RejectionReason::IdentifierMissing,
            Self::Malformed => RejectionReason::IdentifierInvalid,
            Self::Placeholder => RejectionReason::IdentifierPlaceholder,
            Self::CheckDigit => RejectionReason::IdentifierCheckDigit,
            Self::CountryMissing => RejectionReason::CountryMissing,
            Self::CountryUnknown => RejectionReason::CountryUnknown,
        }
    }
}

/// The contract's name for a kind of identifier.
pub(crate) const fn scheme(kind: IdentifierKind) -> Scheme {
    match kind {
        IdentifierKind::Snils => Scheme::Snils,
        IdentifierKind::Oms => Scheme::Oms,
        IdentifierKind::PassportRu => Scheme::PassportRu,
        IdentifierKind::NationalId => Scheme::NationalId,
        IdentifierKind::PassportForeign => Scheme::PassportForeign,
        IdentifierKind::Ehic => Scheme::Ehic,
        IdentifierKind::ResidencePermit => Scheme::ResidencePermit,
        IdentifierKind::BirthCertificate => Scheme::BirthCertificate,
    }
}

/// Writes the normal form of an identifier to `out`, which is wiped first.
pub(crate) fn normalise(
    identifier: &Identifier,
    rules: &IdentifierRules,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    out.clear();
    let text = identifier.value.expose_secret();
    let country = Issuer {
        text: identifier.country.as_deref(),
        countries: &rules.countries,
    };
    if placeholder::is_absent(identifier.kind, text) {
        return Err(IdentifierFault::Absent);
    }
    let soundness = of_kind(identifier.kind, text, country, rules, out)?;
    // Look-alikes may hide such a word.
    if placeholder::is_absent(identifier.kind, out.number()) {
        return Err(IdentifierFault::Absent);
    }
    Ok(soundness)
}

fn of_kind(
    kind: IdentifierKind,
    text: &str,
    country: Issuer<'_>,
    rules: &IdentifierRules,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    match kind {
        IdentifierKind::Snils => snils::normalise(text, out),
        IdentifierKind::Oms => oms::normalise(text, rules.oms_refuse, out),
        IdentifierKind::PassportRu => passport_ru::normalise(text, out),
        IdentifierKind::NationalId => {
            national_id::normalise(text, country, &rules.national_id, out)
        }
        IdentifierKind::PassportForeign => {
            passport_foreign::normalise(text, country, &rules.passport_foreign, out)
        }
        IdentifierKind::Ehic => ehic::normalise(text, &rules.ehic, out),
        IdentifierKind::ResidencePermit => {
            residence_permit::normalise(text, country, &rules.residence_permit, out)
        }
        IdentifierKind::BirthCertificate => {
            birth_certificate::normalise(text, country, &rules.birth_certificate, out)
        }
    }
}

#[cfg(test)]
mod tests;
