//! Second-layer pseudonyms: the registry keeps V = HMAC(K_registry, P), or V = k·U under suite
//! `voprf`, and what the clinic sent never rests.

use std::cmp::Reverse;
use std::fmt;

use contract::{Epoch, OwnerToken, Pseudonym, RecordDigest, Scheme, Suite};
use hmac::{Hmac, KeyInit, Mac};
use oprf::Factor;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::elements::{factor, multiplied};

/// Beginning of the keyed input of a pseudonym; it names the purpose, so that no other value is
/// made alike.
const PSEUDONYM_DOMAIN: &[u8] = b"clinic-gateway/registry/v1";
/// Beginning of the keyed input of a record.
const RECORD_DOMAIN: &[u8] = b"clinic-gateway/registry/record/v1";
/// Beginning of the keyed input of an owner token.
const OWNER_DOMAIN: &[u8] = b"clinic-gateway/registry/owner/v1";

/// Pseudonym as the registry keeps it: what the clinic sent, under the second layer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CityPseudonym {
    /// Numbering of the identifier.
    pub scheme: Scheme,
    /// Function with which the clinic computed P.
    pub suite: Suite,
    /// Epoch of the clinic-side key.
    pub epoch: Epoch,
    /// V, 32 bytes.
    pub value: [u8; 32],
}

impl CityPseudonym {
    /// Sort key that puts the strongest first: by scheme as [`Scheme::ALL`] trusts them, then the
    /// newest key epoch.
    #[must_use]
    pub fn strength(&self) -> (Scheme, Reverse<Epoch>, Suite, [u8; 32]) {
        (self.scheme, Reverse(self.epoch), self.suite, self.value)
    }

    /// True where this pseudonym names one person by itself, for life.
    #[must_use]
    pub fn is_anchor(&self) -> bool {
        self.scheme == Scheme::Snils
    }

    /// True where the two cannot belong to one person: two SNILS under one suite and key.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        self.is_anchor()
            && other.is_anchor()
            && (self.suite, self.epoch) == (other.suite, other.epoch)
            && self.value != other.value
    }
}

impl fmt::Debug for CityPseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = hex::encode(&self.value[..4]);
        write!(
            f,
            "CityPseudonym({}/{}/{} {head}…)",
            self.suite.as_str(),
            self.scheme.as_str(),
            self.epoch
        )
    }
}

/// Digest of a record as the registry keeps it: the second-layer HMAC of what the clinic sent. Who
/// reads the registry's database cannot name the record to anybody.
pub type StoredRecord = [u8; 32];

/// Digest of a record's owner token as the registry keeps it.
pub type StoredOwner = [u8; 16];

/// Second-layer key, K_registry: 32 bytes kept apart from the registry's database.
pub struct SecondLayerKey {
    key: SecretBox<[u8; 32]>,
    /// HMAC states under the key, each with its purpose taken in.
    pseudonym: Hmac<Sha256>,
    record: Hmac<Sha256>,
    owner: Hmac<Sha256>,
}

impl fmt::Debug for SecondLayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecondLayerKey(…)")
    }
}

impl SecondLayerKey {
    /// Makes a random key.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Box::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).expect("the operating system gives random bytes");
        Self::new(SecretBox::new(key))
    }

    fn new(key: SecretBox<[u8; 32]>) -> Self {
        let purpose = |domain: &[u8]| keyed(&key).chain_update(domain).chain_update([0]);
        Self {
            pseudonym: purpose(PSEUDONYM_DOMAIN),
            record: purpose(RECORD_DOMAIN),
            owner: purpose(OWNER_DOMAIN),
            key,
        }
    }

    /// Reads the text form: 64 hex characters. `None` when it is not that.
    #[must_use]
    pub fn from_text(text: &SecretString) -> Option<Self> {
        let mut key = Box::new([0; 32]);
        hex::decode_to_slice(text.expose_secret().trim(), key.as_mut_slice()).ok()?;
        Some(Self::new(SecretBox::new(key)))
    }

    /// Text form: 64 hex characters.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        SecretString::from(hex::encode(Zeroizing::new(*self.key.expose_secret())))
    }

    /// Value that tells this key from another; kept in the store, so that a wrong key is noticed
    /// at the start.
    #[must_use]
    pub fn check_value(&self) -> [u8; 32] {
        let mac = keyed(&self.key).chain_update(b"clinic-gateway/registry/key-check/v1");
        mac.finalize().into_bytes().into()
    }

    /// Brings a pseudonym under the second layer. Suites of HMAC: V = HMAC-SHA-256(K, domain 0
    /// suite 0 scheme 0 epoch 0 P), the epoch in decimal. Suite `voprf`: V = k·U, where k is derived from
    /// K for the scheme and the epoch; `None` where U is no element
    /// ([`has_fitting_value`](crate::has_fitting_value)).
    #[must_use]
    pub fn apply(&self, pseudonym: &Pseudonym) -> Option<CityPseudonym> {
        let value = match pseudonym.suite {
            Suite::Hmac | Suite::HmacStreebog => self.digest(pseudonym),
            Suite::Voprf => {
                let factor = self.factor(pseudonym.scheme, pseudonym.epoch);
                multiplied(pseudonym.value, &factor)?
            }
        };
        Some(CityPseudonym {
            scheme: pseudonym.scheme,
            suite: pseudonym.suite,
            epoch: pseudonym.epoch,
            value,
        })
    }

    /// Factor of the names of suite `voprf` of a scheme and epoch.
    pub(crate) fn factor(&self, scheme: Scheme, epoch: Epoch) -> Factor {
        factor(self.key.expose_secret(), scheme, epoch)
    }

    /// Value that tells a change of the key services' keys from another one.
    pub(crate) fn check_change(&self, from: Epoch, to: Epoch, change: &Factor) -> [u8; 32] {
        let mac = keyed(&self.key)
            .chain_update(b"clinic-gateway/registry/change-check/v1\0")
            .chain_update(from.to_be_bytes())
            .chain_update(to.to_be_bytes())
            .chain_update(change.to_text().expose_secret());
        mac.finalize().into_bytes().into()
    }

    fn digest(&self, pseudonym: &Pseudonym) -> [u8; 32] {
        let mut mac = self.pseudonym.clone();
        let epoch = pseudonym.epoch.to_string();
        let parts: [&[u8]; 3] = [
            pseudonym.suite.as_str().as_bytes(),
            pseudonym.scheme.as_str().as_bytes(),
            epoch.as_bytes(),
        ];
        for part in parts {
            mac.update(part);
            mac.update(&[0]);
        }
        mac.update(&pseudonym.value);
        mac.finalize().into_bytes().into()
    }

    /// Digest of a record: HMAC-SHA-256(K, domain 0 record).
    #[must_use]
    pub fn record(&self, record: &RecordDigest) -> StoredRecord {
        let mac = self.record.clone().chain_update(record.0);
        mac.finalize().into_bytes().into()
    }

    /// Digest of an owner token: first 16 bytes of HMAC-SHA-256(K, domain 0 record token). The
    /// record makes equal tokens of different records different.
    #[must_use]
    pub fn owner(&self, record: &RecordDigest, token: &OwnerToken) -> StoredOwner {
        let mac = self.owner.clone().chain_update(record.0);
        let digest: [u8; 32] = mac.chain_update(token.0).finalize().into_bytes().into();
        let mut owner = [0; 16];
        owner.copy_from_slice(&digest[..16]);
        owner
    }
}

