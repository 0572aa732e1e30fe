//! A person to a subject: every usable identifier becomes one pseudonym per open key epoch.

use connector_kit::{IdentifierKind, Person};
use contract::{Epoch, Pseudonym, Scheme, Subject, Suite};

use crate::identifier::{
    IdentifierFault, IdentifierRules, NormalForm, Soundness, normalise, scheme,
};
use crate::keys::KeyRing;
use crate::mac::Keyed;
use crate::rejection::RejectionReason;

/// Begins every keyed input of a pseudonym.
const DOMAIN: &str = "clinic-gateway/pseudonym/v1";

/// Doubts about a person whose record leaves all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warnings {
    /// An OMS policy's check digit does not fit.
    pub oms_check_digit: bool,
    /// Number of identifiers that were unusable and left out.
    pub identifiers_dropped: u8,
}

/// The keyed states of one suite, for each open epoch and each scheme.
pub(crate) struct PseudonymKeys {
    suite: Suite,
    epochs: Vec<(Epoch, [Keyed; Scheme::ALL.len()])>,
}

impl PseudonymKeys {
    pub(crate) fn new(ring: &KeyRing, suite: Suite) -> Self {
        Self::of_keys(ring.pseudonym_keys(), suite)
    }

    /// Prepares the keyed states of these keys, oldest epoch first.
    pub(crate) fn of_keys<'a>(
        keys: impl Iterator<Item = (Epoch, &'a [u8; 32])>,
        suite: Suite,
    ) -> Self {
        let prepared = |epoch: Epoch, key: &[u8; 32]| {
            let keyed = Keyed::new(suite, key);
            Scheme::ALL.map(|scheme| {
                let prefix = format!(
                    "{DOMAIN}\0{}\0{}\0{epoch}\0",
                    suite.as_str(),
                    scheme.as_str()
                );
                keyed.clone().absorb(prefix.as_bytes())
            })
        };
        let epochs = keys
            .map(|(epoch, key)| (epoch, prepared(epoch, key)))
            .collect();
        Self { suite, epochs }
    }

    /// The pseudonyms of one normal form, oldest epoch first.
    pub(crate) fn of<'a>(
        &'a self,
        scheme: Scheme,
        normal_form: &'a NormalForm,
    ) -> impl Iterator<Item = Pseudonym> + 'a {
        let place = Scheme::ALL
            .iter()
            .position(|listed| *listed == scheme)
            .expect("ALL lists every scheme");
        self.epochs.iter().map(move |(epoch, states)| Pseudonym {
            scheme,
            suite: self.suite,
            epoch: *epoch,
            value: states[place].digest(normal_form.as_bytes()),
        })
    }

    /// The whole person.
    ///
    /// A SNILS that is given must be right: its control number catches typing errors, and a wrong
    /// one shows that the record may be about somebody else. Other unusable identifiers are left
    /// out as long as one is usable, and of one numbering all after the first
    /// [`Subject::MAX_OF_A_SCHEME`].
    pub(crate) fn subject(
        &self,
        person: &Person,
        rules: &IdentifierRules,
    ) -> Result<(Subject, Warnings), RejectionReason> {
        if person.identifiers.len() > Subject::MAX {
            return Err(RejectionReason::TooManyIdentifiers);
        }
        let mut pseudonyms: Vec<Pseudonym> =
            Vec::with_capacity(person.identifiers.len() * self.epochs.len());
        let mut warnings = Warnings::default();
        let mut first_fault = None;
        let mut normal_form = NormalForm::new();
        for identifier in &person.identifiers {
            match normalise(identifier, rules, &mut normal_form) {
                Ok(soundness) => {
                    warnings.oms_check_digit |= soundness == Soundness::WrongCheckDigit;
                    let scheme = scheme(identifier.kind);
                    if self.is_one_more_than_may_leave(scheme, &normal_form, &pseudonyms) {
                        warnings.identifiers_dropped =
                            warnings.identifiers_dropped.saturating_add(1);
                    } else {
                        pseudonyms.extend(self.of(scheme, &normal_form));
                    }
                }
                Err(IdentifierFault::Empty) => {}
                Err(fault) if identifier.kind == IdentifierKind::Snils => {
                    return Err(fault.reason());
                }
                Err(fault) => {
                    warnings.identifiers_dropped = warnings.identifiers_dropped.saturating_add(1);
                    first_fault = first_fault.or(Some(fault.reason()));
                }
            }
        }
        if pseudonyms.is_empty() {
            let unreadable = person
                .unreadable
                .then_some(RejectionReason::IdentifierUnreadable);
            return Err(first_fault
                .or(unreadable)
                .unwrap_or(RejectionReason::IdentifierMissing));
        }
        if self.has_two_snils(&pseudonyms) {
            return Err(RejectionReason::IdentifierConflict);
        }
        let subject = Subject::new(pseudonyms).ok_or(RejectionReason::TooManyIdentifiers)?;
        Ok((subject, warnings))
    }

    /// Returns whether as many others of its scheme are there as may leave. Never for a SNILS: two
    /// of them contradict each other, which is not for this function to hide.
    fn is_one_more_than_may_leave(
        &self,
        scheme: Scheme,
        normal_form: &NormalForm,
        pseudonyms: &[Pseudonym],
    ) -> bool {
        let Some(epoch) = self.epochs.first().map(|(epoch, _)| *epoch) else {
            return false;
        };
        let mut others: Vec<Pseudonym> = pseudonyms
            .iter()
            .filter(|other| other.scheme == scheme && other.epoch == epoch)
            .copied()
            .collect();
        others.sort_unstable();
        others.dedup();
        scheme != Scheme::Snils
            && others.len() >= Subject::MAX_OF_A_SCHEME
            && self
                .of(scheme, normal_form)
                .next()
                .is_some_and(|pseudonym| !others.contains(&pseudonym))
    }

    /// A person has one SNILS for life, so one pseudonym of it in each epoch.
    fn has_two_snils(&self, pseudonyms: &[Pseudonym]) -> bool {
        let mut snils: Vec<&Pseudonym> = pseudonyms
            .iter()
            .filter(|pseudonym| pseudonym.scheme == Scheme::Snils)
            .collect();
        snils.sort_unstable();
        snils.dedup();
        snils.len() > self.epochs.len()
    }
}
