//! The key services of a configuration, asked in turn.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use oprf::{Blinding, Element};
use sha2::{Digest as _, Sha256};

use crate::config::KeyServicesConfig;
use crate::error::{KeyClientError, KeyConfigMistake};
use crate::look::ServiceLook;
use crate::service::{Service, not_open, on_a_thread};

/// Input that services are compared by; no identifier has this form.
const COMPARED: &[u8] = b"comparison of shares";

/// Client of 1 to 4 key services.
pub struct KeyClient {
    /// The services in the order of the configuration; at least one.
    services: Vec<Service>,
    /// Open epochs, lowest first.
    epochs: Vec<u16>,
    /// Place of the service that is asked first: the one that failed last. What the others
    /// evaluate before it would be lost with it, and count for their ceilings.
    first: AtomicUsize,
}

impl KeyClient {
    /// Checks the configuration and reads the certificates; asks nobody. Relative paths start from
    /// `base`.
    ///
    /// # Errors
    /// [`KeyConfigMistake`], which names the setting and says what to write.
    pub fn new(config: &KeyServicesConfig, base: &Path) -> Result<Self, KeyConfigMistake> {
        config.check()?;
        let services = config.0.iter().enumerate();
        let services = services.map(|(index, service)| Service::new(index, service, base));
        Ok(Self {
            services: services.collect::<Result<_, _>>()?,
            epochs: config.epochs(),
            first: AtomicUsize::new(0),
        })
    }

    /// Names of the services, as sentences name them: "the key service k1.example", or "the key
    /// services k1.example, k2.example".
    #[must_use]
    pub fn names(&self) -> String {
        let hosts: Vec<&str> = self.services.iter().map(Service::host).collect();
        let noun = if hosts.len() == 1 {
            "service"
        } else {
            "services"
        };
        format!("the key {noun} {}", hosts.join(", "))
    }

    /// The open pseudonym epochs, lowest first: 1 or 2.
    #[must_use]
    pub fn epochs(&self) -> &[u16] {
        &self.epochs
    }

    /// Each open epoch with one fingerprint of all services' public keys: first 8 hex digits of
    /// SHA-256 over their sorted text forms. Equal at two clients that pin the same keys, in
    /// whatever order they name the services.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<(u16, String)> {
        let of_epoch = |epoch: u16| {
            let pinned = self.services.iter().flat_map(|service| &service.pinned);
            let of_epoch = pinned.filter(|pinned| pinned.epoch == epoch);
            let mut keys: Vec<String> = of_epoch
                .map(|pinned| pinned.public_key.to_string())
                .collect();
            keys.sort_unstable();
            let digest = Sha256::digest(keys.join("\n"));
            let shown = digest.iter().take(4).map(|byte| format!("{byte:02x}"));
            (epoch, shown.collect())
        };
        self.epochs.iter().copied().map(of_epoch).collect()
    }

    /// Shows every metric at zero, so that an alert can tell "none yet" from "not counted".
    pub fn register_metrics(&self) {
        for service in &self.services {
            service.metrics().register();
        }
    }

    /// Has a blinding evaluated by all services in turn, each answer verified under the key that is
    /// pinned for `epoch`, and takes the blinds off. Returns one element for each input, in their
    /// order. The service that failed last is asked first, so that nothing of the others' ceilings
    /// is spent while it is away.
    ///
    /// A failure wants a new blinding of the same inputs: what was sent once is not sent again, and
    /// what a service has evaluated by then counts for its ceiling.
    ///
    /// # Errors
    /// [`KeyClientError`] of the first service that fails; those behind it are not asked.
    pub async fn evaluate(
        &self,
        mut blinding: Blinding,
        epoch: u16,
    ) -> Result<Vec<Element>, KeyClientError> {
        let first = self.first.load(Ordering::Relaxed);
        let places = (first..self.services.len()).chain(0..first);
        let mut last = None;
        for place in places {
            let Some(service) = self.services.get(place) else {
                continue;
            };
            let asked = service.evaluate(blinding, epoch).await;
            blinding = asked.inspect_err(|_| self.first.store(place, Ordering::Relaxed))?;
            last = Some(service);
        }
        // Without a service nothing was evaluated, and nothing may be unblinded.
        let last = last.ok_or_else(|| not_open(epoch))?;
        let elements = on_a_thread(move || blinding.unblind()).await;
        elements.ok_or_else(|| last.ending())
    }

    /// Returns whether these services and those of `other` make the same elements in an epoch, as
    /// after a refresh of shares. One evaluation by each service tells it for every input: each has
    /// proven that it multiplies by the key that is pinned, and in a group of prime order two
    /// products that agree on one element are equal. Costs each service the smallest request twice.
    ///
    /// # Errors
    /// Errors of [`Self::evaluate`].
    ///
    /// # Panics
    /// Never: one input fits a request.
    pub async fn makes_what_makes(&self, other: &Self, epoch: u16) -> Result<bool, KeyClientError> {
        let blinding = || Blinding::new(&[COMPARED]).expect("one input fits a request");
        let here = self.evaluate(blinding(), epoch).await?;
        let there = other.evaluate(blinding(), epoch).await?;
        Ok(here == there)
    }

    /// Asks every service for its keys and its ceiling, one after the other, whether or not others
    /// answer.
    pub async fn look(&self) -> Vec<ServiceLook> {
        let mut looks = Vec::with_capacity(self.services.len());
        for service in &self.services {
            looks.push(ServiceLook {
                service: service.host().to_owned(),
                state: service.look().await,
            });
        }
        looks
    }
}

impl fmt::Debug for KeyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.services.iter().map(Service::host);
        f.debug_struct("KeyClient")
            .field("services", &names.collect::<Vec<_>>())
            .field("epochs", &self.epochs)
            .finish()
    }
}
