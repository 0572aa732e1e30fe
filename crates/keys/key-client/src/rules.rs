//! What must hold in a configuration of key services as a whole.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::config::{ConnectionConfig, KeyServiceConfig, KeyServicesConfig, PinnedKeyConfig};
use crate::error::KeyConfigMistake;
use crate::limits::{MAX_OPEN_EPOCHS, MAX_SERVICES};

impl KeyServicesConfig {
    /// The open pseudonym epochs, lowest first.
    #[must_use]
    pub fn epochs(&self) -> Vec<u16> {
        let keys = self.0.iter().flat_map(|service| &service.public_keys);
        let epochs: BTreeSet<u16> = keys.map(|pinned| pinned.epoch.get()).collect();
        epochs.into_iter().collect()
    }

    /// Checks what must hold, without reading a file.
    ///
    /// # Errors
    /// [`KeyConfigMistake`]: the first one.
    pub fn check(&self) -> Result<(), KeyConfigMistake> {
        if self.0.is_empty() || self.0.len() > MAX_SERVICES {
            return Err(KeyConfigMistake::new(
                format!("there are {} key services", self.0.len()),
                format!("configure 1 to {MAX_SERVICES} of them"),
            ));
        }
        for (index, service) in self.0.iter().enumerate() {
            check_connection(&label(index, service), &service.connection())?;
        }
        self.check_epochs()?;
        self.check_public_keys()
    }

    fn check_epochs(&self) -> Result<(), KeyConfigMistake> {
        let epochs = self.epochs();
        if epochs.is_empty() || epochs.len() > MAX_OPEN_EPOCHS {
            return Err(KeyConfigMistake::new(
                format!(
                    "public_keys of the key services name {} epochs",
                    epochs.len()
                ),
                format!(
                    "name 1 to {MAX_OPEN_EPOCHS}: the city's open epochs; take out the keys of \
                     those that are closed"
                ),
            ));
        }
        for (index, service) in self.0.iter().enumerate() {
            for epoch in &epochs {
                let of_epoch = |pinned: &&PinnedKeyConfig| pinned.epoch.get() == *epoch;
                let count = service.public_keys.iter().filter(of_epoch).count();
                if count != 1 {
                    return Err(KeyConfigMistake::new(
                        format!(
                            "public_keys of {} has {count} keys for epoch {epoch}",
                            label(index, service)
                        ),
                        "write exactly one for every epoch that any key service has: every \
                         service evaluates in every epoch",
                    ));
                }
            }
        }
        Ok(())
    }

    /// A service may keep its key in the next epoch, under the same number: then another service
    /// has changed its own.
    fn check_public_keys(&self) -> Result<(), KeyConfigMistake> {
        let mut seen = Vec::new();
        for (index, service) in self.0.iter().enumerate() {
            let mut numbers = BTreeMap::new();
            for pinned in &service.public_keys {
                let label = label(index, service);
                let of_number = numbers.insert(pinned.key, pinned.public_key);
                if of_number == Some(pinned.public_key) {
                    continue;
                }
                if seen.contains(&pinned.public_key) {
                    return Err(KeyConfigMistake::new(
                        format!(
                            "public_key for epoch {} of {label} is there a second time",
                            pinned.epoch
                        ),
                        "ask the service's operator for its own: every service has a key of its \
                         own, and each key one number",
                    ));
                }
                if of_number.is_some() {
                    return Err(KeyConfigMistake::new(
                        format!("key = {} of {label} stands for two public keys", pinned.key),
                        "ask the service's operator for the number of each key",
                    ));
                }
                seen.push(pinned.public_key);
            }
        }
        Ok(())
    }
}

/// A service in a sentence about its settings: its number from 1, and its name.
pub(crate) fn label(index: usize, service: &KeyServiceConfig) -> String {
    format!("key service {} ({})", index + 1, name(&service.url))
}

/// A service's name in sentences: its host, with the port where one is written.
pub(crate) fn name(url: &Url) -> String {
    let host = url.host_str().unwrap_or("without a host");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Checks how a service or an issuer is reached.
pub(crate) fn check_connection(
    label: &str,
    service: &ConnectionConfig<'_>,
) -> Result<(), KeyConfigMistake> {
    if !settings::may_be_asked(service.url) {
        return Err(KeyConfigMistake::new(
            format!("url of {label} is not https://HOST[:PORT]"),
            "write it without user, path and query; http:// is for this machine alone",
        ));
    }
    match (service.certificate, service.private_key) {
        (Some(_), Some(_)) => Ok(()),
        (None, None) if service.url.scheme() == "http" => Ok(()),
        (None, None) => Err(KeyConfigMistake::new(
            format!("{label} has no certificate, and key services know their clients by it"),
            "write certificate = \"FILE\" and private_key = { file = \"FILE\" }",
        )),
        (Some(_), None) => Err(KeyConfigMistake::new(
            format!("{label} has a certificate and no private_key"),
            "write private_key = { file = \"FILE\" } too",
        )),
        (None, Some(_)) => Err(KeyConfigMistake::new(
            format!("{label} has a private_key and no certificate"),
            "write certificate = \"FILE\" too",
        )),
    }
}
