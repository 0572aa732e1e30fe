//! Values that nobody has mapped, as they rest on the gateway's disk: keyed digests of them and of
//! the persons they were seen with, and the value itself under a seal.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Number of bytes of a nonce, which stands in front of the sealed text.
const NONCE_BYTES: usize = 24;

/// Keyed digest of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueDigest(pub [u8; 16]);

/// Keyed digest of an identifier of a person that a value was seen with. It differs from value to
/// value, so that digests do not tell which values one person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValuePerson(pub [u8; 8]);

/// Keyed states for values, under the clinic's record key.
#[derive(Clone)]
pub struct ValueSecrets {
    value: Hmac<Sha256>,
    person: Hmac<Sha256>,
    nonce: Hmac<Sha256>,
    cipher: XChaCha20Poly1305,
}

impl ValueSecrets {
    /// Prepares the keyed states; `keyed` has taken in the record key and nothing else.
    pub(crate) fn new(keyed: &Hmac<Sha256>) -> Self {
        let purpose = |name: &[u8]| keyed.clone().chain_update(name).chain_update([0]);
        let seal = purpose(b"clinic-gateway/unknown-value-seal/v1").finalize();
        Self {
            value: purpose(b"clinic-gateway/unknown-value/v1"),
            person: purpose(b"clinic-gateway/unknown-value-person/v1"),
            nonce: purpose(b"clinic-gateway/unknown-value-nonce/v1"),
            cipher: XChaCha20Poly1305::new(&seal.into_bytes()),
        }
    }

    /// Digest of a value, of its parts in their order.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> ValueDigest {
        let mut state = self.value.clone();
        for part in parts {
            // Lengths in front, so that no two lists of parts are the same bytes.
            state.update(&(part.len() as u64).to_be_bytes());
            state.update(part);
        }
        ValueDigest(first(&state.finalize().into_bytes()))
    }

    /// Digest of an identifier of a person that a value was seen with.
    #[must_use]
    pub fn person(&self, value: &ValueDigest, identifier: &[u8]) -> ValuePerson {
        let state = self.person.clone().chain_update(value.0);
        ValuePerson(first(
            &state.chain_update(identifier).finalize().into_bytes(),
        ))
    }

    /// Seals a value, so that it can rest on the gateway's disk.
    ///
    /// The nonce is a keyed digest of the text: no nonce is used for two texts, and the same text is
    /// sealed to the same bytes.
    #[must_use]
    pub fn seal(&self, value: &ValueDigest, text: &str) -> Vec<u8> {
        let nonce = self.nonce.clone().chain_update(value.0);
        let nonce: [u8; NONCE_BYTES] =
            first(&nonce.chain_update(text.as_bytes()).finalize().into_bytes());
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &value.0,
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a value is far shorter than the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    /// Opens a sealed value; `None` where it was not sealed under this key for this digest.
    #[must_use]
    pub fn open(&self, value: &ValueDigest, sealed: &[u8]) -> Option<String> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: sealed,
            aad: &value.0,
        };
        let opened = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(opened).ok()
    }
}

impl fmt::Debug for ValueSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueSecrets(…)")
    }
}

/// First bytes of a digest, which is longer.
pub(crate) fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut first = [0; N];
    first.copy_from_slice(&digest[..N]);
    first
}

#[cfg(test)]
mod tests {
    use crate::RecordSecrets;

    #[test]
    fn a_value_is_opened_only_for_its_digest_and_under_its_key() {
        let secrets = RecordSecrets::new(&[0x0b; 32]);
        let values = secrets.values();
        let digest = values.digest(&[b"vaccines", "бетувакс".as_bytes()]);
        let other = values.digest(&[b"vaccine", "sбетувакс".as_bytes()]);
        assert_ne!(digest, other, "parts do not run into each other");
        let sealed = values.seal(&digest, "Бетувакс");
        assert_eq!(values.open(&digest, &sealed).as_deref(), Some("Бетувакс"));
        assert_eq!(values.open(&other, &sealed), None);
        let foreign = RecordSecrets::new(&[0x0c; 32]);
        assert_eq!(foreign.values().open(&digest, &sealed), None);
        assert_ne!(
            foreign
                .values()
                .digest(&[b"vaccines", "бетувакс".as_bytes()]),
            digest
        );
        for damaged in [&sealed[..sealed.len() - 1], &sealed[..10], &[]] {
            assert_eq!(values.open(&digest, damaged), None);
        }
    }

    #[test]
    fn two_spellings_under_one_digest_have_two_nonces() {
        let secrets = RecordSecrets::new(&[0x0b; 32]);
        let values = secrets.values();
        let digest = values.digest(&[b"tests"]);
        let sealed = ["ПЦР мазок", "пцр мазок"].map(|text| values.seal(&digest, text));
        assert_ne!(sealed[0][..24], sealed[1][..24]);
        assert_eq!(sealed[0], values.seal(&digest, "ПЦР мазок"));
    }

    #[test]
    fn a_person_is_another_one_for_another_value() {
        let secrets = RecordSecrets::new(&[0x0b; 32]);
        let values = secrets.values();
        let [one, other] = [b"a", b"b"].map(|part| values.digest(&[part]));
        let person = values.person(&one, b"snils 11223344595");
        assert_eq!(person, values.person(&one, b"snils 11223344595"));
        assert_ne!(person, values.person(&other, b"snils 11223344595"));
        assert_ne!(person, values.person(&one, b"snils 08765430300"));
    }
}
