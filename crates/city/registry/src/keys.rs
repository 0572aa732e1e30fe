//! Keys of the registry: those that batches are sealed to, the second layer's, and the receipts'.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{Epoch, PrivateKey, ReceiptSigner};
use linking::{Acceptance, OpenEpoch, Rekeying, SecondLayerKey};
use oprf::{Factor, PublicKey};
use secrecy::SecretString;
use settings::{SecretError, SecretSource};

use crate::config::{FIRST_EPOCH, KeysConfig, RekeyedConfig};

/// Every key a running registry holds.
pub struct Keys {
    current: PrivateKey,
    previous: Vec<PrivateKey>,
    pub(crate) second_layer: SecondLayerKey,
    receipt: Option<ReceiptSigner>,
    open_epochs: Vec<OpenEpoch>,
    /// Changes of the key services' keys, those of earlier epochs first.
    pub(crate) rekeyings: Arc<[Arc<Rekeying>]>,
}

/// Reason for which the keys could not be read; always the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// File, variable or credential of a key that cannot be read.
    #[error("keys.{key}: {source}")]
    Secret {
        /// Name of the setting.
        key: &'static str,
        /// Reason.
        source: SecretError,
    },
    /// Change of the key services' keys that does not fit together.
    #[error("keys.rekeyed from epoch {from}: {what}")]
    Rekeyed {
        /// Epoch whose names change.
        from: Epoch,
        /// Clause that says what is wrong, and what to write.
        what: String,
    },
    /// Text that was read and is no key.
    #[error("keys.{key} holds no key: {what}; `city-registry init` makes new ones")]
    NoKey {
        /// Name of the setting.
        key: &'static str,
        /// Clause that says what is wrong with it.
        what: String,
    },
}

impl Keys {
    /// Makes a key ring of the private key that gateways seal to now, those they sealed to before,
    /// and the second layer's key. Without a receipt key no receipts are sent.
    #[must_use]
    pub fn new(
        current: PrivateKey,
        previous: Vec<PrivateKey>,
        second_layer: SecondLayerKey,
    ) -> Self {
        Self {
            current,
            previous,
            second_layer,
            receipt: None,
            open_epochs: vec![OpenEpoch::of_every_suite(FIRST_EPOCH)],
            rekeyings: Arc::new([]),
        }
    }

    /// Sets the changes of the key services' keys that stored names follow, or are to follow.
    #[must_use]
    pub fn with_rekeyings(self, mut rekeyings: Vec<Rekeying>) -> Self {
        // A name may change several times.
        rekeyings.sort_by_key(Rekeying::from);
        Self {
            rekeyings: rekeyings.into_iter().map(Arc::new).collect(),
            ..self
        }
    }

