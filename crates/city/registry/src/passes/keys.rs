//! Keys of passes: the root, those that sign passes and lists, and the one of pass ids.

use chrono::{DateTime, Utc};
use pass::keys::{PublicKey, SigningKey};
use pass::trust::TrustedKey;
use pass::{PassIdKey, Product};

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

    /// Public half of the root, which verifiers pin.
    #[must_use]
    pub fn root(&self) -> &PublicKey {
        self.root.public()
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
