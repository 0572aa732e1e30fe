//! Keys of the registry: those that batches are sealed to, the second layer's, and the receipts'.

use std::path::Path;

use chrono::{DateTime, Utc};
use contract::{Epoch, PrivateKey, ReceiptSigner};
use linking::{Acceptance, SecondLayerKey};
use secrecy::SecretString;
use settings::{SecretError, SecretSource};

use crate::config::{FIRST_EPOCH, KeysConfig};

/// Every key a running registry holds.
pub struct Keys {
    current: PrivateKey,
    previous: Vec<PrivateKey>,
    pub(crate) second_layer: SecondLayerKey,
    receipt: Option<ReceiptSigner>,
    open_epochs: Vec<Epoch>,
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
            open_epochs: vec![FIRST_EPOCH],
        }
    }

    /// Sets the epochs of the clinics' keys whose pseudonyms are accepted; without it the first.
    #[must_use]
    pub fn with_open_epochs(self, open_epochs: Vec<Epoch>) -> Self {
        Self {
            open_epochs,
            ..self
        }
    }

    /// Epochs of the clinics' keys that are open.
    pub(crate) fn open_epochs(&self) -> &[Epoch] {
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
        let keys = Self::new(current, previous, second_layer).with_open_epochs(open_epochs);
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
