//! The portal's way from what a citizen types to pseudonyms.

use contract::{Pseudonym, Suite};
use key_client::KeyClient;
use pseudonym::{
    CitizenBlinding, CitizenPseudonyms, Policy, PolicyConfig, SharedKeys, StatedIdentifier,
};

use crate::stage::{KeyHolders, Stage};

/// The portal's way from what a citizen types to pseudonyms.
pub(crate) enum Portal {
    /// Keys that the portal shares with the clinics.
    SharedKeys(Box<CitizenPseudonyms>),
    /// Key services, which see random points only: strong mode.
    KeyServices(Box<Asking>),
}

/// Blinding of identifiers, and the client of those who evaluate them.
pub(crate) struct Asking {
    citizens: CitizenBlinding,
    client: KeyClient,
}

impl Portal {
    /// Takes the city's keys, or its key services.
    pub(crate) fn open(stage: &Stage) -> Result<Self, String> {
        let policy = Policy::new(&PolicyConfig::default()).map_err(|error| error.to_string())?;
        match &stage.keys {
            KeyHolders::Clinics(shared) => {
                let shared = SharedKeys::parse(shared).map_err(|error| error.to_string())?;
                let citizens = CitizenPseudonyms::new(&shared, Suite::Hmac, policy);
                Ok(Self::SharedKeys(Box::new(citizens)))
            }
            KeyHolders::Operators(operators) => Ok(Self::KeyServices(Box::new(Asking {
                citizens: CitizenBlinding::new(policy),
                client: operators.client()?,
            }))),
        }
    }

    /// Pseudonyms of a person by an identifier.
    pub(crate) async fn pseudonyms(
        &self,
        stated: StatedIdentifier,
    ) -> Result<Vec<Pseudonym>, String> {
        match self {
            Self::SharedKeys(keys) => {
                let pseudonyms = keys.of(vec![stated]);
                pseudonyms.map_err(|reason| reason.as_str().to_owned())
            }
            Self::KeyServices(asking) => asking.pseudonyms(stated).await,
        }
    }
}

impl Asking {
    async fn pseudonyms(&self, stated: StatedIdentifier) -> Result<Vec<Pseudonym>, String> {
        let held = self.citizens.of(vec![stated]);
        let held = held.map_err(|reason| reason.as_str().to_owned())?;
        let mut pseudonyms = Vec::new();
        for epoch in self.client.epochs().iter().copied() {
            let blinding = held.blind().ok_or("the identifier is not held")?;
            let elements = self.client.evaluate(blinding, epoch).await;
            let elements = elements.map_err(|error| error.to_string())?;
            pseudonyms.extend(held.pseudonyms(epoch, &elements));
        }
        Ok(pseudonyms)
    }
}
