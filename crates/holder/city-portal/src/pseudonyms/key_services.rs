//! Key services, asked for the pseudonyms of a citizen in every open epoch.

use chrono::{DateTime, Utc};
use key_client::{KeyClient, KeyClientError};
use pseudonym::{
    CitizenBlinding, HeldCitizen, Policy, Pseudonym, RejectionReason, SharedKeys, StatedIdentifier,
    Suite,
};
use tokio::time::timeout;

use super::condition::{FoundBy, ServicesCondition};
use super::fault::KeyServiceFault;
use super::look;
use crate::limits::EVALUATION_TIME;

/// The city's key services, and the rules by which identifiers are read before they are blinded.
pub struct KeyServices {
    client: KeyClient,
    citizens: CitizenBlinding,
    condition: ServicesCondition,
}

impl KeyServices {
    /// Key services that this client asks. The policy has to be that of the city's clinics.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn new(client: KeyClient, policy: Policy) -> Self {
        Self {
            client,
            citizens: CitizenBlinding::new(policy),
            condition: ServicesCondition::new(),
        }
    }

    /// The same, while the city moves from another suite, whose pseudonyms are made with the keys
    /// that its clinics share: citizens have those beside the evaluated ones.
    #[must_use]
    pub fn beside(self, keys: &SharedKeys, moving_from: Suite) -> Self {
        Self {
            citizens: self.citizens.beside(keys, moving_from),
            ..self
        }
    }

    /// Client that asks them.
    #[must_use]
    pub const fn client(&self) -> &KeyClient {
        &self.client
    }

    /// Holds a person's identifiers until they are evaluated.
    pub(super) fn hold(
        &self,
        stated: Vec<StatedIdentifier>,
    ) -> Result<HeldCitizen, RejectionReason> {
        self.citizens.of(stated)
    }

    /// Has the identifiers evaluated in every open epoch, beside the pseudonyms of the suite that
    /// the city moves from: all or none, since a registry that is asked by some of them would not
    /// find what clinics have sent under the others.
    pub(super) async fn evaluate(
        &self,
        held: &HeldCitizen,
    ) -> Result<Vec<Pseudonym>, KeyServiceFault> {
        let evaluated = timeout(EVALUATION_TIME, self.in_every_epoch(held)).await;
        let evaluated = evaluated.unwrap_or(Err(KeyServiceFault::Slow));
        let found = evaluated.as_ref().map(|_| ());
        self.condition.note(found, FoundBy::Question);
        evaluated
    }

    async fn in_every_epoch(&self, held: &HeldCitizen) -> Result<Vec<Pseudonym>, KeyServiceFault> {
        let mut pseudonyms = held.known().to_vec();
        for epoch in self.client.epochs() {
            let blinding = held.blind().ok_or_else(too_many_identifiers)?;
            let elements = self.client.evaluate(blinding, *epoch).await?;
            pseudonyms.extend(held.pseudonyms(*epoch, &elements));
        }
        Ok(pseudonyms)
    }

    /// Looks at what the services say of themselves; the first failure, in their order. `now` tells
    /// when a ceiling is lifted.
    pub(crate) async fn look(&self, now: DateTime<Utc>) -> Result<(), KeyServiceFault> {
        let epochs = self.client.epochs().len();
        let looks = self.client.look().await;
        let fault = looks
            .into_iter()
            .find_map(|one| look::fault(one, epochs, now));
        let looked = fault.map_or(Ok(()), Err);
        let found = looked.as_ref().copied();
        self.condition.note(found, FoundBy::Look);
        looked
    }
}

/// Fault that is not reached: a person has fewer identifiers than a blinding has room for.
fn too_many_identifiers() -> KeyServiceFault {
    KeyServiceFault::Client(KeyClientError::Misconfigured {
        what: "a person states more identifiers than key services are asked about at once"
            .to_owned(),
        help: "state fewer".to_owned(),
    })
}