fn keyed(key: &SecretBox<[u8; 32]>) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.expose_secret()).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonym(scheme: Scheme, epoch: Epoch) -> Pseudonym {
        Pseudonym {
            scheme,
            suite: Suite::Hmac,
            epoch,
            value: [7; 32],
        }
    }

    fn value_of(key: &SecondLayerKey, pseudonym: &Pseudonym) -> [u8; 32] {
        key.apply(pseudonym).expect("a fitting value").value
    }

    #[test]
    fn the_value_is_the_documented_hmac() {
        let key = SecondLayerKey::from_text(&SecretString::from("0b".repeat(32))).unwrap();
        // python3: hmac.new(b"\x0b"*32, b"clinic-gateway/registry/v1\0hmac\0snils\x001\0" +
        // b"\x07"*32, "sha256")
        let expected = "cec9c42babdd09f086d7d74c2309305b2831e9303241f602316d339c4166a3ba";
        assert_eq!(
            hex::encode(value_of(&key, &pseudonym(Scheme::Snils, 1))),
            expected
        );
    }

    #[test]
    fn record_and_owner_are_the_documented_hmacs() {
        let key = SecondLayerKey::from_text(&SecretString::from("0b".repeat(32))).unwrap();
        let record = RecordDigest([7; 32]);
        // python3: hmac.new(b"\x0b"*32, b"clinic-gateway/registry/record/v1\0" + b"\x07"*32,
        // "sha256")
        let expected = "957010b7d17966986c15eedd4bb953d42c566036511ee798572dea8ea7dff0c1";
        assert_eq!(hex::encode(key.record(&record)), expected);
        // The first half of b"clinic-gateway/registry/owner/v1\0" + b"\x07"*32 + b"\x09"*16.
        let owner = key.owner(&record, &OwnerToken([9; 16]));
        assert_eq!(hex::encode(owner), "d3252c11f30c07f2874db4175f42ca0d");
        let other = RecordDigest([8; 32]);
        assert_ne!(key.owner(&other, &OwnerToken([9; 16])), owner);
    }

    #[test]
    fn scheme_epoch_and_key_all_matter() {
        let key = SecondLayerKey::generate();
        let base = value_of(&key, &pseudonym(Scheme::Snils, 1));
        assert_ne!(base, value_of(&key, &pseudonym(Scheme::Oms, 1)));
        assert_ne!(base, value_of(&key, &pseudonym(Scheme::Snils, 2)));
        let other = SecondLayerKey::generate();
        assert_ne!(base, value_of(&other, &pseudonym(Scheme::Snils, 1)));
        assert_ne!(base, [7; 32]);
    }

    #[test]
    fn the_text_form_comes_back_and_nonsense_does_not() {
        let key = SecondLayerKey::generate();
        let again = SecondLayerKey::from_text(&key.to_text()).unwrap();
        let probe = pseudonym(Scheme::Ehic, 3);
        assert_eq!(key.apply(&probe), again.apply(&probe));
        for bad in ["", "0b0b", "zz", &"0b".repeat(33)] {
            assert!(SecondLayerKey::from_text(&SecretString::from(bad)).is_none());
        }
        assert!(!format!("{key:?}").contains(&key.to_text().expose_secret()[..8]));
    }
}
