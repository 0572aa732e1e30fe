//! Fingerprint of a certificate: the SHA-256 of its DER form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Bytes of a SHA-256 digest.
const BYTES: usize = 32;

/// SHA-256 of a certificate's DER form. It is written as 64 hexadecimal digits; read also with a
/// colon between the bytes and in capitals, as `openssl x509 -fingerprint -sha256` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; BYTES]);

/// Error on reading a [`Fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fingerprint of a certificate is its SHA-256 in 64 hexadecimal digits, as printed by: \
     openssl x509 -in FILE -noout -fingerprint -sha256"
)]
pub struct FingerprintError;

impl Fingerprint {
    /// Fingerprint of a certificate in DER form.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = if text.contains(':') {
            without_colons(text)?
        } else {
            text.to_owned()
        };
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| FingerprintError)?;
        Ok(Self(bytes))
    }
}

/// Digits of a text in which a colon stands between every two bytes.
fn without_colons(text: &str) -> Result<String, FingerprintError> {
    let pairs: Vec<&str> = text.split(':').collect();
    if pairs.iter().any(|pair| pair.len() != 2) {
        return Err(FingerprintError);
    }
    Ok(pairs.concat())
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_are_the_same_fingerprint() {
        let fingerprint = Fingerprint::of_certificate(b"");
        // The SHA-256 of nothing (FIPS 180-4 examples).
        let written = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint.to_string(), written);
        let colons = written.to_uppercase();
        let colons: Vec<&str> = (0..32).map(|at| &colons[2 * at..2 * at + 2]).collect();
        for text in [written, &colons.join(":")] {
            assert_eq!(text.parse(), Ok(fingerprint));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let written = Fingerprint::of_certificate(b"").to_string();
        let short = &written[..62];
        let half_colons = format!("{}:{}", &written[..32], &written[32..]);
        let word = written.replace('e', "g");
        for text in ["", ":", short, &format!("{written}00"), &half_colons, &word] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }
}