    /// Sets the epochs of the clinics' keys whose pseudonyms are accepted; without it the first.
    #[must_use]
    pub fn with_open_epochs<E: Into<OpenEpoch>>(self, open: impl IntoIterator<Item = E>) -> Self {
        Self {
            open_epochs: open.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Epochs of the clinics' keys that are open.
    pub(crate) fn open_epochs(&self) -> &[OpenEpoch] {
        &self.open_epochs
    }

    /// Conditions that events are accepted under.
    pub(crate) fn acceptance(&self, now: DateTime<Utc>) -> Acceptance<'_> {
        Acceptance {
            key: &self.second_layer,
            open_epochs: &self.open_epochs,
            now,
        }
    }

    /// Adds the key that receipts are signed with.
    #[must_use]
    pub fn with_receipt_key(self, signer: ReceiptSigner) -> Self {
        Self {
            receipt: Some(signer),
            ..self
        }
    }

    /// Reads all keys; relative paths start from `base`.
    ///
    /// # Errors
    /// [`KeysError`], naming the setting.
    pub fn read(config: &KeysConfig, base: &Path) -> Result<Self, KeysError> {
        let setting = |key, source| KeySetting { key, source, base };
        let current = setting("private_key", &config.private_key).read(PrivateKey::from_text)?;
        let previous = config
            .previous_private_keys
            .iter()
            .map(|source| setting("previous_private_keys", source).read(PrivateKey::from_text))
            .collect::<Result<Vec<_>, _>>()?;
        let second_layer = setting("second_layer", &config.second_layer)
            .read(|text| SecondLayerKey::from_text(text).ok_or("it must be 64 hex characters"))?;
        let open_epochs = config.pseudonym_epochs.clone();
        let rekeyings = rekeyings(&config.rekeyed, &second_layer, base)?;
        let keys = Self::new(current, previous, second_layer)
            .with_open_epochs(open_epochs)
            .with_rekeyings(rekeyings);
        let Some(source) = &config.receipt_key else {
            return Ok(keys);
        };
        let signer = setting("receipt_key", source).read(ReceiptSigner::from_text)?;
        Ok(keys.with_receipt_key(signer))
    }

    /// Key that receipts are signed with; `None`: none are sent.
    #[must_use]
    pub fn receipt(&self) -> Option<&ReceiptSigner> {
        self.receipt.as_ref()
    }

    /// Private key that gateways seal to now.
    #[must_use]
    pub fn current(&self) -> &PrivateKey {
        &self.current
    }

    /// Private keys, the current one first.
    pub(crate) fn private(&self) -> impl ExactSizeIterator<Item = &PrivateKey> {
        let all: Vec<&PrivateKey> = std::iter::once(&self.current)
            .chain(&self.previous)
            .collect();
        all.into_iter()
    }
}

/// Reads the changes of the key services' keys.
fn rekeyings(
    configured: &[RekeyedConfig],
    second_layer: &SecondLayerKey,
    base: &Path,
) -> Result<Vec<Rekeying>, KeysError> {
    let mut epochs = BTreeSet::new();
    let read = |rekeyed: &RekeyedConfig| {
        let from = rekeyed.from_epoch;
        let wrong = |what: &str| KeysError::Rekeyed {
            from,
            what: what.to_owned(),
        };
        if from == 0 || rekeyed.to_epoch <= from {
            return Err(wrong("from_epoch is 1 or more, and to_epoch is greater"));
        }
        if !epochs.insert(from) {
            return Err(wrong("the section is there twice; keep one"));
        }
        let change = change(rekeyed, base)?;
        let change = change.ok_or_else(|| wrong("name at least one service"))?;
        Ok(Rekeying::new(second_layer, from, rekeyed.to_epoch, &change))
    };
    configured.iter().map(read).collect()
}

/// Product of the factors of all services; `None` where there is none.
fn change(rekeyed: &RekeyedConfig, base: &Path) -> Result<Option<Factor>, KeysError> {
    let from = rekeyed.from_epoch;
    let mut product: Option<Factor> = None;
    for service in &rekeyed.services {
        let setting = KeySetting {
            key: "rekeyed.services.factor",
            source: &service.factor,
            base,
        };
        let factor = setting.read(Factor::from_text)?;
        let public = |name: &str, text: &str| {
            text.parse().map_err(|error| KeysError::Rekeyed {
                from,
                what: format!("{name}: {error}"),
            })
        };
        let old: PublicKey = public("old_public_key", &service.old_public_key)?;
        let new: PublicKey = public("new_public_key", &service.new_public_key)?;
        if old.times(&factor) != new {
            return Err(KeysError::Rekeyed {
                from,
                what: format!(
                    "the factor does not lead from the public key {} to {}; take all three from \
                     the service's operator again",
                    old.fingerprint(),
                    new.fingerprint()
                ),
            });
        }
        product = Some(match product {
            Some(others) => others.times(&factor),
            None => factor,
        });
    }
    Ok(product)
}

/// Setting under `[keys]` with the secret it names.
struct KeySetting<'a> {
    key: &'static str,
    source: &'a SecretSource,
    base: &'a Path,
}

impl KeySetting<'_> {
    /// Reads the secret and makes it a key; errors name the setting.
    fn read<K, E: ToString>(
        &self,
        parse: impl FnOnce(&SecretString) -> Result<K, E>,
    ) -> Result<K, KeysError> {
        let key = self.key;
        let text = self
            .source
            .read(self.base)
            .map_err(|source| KeysError::Secret { key, source })?;
        parse(&text).map_err(|error| KeysError::NoKey {
            key,
            what: error.to_string(),
        })
    }
}
