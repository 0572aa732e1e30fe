//! A person to names: every usable identifier becomes one pseudonym per open key epoch, or, where
//! key services evaluate pseudonyms, one local name.

use connector_kit::{Identifier, Person};
use contract::{Epoch, Pseudonym, Scheme, Subject, Suite};
use draft::{LocalName, LocalSubject};

use crate::held::{BlindInput, HeldIdentifiers, PSEUDONYM_DOMAIN};
use crate::identifier::{
    IdentifierFault, IdentifierRules, NormalForm, Soundness, normalise, scheme,
};
use crate::keys::{KeyRing, MAX_OPEN_EPOCHS};
use crate::mac::Keyed;
use crate::rejection::RejectionReason;
use crate::suites::Suites;

/// Begins every keyed input of a local name.
const LOCAL_DOMAIN: &str = "clinic-gateway/local-name/v1";

/// Key epoch that local names have while a person is read. No pseudonym has it.
const NO_EPOCH: Epoch = 0;

/// Most local names of one person: each becomes a pseudonym in each of the epochs that may be
/// open, and a person's content must not change when an epoch is opened.
pub(crate) const MAX_LOCAL_NAMES: usize = Subject::MAX / MAX_OPEN_EPOCHS;

/// Doubts about a person whose record leaves all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warnings {
    /// An OMS policy's check digit does not fit.
    pub oms_check_digit: bool,
    /// Number of identifiers that were unusable, or more than one event may have, and left out.
    pub identifiers_dropped: u8,
    /// Number of doses' numbers that cannot be read, and were left out.
    pub doses_dropped: u8,
}

/// Most identifiers of one person that are looked at.
const MAX_STATED: usize = 128;

/// What was found of a person's identifiers so far.
#[derive(Default)]
struct Reading {
    pseudonyms: Vec<Pseudonym>,
    /// Inputs of the local names among `pseudonyms`, in the same order.
    inputs: Vec<BlindInput>,
    /// Pseudonyms of the same identifiers in the suite that the city moves from.
    beside: Vec<Pseudonym>,
    warnings: Warnings,
    /// Fault of a SNILS.
    wrong_snils: Option<IdentifierFault>,
    /// Fault of the strongest identifier that has one.
    first_fault: Option<IdentifierFault>,
    /// True if another identifier names the person beyond doubt.
    has_strong: bool,
}

impl Reading {
    fn count_dropped(&mut self) {
        self.warnings.identifiers_dropped = self.warnings.identifiers_dropped.saturating_add(1);
    }

    fn note_fault(&mut self, scheme: Scheme, fault: IdentifierFault) {
        self.count_dropped();
        self.first_fault = self.first_fault.or(Some(fault));
        if scheme == Scheme::Snils {
            self.wrong_snils = self.wrong_snils.or(Some(fault));
        }
    }
}

/// Returns whether an identifier names one person beyond doubt, so that a mistyped SNILS beside it
/// says nothing of whom the record is about: the state gives the number to one person, and its
/// form or a check digit shows most typing errors. Another SNILS says that the record may name two
/// persons. Numbers of other countries, cards, permits and certificates are not checked.
const fn is_strong(scheme: Scheme, soundness: Soundness) -> bool {
    match scheme {
        Scheme::Oms => matches!(soundness, Soundness::Sound),
        Scheme::PassportRu => true,
        Scheme::Snils
        | Scheme::NationalId
        | Scheme::PassportForeign
        | Scheme::Ehic
        | Scheme::ResidencePermit
        | Scheme::BirthCertificate => false,
    }
}

/// A person's names.
#[derive(Debug)]
pub(crate) enum PersonNames {
    /// Pseudonyms.
    Ready(Subject),
    /// Local names, whose identifiers are held until key services have evaluated them.
    Local {
        person: LocalSubject,
        /// Pseudonyms of the same identifiers in the suite that the city moves from.
        beside: Option<Subject>,
    },
}

impl PersonNames {
    /// Values of the names, by which records of one person are told.
    pub(crate) fn values(&self) -> Vec<[u8; 32]> {
        match self {
            Self::Ready(subject) => subject.pseudonyms().iter().map(|it| it.value).collect(),
            Self::Local { person, .. } => person.names().iter().map(|it| it.value).collect(),
        }
    }
}

/// The keyed states of one suite, for each open epoch and each scheme. Under the suite `voprf`
/// they are those of local names.
pub(crate) struct PseudonymKeys {
    suite: Suite,
    /// Most names that one person may have.
    most: usize,
    epochs: Vec<(Epoch, [Keyed; Scheme::ALL.len()])>,
    /// Keys of the suite that the city moves from, whose names leave beside those of `suite`.
    beside: Option<Box<Self>>,
}

impl PseudonymKeys {
    pub(crate) fn new(ring: &KeyRing, suites: Suites) -> Self {
        let keyed = suites
            .keyed()
            .map(|suite| Self::of_keys(ring.pseudonym_keys(), suite));
        match (suites.suite, keyed) {
            (Suite::Voprf, Some(keyed)) => Self::local(ring.record_key()).beside(keyed),
            (_, Some(keyed)) => keyed,
            (_, None) => Self::local(ring.record_key()),
        }
    }

    /// The same keys of local names, with the names of another suite beside them.
    pub(crate) fn beside(self, keyed: Self) -> Self {
        Self {
            beside: Some(Box::new(keyed)),
            ..self
        }
    }

