//! Fingerprint of one of the city's pseudonym keys, as configuration writes it.

use std::fmt;
use std::str::FromStr;

use contract::Epoch;
use schemars::JsonSchema;
use serde::Deserialize;

/// Epoch and fingerprint of a pseudonym key: `1:abcd1234`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[1-9][0-9]{0,4}:[0-9a-f]{8}$"))]
pub struct PseudonymFingerprint {
    /// Epoch of the key.
    pub epoch: Epoch,
    /// First digits of a keyed digest: 8 of hexadecimal.
    pub fingerprint: String,
}

/// Error in the text of a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fingerprint is an epoch and 8 digits, such as 1:abcd1234; `clinic-gateway keys show` prints \
     it"
)]
pub struct NoFingerprint;

impl FromStr for PseudonymFingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let (epoch, fingerprint) = text.split_once(':').ok_or(NoFingerprint)?;
        let plain = !epoch.starts_with(['0', '+']);
        let epoch = epoch.parse().ok().filter(|_| plain).ok_or(NoFingerprint)?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if fingerprint.len() != 8 || !fingerprint.bytes().all(is_hex) {
            return Err(NoFingerprint);
        }
        let fingerprint = fingerprint.to_owned();
        Ok(Self { epoch, fingerprint })
    }
}

impl TryFrom<String> for PseudonymFingerprint {
    type Error = NoFingerprint;

    fn try_from(text: String) -> Result<Self, NoFingerprint> {
        text.parse()
    }
}

impl fmt::Display for PseudonymFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_keys_show_prints_is_a_fingerprint() {
        for good in ["1:abcd1234", "65535:00000000"] {
            let read: PseudonymFingerprint = good.parse().expect("a fingerprint");
            assert_eq!(read.to_string(), good);
        }
        for bad in [
            "",
            "1",
            "1:",
            ":abcd1234",
            "0:abcd1234",
            "01:abcd1234",
            "+1:abcd1234",
            "65536:abcd1234",
            "1:ABCD1234",
            "1:abcd123",
            "1:abcd12345",
            "1:abcd123g",
            "1: abcd123",
        ] {
            assert_eq!(
                bad.parse::<PseudonymFingerprint>(),
                Err(NoFingerprint),
                "{bad}"
            );
        }
    }
}
