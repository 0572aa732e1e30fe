//! A short keyed digest of a source's settings, by which a stored cursor tells that they have
//! changed.

use contract::Suite;

use crate::KeyRing;
use crate::mac::Keyed;

/// Domain of the digest. Its number rises when this program makes something else of the same
/// record, as by another normal form: every source is then read again from its beginning.
const SETTINGS_DOMAIN: &str = "clinic-gateway/settings/v3";

impl KeyRing {
    /// 16 hex digits of HMAC-SHA-256 under the record key over the domain, the pseudonym keys'
    /// fingerprints and the text. Says nothing about any of them to who has no key.
    #[must_use]
    pub fn settings_digest(&self, settings: &str) -> String {
        let mut keyed =
            Keyed::new(Suite::Hmac, self.record_key()).absorb(SETTINGS_DOMAIN.as_bytes());
        for (epoch, fingerprint) in self.pseudonym_fingerprints() {
            keyed = keyed.absorb(format!("\0{epoch} {fingerprint}").as_bytes());
        }
        let digest = keyed.absorb(b"\0").digest(settings.as_bytes());
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_changes_with_the_settings_and_with_the_keys() {
        let ring = KeyRing::generate();
        let digest = ring.settings_digest("a");
        assert_eq!(digest.len(), 16);
        assert_eq!(digest, ring.settings_digest("a"));
        assert_ne!(digest, ring.settings_digest("b"));
        assert_ne!(
            digest,
            ring.with_new_pseudonym_epoch()
                .unwrap()
                .settings_digest("a")
        );
        assert_ne!(digest, KeyRing::generate().settings_digest("a"));
    }
}
