//! Pseudonyms of a citizen who states identifiers at the portal: the same ones that clinics make.

use connector_kit::{Identifier, IdentifierKind, Person};
use contract::{Epoch, Pseudonym, Subject, Suite};
use draft::LocalSubject;
use oprf::{Blinding, Element};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::held::HeldIdentifiers;
use crate::identifier::{IdentifierFault, IdentifierRules, NormalForm, normalise};
use crate::keys::SharedKeys;
use crate::policy::Policy;
use crate::rejection::RejectionReason;
use crate::subject::{PersonNames, PseudonymKeys};

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
        let held = &mut HeldIdentifiers::default();
        match names(&self.keys, &self.policy.identifiers, stated, held)? {
            PersonNames::Ready(subject) => Ok(subject.pseudonyms().to_vec()),
            // Not reached: shared keys are never of the suite whose names are local.
            PersonNames::Local { .. } => Ok(Vec::new()),
        }
    }
}

/// Blinds the identifiers of a city's citizens, whose pseudonyms key services evaluate.
pub struct CitizenBlinding {
    keys: PseudonymKeys,
    policy: Policy,
}

impl CitizenBlinding {
    /// Prepares local names under a key that this value alone has. The policy has to be that of
    /// the city's clinics.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).expect("the operating system gives random bytes");
        Self {
            keys: PseudonymKeys::local(&key),
            policy,
        }
    }

    /// The same, with the pseudonyms of the suite that the city moves from beside those that are
    /// evaluated.
    #[must_use]
    pub fn beside(self, keys: &SharedKeys, suite: Suite) -> Self {
        Self {
            keys: self.keys.beside(PseudonymKeys::of_keys(keys.keys(), suite)),
            ..self
        }
    }

    /// Holds a person's identifiers, all that were stated, until they are evaluated.
    ///
    /// # Errors
    /// Those of [`CitizenPseudonyms::of`].
    pub fn of(&self, stated: Vec<StatedIdentifier>) -> Result<HeldCitizen, RejectionReason> {
        let mut held = HeldIdentifiers::default();
        match names(&self.keys, &self.policy.identifiers, stated, &mut held)? {
            PersonNames::Local { person, beside } => Ok(HeldCitizen {
                person,
                beside,
                held,
            }),
            // Not reached: the names of these keys are local.
            PersonNames::Ready(_) => Err(RejectionReason::IdentifierMissing),
        }
    }
}

/// Citizen whose identifiers are held in memory until key services have evaluated them.
#[derive(Debug)]
pub struct HeldCitizen {
    person: LocalSubject,
    beside: Option<Subject>,
    held: HeldIdentifiers,
}

impl HeldCitizen {
    /// Blinds the identifiers, with other factors each time.
    #[must_use]
    pub fn blind(&self) -> Option<Blinding> {
        self.held.blind(self.person.names())
    }

    /// Pseudonyms that are known without key services: those of the suite that the city moves from.
    #[must_use]
    pub fn known(&self) -> &[Pseudonym] {
        self.beside.as_ref().map_or(&[], Subject::pseudonyms)
    }

    /// Pseudonyms of a key epoch, of the elements that key services made of a blinding.
    #[must_use]
    pub fn pseudonyms(&self, epoch: Epoch, elements: &[Element]) -> Vec<Pseudonym> {
        let named = self.person.names().iter().zip(elements);
        named
            .map(|(name, element)| Pseudonym {
                scheme: name.scheme,
                suite: Suite::Voprf,
                epoch,
                value: element.to_bytes(),
            })
            .collect()
    }
}

/// Names of a citizen by all identifiers that were stated.
fn names(
    keys: &PseudonymKeys,
    rules: &IdentifierRules,
    stated: Vec<StatedIdentifier>,
    held: &mut HeldIdentifiers,
) -> Result<PersonNames, RejectionReason> {
    let identifiers = stated.into_iter().map(|one| Identifier {
        kind: one.kind,
        value: one.value,
        country: one.country,
    });
    let person = Person {
        identifiers: identifiers.collect(),
        unreadable: false,
    };
    match keys.subject(&person, rules, held) {
        Ok((names, _)) => Ok(names),
        // At a clinic such a number says that there is none; a citizen is told.
        Err(RejectionReason::IdentifierMissing) if states_placeholder(&person, rules) => {
            Err(RejectionReason::IdentifierPlaceholder)
        }
        Err(reason) => Err(reason),
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
        let clinic = PseudonymKeys::new(&ring, Suite::Hmac.into());
        let rules = policy();
        let held = &mut HeldIdentifiers::default();
        let Ok((PersonNames::Ready(subject), _)) =
            clinic.subject(&person, &rules.identifiers, held)
        else {
            panic!("the SNILS is right");
        };
        let typed = vec![stated(IdentifierKind::Snils, " 501-377-201 39", None)];
        let citizen = portal(&ring.shared()).of(typed);
        assert_eq!(citizen.as_deref(), Ok(subject.pseudonyms()));
    }

    #[test]
    fn a_citizen_has_the_pseudonyms_that_a_clinic_has_evaluated() {
        let service = oprf::ServiceKey::generate();
        let evaluated = |mut blinding: Blinding| {
            let request = blinding.request(4);
            let request = oprf::Request::parse(&request).expect("a request");
            let answer = service.evaluate(&request);
            let key = service.public_key();
            blinding.accept(&answer, 4, &key).expect("its own answer");
            blinding.unblind()
        };
        let identifier = |kind, value: &str| Identifier {
            kind,
            value: SecretString::from(value),
            country: None,
        };
        let person = Person {
            identifiers: vec![
                identifier(IdentifierKind::PassportRu, "4510 123456"),
                identifier(IdentifierKind::Snils, "50137720139"),
            ],
            unreadable: false,
        };
        let clinic = PseudonymKeys::new(&KeyRing::record_only(), Suite::Voprf.into());
        let mut held = HeldIdentifiers::default();
        let rules = policy();
        let read = clinic.subject(&person, &rules.identifiers, &mut held);
        let Ok((PersonNames::Local { person: local, .. }, _)) = read else {
            panic!("the numbers are right");
        };
        let of_clinic = evaluated(held.blind(local.names()).expect("both are held"));

        let citizens = CitizenBlinding::new(policy());
        let typed = vec![
            stated(IdentifierKind::Snils, "501-377-201 39", None),
            stated(IdentifierKind::PassportRu, "45 10 123456", None),
        ];
        let citizen = citizens.of(typed).expect("the numbers are right");
        let elements = evaluated(citizen.blind().expect("both are held"));
        let mut pseudonyms = citizen.pseudonyms(7, &elements);
        pseudonyms.sort_unstable();
        let schemes: Vec<_> = pseudonyms.iter().map(|name| name.scheme).collect();
        assert_eq!(schemes, [Scheme::Snils, Scheme::PassportRu]);
        for name in &pseudonyms {
            assert_eq!((name.suite, name.epoch), (Suite::Voprf, 7));
            let place = local
                .names()
                .iter()
                .position(|one| one.scheme == name.scheme);
            let element = of_clinic[place.expect("the clinic has it")];
            assert_eq!(name.value, element.to_bytes());
        }
        assert_ne!(elements[0], elements[1]);
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
