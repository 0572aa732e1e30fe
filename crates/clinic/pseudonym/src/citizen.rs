//! Pseudonyms of a citizen who states identifiers at the portal: the same ones that clinics make.

use connector_kit::{Identifier, IdentifierKind, Person};
use contract::{Pseudonym, Suite};
use secrecy::SecretString;

use crate::identifier::{IdentifierFault, IdentifierRules, NormalForm, normalise};
use crate::keys::SharedKeys;
use crate::policy::Policy;
use crate::rejection::RejectionReason;
use crate::subject::PseudonymKeys;

/// Identifier as the citizen states it.
pub struct StatedIdentifier {
    /// Numbering of the value.
    pub kind: IdentifierKind,
    /// Number, as it was typed.
    pub value: SecretString,
    /// ISO 3166-1 code of the issuing country, where the numbering needs one.
    pub country: Option<String>,
}

/// Keyed states of a city's pseudonyms, as a portal holds them.
pub struct CitizenPseudonyms {
    keys: PseudonymKeys,
    policy: Policy,
}

impl CitizenPseudonyms {
    /// Prepares the keyed states. Suite and policy have to be those of the city's clinics.
    #[must_use]
    pub fn new(keys: &SharedKeys, suite: Suite, policy: Policy) -> Self {
        Self {
            keys: PseudonymKeys::of_keys(keys.keys(), suite),
            policy,
        }
    }

    /// Pseudonyms of a person by all identifiers that were stated, for each open key epoch.
    ///
    /// # Errors
    /// The first identifier's fault, if none can be used; a wrong SNILS, or two.
    pub fn of(&self, stated: Vec<StatedIdentifier>) -> Result<Vec<Pseudonym>, RejectionReason> {
        let identifiers = stated.into_iter().map(|one| Identifier {
            kind: one.kind,
            value: one.value,
            country: one.country,
        });
        let person = Person {
            identifiers: identifiers.collect(),
            unreadable: false,
        };
        let rules = &self.policy.identifiers;
        match self.keys.subject(&person, rules) {
            Ok((subject, _)) => Ok(subject.pseudonyms().to_vec()),
            // At a clinic such a number says that there is none; a citizen is told.
            Err(RejectionReason::IdentifierMissing) if states_placeholder(&person, rules) => {
                Err(RejectionReason::IdentifierPlaceholder)
            }
            Err(reason) => Err(reason),
        }
    }
}

/// Returns whether a number is there that is none.
fn states_placeholder(person: &Person, rules: &IdentifierRules) -> bool {
    let mut normal_form = NormalForm::new();
    let mut faults = person
        .identifiers
        .iter()
        .map(|identifier| normalise(identifier, rules, &mut normal_form));
    faults.any(|fault| fault == Err(IdentifierFault::Absent))
}

#[cfg(test)]
mod tests {
    use contract::Scheme;

    use super::*;
    use crate::config::PolicyConfig;
    use crate::keys::KeyRing;

    fn stated(kind: IdentifierKind, value: &str, country: Option<&str>) -> StatedIdentifier {
        StatedIdentifier {
            kind,
            value: SecretString::from(value),
            country: country.map(str::to_owned),
        }
    }

    fn policy() -> Policy {
        Policy::new(&PolicyConfig::default()).expect("the default policy")
    }

    fn portal(keys: &SharedKeys) -> CitizenPseudonyms {
        CitizenPseudonyms::new(keys, Suite::Hmac, policy())
    }

    #[test]
    fn a_citizen_has_the_pseudonyms_that_a_clinic_makes() {
        let ring = KeyRing::generate();
        let person = Person {
            identifiers: vec![Identifier {
                kind: IdentifierKind::Snils,
                value: SecretString::from("50137720139"),
                country: None,
            }],
            unreadable: false,
        };
        let clinic = PseudonymKeys::new(&ring, Suite::Hmac);
        let rules = policy();
        let Ok((subject, _)) = clinic.subject(&person, &rules.identifiers) else {
            panic!("the SNILS is right");
        };
        let typed = vec![stated(IdentifierKind::Snils, " 501-377-201 39", None)];
        let citizen = portal(&ring.shared()).of(typed);
        assert_eq!(citizen.as_deref(), Ok(subject.pseudonyms()));
    }

    #[test]
    fn a_citizen_is_told_that_a_number_is_none() {
        let portal = portal(&KeyRing::generate().shared());
        for (value, reason) in [
            ("000-000-000 00", RejectionReason::IdentifierPlaceholder),
            ("нет", RejectionReason::IdentifierPlaceholder),
            (" - ", RejectionReason::IdentifierMissing),
        ] {
            let typed = vec![stated(IdentifierKind::Snils, value, None)];
            assert_eq!(portal.of(typed), Err(reason), "{value}");
        }
    }

    #[test]
    fn a_foreign_passport_needs_its_country_and_a_wrong_snils_is_told() {
        let portal = portal(&KeyRing::generate().shared());
        let passport = |country| {
            portal.of(vec![stated(
                IdentifierKind::PassportForeign,
                "12AB34567",
                country,
            )])
        };
        let french = passport(Some("FR")).expect("a French passport");
        assert_eq!(french[0].scheme, Scheme::PassportForeign);
        assert_eq!(passport(Some("FRA")).as_ref(), Ok(&french));
        assert!(passport(None).is_err());
        assert_eq!(
            portal.of(vec![stated(IdentifierKind::Snils, "501-377-201 38", None)]),
            Err(RejectionReason::IdentifierCheckDigit)
        );
        assert!(portal.of(Vec::new()).is_err());
    }
}
