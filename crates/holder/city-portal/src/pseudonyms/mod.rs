//! Pseudonyms of citizens: computed here with the keys that the city's clinics share, or evaluated
//! by the city's key services.

mod condition;
mod fault;
mod key_services;
mod look;

use pseudonym::{CitizenPseudonyms, HeldCitizen, Pseudonym, RejectionReason, StatedIdentifier};

pub use fault::{KeyServiceFault, KeyServiceFaultKind};
pub use key_services::KeyServices;
#[cfg(feature = "cli")]
pub(crate) use look::compare;

/// Source of citizens' pseudonyms, by the suite of the city.
pub enum PseudonymSource {
    /// Keys that the city's clinics share: the suites `hmac` and `hmac-streebog`.
    SharedKeys(Box<CitizenPseudonyms>),
    /// Key services, which evaluate what is blinded here: the suite `voprf`.
    KeyServices(Box<KeyServices>),
}

/// Reason for which a person's pseudonyms are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PseudonymFault {
    /// The identifiers cannot be used.
    Rejected(RejectionReason),
    /// The key services gave no evaluation.
    KeyServices(KeyServiceFault),
}

/// Identifiers of a person that can be used. Dropped, nothing of them is left.
pub(crate) enum ReadIdentifiers<'a> {
    /// Pseudonyms that are known.
    Named(Vec<Pseudonym>),
    /// Identifiers that are held until these key services have evaluated them.
    Held(&'a KeyServices, HeldCitizen),
}

impl PseudonymSource {
    /// Pseudonyms of a person by all identifiers that were stated, for each open epoch. Key
    /// services are asked where the suite has such, and only for identifiers that can be used.
    ///
    /// # Errors
    /// [`PseudonymFault`].
    pub async fn of(
        &self,
        stated: Vec<StatedIdentifier>,
    ) -> Result<Vec<Pseudonym>, PseudonymFault> {
        let read = self.read(stated).map_err(PseudonymFault::Rejected)?;
        read.pseudonyms().await.map_err(PseudonymFault::KeyServices)
    }

    /// Reads the identifiers that were stated, and asks nobody.
    pub(crate) fn read(
        &self,
        stated: Vec<StatedIdentifier>,
    ) -> Result<ReadIdentifiers<'_>, RejectionReason> {
        match self {
            Self::SharedKeys(keys) => keys.of(stated).map(ReadIdentifiers::Named),
            Self::KeyServices(services) => {
                let held = services.hold(stated)?;
                Ok(ReadIdentifiers::Held(services, held))
            }
        }
    }
}

impl ReadIdentifiers<'_> {
    /// Pseudonyms for each open epoch.
    pub(crate) async fn pseudonyms(self) -> Result<Vec<Pseudonym>, KeyServiceFault> {
        match self {
            Self::Named(pseudonyms) => Ok(pseudonyms),
            Self::Held(services, held) => services.evaluate(&held).await,
        }
    }
}

impl From<CitizenPseudonyms> for PseudonymSource {
    fn from(pseudonyms: CitizenPseudonyms) -> Self {
        Self::SharedKeys(Box::new(pseudonyms))
    }
}

impl From<KeyServices> for PseudonymSource {
    fn from(services: KeyServices) -> Self {
        Self::KeyServices(Box::new(services))
    }
}
