//! Ids of passes: 8 bytes that say nothing, by a keyed function or at random.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

use crate::window::Window;

/// Beginning of the keyed input; it names the purpose, so that no other value is made alike.
const DOMAIN: &[u8] = b"clinic-gateway/pass/id/v1";
/// The same for ids of certificates.
const CERTIFICATE_DOMAIN: &[u8] = b"clinic-gateway/pass/certificate-id/v1";
/// The same for digests of what certificates state.
const CONTENT_DOMAIN: &[u8] = b"clinic-gateway/pass/certificate-content/v1";

/// Id of a pass (claim `cti`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PassId(pub [u8; 8]);

impl PassId {
    /// Random id, for passes that nobody can revoke one by one.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn random() -> Self {
        let mut id = [0; 8];
        SystemRandom::new()
            .fill(&mut id)
            .expect("the operating system gives random bytes");
        Self(id)
    }

    /// The id as 16 capital hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:016X}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for PassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassId({})", self.to_hex())
    }
}

/// Key of pass ids: 32 bytes kept apart from the registry's database. Who has it and the
/// database knows the id of every pass, and can so revoke it; the database alone names none.
pub struct PassIdKey {
    /// HMAC state under the key, with the purpose taken in.
    strips: Hmac<Sha256>,
    certificates: Hmac<Sha256>,
    contents: Hmac<Sha256>,
}

impl fmt::Debug for PassIdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassIdKey(…)")
    }
}

impl PassIdKey {
    /// Takes a key of 32 random bytes.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn new(key: &SecretBox<[u8; 32]>) -> Self {
        let state: Hmac<Sha256> =
            Hmac::new_from_slice(key.expose_secret()).expect("HMAC takes keys of any length");
        let of = |domain| state.clone().chain_update(domain).chain_update([0]);
        Self {
            strips: of(DOMAIN),
            certificates: of(CERTIFICATE_DOMAIN),
            contents: of(CONTENT_DOMAIN),
        }
    }

    /// Id of a subject's pass with this number for this window: the first 8 bytes of
    /// HMAC-SHA-256(key, domain 0 start number subject); start is the window's first second in unix
    /// seconds (8 bytes) and number has 4 bytes, both big-endian.
    #[must_use]
    pub fn pass_id(&self, subject: &[u8], window: Window, number: u32) -> PassId {
        self.keyed(subject, window.start(), number)
    }

    /// Digest of what a certificate of a subject states, for the registry's counts:
    /// HMAC-SHA-256(key, content domain 0 subject length subject statement); the length has 8
    /// bytes, big-endian.
    #[must_use]
    pub fn certificate_content(&self, subject: &[u8], statement: &[u8]) -> [u8; 32] {
        let length = u64::try_from(subject.len()).unwrap_or(u64::MAX);
        let mac = self
            .contents
            .clone()
            .chain_update(length.to_be_bytes())
            .chain_update(subject)
            .chain_update(statement);
        mac.finalize().into_bytes().into()
    }

    /// Id of a subject's certificate with this number and this content: the first 8 bytes of
    /// HMAC-SHA-256(key, certificate domain 0 content number subject); the number has 4 bytes,
    /// big-endian.
    #[must_use]
    pub fn certificate_id(&self, subject: &[u8], content: &[u8; 32], number: u32) -> PassId {
        let mac = self
            .certificates
            .clone()
            .chain_update(content)
            .chain_update(number.to_be_bytes())
            .chain_update(subject);
        first_bytes(mac)
    }

    fn keyed(&self, subject: &[u8], start: DateTime<Utc>, number: u32) -> PassId {
        let mac = self
            .strips
            .clone()
            .chain_update(start.timestamp().to_be_bytes())
            .chain_update(number.to_be_bytes())
            .chain_update(subject);
        first_bytes(mac)
    }
}

fn first_bytes(mac: Hmac<Sha256>) -> PassId {
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    PassId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> PassIdKey {
        PassIdKey::new(&SecretBox::new(Box::new([byte; 32])))
    }

    fn start(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_id_is_the_documented_hmac() {
        // python3: hmac.new(b"\x0b"*32, b"clinic-gateway/pass/id/v1\0" +
        // struct.pack(">qI", 1795899600, 2) + b"\x07"*32, "sha256").hexdigest()[:16].upper()
        let id = key(0x0b).keyed(&[7; 32], start(1_795_899_600), 2);
        assert_eq!(id.to_hex(), "C9133E00D176BDEC");
    }

    #[test]
    fn key_subject_window_and_number_all_matter() {
        let base = key(1).keyed(b"subject", start(1_000_000), 1);
        assert_eq!(base, key(1).keyed(b"subject", start(1_000_000), 1));
        for other in [
            key(2).keyed(b"subject", start(1_000_000), 1),
            key(1).keyed(b"another", start(1_000_000), 1),
            key(1).keyed(b"subject", start(1_086_400), 1),
            key(1).keyed(b"subject", start(1_000_000), 2),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_id_and_the_content_of_a_certificate_are_the_documented_hmacs() {
        // python3: k = b"\x0b"*32; s = b"\x07"*32; d = b"clinic-gateway/pass/certificate-"
        // c = hmac.new(k, d + b"content/v1\0" + struct.pack(">Q", 32) + s + b"a dose", "sha256")
        // hmac.new(k, d + b"id/v1\0" + c.digest() + struct.pack(">I", 2) + s, "sha256")
        let content = key(0x0b).certificate_content(&[7; 32], b"a dose");
        let begin = <[u8; 8]>::try_from(&content[..8]).unwrap();
        assert_eq!(PassId(begin).to_hex(), "EB39F561DC3E68B7");
        let id = key(0x0b).certificate_id(&[7; 32], &content, 2);
        assert_eq!(id.to_hex(), "210D483ACF982B73");
    }

    #[test]
    fn key_subject_content_and_number_all_matter_and_no_strip_has_the_id() {
        let content =
            |subject: &[u8], statement: &[u8]| key(1).certificate_content(subject, statement);
        let first = content(b"subject", b"a");
        assert_ne!(first, content(b"subject", b"b"));
        assert_ne!(first, content(b"another", b"a"));
        assert_ne!(content(b"ab", b"c"), content(b"a", b"bc"));
        let base = key(1).certificate_id(b"subject", &first, 1);
        for other in [
            key(2).certificate_id(b"subject", &first, 1),
            key(1).certificate_id(b"another", &first, 1),
            key(1).certificate_id(b"subject", &content(b"subject", b"b"), 1),
            key(1).certificate_id(b"subject", &first, 2),
        ] {
            assert_ne!(base, other);
        }
        // A strip whose input has the same bytes: start, number and subject of it are content,
        // number and subject of the certificate.
        let seconds = i64::from_be_bytes([0, 0, 0, 1, 0, 0, 0, 0]);
        let mut number = [0; 4];
        number.copy_from_slice(&first[8..12]);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seconds.to_be_bytes());
        bytes[8..12].copy_from_slice(&number);
        let rest = [&bytes[12..], &1_u32.to_be_bytes(), b"subject"].concat();
        let strip = key(1).keyed(&rest, start(seconds), u32::from_be_bytes(number));
        assert_ne!(strip, key(1).certificate_id(b"subject", &bytes, 1));
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(PassId::random(), PassId::random());
    }
}
