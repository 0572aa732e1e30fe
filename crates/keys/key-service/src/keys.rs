//! Keys of the service, by their numbers.

use std::collections::BTreeMap;
use std::path::Path;

use oprf::{PublicKey, ServiceKey, TextError};
use settings::SecretError;

use crate::config::KeyConfig;

/// Keys of the service, by their numbers.
#[derive(Debug)]
pub struct Keys(BTreeMap<u16, ServiceKey>);

/// Error on reading the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Secret that cannot be read.
    #[error("key {number} of [[keys]]: {error}")]
    Secret {
        /// Number of the key.
        number: u16,
        /// Reason.
        error: SecretError,
    },
    /// Secret that is no key of a service.
    #[error("key {number} of [[keys]]: {error}; key-service keys new makes a key")]
    Text {
        /// Number of the key.
        number: u16,
        /// Reason.
        error: TextError,
    },
    /// Two numbers of one key.
    #[error("keys {0} and {1} of [[keys]] are the same; leave one of them out")]
    Same(u16, u16),
}

impl Keys {
    /// Reads the keys. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`KeyError`], which says what to change.
    pub fn read(config: &[KeyConfig], base: &Path) -> Result<Self, KeyError> {
        let mut keys: BTreeMap<u16, ServiceKey> = BTreeMap::new();
        for KeyConfig { number, key } in config {
            let number = *number;
            let text = key.read(base);
            let text = text.map_err(|error| KeyError::Secret { number, error })?;
            let key = ServiceKey::from_text(&text);
            let key = key.map_err(|error| KeyError::Text { number, error })?;
            let public = key.public_key();
            let same = keys.iter().find(|(_, other)| other.public_key() == public);
            if let Some((other, _)) = same {
                return Err(KeyError::Same(*other, number));
            }
            keys.insert(number, key);
        }
        Ok(Self(keys))
    }

    /// Key of this number.
    pub(crate) fn get(&self, number: u16) -> Option<&ServiceKey> {
        self.0.get(&number)
    }

    /// Numbers and public keys, in the order of the numbers.
    pub fn public(&self) -> impl ExactSizeIterator<Item = (u16, PublicKey)> {
        self.0
            .iter()
            .map(|(number, key)| (*number, key.public_key()))
    }
}
