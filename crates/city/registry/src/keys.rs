//! The registry's keys: what batches are sealed to, and the second layer.

use std::path::Path;

use contract::{PrivateKey, ReceiptSigner};
use settings::{SecretError, SecretSource};

use crate::config::KeysConfig;
use crate::second_layer::SecondLayerKey;

/// Every key a running registry holds.
pub struct Keys {
    current: PrivateKey,
    previous: Vec<PrivateKey>,
    pub(crate) second_layer: SecondLayerKey,
    receipt: Option<ReceiptSigner>,
}

/// Why the keys could not be read. Always the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key's file, variable or credential.
    #[error("keys.{key}: {source}")]
    Secret {
        /// Which setting.
        key: &'static str,
        /// Why.
        source: SecretError,
    },
    /// Read, but no key.
    #[error("keys.{key} holds no key: {what}; `city-registry init` makes new ones")]
    NoKey {
        /// Which setting.
        key: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl Keys {
    /// The private key gateways seal to now, those they sealed to before, and the second layer. No
    /// receipts are sent.
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
        }
    }

    /// The same, and receipts are signed with this key.
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
        let current = private_key("private_key", &config.private_key, base)?;
        let previous = config.previous_private_keys.iter();
        let previous = previous.map(|source| private_key("previous_private_keys", source, base));
        let previous = previous.collect::<Result<Vec<_>, _>>()?;
        let text = config
            .second_layer
            .read(base)
            .map_err(|source| KeysError::Secret {
                key: "second_layer",
                source,
            })?;
        let second_layer = SecondLayerKey::from_text(&text).ok_or(KeysError::NoKey {
            key: "second_layer",
            what: "it must be 64 hex characters".into(),
        })?;
        let keys = Self::new(current, previous, second_layer);
        let Some(source) = &config.receipt_key else {
            return Ok(keys);
        };
        let text = source.read(base).map_err(|source| KeysError::Secret {
            key: "receipt_key",
            source,
        })?;
        let signer = ReceiptSigner::from_text(&text).map_err(|error| KeysError::NoKey {
            key: "receipt_key",
            what: error.to_string(),
        })?;
        Ok(keys.with_receipt_key(signer))
    }

    /// The key receipts are signed with; `None`: none are sent.
    #[must_use]
    pub fn receipt(&self) -> Option<&ReceiptSigner> {
        self.receipt.as_ref()
    }

    /// The private key gateways seal to now.
    #[must_use]
    pub fn current(&self) -> &PrivateKey {
        &self.current
    }

    /// Every private key, the current one first.
    pub(crate) fn private(&self) -> impl ExactSizeIterator<Item = &PrivateKey> {
        let all: Vec<&PrivateKey> = std::iter::once(&self.current)
            .chain(&self.previous)
            .collect();
        all.into_iter()
    }
}

fn private_key(
    key: &'static str,
    source: &SecretSource,
    base: &Path,
) -> Result<PrivateKey, KeysError> {
    let text = source
        .read(base)
        .map_err(|source| KeysError::Secret { key, source })?;
    PrivateKey::from_text(&text).map_err(|error| KeysError::NoKey {
        key,
        what: error.to_string(),
    })
}
