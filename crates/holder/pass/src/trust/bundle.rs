//! Contents of a trust bundle: built, signed by the root, opened with the pinned root.

use chrono::{DateTime, Utc};
use ciborium::Value;

use crate::cbor::{FieldFault, Fields, decode, encode, map};
use crate::container::{ContainerFault, Envelope};
use crate::keys::{KeyId, PublicKey, SigningKey};
use crate::product::Product;
use crate::time::seconds;

/// Number of keys that a bundle may hold.
pub const MAX_KEYS: usize = 256;

/// Type of the payload, so that no other signed structure is taken for a bundle.
const TYPE: &str = "trust";

const PLACE: &str = "the trust bundle";
const KEY: &str = "a key of the trust bundle";

/// Key of a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key; its id in the bundle is its own.
    pub key: PublicKey,
    /// First second at which a pass of this key is accepted. It lies further ahead of the bundle's
    /// time of issue than a verifier may be offline, so that nobody learns of the key too late.
    pub from: DateTime<Utc>,
    /// First second at which no pass of this key is accepted any more: not before the last pass
    /// that it signed has expired.
    pub until: DateTime<Utc>,
    /// Products that the key may sign.
    pub products: Vec<Product>,
}

impl TrustedKey {
    /// True where the time lies in the key's time.
    #[must_use]
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.from <= now && now < self.until
    }

    /// True where the key may sign the product.
    #[must_use]
    pub fn is_for(&self, product: Product) -> bool {
        self.products.contains(&product)
    }
}

/// Contents of a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    /// Number that rises with every bundle.
    pub sequence: u64,
    /// Time of issue.
    pub issued_at: DateTime<Utc>,
    /// Keys, at most [`MAX_KEYS`], each once.
    pub keys: Vec<TrustedKey>,
    /// Sequence of the revocation list that was the newest at the time of issue; an older list is
    /// not current.
    pub lowest_revocations: u64,
    /// Text that names the issuer in every pass of these keys.
    pub issuer: String,
}

/// Fault of a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// The bytes are no COSE_Sign1 by ES256.
    #[error("the trust bundle cannot be read: {0}")]
    Container(#[from] ContainerFault),
    /// The bundle names another key than the pinned root as its signer.
    #[error("the trust bundle is signed by another key than the pinned root {0}")]
    NotByRoot(KeyId),
    /// The root's signature does not fit.
    #[error("the signature of the trust bundle does not fit")]
    Signature,
    /// A field is not as it must be.
    #[error(transparent)]
    Field(#[from] FieldFault),
    /// The bundle speaks for another issuer.
    #[error("the trust bundle is for the issuer {0:?}, not the pinned one")]
    Issuer(String),
}

impl TrustBundle {
    /// The bundle as a tagged COSE_Sign1 by the root key.
    ///
    /// # Errors
    /// More than [`MAX_KEYS`] keys, a key twice, or a key whose time ends before it begins.
    pub fn sign(&self, root: &SigningKey) -> Result<Vec<u8>, FieldFault> {
        self.check()?;
        let keys = self.keys.iter().map(key_item).collect();
        let payload = encode(&map(vec![
            (1.into(), TYPE.into()),
            (2.into(), self.sequence.into()),
            (3.into(), seconds(self.issued_at).into()),
            (4.into(), Value::Array(keys)),
            (5.into(), self.lowest_revocations.into()),
            (6.into(), self.issuer.as_str().into()),
        ]));
        Ok(root.seal(payload))
    }

    /// Opens a bundle that the pinned root signed for the pinned issuer.
    ///
    /// # Errors
    /// The first fault: container, signer, signature, a field, issuer.
    pub fn open(cose: &[u8], root: &PublicKey, issuer: &str) -> Result<Self, TrustFault> {
        let envelope = Envelope::open_es256(cose)?;
        if envelope.kid != root.kid().0 {
            return Err(TrustFault::NotByRoot(root.kid()));
        }
        if !root.verifies(&envelope) {
            return Err(TrustFault::Signature);
        }
        let bundle = Self::read(decode(&envelope.payload, PLACE)?)?;
        if bundle.issuer != issuer {
            return Err(TrustFault::Issuer(bundle.issuer));
        }
        Ok(bundle)
    }

    /// The bundle's key of a COSE key id.
    #[must_use]
    pub fn key(&self, kid: &[u8]) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.key.kid().0 == kid)
    }

    fn read(item: Value) -> Result<Self, FieldFault> {
        let mut fields = Fields::new(item, PLACE)?;
        if fields.text(1, "the type")? != TYPE {
            return Err(fields.fault("the type", "the text trust"));
        }
        let sequence = fields.uint(2, "the sequence")?;
        let issued_at = fields.time(3, "the time of issue")?;
        let keys = fields.array(4, "the list of keys")?;
        let lowest_revocations = fields.uint(5, "the lowest revocation sequence")?;
        let issuer = fields.text(6, "the issuer")?;
        fields.end()?;
        let keys = keys.into_iter().map(read_key).collect::<Result<_, _>>()?;
        let bundle = Self {
            sequence,
            issued_at,
            keys,
            lowest_revocations,
            issuer,
        };
        bundle.check()?;
        Ok(bundle)
    }

    fn check(&self) -> Result<(), FieldFault> {
        let fault = |wanted| FieldFault::Value {
            place: PLACE,
            field: "the list of keys",
            wanted,
        };
        if self.keys.len() > MAX_KEYS {
            return Err(fault("of at most 256 keys"));
        }
        let mut kids: Vec<KeyId> = self.keys.iter().map(|key| key.key.kid()).collect();
        kids.sort_unstable();
        if kids.windows(2).any(|two| two[0] == two[1]) {
            return Err(fault("one that has each key once"));
        }
        if self.keys.iter().any(|key| key.from >= key.until) {
            return Err(fault("one whose keys end after they begin"));
        }
        Ok(())
    }
}

fn key_item(key: &TrustedKey) -> Value {
    let products = key.products.iter().map(|product| product.as_str().into());
    map(vec![
        (1.into(), Value::Bytes(key.key.kid().0.to_vec())),
        (2.into(), Value::Bytes(key.key.x().to_vec())),
        (3.into(), Value::Bytes(key.key.y().to_vec())),
        (4.into(), seconds(key.from).into()),
        (5.into(), seconds(key.until).into()),
        (6.into(), Value::Array(products.collect())),
    ])
}

/// Reads a key. Products that are not known are left out, so that a product of the future does not
/// stop the verifiers of today.
fn read_key(item: Value) -> Result<TrustedKey, FieldFault> {
    let mut fields = Fields::new(item, KEY)?;
    let kid = fields.bytes(1, "the id", "8 bytes")?;
    let x = fields.bytes(2, "x", "32 bytes")?;
    let y = fields.bytes(3, "y", "32 bytes")?;
    let key = PublicKey::new(x, y);
    if key.kid().0 != kid {
        return Err(fields.fault("the id", "that of the key"));
    }
    let from = fields.time(4, "the beginning")?;
    let until = fields.time(5, "the end")?;
    let mut products = Vec::new();
    for product in fields.array(6, "the list of products")? {
        let Some(name) = product.as_text() else {
            return Err(fields.fault("the list of products", "a list of texts"));
        };
        products.extend(Product::from_name(name));
    }
    fields.end()?;
    Ok(TrustedKey {
        key,
        from,
        until,
        products,
    })
}
