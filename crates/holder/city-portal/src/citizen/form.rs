//! Form of the page: read from JSON into secrets, and checked.

use chrono::NaiveDate;
use pass::holder::{BirthDate, HolderAttributes, Person};
use pseudonym::{IdentifierKind, Pseudonym, RejectionReason, StatedIdentifier};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::{FormFault, FormField, TypingFault, birth};
use crate::limits::MAX_TYPED_CHARS;
use crate::pseudonyms::{KeyServiceFault, PseudonymSource, ReadIdentifiers};

/// Kind of the document that a citizen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Document {
    Snils,
    Oms,
    PassportRu,
    NationalId,
    PassportForeign,
}

/// Text as it was typed: wiped when dropped, and never printed.
struct Typed(SecretString);

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}

impl Typed {
    fn text(&self) -> &str {
        self.0.expose_secret().trim()
    }

    fn is_too_long(&self) -> bool {
        self.0
            .expose_secret()
            .chars()
            .nth(MAX_TYPED_CHARS)
            .is_some()
    }
}

/// Form as it was typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CitizenForm {
    document: Document,
    number: Typed,
    country: Option<Typed>,
    given_name: Typed,
    family_name: Typed,
    birth_date: Typed,
}

/// Form without a fault.
pub(crate) struct CheckedForm<'a> {
    /// Identifier, whose pseudonyms may be yet to be evaluated.
    pub identifiers: ReadIdentifiers<'a>,
    /// Attributes that a strip discloses.
    pub holder: HolderAttributes,
    /// Attributes that a certificate discloses.
    pub certificate_holder: HolderAttributes,
}

/// Citizen as the registry gets to know them.
pub(crate) struct Citizen {
    /// Pseudonyms of the identifier, under every key that is open.
    pub pseudonyms: Vec<Pseudonym>,
    /// Attributes that a strip discloses.
    pub holder: HolderAttributes,
    /// Attributes that a certificate discloses: chosen from the initials alone, since it has no room
    /// for a day and month of birth.
    pub certificate_holder: HolderAttributes,
}

impl CheckedForm<'_> {
    /// Citizen with the pseudonyms of every open epoch; asks key services where the suite has such.
    pub(crate) async fn citizen(self) -> Result<Citizen, KeyServiceFault> {
        Ok(Citizen {
            pseudonyms: self.identifiers.pseudonyms().await?,
            holder: self.holder,
            certificate_holder: self.certificate_holder,
        })
    }
}

impl CitizenForm {
    /// Checks every field, and asks nobody; `today` is the day in the city.
    pub(crate) fn check(
        self,
        pseudonyms: &PseudonymSource,
        today: NaiveDate,
    ) -> Result<CheckedForm<'_>, Vec<FormFault>> {
        let mut faults = Vec::new();
        let identifiers = self.identifiers(pseudonyms).unwrap_or_else(|found| {
            faults = found;
            ReadIdentifiers::Named(Vec::new())
        });
        faults.extend(self.name_faults());
        let birth = self.birth(today).unwrap_or_else(|fault| {
            faults.push(fault);
            BirthDate::default()
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let known = |name: &Typed| (!name.text().is_empty()).then(|| name.0.clone());
        let given = known(&self.given_name);
        let family = known(&self.family_name);
        let disclosed = |birth| {
            HolderAttributes::disclosed_for(Person {
                given_name: given.as_ref(),
                family_name: family.as_ref(),
                birth,
            })
        };
        Ok(CheckedForm {
            identifiers,
            holder: disclosed(birth),
            certificate_holder: disclosed(BirthDate::default()),
        })
    }

    fn identifiers<'a>(
        &self,
        of: &'a PseudonymSource,
    ) -> Result<ReadIdentifiers<'a>, Vec<FormFault>> {
        let country = self.country.as_ref().map(Typed::text).unwrap_or_default();
        let is_foreign = matches!(
            self.document,
            Document::NationalId | Document::PassportForeign
        );
        let mut faults = Vec::new();
        if is_foreign && country.is_empty() {
            faults.push(FormFault {
                field: FormField::Country,
                fault: TypingFault::CountryMissing,
            });
        }
        let number = |fault| FormFault {
            field: FormField::Number,
            fault,
        };
        if self.number.is_too_long() {
            faults.push(number(TypingFault::TooLong));
        } else if self.number.text().is_empty() {
            faults.push(number(TypingFault::NumberMissing));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let stated = StatedIdentifier {
            kind: self.document.kind(),
            value: self.number.0.clone(),
            country: is_foreign.then(|| country.to_owned()),
        };
        of.read(vec![stated]).map_err(|reason| {
            vec![match reason {
                RejectionReason::CountryMissing | RejectionReason::CountryUnknown => FormFault {
                    field: FormField::Country,
                    fault: TypingFault::CountryUnknown,
                },
                other => number(self.document.number_fault(other)),
            }]
        })
    }

    fn name_faults(&self) -> Vec<FormFault> {
        let names = [
            (FormField::GivenName, &self.given_name),
            (FormField::FamilyName, &self.family_name),
        ];
        let mut faults = Vec::new();
        for (field, name) in names {
            if name.is_too_long() {
                let fault = TypingFault::TooLong;
                faults.push(FormFault { field, fault });
            } else if !name.text().is_empty() && !name.text().contains(char::is_alphabetic) {
                let fault = TypingFault::NameWithoutLetter;
                faults.push(FormFault { field, fault });
            }
        }
        // Some people have one name only.
        if names.iter().all(|(_, name)| name.text().is_empty()) {
            faults.push(FormFault {
                field: FormField::FamilyName,
                fault: TypingFault::NameMissing,
            });
        }
        faults
    }

    fn birth(&self, today: NaiveDate) -> Result<BirthDate, FormFault> {
        let fault = |fault| FormFault {
            field: FormField::BirthDate,
            fault,
        };
        if self.birth_date.is_too_long() {
            return Err(fault(TypingFault::TooLong));
        }
        birth::read(self.birth_date.text(), today).map_err(fault)
    }
}

impl Document {
    const fn kind(self) -> IdentifierKind {
        match self {
            Self::Snils => IdentifierKind::Snils,
            Self::Oms => IdentifierKind::Oms,
            Self::PassportRu => IdentifierKind::PassportRu,
            Self::NationalId => IdentifierKind::NationalId,
            Self::PassportForeign => IdentifierKind::PassportForeign,
        }
    }

    /// Fault of the number for a reason that the clinics' rules refuse it for.
    const fn number_fault(self, reason: RejectionReason) -> TypingFault {
        match (reason, self) {
            (RejectionReason::IdentifierMissing, _) => TypingFault::NumberMissing,
            (RejectionReason::IdentifierPlaceholder, _) => TypingFault::Placeholder,
            (RejectionReason::IdentifierCheckDigit, Self::Oms) => TypingFault::OmsCheck,
            (RejectionReason::IdentifierCheckDigit, _) => TypingFault::SnilsCheck,
            (_, Self::Snils) => TypingFault::SnilsForm,
            (_, Self::Oms) => TypingFault::OmsForm,
            (_, Self::PassportRu) => TypingFault::PassportRuForm,
            (_, Self::NationalId) => TypingFault::NationalIdForm,
            (_, Self::PassportForeign) => TypingFault::PassportForeignForm,
        }
    }
}
