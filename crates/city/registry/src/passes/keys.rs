//! Keys of passes: the root, those that sign passes and lists, and the one of pass ids.

use std::path::Path;

use chrono::{DateTime, Utc};
use pass::keys::{PublicKey, SigningKey};
use pass::trust::TrustedKey;
use pass::window::Window;
use pass::{PassIdKey, Product};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use settings::SecretSource;

use super::config::{KeyProduct, PassKeyConfig, PassesConfig};
use crate::keys::KeysError;

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
    /// What it signs.
    pub products: Vec<Product>,
    /// Moment from which it signs and is accepted.
    pub from: DateTime<Utc>,
    /// Moment from which it is not accepted any more.
    pub until: DateTime<Utc>,
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
    /// [`KeysError`], naming the setting.
    pub fn read(config: &PassesConfig, base: &Path) -> Result<Self, KeysError> {
        let root = read_key("passes.root_key", &config.root_key, base)?;
        let name = "passes.pass_id_key";
        let text = read(name, &config.pass_id_key, base)?;
        let ids = pass_id_key(&text).ok_or_else(|| KeysError::NoKey {
            key: name,
            what: "it must be 64 hex characters".to_owned(),
        })?;
        let signing = config.keys.iter().map(|one| dated_key(one, base));
        Ok(Self::new(root, ids, signing.collect::<Result<_, _>>()?))
    }

    /// Public half of the root, which verifiers pin.
    #[must_use]
    pub fn root(&self) -> &PublicKey {
        self.root.public()
    }

    /// Key that signs the product now and is accepted until the window's end: of several the one
    /// that began last.
    pub(super) fn signing(
        &self,
        product: Product,
        now: DateTime<Utc>,
        window: Option<Window>,
    ) -> Option<&SigningKey> {
        let end = window.map_or(now, Window::end);
        let fitting = self.signing.iter().filter(|key| {
            key.products.contains(&product)
                && key.from <= now
                && now < key.until
                && end <= key.until
        });
        fitting.max_by_key(|key| key.from).map(|key| &key.key)
    }

    /// Keys for the trust bundle: all that are not over.
    pub(super) fn trusted(&self, now: DateTime<Utc>) -> Vec<TrustedKey> {
        let current = self.signing.iter().filter(|key| now < key.until);
        current
            .map(|key| TrustedKey {
                key: key.key.public().clone(),
                from: key.from,
                until: key.until,
                products: key.products.clone(),
            })
            .collect()
    }
}

fn dated_key(config: &PassKeyConfig, base: &Path) -> Result<DatedKey, KeysError> {
    let name = "passes.keys.key";
    if config.from >= config.until || config.products.is_empty() {
        return Err(KeysError::NoKey {
            key: name,
            what: "until must lie after from, and products must name something".to_owned(),
        });
    }
    let products = config.products.iter().copied();
    Ok(DatedKey {
        key: read_key(name, &config.key, base)?,
        products: products.map(KeyProduct::product).collect(),
        from: config.from,
        until: config.until,
    })
}

/// Reads the text form of a key of pass ids: 64 hex characters.
#[must_use]
pub fn pass_id_key(text: &SecretString) -> Option<PassIdKey> {
    let mut key = Box::new([0; 32]);
    hex::decode_to_slice(text.expose_secret().trim(), key.as_mut_slice()).ok()?;
    Some(PassIdKey::new(&SecretBox::new(key)))
}

fn read(key: &'static str, source: &SecretSource, base: &Path) -> Result<SecretString, KeysError> {
    source
        .read(base)
        .map_err(|source| KeysError::Secret { key, source })
}

fn read_key(
    name: &'static str,
    source: &SecretSource,
    base: &Path,
) -> Result<SigningKey, KeysError> {
    SigningKey::from_pem(&read(name, source, base)?).map_err(|fault| KeysError::NoKey {
        key: name,
        what: fault.to_string(),
    })
}
