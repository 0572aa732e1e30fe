//! Keyed states of both suites, prepared once and copied for each message.

use contract::Suite;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use streebog::Streebog256;

/// A keyed hash that may have taken in a prefix already; wiped when dropped.
#[derive(Clone)]
pub(crate) enum Keyed {
    /// HMAC-SHA-256 (RFC 2104).
    Sha256(Hmac<Sha256>),
    /// `HMAC_GOSTR3411_2012_256` (RFC 7836, section 4.1.1); boxed, its state is several times
    /// larger.
    Streebog(Box<Hmac<Streebog256>>),
}

impl Keyed {
    /// The state for a key of any length.
    pub(crate) fn new(suite: Suite, key: &[u8]) -> Self {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match suite {
            // Under this suite a keyed digest is a local name, which never leaves the clinic.
            Suite::Hmac | Suite::Voprf => {
                Self::Sha256(Hmac::new_from_slice(key).expect(ANY_LENGTH))
            }
            Suite::HmacStreebog => {
                Self::Streebog(Box::new(Hmac::new_from_slice(key).expect(ANY_LENGTH)))
            }
        }
    }

    /// Takes in a part of the message for good: the common prefix of many.
    pub(crate) fn absorb(mut self, part: &[u8]) -> Self {
        match &mut self {
            Self::Sha256(state) => state.update(part),
            Self::Streebog(state) => state.update(part),
        }
        self
    }

    /// The digest of what was absorbed followed by `rest`; the state itself stays as it is.
    pub(crate) fn digest(&self, rest: &[u8]) -> [u8; 32] {
        match self {
            Self::Sha256(state) => state
                .clone()
                .chain_update(rest)
                .finalize()
                .into_bytes()
                .into(),
            Self::Streebog(state) => Hmac::clone(state)
                .chain_update(rest)
                .finalize()
                .into_bytes()
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(suite: Suite, key: &[u8], message: &[u8]) -> String {
        let split = message.len() / 2;
        let whole = hex::encode(Keyed::new(suite, key).digest(message));
        let prefixed = Keyed::new(suite, key).absorb(&message[..split]);
        assert_eq!(
            hex::encode(prefixed.digest(&message[split..])),
            whole,
            "a prefix changes nothing"
        );
        assert_eq!(
            hex::encode(prefixed.digest(&message[split..])),
            whole,
            "the state can be used again"
        );
        whole
    }

    #[test]
    fn rfc_4231_hmac_sha_256() {
        let long_key = [0xaa; 131];
        let counting: Vec<u8> = (1..=25).collect();
        let cases: [(&[u8], &[u8], &str); 6] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &counting,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                &long_key,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &long_key,
                b"This is a test using a larger than block-size key and a larger than block-size \
                 data. \
                  The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, message, expected) in cases {
            assert_eq!(digest(Suite::Hmac, key, message), expected);
        }
        // Case 5 is published cut to 128 bits.
        let cut = digest(Suite::Hmac, &[0x0c; 20], b"Test With Truncation");
        assert_eq!(&cut[..32], "a3b6167473100ee06e0c796c2955552b");
    }

    #[test]
    fn rfc_7836_hmac_gostr3411_2012_256() {
        let key: Vec<u8> = (0..32).collect();
        let message = hex::decode("0126bdb87800af214341456563780100").unwrap();
        assert_eq!(
            digest(Suite::HmacStreebog, &key, &message),
            "a1aa5f7de402d7b3d323f2991c8d4534013137010a83754fd0af6d7cd4922ed9"
        );
    }
}
