//! Keys of passes: the root, those that sign passes and lists, and the one of pass ids.

use std::path::Path;

use chrono::{DateTime, Utc};
use pass::keys::{PublicKey, SigningKey};
use pass::trust::TrustedKey;
use pass::{PassIdKey, Product};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use settings::{SecretError, SecretSource};

use super::config::{KeyProduct, PassKeyConfig, PassesConfig};

/// Keys that passes are made with.
pub struct PassKeys {
    pub(super) root: SigningKey,
    pub(super) ids: PassIdKey,
    signing: Vec<DatedKey>,
}

/// Key with what it signs, and when.
pub struct DatedKey {
    /// The key.
    pub key: SigningKey,
    /// Products that the key signs.
    pub products: Vec<Product>,
    /// Moment from which it signs and is accepted.
    pub from: DateTime<Utc>,
    /// Moment from which it is not accepted any more.
    pub until: DateTime<Utc>,
}

/// Reason for which the keys of passes could not be read; always the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum PassKeysError {
    /// File, variable or credential of a key that cannot be read.
    #[error("passes.{key}: {source}")]
    Secret {
        /// Name of the setting.
        key: &'static str,
        /// Reason.
        source: SecretError,
    },
    /// Text that was read and is no key.
    #[error("passes.{key} holds no key: {what}; `city-registry init` makes new ones")]
    NoKey {
        /// Name of the setting.
        key: &'static str,
        /// Clause that says what is wrong with it.
        what: String,
    },
    /// Key without a time or without anything to sign.
    #[error("passes.keys: the key {0} needs products, and an `until` after its `from`")]
    Unusable(String),
    /// Two entries with one key: verifiers take the first and would refuse what the second allows.
    #[error("passes.keys: the key {0} is there twice; keep one entry, with all its products")]
    Twice(String),
}

impl PassKeys {
    /// Takes the root key, the key of pass ids and the signing keys.
    #[must_use]
    pub const fn new(root: SigningKey, ids: PassIdKey, signing: Vec<DatedKey>) -> Self {
        Self { root, ids, signing }
    }

    /// Reads the keys that the section names; relative paths start from `base`.
    ///
    /// # Errors
    /// [`PassKeysError`], naming the setting.
    pub fn read(config: &PassesConfig, base: &Path) -> Result<Self, PassKeysError> {
        let root = read_key("root_key", &config.root_key, base)?;
        let text = read("pass_id_key", &config.pass_id_key, base)?;
        let ids = pass_id_key(&text).ok_or_else(|| PassKeysError::NoKey {
            key: "pass_id_key",
            what: "it must be 64 hex characters".to_owned(),
        })?;
        let mut signing = Vec::<DatedKey>::with_capacity(config.keys.len());
        for entry in &config.keys {
            let key = dated_key(entry, base)?;
            let is_same = |other: &DatedKey| other.key.kid() == key.key.kid();
            if signing.iter().any(is_same) || root.kid() == key.key.kid() {
                return Err(PassKeysError::Twice(key.key.kid().to_string()));
            }
            signing.push(key);
        }
        Ok(Self::new(root, ids, signing))
    }

    /// Public half of the root, which verifiers pin.
    #[must_use]
    pub fn root(&self) -> &PublicKey {
        self.root.public()
    }

    /// Keys that sign passes and lists.
    #[must_use]
    pub fn dated(&self) -> &[DatedKey] {
        &self.signing
    }

    /// Key that signs the product now and is accepted until `end`: of several the one that began
    /// last.
    pub(super) fn signing(
        &self,
        product: Product,
        now: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Option<&SigningKey> {
        let fitting = self.signing.iter().filter(|key| {
            let is_current = key.from <= now && now < key.until;
            key.products.contains(&product) && is_current && end <= key.until
        });
        fitting.max_by_key(|key| key.from).map(|key| &key.key)
    }

    /// Key that signs the product now: of several the one that began last.
    pub(super) fn current(&self, product: Product, now: DateTime<Utc>) -> Option<&DatedKey> {
        let current = self
            .signing
            .iter()
            .filter(|key| key.products.contains(&product) && key.from <= now && now < key.until);
        current.max_by_key(|key| key.from)
    }

    /// Keys for the trust bundle: all that are not over.
    pub(super) fn trusted(&self, now: DateTime<Utc>) -> Vec<TrustedKey> {
        let current = self.signing.iter().filter(|key| now < key.until);
        current
            .map(|key| TrustedKey {
                key: *key.key.public(),
                from: key.from,
                until: key.until,
                products: key.products.clone(),
            })
            .collect()
    }
}

fn dated_key(config: &PassKeyConfig, base: &Path) -> Result<DatedKey, PassKeysError> {
    let key = read_key("keys.key", &config.key, base)?;
    if config.from >= config.until || config.products.is_empty() {
        return Err(PassKeysError::Unusable(key.kid().to_string()));
    }
    let products = config.products.iter().copied();
    Ok(DatedKey {
        key,
        products: products.map(KeyProduct::product).collect(),
        from: config.from,
        until: config.until,
    })
}

/// Reads the text form of a key of pass ids: 64 hex characters.
fn pass_id_key(text: &SecretString) -> Option<PassIdKey> {
    let mut key = Box::new([0; 32]);
    hex::decode_to_slice(text.expose_secret().trim(), key.as_mut_slice()).ok()?;
    Some(PassIdKey::new(&SecretBox::new(key)))
}

fn read(
    key: &'static str,
    source: &SecretSource,
    base: &Path,
) -> Result<SecretString, PassKeysError> {
    source
        .read(base)
        .map_err(|source| PassKeysError::Secret { key, source })
}

fn read_key(
    key: &'static str,
    source: &SecretSource,
    base: &Path,
) -> Result<SigningKey, PassKeysError> {
    SigningKey::from_pem(&read(key, source, base)?).map_err(|fault| PassKeysError::NoKey {
        key,
        what: fault.to_string(),
    })
}
