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
    state: Hmac<Sha256>,
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
        let state = Hmac::new_from_slice(key.expose_secret())
            .expect("HMAC takes keys of any length")
            .chain_update(DOMAIN)
            .chain_update([0]);
        Self { state }
    }

    /// Id of a subject's pass with this number for this window: the first 8 bytes of
    /// HMAC-SHA-256(key, domain 0 start number subject); start is the window's first second in unix
    /// seconds (8 bytes) and number has 4 bytes, both big-endian.
    #[must_use]
    pub fn pass_id(&self, subject: &[u8], window: Window, number: u32) -> PassId {
        self.keyed(subject, window.start(), number)
    }

    fn keyed(&self, subject: &[u8], start: DateTime<Utc>, number: u32) -> PassId {
        let mac = self
            .state
            .clone()
            .chain_update(start.timestamp().to_be_bytes())
            .chain_update(number.to_be_bytes())
            .chain_update(subject);
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        PassId(id)
    }
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
    fn random_ids_differ() {
        assert_ne!(PassId::random(), PassId::random());
    }
}