    /// Prepares the keyed states of local names under a key that only their maker has.
    pub(crate) fn local(key: &[u8; 32]) -> Self {
        let keyed = Keyed::new(Suite::Voprf, key);
        let states = Scheme::ALL.map(|scheme| {
            let prefix = format!("{LOCAL_DOMAIN}\0{}\0", scheme.as_str());
            keyed.clone().absorb(prefix.as_bytes())
        });
        Self {
            suite: Suite::Voprf,
            most: MAX_LOCAL_NAMES,
            epochs: vec![(NO_EPOCH, states)],
            beside: None,
        }
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
                    "{PSEUDONYM_DOMAIN}\0{}\0{}\0{epoch}\0",
                    suite.as_str(),
                    scheme.as_str()
                );
                keyed.clone().absorb(prefix.as_bytes())
            })
        };
        let epochs = keys
            .map(|(epoch, key)| (epoch, prepared(epoch, key)))
            .collect();
        Self {
            suite,
            most: Subject::MAX,
            epochs,
            beside: None,
        }
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

    /// The pseudonyms of one normal form in every suite that leaves.
    pub(crate) fn of_every_suite<'a>(
        &'a self,
        scheme: Scheme,
        normal_form: &'a NormalForm,
    ) -> impl Iterator<Item = Pseudonym> + 'a {
        let beside = self.beside.iter();
        let beside = beside.flat_map(move |keys| keys.of(scheme, normal_form));
        self.of(scheme, normal_form).chain(beside)
    }

    /// The whole person.
    ///
    /// A SNILS that is given must be right: its control number catches typing errors, and a wrong
    /// one shows that the record may be about somebody else. Configuration may have it left out
    /// beside another strong identifier. Other unusable identifiers are left out as long as one is
    /// usable; of one numbering all after the first [`Subject::MAX_OF_A_SCHEME`], and of all the
    /// weakest that one event has no room for. The identifiers of local names go to `held`.
    pub(crate) fn subject(
        &self,
        person: &Person,
        rules: &IdentifierRules,
        held: &mut HeldIdentifiers,
    ) -> Result<(PersonNames, Warnings), RejectionReason> {
        if person.identifiers.len() > MAX_STATED {
            return Err(RejectionReason::TooManyIdentifiers);
        }
        let mut reading = Reading::default();
        let mut normal_form = NormalForm::new();
        // The strongest first, so that the weakest find no room.
        for listed in Scheme::ALL {
            let of_scheme = |identifier: &&Identifier| scheme(identifier.kind) == listed;
            for identifier in person.identifiers.iter().filter(of_scheme) {
                match normalise(identifier, rules, &mut normal_form) {
                    Ok(soundness) => self.take(listed, soundness, &normal_form, &mut reading),
                    Err(fault) if fault.is_missing() => {}
                    Err(fault) => reading.note_fault(listed, fault),
                }
            }
        }
        if let Some(fault) = reading.wrong_snils
            && !(rules.drop_invalid && reading.has_strong)
        {
            return Err(fault.reason());
        }
        if reading.pseudonyms.is_empty() {
            let unreadable = person
                .unreadable
                .then_some(RejectionReason::IdentifierUnreadable);
            return Err(reading
                .first_fault
                .map(IdentifierFault::reason)
                .or(unreadable)
                .unwrap_or(RejectionReason::IdentifierMissing));
        }
        if self.has_two_snils(&reading.pseudonyms) {
            return Err(RejectionReason::IdentifierConflict);
        }
        let warnings = reading.warnings;
        let names = match self.suite {
            Suite::Hmac | Suite::HmacStreebog => {
                Subject::new(reading.pseudonyms).map(PersonNames::Ready)
            }
            Suite::Voprf => local_names(reading, held),
        };
        Ok((names.ok_or(RejectionReason::TooManyIdentifiers)?, warnings))
    }

    /// Takes a usable identifier, unless it is there already, or there is no room for it in an
    /// event. A SNILS always has room: two of them contradict each other, which is not for this
    /// function to hide.
    fn take(
        &self,
        scheme: Scheme,
        soundness: Soundness,
        normal_form: &NormalForm,
        reading: &mut Reading,
    ) {
        reading.has_strong |= is_strong(scheme, soundness);
        reading.warnings.oms_check_digit |= soundness == Soundness::WrongCheckDigit;
        let names = &mut reading.pseudonyms;
        let count = names.len();
        names.extend(self.of(scheme, normal_form));
        let Some((others, new)) = names.get(count).map(|new| (&names[..count], *new)) else {
            return;
        };
        let is_there = others.contains(&new);
        let of_numbering = |other: &&Pseudonym| other.numbering() == new.numbering();
        let is_full = others.iter().filter(of_numbering).count() >= Subject::MAX_OF_A_SCHEME
            || names.len() > self.most;
        if is_there {
            names.truncate(count);
        } else if is_full && scheme != Scheme::Snils {
            names.truncate(count);
            reading.count_dropped();
        } else if self.suite == Suite::Voprf {
            let input = BlindInput::new(scheme, normal_form.as_bytes());
            reading.inputs.push(input);
            let beside = self.beside.iter();
            let names = beside.flat_map(|keys| keys.of(scheme, normal_form));
            reading.beside.extend(names);
        }
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

/// The person by local names, whose identifiers go to `held`, with the pseudonyms beside them.
fn local_names(reading: Reading, held: &mut HeldIdentifiers) -> Option<PersonNames> {
    let names: Vec<LocalName> = reading
        .pseudonyms
        .iter()
        .map(|name| LocalName {
            scheme: name.scheme,
            value: name.value,
        })
        .collect();
    let person = LocalSubject::new(names.clone(), MAX_LOCAL_NAMES)?;
    let beside = match reading.beside.is_empty() {
        true => None,
        false => Some(Subject::new(reading.beside)?),
    };
    for (name, input) in names.into_iter().zip(reading.inputs) {
        held.insert(name, input);
    }
    Some(PersonNames::Local { person, beside })
}
